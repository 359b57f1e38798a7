// Committer: coalesces positions into at most one OffsetCommit each 50 ms, the first of them at
// once, and remembers what the group acknowledged.
//
// Thread rule: the loop thread. One request is out at a time; the latest position of a partition
// wins. What a broker refuses for a passing reason is sent again; what it refuses because the
// member is not the owner any more is dropped.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/runtime.hpp"

namespace millrace::kafka {

using Positions = std::map<TopicPartition, Offset>;

class Committer {
public:
    // `send` returns false when nothing could be sent.
    Committer(Strand& loop, std::function<bool(const Positions&)> send);

    void set(const TopicPartition& origin, Offset position);
    void answered(const Positions& acknowledged, const Positions& refused,
                  rd_kafka_resp_err_t code);
    // Calls back, from the loop, when all is acknowledged or given up, at the latest after three
    // seconds.
    void flush(std::function<void()> done);

    void know(const TopicPartition& origin, Offset committed) { acknowledged_[origin] = committed; }
    void forget(const std::vector<TopicPartition>& origins);
    std::optional<Offset> committed(const TopicPartition& origin) const;

private:
    void send_soon();
    void send_later(milliseconds delay);
    void send();
    void finish_flush();

    Strand& loop_;
    std::function<bool(const Positions&)> send_;
    Positions pending_;
    Positions in_flight_;
    std::set<TopicPartition> forgotten_;  // of those in flight: their answer says nothing any more
    Positions acknowledged_;
    std::unique_ptr<Timer> send_timer_;
    std::unique_ptr<Timer> rest_timer_;  // until the next request may go
    std::unique_ptr<Timer> flush_timer_;
    std::function<void()> on_flushed_;
};

}  // namespace millrace::kafka
