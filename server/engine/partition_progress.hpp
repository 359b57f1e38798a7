// PartitionProgress: how far one handler has come on one partition, over all the shards that the
// partition feeds.
//
// The position is the lowest offset that some shard has not resolved durably, else the end of what
// was handed out. The published position (the group's offset) also waits for events in the outbox.
// Sub-batches on their way to a shard count as unresolved: each has a sequence number, and a
// shard's report says up to which one it has received.
//
// Thread rule: the loop thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/types.hpp"

namespace millrace::engine {

// An input that holds its key, and what it waits for.
struct HeldInput {
    std::string what;    // "tasks/0 offset 17", "timer x"
    std::string key;     // its lane
    std::string reason;  // retry, pending, dead-letter, breaker
    std::uint32_t attempt = 0;
    std::string error;  // of its last attempt
    Timestamp since;    // of its first failure; else when this was found
};

// What a shard says of one origin partition after a durable commit.
struct ShardReport {
    std::size_t shard = 0;
    std::uint64_t received_sequence = 0;  // of the last sub-batch of this partition that arrived
    std::optional<Offset> lowest_unresolved;  // of what arrived
    std::optional<Offset> lowest_unsent;      // of records whose outbox events are not confirmed
    std::size_t intervals = 0;                // resolved ones above the watermark
    std::shared_ptr<const HeldInput> holder;  // what `lowest_unresolved` waits for; null: its turn
    bool unsent_only = false;  // it does not know of the rest: nothing was received yet
};

class PartitionProgress {
public:
    PartitionProgress() = default;

    // Reading begins (again) there; nullopt: where the log says. What shards still have open of
    // earlier reading in this assignment holds the position.
    void start(std::optional<Offset> from);

    struct Dispatch {
        std::size_t shard;
        std::uint64_t sequence;
        Offset first;
    };
    // A batch up to (not including) `end` was handed to these shards.
    void dispatched(Offset end, Timestamp first_record, const std::vector<Dispatch>& parts);
    // The log has nothing below `end` that was not handed out.
    void reached_end(Offset end);
    void reported(const ShardReport& report);
    // Before anything is handed out: a shard has events of an earlier assignment's records still to
    // send. All shards' together hold the published position, so nothing moves yet.
    void hold_published(std::size_t shard, Offset lowest_unsent);

    Offset position() const { return position_; }
    // Negative: nothing to publish yet.
    Offset published() const { return published_; }
    // The next offset that will be handed out.
    Offset end() const { return end_; }
    // What the position waits for; null: nothing, or its turn.
    const HeldInput* holder() const;
    // Resolved intervals above watermarks, over all shards.
    std::size_t intervals() const;
    // From the position to the end.
    std::int64_t distance() const { return end_.value - position_.value; }
    bool idle() const { return position_ == end_ && published_ == end_; }
    // Record time of the oldest batch that still has unresolved records.
    std::optional<Timestamp> oldest_open() const;

private:
    struct Feed {
        std::deque<Dispatch> on_the_way;
        std::optional<Offset> lowest_unresolved;
        std::optional<Offset> lowest_unsent;
        std::size_t intervals = 0;
        std::shared_ptr<const HeldInput> holder;
    };
    struct Age {
        Offset end;
        Timestamp first_record;
    };
    void recompute();

    Offset end_;
    Offset position_;
    Offset published_{-1};
    std::map<std::size_t, Feed> feeds_;
    std::deque<Age> ages_;
};

}  // namespace millrace::engine
