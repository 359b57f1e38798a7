// BreakerWatch: that a partition whose records the handler keeps failing is held.
//
// It counts for itself, from the calls, what a breaker has to count at least; a breaker may open
// earlier, for its ratio or for what is not seen here. Once one has to be open, the records of its
// partition must come one at a time, a probe's backoff apart, until one succeeds. One thread.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "simulation/attempt_watch.hpp"

namespace millrace::simulation {

class BreakerWatch {
public:
    BreakerWatch(const Scenario& scenario, const Scheduler& scheduler,
                 std::function<void(const std::string&)> complain)
        : scenario_(scenario), scheduler_(scheduler), complain_(std::move(complain)) {}

    void called(const CallNote& note);
    // All breakers may be closed now, or what fails may not be the handler's doing.
    void disturbed() { partitions_.clear(); }
    void redriven(const CopyKey& copy) { redriven_.insert(copy); }

private:
    struct Partition {
        std::set<Offset> streak;              // that failed for the first time, since a success
        std::uint64_t succeeded_in_task = 0;  // in whose report failures do not count
        nanoseconds open_since{0};            // zero: it need not be open
        nanoseconds last_call{0};
    };
    using Key = std::tuple<std::string, std::string, TopicPartition>;  // process, handler

    void check_pace(const CallNote& note, Partition& partition, const BreakerSection& section);

    const Scenario& scenario_;
    const Scheduler& scheduler_;
    const std::function<void(const std::string&)> complain_;
    std::map<Key, Partition> partitions_;
    std::set<CopyKey> redriven_;
};

}  // namespace millrace::simulation
