// AttemptWatch: that the attempts of a record are counted: one after the other, on over a restart
// from what the disk has kept, and no more of them than the retry budget has room for.
//
// One thread. Records that were redriven begin anew and are not watched.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "simulation/disturbances.hpp"
#include "simulation/model.hpp"
#include "simulation/scenario.hpp"
#include "simulation/sim_disk.hpp"

namespace millrace::simulation {

using CopyKey = std::pair<TopicPartition, Offset>;

// By handler and record.
using SavedAttempts = std::map<std::pair<std::string, CopyKey>, std::uint32_t>;

class AttemptWatch {
public:
    AttemptWatch(const Scenario& scenario, const Disturbances& disturbances,
                 std::function<void(const std::string&)> complain)
        : scenario_(scenario), disturbances_(disturbances), complain_(std::move(complain)) {}

    void called(const CallNote& note, nanoseconds now);
    // `saved`: the rows that the disk of the process has kept.
    void crashed(const std::string& process, CrashKind kind, const SavedAttempts& saved,
                 nanoseconds now);
    void redriven(const CopyKey& copy) { redriven_.insert(copy); }

private:
    struct Seen {
        std::uint32_t attempt = 0;
        bool succeeded = false;
        nanoseconds at{0};
        // The one before is written: its batch has ended, and was not undone.
        bool earlier_is_written = true;
        std::uint32_t least = 1;               // that may follow
        std::optional<std::uint32_t> exactly;  // that must follow
    };
    using Key = std::pair<std::string, std::pair<std::string, CopyKey>>;  // process, handler, copy

    void check_bound(const CallNote& note, const HandlerSection& section);
    std::string fault_of(const CallNote& note, const Seen& seen, nanoseconds now) const;

    const Scenario& scenario_;
    const Disturbances& disturbances_;
    const std::function<void(const std::string&)> complain_;
    std::map<Key, Seen> seen_;
    std::set<CopyKey> redriven_;
};

}  // namespace millrace::simulation
