// World: one simulated run: a broker, the processes with the real engine on their disks, what is
// produced, and what goes wrong.
//
// It runs in three parts: events are produced while faults happen; faults cease, and everything has
// to come to rest; the oracle judges. One thread; the seed decides everything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/metrics.hpp"
#include "engine/letter_desk.hpp"
#include "engine/supervisor.hpp"
#include "simulation/oracle.hpp"
#include "simulation/scenario.hpp"
#include "simulation/sim_cluster.hpp"
#include "simulation/sim_disk.hpp"
#include "simulation/sim_http.hpp"
#include "simulation/sim_runtime.hpp"

namespace millrace::simulation {

struct RunOptions {
    bool trace = false;
    // The systematic crash: of the first process, before this step or at this operation of its
    // disk.
    std::optional<std::uint64_t> crash_at_step;
    std::optional<std::uint64_t> crash_at_operation;
    CrashKind crash_kind = CrashKind::kProcess;
};

struct RunResult {
    std::vector<std::string> faults;  // empty: all is well
    std::uint64_t hash = 0;
    std::uint64_t steps = 0;
    std::uint64_t operations = 0;
    // Until the faults ceased.
    std::uint64_t busy_steps = 0;
    std::uint64_t busy_operations = 0;
    Tally tally;
};

RunResult run_seed(std::uint64_t seed, const RunOptions& options = {});
RunResult run_scenario(const Scenario& scenario, std::uint64_t seed, const RunOptions& options);

class World {
public:
    World(const Scenario& scenario, std::uint64_t seed, const RunOptions& options);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    RunResult run();

private:
    struct Process;
    class NoScreens;

    // Processes (world_processes.cpp).
    void start(Process& process);
    void crash(Process& process, CrashKind kind, nanoseconds down);
    void bury();
    bool stop_all();
    void plan_crash();
    void before_step();
    void count_breakers();
    void before_operation();
    CrashKind random_crash();

    // What is produced (world_events.cpp).
    void produce_later();
    void produce();
    void produce_good_ones();
    void send(const TopicPartition& origin, const std::string& serial, const std::string& user,
              const Script& script, Flavour flavour, const std::string& value,
              const std::string& key);
    std::string event_text(const std::string& serial, const std::string& user, const Script& script,
                           Flavour flavour, bool with_id);
    Script random_script();

    // Dead letters come back (world_letters.cpp).
    void redrive_some();
    void redrive_all();
    void redrive(Process& process, const engine::LetterQuery& query);
    void give_back(Process& process, const std::string& handler, engine::RedriveRecord record,
                   Callback<Result<void>> done);

    // What goes wrong (world_faults.cpp).
    template <class Act>
    void from_time_to_time(nanoseconds mean, Act act);
    void make_trouble();
    void trouble_with_a_disk();
    void trouble_with_a_topic();
    void trouble_outside();
    void limit_pages(const std::string& folder, bool limited);
    void heal();

    bool is_quiet();
    std::string what_waits();
    void look_at_status();
    void print(const std::string& text) const;

    const Scenario scenario_;
    const RunOptions options_;
    Rng random_;
    Scheduler scheduler_;
    SimClock clock_;
    std::string root_;
    Disk disk_;
    Oracle oracle_;
    Cluster cluster_;
    HttpFaults http_faults_;
    Outside outside_;
    SimStrand fate_;  // what the world does by itself
    std::unique_ptr<NoScreens> screens_;
    std::vector<std::unique_ptr<Process>> processes_;
    std::vector<std::unique_ptr<Process>> dead_;
    bool troubled_ = true;
    int produced_ = 0;
    int to_come_ = 0;  // copies of records, not sent yet
    std::optional<std::uint64_t> crash_step_;
    std::optional<std::uint64_t> crash_operation_;
    std::size_t crash_process_ = 0;
    CrashKind crash_kind_ = CrashKind::kProcess;
};

}  // namespace millrace::simulation
