// Scenario: what a seed makes of a world: how many processes, which handler, how many records of
// which kinds, which faults how often. Each class of faults is in some seeds and not in others, so
// that a fault of ours is not hidden behind another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "engine/handler.hpp"
#include "simulation/script.hpp"
#include "simulation/sim_cluster.hpp"
#include "simulation/sim_disk.hpp"

namespace millrace::simulation {

inline constexpr std::uint32_t kMaxCalls = 2;  // `max_calls` of each handler

struct HandlerPlan {
    engine::StateKind state = engine::StateKind::kPerUser;
    bool keeps_instance = false;
    HandlerSection section;
};

// How often on average, in virtual time; zero: never.
struct FaultPlan {
    nanoseconds crash{0};
    nanoseconds rebalance{0};
    nanoseconds loss{0};
    nanoseconds clock_jump{0};
    nanoseconds topic_away{0};
    nanoseconds disk_trouble{0};
    nanoseconds outage{0};   // of what the handler depends on
    nanoseconds redrive{0};  // of dead letters; no fault, but it comes among them
    double stall_chance = 0;
    nanoseconds longest_stall{1'000'000};
    ClusterFaults cluster;
    DiskFaults disk;     // all the time
    DiskFaults trouble;  // while there is trouble
    double http_fails = 0;
    double http_silent = 0;
};

struct Scenario {
    int processes = 1;
    std::vector<HandlerPlan> handlers;
    int events = 30;
    int users = 5;
    std::vector<Act> acts;  // what events ask for, drawn from
    double duplicates = 0;  // of records: sent once more
    double odd = 0;         // of records: unreadable, tombstones, unknown versions, ...
    double without_id = 0;
    double other_topic = 0;
    double keyed_otherwise = 0;  // a user's record on another partition
    nanoseconds duration{0};     // of production
    milliseconds revoke_timeout{1'000};
    int checkpoint_pages = 1'000;
    bool ends_with_crash = false;
    bool breakers_open = false;  // they are set so that they do
    bool poison = false;         // some records ask for another attempt for ever; good ones follow
    FaultPlan faults;

    // Until what a process hears of has reached all its strands.
    nanoseconds settles_in() const {
        return std::chrono::seconds(3) +
               3 * (faults.stall_chance > 0 ? faults.longest_stall : nanoseconds(0));
    }
    // Whether some records take a batch's transaction away: it is run again, and grows meanwhile.
    bool undoes_batches() const;
    // nullptr: there is no such handler.
    const HandlerPlan* plan_of(const std::string& handler) const;
};

Scenario make_scenario(std::uint64_t seed);
// For crashes at each step: one process, no chance but the order of the strands.
Scenario small_scenario();

}  // namespace millrace::simulation
