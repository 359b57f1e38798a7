// Where reading of a handler's partitions begins: at assignment, and after a position was lost.
#include <fmt/format.h>

#include "engine/handler_run.hpp"

namespace millrace::engine {

void HandlerRun::on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) {
    if (state_ != RunState::kRunning) return;
    rebalances_->add();
    for (const auto& assigned : partitions) assign(epoch, assigned);
}

void HandlerRun::assign(Epoch epoch, const Assigned& assigned) {
    PartitionState partition(section().breaker);
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
    partition.bound.clear();
    if (draining_stopped_) consumer_->stop_draining(origin);
}

}  // namespace millrace::engine
