// Dead letters are given back to the handlers that failed, as people do: through the desk of a
// process, one or some, at times again, while anything may go wrong.
#include <fmt/format.h>

#include "simulation/world.hpp"
#include "simulation/world_process.hpp"

namespace millrace::simulation {
namespace {

constexpr double kCured = 0.7;  // of what is given back

}  // namespace

void World::redrive_some() {
    const std::string topic = random_.chance(0.7) ? "tasks-dlq" : "others-dlq";
    const auto letters = cluster_.all_of(topic);
    if (letters.empty()) return;
    engine::LetterQuery query;
    query.topic = topic;
    query.limit = static_cast<std::size_t>(random_.between(1, 5));
    if (random_.chance(0.6)) {
        query.filter.at = {Partition{0}, letters[random_.below(letters.size())]->offset};
        query.filter.closed = random_.chance(0.3);
    }
    Process& process = *processes_[random_.below(processes_.size())];
    redrive(process, query);
    if (random_.chance(0.2)) redrive(process, query);
}

// The last word: all that are open.
void World::redrive_all() {
    for (auto& process : processes_) {
        for (const char* topic : {"tasks-dlq", "others-dlq"}) {
            engine::LetterQuery query;
            query.topic = topic;
            redrive(*process, query);
        }
    }
}

void World::redrive(Process& process, const engine::LetterQuery& query) {
    if (!process.life->alive) return;
    process.runtime.loop().post([this, &process, query] {
        process.letters->redrive(
            query, 1'000, [this, &process](const Result<engine::LetterResults>& results) {
                if (scheduler_.tracer)
                    scheduler_.trace("{}: {} letters went through its desk", process.name,
                                     results ? results->letters.size() : 0);
            });
    });
}

// From the desk to the handler.
void World::give_back(Process& process, const std::string& handler, engine::RedriveRecord record,
                      Callback<Result<void>> done) {
    const Produced* produced = oracle_.find({record.origin, record.offset});
    if (produced == nullptr)
        return oracle_.on_fault("a dead letter of no record is given back to " + handler);
    if (random_.chance(kCured)) {
        outside_.cured.insert(produced->serial);
        oracle_.redrives().cured(produced->serial);
    }
    scheduler_.trace("{}: {} of {} offset {} is given back{}", process.name, produced->serial,
                     to_string(record.origin), record.offset.value,
                     outside_.cured.contains(produced->serial) ? ", cured" : "");
    const std::size_t which = oracle_.redrive_asked({process.name,
                                                     handler,
                                                     {record.origin, record.offset},
                                                     produced->serial,
                                                     record.redrives,
                                                     false});
    process.supervisor->redrive(handler, std::move(record),
                                [this, which, done = std::move(done)](const Result<void>& result) {
                                    if (result) oracle_.redrives().accepted(which);
                                    done(result);
                                });
}

}  // namespace millrace::simulation
