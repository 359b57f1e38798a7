#include "simulation/world.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cstdio>
#include <filesystem>

#include "events/ids.hpp"
#include "simulation/world_process.hpp"

namespace millrace::simulation {
namespace {

constexpr int kTaskPartitions = 3;
constexpr int kOtherPartitions = 2;
constexpr nanoseconds kLongestHealing = std::chrono::minutes(60);
constexpr int kQuietChecks = 5;
constexpr std::uint64_t kMostSteps = 3'000'000;

// Files are in memory; the engine makes their folders on the real disk.
const std::string& root_folder() {
    static const std::string root = [] {
        return (std::filesystem::temp_directory_path() / "millrace-simulation").string();
    }();
    return root;
}

}  // namespace

World::World(const Scenario& scenario, std::uint64_t seed, const RunOptions& options)
    : scenario_(scenario),
      options_(options),
      random_(seed),
      scheduler_(random_.fork()),
      clock_(scheduler_),
      root_(root_folder()),
      disk_(scheduler_, random_.fork(), root_),
      oracle_(scenario_, scheduler_, disk_, root_,
              scenario.processes == 1 ? std::vector<std::string>{"a"}
                                      : std::vector<std::string>{"a", "b"}),
      cluster_(scheduler_, clock_, random_.fork(), oracle_),
      fate_(scheduler_, "fate", nullptr),
      screens_(std::make_unique<NoScreens>()) {
    Disk::current = &disk_;
    seed_sqlite(seed, scenario_.checkpoint_pages);
    oracle_.set_cluster(cluster_);
    cluster_.make_topic("tasks", kTaskPartitions);
    cluster_.make_topic("others", kOtherPartitions);
    cluster_.make_topic("tasks-dlq", 1);
    cluster_.make_topic("others-dlq", 1);
    cluster_.make_topic("out", 2);
    cluster_.make_topic("refusing", 1, true);
    if (options.trace) scheduler_.tracer = [this](const std::string& text) { print(text); };
    scheduler_.before_step = [this] { before_step(); };
    disk_.before_operation = [this] { before_operation(); };
    disk_.on_fault = [this] { oracle_.disturbed(); };
    crash_step_ = options.crash_at_step;
    crash_operation_ = options.crash_at_operation;
    crash_kind_ = options.crash_kind;
    make_trouble();
}

World::~World() {
    scheduler_.before_step = nullptr;
    disk_.before_operation = nullptr;
    for (auto& process : processes_) {
        scheduler_.end(process->life);
        dead_.push_back(std::move(process));
    }
    bury();
    Disk::current = nullptr;
}

void World::print(const std::string& text) const {
    std::fprintf(stderr, "%9.3f step %6llu  %s\n",
                 std::chrono::duration<double>(scheduler_.now()).count(),
                 static_cast<unsigned long long>(scheduler_.steps()), text.c_str());
}

template <class Act>
void World::from_time_to_time(nanoseconds mean, Act act) {
    if (mean.count() == 0) return;
    const auto wait = static_cast<std::int64_t>(-std::log(1.0 - random_.unit()) *
                                                static_cast<double>(mean.count()));
    fate_.later(nanoseconds(wait), [this, mean, act] {
        if (!troubled_) return;
        act();
        from_time_to_time(mean, act);
    });
}

void World::make_trouble() {
    const FaultPlan& plan = scenario_.faults;
    cluster_.faults = plan.cluster;
    http_faults_ = {plan.http_fails, plan.http_silent};
    scheduler_.stall_chance = plan.stall_chance;
    scheduler_.longest_stall = plan.longest_stall;
    for (const char* name : {"a", "b"}) disk_.faults(root_ + "/" + name) = plan.disk;
    from_time_to_time(plan.crash, [this] { plan_crash(); });
    const auto some_group = [this] {
        const auto groups = cluster_.groups();
        return groups.empty() ? std::string() : groups[random_.below(groups.size())];
    };
    from_time_to_time(plan.rebalance, [this, some_group] {
        if (const auto group = some_group(); !group.empty()) {
            scheduler_.trace("group {} is rebalanced", group);
            cluster_.rebalance(group);
        }
    });
    from_time_to_time(plan.loss, [this, some_group] {
        if (const auto group = some_group(); !group.empty()) {
            scheduler_.trace("a member of group {} loses its partitions", group);
            cluster_.lose(group);
        }
    });
    from_time_to_time(plan.clock_jump, [this] {
        clock_.jumped += std::chrono::seconds(random_.between(-300, 300));
        scheduler_.trace("the wall clock jumps");
    });
    from_time_to_time(plan.topic_away, [this] { trouble_with_a_topic(); });
    from_time_to_time(plan.disk_trouble, [this] { trouble_with_a_disk(); });
}

void World::trouble_with_a_topic() {
    const char* topics[] = {"tasks-dlq", "others-dlq", "out"};
    const std::string topic = topics[random_.below(3)];
    scheduler_.trace("topic {} is away", topic);
    cluster_.faults.away.insert(topic);
    fate_.later(milliseconds(random_.spread(10, 8'000)),
                [this, topic] { cluster_.faults.away.erase(topic); });
}

void World::trouble_with_a_disk() {
    const std::string folder = root_ + "/" + processes_[random_.below(processes_.size())]->name;
    scheduler_.trace("trouble with the disk {}", folder);
    oracle_.disturbed();
    disk_.faults(folder) = scenario_.faults.trouble;
    if (scenario_.faults.trouble.is_full) limit_pages(folder, true);
    fate_.later(milliseconds(random_.spread(10, 5'000)), [this, folder] {
        disk_.faults(folder) = troubled_ ? scenario_.faults.disk : DiskFaults{};
        limit_pages(folder, false);
        oracle_.disturbed();
    });
}

// A full disk is felt before COMMIT too, where a table needs a page more.
void World::limit_pages(const std::string& folder, bool limited) {
    if (limited && !troubled_) return;
    if (disk_.limit_pages(folder, limited)) return;
    fate_.later(milliseconds(5), [this, folder, limited] { limit_pages(folder, limited); });
}

void World::heal() {
    troubled_ = false;
    scheduler_.trace("faults cease");
    const std::size_t max_batch = cluster_.faults.max_batch;
    cluster_.faults = {};
    cluster_.faults.max_batch = max_batch;
    http_faults_ = {};
    scheduler_.stall_chance = 0;
    crash_step_.reset();
    crash_operation_.reset();
    for (const char* name : {"a", "b"}) {
        disk_.faults(root_ + "/" + name) = {};
        limit_pages(root_ + "/" + name, false);
    }
}

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

void World::produce_later() {
    for (int i = 0; i < scenario_.events; ++i) {
        fate_.later(
            nanoseconds(random_.below(static_cast<std::uint64_t>(scenario_.duration.count()))),
            [this] { produce(); });
    }
}

// Intake stops soon after a bound is reached.
void World::watch_bounds() {
    for (const auto& process : processes_) {
        if (!process->life->alive || !process->supervisor) continue;
        const auto status = boost::json::parse(process->supervisor->status());
        for (const auto& handler : status.at("handlers").as_array()) {
            const std::string name(handler.at("handler").as_string());
            for (const auto& plan : scenario_.handlers) {
                if (plan.section.name != name) continue;
                const std::int64_t most =
                    plan.section.max_buffered +
                    static_cast<std::int64_t>(scenario_.faults.cluster.max_batch);
                const auto queued = handler.at("queue_records").to_number<std::int64_t>();
                if (queued > most)
                    oracle_.on_fault(fmt::format("{}: {} records are buffered, allowed are {}",
                                                 name, queued, most));
            }
        }
    }
}

bool World::is_quiet() {
    if (to_come_ > 0) return false;
    for (const auto& process : processes_) {
        if (!process->life->alive) return false;
    }
    for (const auto& plan : scenario_.handlers) {
        for (const auto& [origin, log] : cluster_.logs()) {
            if (origin.topic != "tasks" && origin.topic != "others") continue;
            const auto committed = cluster_.committed("sim." + plan.section.name, origin);
            if (committed.value_or(Offset{0}) < log.end) return false;
        }
    }
    for (const auto& process : processes_) {
        const auto status = boost::json::parse(process->supervisor->status());
        for (const auto& handler : status.at("handlers").as_array()) {
            if (handler.at("state").as_string() != "running" ||
                handler.at("outbox").to_number<std::int64_t>() != 0 ||
                handler.at("timers").to_number<std::int64_t>() != 0 ||
                handler.at("queue_records").to_number<std::int64_t>() != 0)
                return false;
        }
    }
    return true;
}

std::string World::what_waits() {
    std::string text;
    for (const auto& process : processes_) {
        text += fmt::format("\n  {} ({}): {}", process->name,
                            process->life->alive ? "alive" : "dead", process->supervisor->status());
        for (const auto& reason : process->supervisor->unready())
            text += "\n    not ready: " + reason;
    }
    return text;
}

RunResult World::run() {
    const int count = scenario_.processes;
    for (int i = 0; i < count; ++i)
        processes_.push_back(std::make_unique<Process>(*this, i == 0 ? "a" : "b"));
    for (auto& process : processes_) start(*process);
    produce_later();
    const nanoseconds end = scenario_.duration + std::chrono::seconds(2);
    std::uint64_t looked = 0;
    while (scheduler_.step(end) && scheduler_.steps() < kMostSteps) {
        if (scheduler_.steps() / 256 != looked) {
            looked = scheduler_.steps() / 256;
            watch_bounds();
        }
    }
    RunResult result;
    result.busy_steps = scheduler_.steps();
    result.busy_operations = disk_.operations();
    heal();
    const nanoseconds limit = scheduler_.now() + kLongestHealing;
    int quiet =
        0;  // checks in a row: a handler that has just started may not have opened its files
    while (quiet < kQuietChecks && scheduler_.now() < limit && scheduler_.steps() < kMostSteps &&
           oracle_.faults().empty()) {
        const nanoseconds next = scheduler_.now() + milliseconds(500);
        while (scheduler_.step(next)) {
        }
        quiet = is_quiet() ? quiet + 1 : 0;
    }
    if (quiet < kQuietChecks && oracle_.faults().empty()) {
        oracle_.on_fault("it does not come to rest:" + what_waits());
    } else if (quiet == kQuietChecks) {
        oracle_.check_durable();
        if (!scenario_.ends_with_crash && !stop_all())
            oracle_.on_fault("it does not stop:" + what_waits());
        oracle_.check_end();
    }
    result.faults = oracle_.faults();
    result.hash = scheduler_.hash();
    result.steps = scheduler_.steps();
    result.operations = disk_.operations();
    result.tally = oracle_.tally();
    return result;
}

RunResult run_scenario(const Scenario& scenario, std::uint64_t seed, const RunOptions& options) {
    World world(scenario, seed, options);
    return world.run();
}

RunResult run_seed(std::uint64_t seed, const RunOptions& options) {
    return run_scenario(make_scenario(seed), seed, options);
}

}  // namespace millrace::simulation
