// What a handler's records are told from outside their shards: breakers that hold a partition, and
// dead letters that come back.
#include <fmt/format.h>

#include <algorithm>

#include "engine/backoff.hpp"
#include "engine/handler_run.hpp"

namespace millrace::engine {

void HandlerRun::on_handled(const std::map<TopicPartition, HandledCounts>& counts) {
    for (const auto& [origin, handled] : counts) {
        const auto found = partitions_.find(origin);
        if (found == partitions_.end() || traits().broadcast) continue;
        // Its shards forget it and its gates: one that was closed now would never be opened.
        if (found->second.let_go) continue;
        if (found->second.breaker.count(handled)) open_breaker(origin, found->second);
    }
}

void HandlerRun::open_breaker(const TopicPartition& origin, PartitionState& partition) {
    log::error("engine",
               "{}: {}: the handler keeps failing; its records are held, one is let through now "
               "and then (`breaker`)",
               name(), to_string(origin));
    partition.breaker.open();
    count_open_breakers();
    for (const auto& shard : shards_) {
        if (shard) shard->block(origin);
    }
    probe_later(origin, partition);
}

void HandlerRun::close_breaker(const TopicPartition& origin, PartitionState& partition) {
    log::info("engine", "{}: {}: the handler succeeds again, records go on", name(),
              to_string(origin));
    partition.breaker.close();
    partition.probe_timer.reset();
    count_open_breakers();
    for (const auto& shard : shards_) {
        if (shard) shard->unblock(origin);
    }
}

void HandlerRun::count_open_breakers() {
    breaker_gauge_->set(static_cast<double>(std::ranges::count_if(
        partitions_, [](const auto& entry) { return entry.second.breaker.is_open(); })));
}

void HandlerRun::probe_later(const TopicPartition& origin, PartitionState& partition) {
    const RetrySection pace{milliseconds::max(), section().breaker.initial,
                            section().breaker.maximum, 2.0};
    const auto delay =
        backoff(pace, partition.breaker.next_probe(), surroundings_.runtime.random());
    const Epoch epoch = partition.epoch;
    partition.probe_timer = surroundings_.runtime.loop().after(delay, [this, origin, epoch] {
        PartitionState* found = find_partition(origin, epoch);
        if (found == nullptr || !found->breaker.is_open()) return;
        found->probes_asked = 0;
        ask_for_probe(origin, *found);
    });
}

// One shard after the other, until one holds a record of the partition.
void HandlerRun::ask_for_probe(const TopicPartition& origin, PartitionState& partition) {
    while (partition.probes_asked < shards_.size()) {
        ++partition.probes_asked;
        const std::size_t next = partition.probed_shard++ % shards_.size();
        if (!shards_[next] || (partition.shard && *partition.shard != next)) continue;
        return shards_[next]->probe(origin);
    }
    probe_later(origin, partition);
}

void HandlerRun::on_probed(const TopicPartition& origin, ProbeResult result) {
    const auto found = partitions_.find(origin);
    if (found == partitions_.end() || !found->second.breaker.is_open()) return;
    PartitionState& partition = found->second;
    switch (result) {
        case ProbeResult::kNothing:
            return ask_for_probe(origin, partition);
        case ProbeResult::kSucceeded:
            return close_breaker(origin, partition);
        case ProbeResult::kFailed:
            partition.breaker.probe_failed();
            return probe_later(origin, partition);
    }
}

void HandlerRun::on_room() {
    for (const auto& shard : shards_) {
        if (shard) shard->wake();
    }
}

void HandlerRun::redrive(RedriveRecord record, Callback<Result<void>> done) {
    if (!stateful())
        return done(
            fail(ErrorCode::kInvalid,
                 fmt::format("handler {} keeps no state, so nothing can be sent back to it; "
                             "publish the record anew",
                             name())));
    if (std::ranges::find(section().topics, record.origin.topic) == section().topics.end())
        return done(fail(ErrorCode::kInvalid,
                         fmt::format("handler {} does not read {}", name(), record.origin.topic)));
    if (state_ != RunState::kRunning)
        return done(fail(ErrorCode::kUnavailable,
                         fmt::format("handler {} is {}, try again", name(), to_string(state_))));
    // Decoded for its lane, off the loop.
    files_->post([this, record = std::move(record), done = std::move(done),
                  raw = traits().raw]() mutable {
        const auto batch = batch_of(record);
        auto decoded = decode(surroundings_.reader, raw, batch);
        surroundings_.runtime.loop().post([this, decoded = std::move(decoded),
                                           record = std::move(record),
                                           done = std::move(done)]() mutable {
            redrive_decoded(decoded, std::move(record), std::move(done));
        });
    });
}

void HandlerRun::redrive_decoded(const DecodedBatchPtr& decoded, RedriveRecord record,
                                 Callback<Result<void>> done) {
    std::shared_ptr<Shard> shard;
    if (traits().state == StateKind::kPerPartition) {
        const auto found = partitions_.find(record.origin);
        if (found != partitions_.end() && found->second.shard)
            shard = shards_[*found->second.shard];
    } else if (!shards_.empty()) {
        shard = shards_[split_by_lane(*decoded, shards_.size(), traits().raw).front().shard];
    }
    if (!shard || state_ != RunState::kRunning)
        return done(fail(ErrorCode::kUnavailable,
                         fmt::format("the shard of handler {} for {} is not here now", name(),
                                     to_string(record.origin))));
    shard->redrive(std::move(record), std::move(done));
}

}  // namespace millrace::engine
