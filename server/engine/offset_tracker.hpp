// OffsetTracker: the watermark of one origin partition in one shard, and the resolved intervals
// above it.
//
// The watermark is the first unresolved of the offsets the shard *received*: other shards get the
// rest, so gaps are fine. What is resolved above it is kept as intervals over received offsets, so
// that a redelivered record that was applied is recognised exactly. Intervals and watermark are
// what the state file holds; `take_changes` says what to write since the last time. Memory is that
// of the open offsets and the intervals: what was resolved in between is let go now and then.
//
// Thread rule: the shard's strand. Invariants are asserted: offsets arrive in ascending order, each
// is resolved once.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/types.hpp"

namespace millrace::engine {

struct OffsetInterval {
    Offset first;
    Offset last;  // inclusive
    auto operator<=>(const OffsetInterval&) const = default;
};

class OffsetTracker {
public:
    enum class Arrival {
        kNew = 1,   // unknown: process it
        kResolved,  // was resolved before: drop it
        kKnown,     // is being worked on: drop this copy
    };

    OffsetTracker() = default;
    // As read from the state file.
    OffsetTracker(Offset watermark, std::vector<OffsetInterval> intervals);

    Arrival receive(Offset offset);
    void resolve(Offset offset);
    // Forgets what is open, as if it had never arrived: it will be received again.
    void forget_open();

    // Everything received below it is resolved.
    Offset watermark() const { return watermark_; }
    // nullopt: nothing that was received is open.
    std::optional<Offset> lowest_unresolved() const;
    std::size_t open() const { return open_; }
    // Of those that something open keeps: what an earlier life left above all that was received in
    // this one only goes when it is received again.
    std::size_t interval_count() const;

    struct Changes {
        bool watermark_moved = false;
        std::vector<Offset> removed;        // intervals by their first offset
        std::vector<OffsetInterval> added;  // new or grown
    };
    Changes take_changes();

private:
    struct Entry {
        Offset offset;
        bool resolved;
    };
    std::deque<Entry>::iterator locate(Offset offset);
    bool is_covered(Offset offset) const;
    void insert_interval(std::deque<Entry>::iterator entry);
    void advance();
    void compact();
    void remove_interval(std::map<Offset, Offset>::iterator interval);

    Offset watermark_{0};
    Offset seen_{-1};  // highest received in this life: intervals above it may have open ones below
    bool moved_ = false;
    std::deque<Entry> received_;  // from the lowest open on; resolved ones only until `compact`
    std::size_t open_ = 0;
    std::map<Offset, Offset> resolved_;  // first -> last, above the watermark
    std::map<Offset, bool> touched_;     // first -> still there
};

}  // namespace millrace::engine
