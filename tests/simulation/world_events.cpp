// What is produced in a world.
#include <fmt/format.h>

#include "events/ids.hpp"
#include "simulation/world.hpp"

namespace millrace::simulation {

Script World::random_script() {
    Script script;
    script.act = scenario_.acts[random_.below(scenario_.acts.size())];
    script.times = static_cast<int>(random_.between(1, 3));
    script.count = static_cast<int>(random_.between(1, 3));
    script.delay = static_cast<int>(random_.spread(1, script.act == Act::kSlow ? 300 : 1'000));
    if (script.act == Act::kTimer) script.delay = static_cast<int>(random_.spread(1, 5'000));
    return script;
}

std::string World::event_text(const std::string& serial, const std::string& user,
                              const Script& script, Flavour flavour, bool with_id) {
    if (flavour == Flavour::kBroken) return "{\"event_id\": ";
    if (flavour == Flavour::kNotAnObject) return "[1, 2]";
    const std::string id =
        with_id ? fmt::format(R"("event_id":"{}",)", random_uuid(random_)) : std::string();
    return fmt::format(
        R"({{{}"schema_version":{},"event_type":"created","timestamp":"2026-01-01T00:00:00Z","task_id":"{}","user_id":"{}","task_data":{{"title":"{}"}}}})",
        id, flavour == Flavour::kUnknownVersion ? 9 : 1, serial, user, script.to_text());
}

void World::send(const TopicPartition& origin, const std::string& serial, const std::string& user,
                 const Script& script, Flavour flavour, const std::string& value,
                 const std::string& key) {
    Stored record;
    record.key = key;
    if (flavour != Flavour::kTombstone) record.value = value;
    if (flavour == Flavour::kLoop) record.headers.emplace_back("millrace-hops", "99");
    const Offset offset = cluster_.append(origin, std::move(record));
    oracle_.produced(
        {origin, offset, serial, user, script, flavour, cluster_.logs().at(origin).records.back()});
    scheduler_.trace("produced {} offset {}: {} of {}: {}{}", to_string(origin), offset.value,
                     serial, user, to_string(script.act),
                     flavour == Flavour::kNormal ? "" : ", odd");
}

void World::produce() {
    const std::string user =
        fmt::format("user{}", random_.below(static_cast<std::uint64_t>(scenario_.users)));
    const std::string serial = fmt::format("e{}", ++produced_);
    const std::string topic = random_.chance(scenario_.other_topic) ? "others" : "tasks";
    const auto count = static_cast<std::uint32_t>(cluster_.partitions(topic));
    const std::string key = random_.chance(scenario_.keyed_otherwise) ? serial : user;
    const TopicPartition origin{topic,
                                {static_cast<std::int32_t>(to_positive(murmur2(key)) % count)}};
    const Script script = random_script();
    Flavour flavour = Flavour::kNormal;
    if (random_.chance(scenario_.odd)) flavour = static_cast<Flavour>(random_.between(2, 6));
    const bool with_id = !random_.chance(scenario_.without_id);
    const std::string value = event_text(serial, user, script, flavour, with_id);
    send(origin, serial, user, script, flavour, value, key);
    if (!with_id || flavour != Flavour::kNormal || !random_.chance(scenario_.duplicates)) return;
    const TopicPartition again =
        random_.chance(0.3)
            ? TopicPartition{topic, {static_cast<std::int32_t>(random_.below(count))}}
            : origin;
    ++to_come_;
    fate_.later(milliseconds(random_.spread(1, 10'000)),
                [this, again, serial, user, script, flavour, value, key] {
                    --to_come_;
                    send(again, serial, user, script, flavour, value, key);
                });
}

// Of someone else on each partition, so that an open breaker is tried with one that succeeds.
void World::produce_good_ones() {
    for (const char* topic : {"tasks", "others"}) {
        for (int partition = 0; partition < cluster_.partitions(topic); ++partition) {
            const std::string serial = fmt::format("e{}", ++produced_);
            const Script script{Act::kAck, 0, 0, 0};
            const std::string user = fmt::format("well{}", random_.below(100));
            send({topic, {partition}}, serial, user, script, Flavour::kNormal,
                 event_text(serial, user, script, Flavour::kNormal, true), user);
        }
    }
}

void World::produce_later() {
    for (int i = 0; i < scenario_.events; ++i) {
        fate_.later(
            nanoseconds(random_.below(static_cast<std::uint64_t>(scenario_.duration.count()))),
            [this] { produce(); });
    }
}

}  // namespace millrace::simulation
