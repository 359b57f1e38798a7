// The life and death of a world's processes.
#include <fmt/format.h>

#include "events/schemas.hpp"
#include "simulation/world.hpp"
#include "simulation/world_process.hpp"

namespace millrace::simulation {
namespace {

// How records are read; the same in every world.
const EnvelopeReader& reader() {
    static const SchemaSet schemas = SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas");
    static const EnvelopeReader shared(
        ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr), schemas,
        {{"tasks", "task-event", false}, {"others", "task-event", false}});
    return shared;
}

}  // namespace

void World::start(Process& process) {
    engine::Surroundings surroundings{
        process.runtime,
        process.transport,
        process.metrics,
        reader(),
        *screens_,
        process.http,
        [](std::string_view, std::string_view) -> Result<void> { return {}; },
        root_ + "/" + process.name,
        kSimVfs,
        milliseconds(0),
        scenario_.revoke_timeout,
        scenario_.processes > 1};
    std::vector<engine::HandlerSetup> setups;
    for (const auto& plan : scenario_.handlers) {
        ModelSetup model{process.name,
                         plan.section.name,
                         plan.state,
                         plan.keeps_instance,
                         plan.section.timeout,
                         plan.section.pending_timeout,
                         scheduler_,
                         process.life,
                         outside_,
                         oracle_};
        setups.push_back({plan.section,
                          std::make_shared<ModelFactory>(model),
                          {{"tasks", "tasks-dlq"}, {"others", "others-dlq"}}});
    }
    process.supervisor =
        std::make_unique<engine::Supervisor>(surroundings, "sim", std::move(setups));
    for (const auto& plan : scenario_.handlers) {
        process.open_breakers.push_back(
            process.metrics.gauge("millrace_breaker_open", "", {{"handler", plan.section.name}}));
    }
    process.letters = std::make_unique<engine::LetterDesk>(engine::LetterDeskSetup{
        process.runtime, process.transport, reader(), root_ + "/" + process.name, kSimVfs,
        DeadLetterSection{},
        [this, &process](const std::string& handler, engine::RedriveRecord record,
                         Callback<Result<void>> done) {
            give_back(process, handler, std::move(record), std::move(done));
        }});
    process.runtime.loop().post([&process] { process.supervisor->start(); });
    scheduler_.trace("process {} starts", process.name);
}

// From now on nothing of it is seen. It comes back on what its disk has kept.
void World::crash(Process& process, CrashKind kind, nanoseconds down) {
    if (!process.life->alive) return;
    scheduler_.trace("process {} crashes ({})", process.name,
                     kind == CrashKind::kProcess     ? "killed"
                     : kind == CrashKind::kPowerLoss ? "power loss"
                                                     : "power loss, torn writes");
    ++oracle_.tally().crashes;
    scheduler_.end(process.life);
    disk_.crash(root_ + "/" + process.name, kind);
    cluster_.crashed(process.name, milliseconds(random_.spread(100, 10'000)));
    fate_.later(nanoseconds(0),
                [this, name = process.name, kind] { oracle_.on_crash(name, kind); });
    fate_.later(down, [this, name = process.name] {
        for (auto& slot : processes_) {
            if (slot->name != name || slot->life->alive) continue;
            dead_.push_back(std::move(slot));
            slot = std::make_unique<Process>(*this, name);
            start(*slot);
        }
    });
}

// Those that no task of is on the stack any more.
void World::bury() {
    for (auto& process : dead_) {
        if (process->life->frames > 0) continue;
        scheduler_.bury(process->life, [&] {
            process->letters.reset();
            process->supervisor.reset();
        });
        process.reset();
    }
    std::erase(dead_, nullptr);
}

CrashKind World::random_crash() {
    const double kind = random_.unit();
    return kind < 0.4 ? CrashKind::kProcess : kind < 0.6 ? CrashKind::kPowerLoss : CrashKind::kTorn;
}

// At a step, or in the middle of one, at something the disk does.
void World::plan_crash() {
    crash_process_ = random_.below(processes_.size());
    crash_kind_ = random_crash();
    if (random_.chance(0.5))
        crash_step_ = scheduler_.steps() + random_.below(100);
    else
        crash_operation_ = disk_.operations() + random_.below(60);
}

void World::count_breakers() {
    for (auto& process : processes_) {
        double open = 0;
        for (const auto& gauge : process->open_breakers) open += gauge->value();
        if (open > process->breakers_seen)
            oracle_.tally().breakers += static_cast<std::uint64_t>(open - process->breakers_seen);
        process->breakers_seen = open;
    }
}

void World::before_step() {
    if (scenario_.breakers_open) count_breakers();
    if (!dead_.empty() && scheduler_.current_queue() == nullptr) bury();
    const bool now = crash_step_ && scheduler_.steps() >= *crash_step_;
    if (!now) return;
    crash_step_.reset();
    crash(*processes_[crash_process_], crash_kind_, milliseconds(random_.spread(1, 5'000)));
}

void World::before_operation() {
    if (oracle_.is_probing() || !crash_operation_ || disk_.operations() < *crash_operation_) return;
    Process& process = *processes_[crash_process_];
    if (scheduler_.current_life() != process.life.get()) return;
    crash_operation_.reset();
    crash(process, crash_kind_, milliseconds(random_.spread(1, 5'000)));
}

bool World::stop_all() {
    std::size_t left = processes_.size();
    for (auto& process : processes_) {
        process->runtime.loop().post([&left, &process] {
            process->supervisor->stop(milliseconds(20'000), [&left] { --left; });
        });
    }
    const nanoseconds limit = scheduler_.now() + std::chrono::seconds(120);
    while (left > 0 && scheduler_.step(limit)) {
    }
    // What was posted last.
    const nanoseconds rest = scheduler_.now() + std::chrono::seconds(1);
    while (scheduler_.step(rest)) {
    }
    return left == 0;
}

}  // namespace millrace::simulation
