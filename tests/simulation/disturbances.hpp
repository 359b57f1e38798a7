// Disturbances: when something happened after which work may be done again, in the world's time.
// Where nothing came in between, all has to be exact.
//
// What a process hears of takes a while to reach its shards: until `settles_in` has passed they may
// still do what they were about to. A crash is at once. One thread.
#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "simulation/sim_runtime.hpp"

namespace millrace::simulation {

enum class Disturbance {
    kCrash = 1,
    kMoved,  // partitions were given or taken away
    kDisk,   // the disk refused something
};

class Disturbances {
public:
    explicit Disturbances(nanoseconds settles_in) : settles_in_(settles_in) {}

    void happened(Disturbance what, nanoseconds now) { times_[what].insert(now); }
    // From now on the disk may refuse anything, until as many troubles have ended.
    void trouble_begins(nanoseconds now) {
        if (troubles_under_way_++ == 0) troubles_[now] = nanoseconds::max();
    }
    void trouble_ends(nanoseconds now) {
        if (--troubles_under_way_ == 0) troubles_.rbegin()->second = now + settles_in_;
    }

    bool any_between(nanoseconds one, nanoseconds other) const {
        return disk_between(one, other) || is_in(Disturbance::kCrash, one, other) ||
               is_in(Disturbance::kMoved, one, other);
    }
    bool disk_between(nanoseconds one, nanoseconds other) const {
        const auto trouble = troubles_.upper_bound(std::max(one, other));
        return is_in(Disturbance::kDisk, one, other) ||
               (trouble != troubles_.begin() && std::prev(trouble)->second >= std::min(one, other));
    }

private:
    bool is_in(Disturbance what, nanoseconds one, nanoseconds other) const {
        const auto times = times_.find(what);
        if (times == times_.end()) return false;
        const nanoseconds lasts = what == Disturbance::kCrash ? nanoseconds(0) : settles_in_;
        const auto next = times->second.lower_bound(std::min(one, other) - lasts);
        return next != times->second.end() && *next <= std::max(one, other);
    }

    const nanoseconds settles_in_;
    std::map<Disturbance, std::set<nanoseconds>> times_;
    std::map<nanoseconds, nanoseconds> troubles_;  // from, to
    int troubles_under_way_ = 0;
};

}  // namespace millrace::simulation
