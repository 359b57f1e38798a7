// The partitions of a handler: where reading begins, batches to shards, what is done back to the
// group.
#include <fmt/format.h>

#include <algorithm>

#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kFlushInterval{50};

DecodedBatchPtr undecoded(RecordBatchPtr batch) {
    auto decoded = std::make_shared<DecodedBatch>(std::move(batch));
    const RecordBatch& records = *decoded->batch;
    for (const Record& record : records.records) {
        DecodedEvent event;
        event.record = &record;
        event.identity = IdentityBuilder("millrace.position")
                             .add(records.origin.topic)
                             .add(records.origin.partition.value)
                             .add(record.offset.value)
                             .add(record.timestamp.time_since_epoch().count())
                             .finish();
        event.effective_id = decoded->keep(to_uuid(event.identity));
        decoded->events.push_back(event);
    }
    return decoded;
}

}  // namespace

void HandlerRun::on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) {
    if (state_ != RunState::kRunning) return;
    rebalances_->add();
    for (const auto& assigned : partitions) assign(epoch, assigned);
}

void HandlerRun::assign(Epoch epoch, const Assigned& assigned) {
    PartitionState partition;
    partition.epoch = epoch;
    partition.decoder = pool_->make_strand();
    partition.last_progress = surroundings_.runtime.clock().monotonic();
    make_gauges(assigned.origin, partition);
    partitions_.insert_or_assign(assigned.origin, std::move(partition));
    if (traits().state == StateKind::kPerPartition)
        return open_partition_shard(assigned.origin, assigned.committed);
    begin_partition(assigned.origin, assigned.committed);
}

void HandlerRun::open_partition_shard(const TopicPartition& origin,
                                      std::optional<Offset> committed) {
    auto shard = make_shard(fmt::format("{}-{}", origin.topic, origin.partition.value));
    partitions_.at(origin).shard = shards_.size() - 1;
    const Epoch epoch = partitions_.at(origin).epoch;
    shard->open([this, origin, epoch, committed](const Result<void>& opened) {
        if (state_ != RunState::kRunning) return;
        if (!opened) return fail_run(opened.error());
        if (find_partition(origin, epoch) != nullptr) begin_partition(origin, committed);
    });
}

StartPosition HandlerRun::configured_start() const {
    using Start = HandlerSection::Start::Kind;
    switch (section().start.kind) {
        case Start::kEarliest:
            return {StartPosition::Kind::kEarliest, {}, {}};
        case Start::kLatest:
            return {StartPosition::Kind::kLatest, {}, {}};
        case Start::kAgo:
            return {StartPosition::Kind::kTime,
                    {},
                    surroundings_.runtime.clock().now() - section().start.ago};
    }
    return {};
}

void HandlerRun::begin_partition(const TopicPartition& origin, std::optional<Offset> committed) {
    if (traits().broadcast) {
        const auto from = surroundings_.runtime.clock().now() - surroundings_.broadcast_lookback;
        return start_partition(origin, {StartPosition::Kind::kTime, {}, from});
    }
    const auto stored = positions_.find(origin);
    if (!stateful()) {
        if (committed)
            return start_partition(origin, {StartPosition::Kind::kOffset, *committed, {}});
        return start_partition(origin, configured_start());
    }
    const Offset own = stored == positions_.end() ? Offset{0} : stored->second;
    if (committed && *committed > own) {
        return lost_position(origin, "state_behind",
                             fmt::format("the group {} has committed offset {}, the state in {} "
                                         "only knows {}: is this the right data_dir?",
                                         group_, committed->value, directory(), own.value),
                             {StartPosition::Kind::kOffset, *committed, {}});
    }
    if (stored == positions_.end()) return start_partition(origin, configured_start());
    start_partition(origin, {StartPosition::Kind::kOffset, own, {}});
}

void HandlerRun::on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked,
                                 Watermarks log) {
    if (find_partition(origin, epoch) == nullptr) return;
    if (asked < log.low) {
        return lost_position(origin, "retention_passed",
                             fmt::format("the log begins at offset {}, the state is at {}: "
                                         "retention has removed what lies between",
                                         log.low.value, asked.value),
                             {StartPosition::Kind::kEarliest, {}, {}});
    }
    lost_position(origin, "topic_recreated",
                  fmt::format("the log ends at offset {}, the state is at {}: the topic was made "
                              "anew or its end was lost",
                              log.high.value, asked.value),
                  {StartPosition::Kind::kLatest, {}, {}});
}

void HandlerRun::lost_position(const TopicPartition& origin, const std::string& reason,
                               const std::string& what, StartPosition accepted) {
    using Policy = HandlerSection::LostPosition;
    if (section().lost_position == Policy::kHold) return hold_partition(origin, reason, what);
    const bool restart = section().lost_position == Policy::kRestart;
    log::warn("engine", "{}: {}: {}; {} (`lost_position`)", name(), to_string(origin), what,
              restart ? "reading restarts" : "accepted, reading goes on");
    // The shards' own watermarks speak of offsets that mean something else now.
    auto left = std::make_shared<std::size_t>(shards_.size());
    const Epoch epoch = partitions_.at(origin).epoch;
    const StartPosition from = restart ? configured_start() : accepted;
    for (const auto& shard : shards_) {
        auto one = [this, left, origin, epoch, from] {
            if (--*left == 0 && find_partition(origin, epoch) != nullptr)
                start_partition(origin, from);
        };
        if (shard)
            shard->reset(origin, one);
        else
            one();
    }
}

void HandlerRun::hold_partition(const TopicPartition& origin, const std::string& reason,
                                const std::string& what) {
    PartitionState& partition = partitions_.at(origin);
    partition.held = fmt::format(
        "{}: {} To go on set handlers.{}.lost_position to accept or restart", reason, what, name());
    partition.held_gauge =
        surroundings_.metrics.gauge("millrace_held", "1 while something is held, with the reason",
                                    {{"handler", name()},
                                     {"topic", origin.topic},
                                     {"partition", std::to_string(origin.partition.value)},
                                     {"reason", reason}});
    partition.held_gauge->set(1);
    log::error("engine", "{}: {} is held: {}", name(), to_string(origin), partition.held);
}

void HandlerRun::start_partition(const TopicPartition& origin, StartPosition from) {
    PartitionState& partition = partitions_.at(origin);
    partition.held.clear();
    partition.held_gauge.reset();
    partition.progress = from.kind == StartPosition::Kind::kOffset ? PartitionProgress(from.offset)
                                                                   : PartitionProgress();
    consumer_->start(origin, from);
    if (draining_stopped_) consumer_->stop_draining(origin);
}

HandlerRun::PartitionState* HandlerRun::find_partition(const TopicPartition& origin, Epoch epoch) {
    const auto found = partitions_.find(origin);
    if (found == partitions_.end() || found->second.epoch != epoch) return nullptr;
    return found->second.let_go ? nullptr : &found->second;
}

void HandlerRun::on_batch(RecordBatchPtr batch) {
    PartitionState* partition = find_partition(batch->origin, batch->epoch);
    if (partition == nullptr || batch->records.empty()) return;
    buffered_records_ += batch->records.size();
    for (const auto& record : batch->records) {
        buffered_bytes_ +=
            (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
    }
    apply_back_pressure();
    const std::size_t shards = shards_.size();
    partition->decoder->post([this, batch = std::move(batch), own = partition->shard, shards] {
        const auto decoded = traits().raw ? undecoded(batch) : surroundings_.reader.decode(batch);
        std::vector<Part> parts;
        if (own)
            parts.push_back(whole(*decoded, *own));
        else
            parts = split_by_lane(*decoded, shards, traits().raw);
        surroundings_.runtime.loop().post(
            [this, decoded, parts = std::move(parts)] { dispatch(decoded, parts); });
    });
}

void HandlerRun::dispatch(const DecodedBatchPtr& decoded, std::vector<Part> parts) {
    const RecordBatch& batch = *decoded->batch;
    PartitionState* partition = find_partition(batch.origin, batch.epoch);
    if (partition == nullptr) {
        std::size_t bytes = 0;
        for (const auto& record : batch.records)
            bytes +=
                (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
        return release(batch.records.size(), bytes);
    }
    note_beginning(batch.origin, *partition, batch.records.front().offset);
    std::vector<PartitionProgress::Dispatch> dispatches;
    for (const auto& part : parts) {
        dispatches.push_back(
            {part.shard, ++next_sequence_, decoded->events[part.events.front()].record->offset});
    }
    partition->progress.dispatched(batch.records.back().offset.next(),
                                   batch.records.front().timestamp, dispatches);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        shards_[parts[i].shard]->deliver(
            {decoded, std::move(parts[i].events), dispatches[i].sequence});
    }
}

void HandlerRun::on_end(const TopicPartition& origin, Epoch epoch, Offset end) {
    PartitionState* partition = find_partition(origin, epoch);
    if (partition == nullptr) return;
    // Behind the batches that are still being decoded.
    partition->decoder->post([this, origin, epoch, end] {
        surroundings_.runtime.loop().post(
            [this, origin, epoch, end] { reached_end(origin, epoch, end); });
    });
}

void HandlerRun::reached_end(const TopicPartition& origin, Epoch epoch, Offset end) {
    PartitionState* partition = find_partition(origin, epoch);
    if (partition == nullptr) return;
    note_beginning(origin, *partition, end);
    partition->progress.reached_end(end);
    progressed(origin, *partition);
}

void HandlerRun::note_beginning(const TopicPartition& origin, PartitionState& partition,
                                Offset first) {
    if (std::exchange(partition.started, true)) return;
    if (traits().broadcast) surroundings_.push.opened(origin, first);
}

void HandlerRun::on_shard_released(std::size_t, const ShardRelease& released) {
    for (const auto& [origin, report] : released.reports) {
        const auto found = partitions_.find(origin);
        if (found == partitions_.end()) continue;
        found->second.progress.reported(report);
        progressed(origin, found->second);
    }
    failures_ = 0;
    release(released.records, released.bytes);
}

void HandlerRun::release(std::size_t records, std::size_t bytes) {
    buffered_records_ -= std::min(records, buffered_records_);
    buffered_bytes_ -= std::min(bytes, buffered_bytes_);
    apply_back_pressure();
}

void HandlerRun::apply_back_pressure() {
    std::int64_t outbox = 0;
    for (const auto& shard : shards_)
        outbox = std::max(outbox, shard ? shard->gauges().outbox.load() : 0);
    const bool full = buffered_records_ >= section().max_buffered ||
                      buffered_bytes_ >= section().max_buffered_bytes ||
                      outbox >= section().max_outbox;
    const bool low = buffered_records_ <= section().max_buffered / 2 &&
                     buffered_bytes_ <= section().max_buffered_bytes / 2 &&
                     outbox < section().max_outbox;
    if (!consumer_ || state_ != RunState::kRunning || (draining_stopped_ ? !low : !full)) return;
    draining_stopped_ = !draining_stopped_;
    for (const auto& [origin, partition] : partitions_) {
        if (draining_stopped_)
            consumer_->stop_draining(origin);
        else
            consumer_->resume_draining(origin);
    }
}

void HandlerRun::on_revoked(Epoch, const std::vector<TopicPartition>& partitions,
                            std::function<void()> done) {
    rebalances_->add();
    for (const auto& origin : partitions) {
        if (const auto found = partitions_.find(origin); found != partitions_.end())
            found->second.let_go = true;
    }
    forget(partitions, [this, partitions, done = std::move(done)] {
        flush([this, partitions, done] { erase(partitions, done); });
    });
}

void HandlerRun::on_lost(Epoch, const std::vector<TopicPartition>& partitions) {
    rebalances_->add();
    forget(partitions, [] {});
    erase(partitions, [] {});
}

void HandlerRun::forget(const std::vector<TopicPartition>& partitions, std::function<void()> done) {
    auto left = std::make_shared<std::size_t>(1);
    auto one = [left, done = std::move(done)] {
        if (--*left == 0) done();
    };
    for (const auto& shard : shards_) {
        if (!shard) continue;
        ++*left;
        shard->forget(partitions, one);
    }
    one();
}

void HandlerRun::erase(const std::vector<TopicPartition>& partitions, std::function<void()> done) {
    auto left = std::make_shared<std::size_t>(1);
    auto one = [left, done = std::move(done)] {
        if (--*left == 0) done();
    };
    for (const auto& origin : partitions) {
        const auto found = partitions_.find(origin);
        if (found == partitions_.end()) continue;
        if (traits().broadcast) surroundings_.push.closed(origin);
        const auto own = found->second.shard;
        partitions_.erase(found);
        if (!own || *own >= shards_.size()) continue;
        if (auto shard = std::exchange(shards_[*own], nullptr)) {
            ++*left;
            shard->close(one);
        }
    }
    one();
}

void HandlerRun::progressed(const TopicPartition& origin, PartitionState& partition) {
    const Offset position = partition.progress.position();
    const auto known = positions_.find(origin);
    const bool moved = known == positions_.end() || known->second != position;
    if (!moved && partition.last_published == partition.progress.published()) return;
    unsaved_[origin] = positions_[origin] = position;
    partition.last_progress = surroundings_.runtime.clock().monotonic();
    if (traits().broadcast) surroundings_.push.advanced(origin, position);
    flush_later();
}

void HandlerRun::flush_later() {
    if (flush_timer_ || flushing_ || state_ != RunState::kRunning) return;
    flush_timer_ = surroundings_.runtime.loop().after(kFlushInterval, [this] {
        flush_timer_.reset();
        flush([this] {
            if (!unsaved_.empty()) flush_later();
        });
    });
}

// Our own file first, and durable: a group offset above it would look like lost state after a
// crash.
void HandlerRun::flush(std::function<void()> done) {
    auto commit = [this, published = take_published(), done = std::move(done)](bool saved) {
        flushing_ = false;
        for (const auto& [origin, offset] : published) {
            if (saved && consumer_ && partitions_.contains(origin))
                consumer_->commit(origin, offset);
        }
        done();
    };
    flushing_ = true;
    auto positions = std::exchange(unsaved_, {});
    if (!stateful() || positions.empty()) {
        return surroundings_.runtime.loop().post([commit = std::move(commit)] { commit(true); });
    }
    files_->post([this, positions = std::move(positions), commit = std::move(commit)] {
        auto saved = positions_file_ ? positions_file_->save(positions) : Result<void>();
        if (!saved)
            log::warn("engine", "{}: positions are not saved: {}", name(), saved.error().message);
        surroundings_.runtime.loop().post([commit, ok = saved.has_value()] { commit(ok); });
    });
}

std::vector<std::pair<TopicPartition, Offset>> HandlerRun::take_published() {
    std::vector<std::pair<TopicPartition, Offset>> published;
    if (traits().broadcast) return published;
    for (auto& [origin, partition] : partitions_) {
        const Offset offset = partition.progress.published();
        if (!partition.started || offset.value < 0 || offset == partition.last_published) continue;
        partition.last_published = offset;
        published.emplace_back(origin, offset);
    }
    return published;
}

}  // namespace millrace::engine
