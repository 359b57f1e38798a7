#include "simulation/world.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cstdio>
#include <filesystem>

#include "simulation/world_process.hpp"

namespace millrace::simulation {
namespace {

constexpr int kTaskPartitions = 3;
constexpr int kOtherPartitions = 2;
constexpr nanoseconds kLongestHealing = std::chrono::minutes(60);
constexpr int kQuietChecks = 5;
constexpr int kChecksBetweenGoodOnes = 10;
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
    disk_.on_fault = [this] { oracle_.on_disk_fault(); };
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

void World::look_at_status() {
    for (const auto& process : processes_) {
        if (process->life->alive && process->supervisor)
            oracle_.look(process->name, process->supervisor->status());
        if (process->http.most_under_way() > kMaxCalls)
            oracle_.on_fault(fmt::format("{}: a shard has {} calls on their way, allowed are {}",
                                         process->name, process->http.most_under_way(), kMaxCalls));
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
            const auto committed = cluster_.committed(group_of(plan.section.name), origin);
            if (committed.value_or(Offset{0}) < log.end) return false;
        }
    }
    for (const auto& process : processes_) {
        const auto status = boost::json::parse(process->supervisor->status());
        for (const auto& handler : status.at("handlers").as_array()) {
            if (handler.at("state").as_string() != "running" ||
                handler.at("outbox").to_number<std::int64_t>() != 0 ||
                handler.at("timers").to_number<std::int64_t>() != 0 ||
                handler.at("inbox").to_number<std::int64_t>() != 0 ||
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
            look_at_status();
        }
    }
    RunResult result;
    result.busy_steps = scheduler_.steps();
    result.busy_operations = disk_.operations();
    heal();
    const nanoseconds limit = scheduler_.now() + kLongestHealing;
    int quiet =
        0;  // checks in a row: a handler that has just started may not have opened its files
    int restless = 0;
    while (quiet < kQuietChecks && scheduler_.now() < limit && scheduler_.steps() < kMostSteps &&
           oracle_.faults().empty()) {
        const nanoseconds next = scheduler_.now() + milliseconds(500);
        while (scheduler_.step(next)) {
        }
        look_at_status();
        quiet = is_quiet() ? quiet + 1 : 0;
        if (scenario_.poison && quiet == 0 && ++restless % kChecksBetweenGoodOnes == 0)
            produce_good_ones();
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
