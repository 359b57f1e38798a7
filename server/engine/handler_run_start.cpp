// Where reading of a handler's partitions begins: at assignment, after the state was compared with
// the log and the group, and after a lost position was decided on.
#include <fmt/format.h>

#include <algorithm>

#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kCheckAgain{1'000};

}  // namespace

void HandlerRun::on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) {
    if (state_ != RunState::kRunning) return;
    rebalances_->add();
    Turns turns;
    for (const auto& assigned : partitions) turns[assigned.origin] = assign(epoch, assigned);
    for (const auto& assigned : partitions) {
        if (assigned.committed) read_before_.insert(assigned.origin.topic);
    }
    if (stateful()) return survey_log(turns);
    for (const auto& assigned : partitions) begin_partition(assigned.origin);
}

std::uint64_t HandlerRun::assign(Epoch epoch, const Assigned& assigned) {
    PartitionState partition(section().breaker);
    partition.epoch = epoch;
    partition.turn = ++turns_;
    partition.committed = assigned.committed;
    partition.decoder = pool_->make_strand();
    partition.last_progress = surroundings_.runtime.clock().monotonic();
    make_gauges(assigned.origin, partition);
    const std::uint64_t turn = partition.turn;
    // It was taken away and is back before all of it had ended.
    if (partitions_.contains(assigned.origin)) forget({assigned.origin}, [] {});
    partitions_.insert_or_assign(assigned.origin, std::move(partition));
    return turn;
}

void HandlerRun::survey_log(const Turns& turns) {
    surroundings_.transport.cluster_id([this, alive = weak_from_this(),
                                        turns](const Result<std::string>& cluster) {
        const auto self = alive.lock();
        if (!self) return;
        if (!cluster) return survey_later(turns, cluster.error());
        surroundings_.transport.topics(
            [this, alive, turns, cluster = *cluster](const Result<std::vector<TopicInfo>>& topics) {
                const auto still = alive.lock();
                if (!still) return;
                if (!topics) return survey_later(turns, topics.error());
                survey_.cluster = cluster;
                survey_.partitions.clear();
                for (const auto& topic : *topics) survey_.partitions[topic.name] = topic.partitions;
                surveyed(turns);
            });
    });
}

void HandlerRun::surveyed(const Turns& turns) {
    const bool any = std::ranges::any_of(
        turns, [this](const auto& each) { return find_turn(each.first, each.second) != nullptr; });
    if (!any) return;
    note_partition_counts();
    for (const auto& [origin, turn] : turns) {
        const PartitionState* partition = find_turn(origin, turn);
        if (partition == nullptr) continue;
        if (traits().state == StateKind::kPerPartition && !partition->shard)
            open_partition_shard(origin);
        else
            begin_partition(origin);
    }
}

void HandlerRun::survey_later(const Turns& turns, const Error& error) {
    for (const auto& [origin, turn] : turns) {
        if (find_turn(origin, turn) == nullptr) continue;
        to_survey_[origin] = turn;
        hold_partition(origin, "position_unchecked",
                       fmt::format("the log cannot be compared with the state: {}. It is tried "
                                   "again",
                                   error.message));
    }
    if (to_survey_.empty() || survey_timer_) return;
    survey_timer_ = surroundings_.runtime.loop().after(kCheckAgain, [this] {
        survey_timer_.reset();
        survey_log(std::exchange(to_survey_, {}));
    });
}

// A topic that has grown is noted; one that has shrunk stays as it was, which is what
// check_partition_count finds.
void HandlerRun::note_partition_counts() {
    for (const auto& topic : section().topics) {
        const auto now = survey_.partitions.find(topic);
        if (now == survey_.partitions.end()) continue;
        auto known = topics_.find(topic);
        if (known == topics_.end()) {
            // A state from before the counts were kept: what it has read was there then.
            int first = 0;
            for (const auto& [origin, saved] : positions_) {
                if (origin.topic == topic) first = std::max(first, origin.partition.value + 1);
            }
            known = topics_.emplace(topic, SavedTopic{first > 0 ? first : now->second, 0}).first;
        }
        if (now->second <= known->second.partitions) continue;
        if (known->second.partitions > 0) {
            log::info("engine",
                      "{}: topic {} has grown from {} to {} partitions; the new ones are read from "
                      "their beginning",
                      name(), topic, known->second.partitions, now->second);
        }
        known->second.partitions = now->second;
        unsaved_topics_[topic] = known->second;
    }
    if (!unsaved_topics_.empty()) flush_later();
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

// A partition that was added since is read from its beginning whatever `start` says: what came
// before it was discovered would be lost otherwise.
StartPosition HandlerRun::first_start(const TopicPartition& origin) const {
    bool added = read_before_.contains(origin.topic);
    if (stateful()) {
        const auto topic = topics_.find(origin.topic);
        added = topic != topics_.end() && origin.partition.value >= topic->second.first_partitions;
    }
    return added ? StartPosition{StartPosition::Kind::kEarliest, {}, {}} : configured_start();
}

void HandlerRun::begin_partition(const TopicPartition& origin) {
    PartitionState& partition = partitions_.at(origin);
    const auto committed = partition.committed;
    if (traits().broadcast) {
        const auto from = surroundings_.runtime.clock().now() - surroundings_.broadcast_lookback;
        return start_partition(origin, {StartPosition::Kind::kTime, {}, from});
    }
    if (!stateful()) {
        if (committed)
            return start_partition(origin, {StartPosition::Kind::kOffset, *committed, {}});
        return start_partition(origin, first_start(origin));
    }
    const auto stored = positions_.find(origin);
    partition.saved = stored == positions_.end() ? SavedPosition{} : stored->second;
    if (auto lost = contradiction(origin, stored != positions_.end()))
        return lost_position(origin, *lost);
    if (partition.saved.cluster.empty()) partition.saved.cluster = survey_.cluster;
    // Another process has come further, with a state of its own.
    if (surroundings_.accept_unmoved_state && committed && *committed > partition.saved.position)
        return start_partition(origin, {StartPosition::Kind::kOffset, *committed, {}});
    if (stored == positions_.end()) return start_partition(origin, first_start(origin));
    if (!committed || *committed < partition.saved.position) {
        log::info("engine",
                  "{}: {}: the group's offset ({}) is below the state's position {} (set back from "
                  "outside, or not published before a crash): reading goes on at the position, "
                  "which is published again",
                  name(), to_string(origin), committed ? std::to_string(committed->value) : "none",
                  partition.saved.position.value);
    }
    check_record_below(origin);
}

std::optional<LostPosition> HandlerRun::contradiction(const TopicPartition& origin,
                                                      bool has_position) const {
    const PartitionState& partition = partitions_.at(origin);
    std::optional<LostPosition> lost;
    if (has_position) lost = check_cluster(partition.saved, survey_);
    if (!lost && has_position)
        lost = check_partition_count(origin.topic, topics_, survey_, partition.saved.position);
    if (!lost && !surroundings_.accept_unmoved_state)
        lost = check_group(partition.committed, partition.saved, group_, directory());
    return lost;
}

// The last record that was processed must still be the one it was.
void HandlerRun::check_record_below(const TopicPartition& origin) {
    const PartitionState& partition = partitions_.at(origin);
    const StartPosition own{StartPosition::Kind::kOffset, partition.saved.position, {}};
    if (!partition.saved.fingerprint) return start_partition(origin, own);
    surroundings_.transport.read(
        origin, partition.saved.fingerprint->offset, 1,
        [this, alive = weak_from_this(), origin, own,
         turn = partition.turn](const Result<RecordBatchPtr>& there) {
            const auto self = alive.lock();
            if (!self) return;
            const PartitionState* asked = find_turn(origin, turn);
            if (asked == nullptr) return;
            if (!there) return survey_later({{origin, turn}}, there.error());
            const Fingerprint expected = *asked->saved.fingerprint;
            switch (check_record(expected, **there)) {
                case RecordCheck::kSame:
                    return start_partition(origin, own);
                case RecordCheck::kGone:
                    log::info("engine",
                              "{}: {}: the record at offset {} is gone from the log, so it cannot "
                              "be checked that this is the topic that was read before; going on",
                              name(), to_string(origin), expected.offset.value);
                    return start_partition(origin, own);
                case RecordCheck::kDifferent:
                    return lost_position(origin, other_record(expected, (*there)->records.front(),
                                                              asked->saved.position));
            }
        });
}

void HandlerRun::on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked,
                                 Watermarks log) {
    const PartitionState* partition = find_partition(origin, epoch);
    if (partition == nullptr || partition->resetting) return;
    lost_position(origin, out_of_range(asked, log));
}

void HandlerRun::lost_position(const TopicPartition& origin, LostPosition lost) {
    using Policy = HandlerSection::LostPosition;
    PartitionState& partition = partitions_.at(origin);
    const std::string what = lost.what;
    const char* reason = to_string(lost.reason);
    partition.lost = std::move(lost);
    if (partition.accepting) return resolve_lost(origin, LostDecision::kAccept);
    switch (section().lost_position) {
        case Policy::kRestart:
            return resolve_lost(origin, LostDecision::kRestart);
        case Policy::kAccept:
            return resolve_lost(origin, LostDecision::kAccept);
        case Policy::kHold:
            break;
    }
    hold_partition(
        origin, reason,
        fmt::format("{}. To go on: `millrace handlers resume {} --topic {} --partition {}` with "
                    "--accept (take the log as it is and go on {}) or --restart (read again from "
                    "`start`); or set handlers.{}.lost_position to accept or restart",
                    what, name(), origin.topic, origin.partition.value,
                    describe(partition.lost->accepted), name()));
}

void HandlerRun::resolve_lost(const TopicPartition& origin, LostDecision decision) {
    PartitionState& partition = partitions_.at(origin);
    const LostPosition lost = *std::exchange(partition.lost, std::nullopt);
    const bool restart = decision == LostDecision::kRestart;
    const StartPosition from = restart ? configured_start() : lost.accepted;
    log::warn("engine", "{}: {}: {}: {}; reading {} {}", name(), to_string(origin),
              to_string(lost.reason), lost.what, restart ? "begins again" : "goes on",
              describe(from));
    partition.accepting = true;
    partition.saved.cluster = survey_.cluster;
    partition.saved.fingerprint.reset();
    if (partition.committed)
        partition.saved.published = std::max(partition.saved.published, *partition.committed);
    accept_partition_count(origin.topic);
    if (!lost.offsets_changed()) return start_partition(origin, from);
    reset_shards(origin, ResetScope::kPosition,
                 [this, origin, from] { start_partition(origin, from); });
}

// The smaller count counts once nobody is held for it any more.
void HandlerRun::accept_partition_count(const std::string& topic) {
    const auto known = topics_.find(topic);
    const auto now = survey_.partitions.find(topic);
    if (known == topics_.end() || now == survey_.partitions.end()) return;
    const bool held = std::ranges::any_of(partitions_, [&](const auto& each) {
        return each.first.topic == topic && each.second.lost.has_value();
    });
    if (held || now->second >= known->second.partitions) return;
    known->second = {std::min(known->second.first_partitions, now->second), now->second};
    unsaved_topics_[topic] = known->second;
}

// What is on its way of this partition is dropped; `done` comes unless it is taken away meanwhile.
void HandlerRun::reset_shards(const TopicPartition& origin, ResetScope scope,
                              std::function<void()> done) {
    PartitionState& partition = partitions_.at(origin);
    if (partition.breaker.is_open()) close_breaker(origin, partition);
    partition.turn = ++turns_;
    partition.resetting = true;
    forget_crashes(origin);
    auto left = std::make_shared<std::size_t>(shards_.size());
    for (const auto& shard : shards_) {
        auto one = [this, left, origin, turn = partition.turn, done] {
            if (--*left > 0) return;
            if (find_turn(origin, turn) != nullptr) done();
        };
        if (shard)
            shard->reset(origin, scope, one);
        else
            one();
    }
}

void HandlerRun::hold_partition(const TopicPartition& origin, const std::string& reason,
                                const std::string& what) {
    PartitionState& partition = partitions_.at(origin);
    const std::string text = fmt::format("{}: {}", reason, what);
    if (partition.held != text)
        log::error("engine", "{}: {} is held: {}", name(), to_string(origin), text);
    partition.held = text;
    partition.held_gauge = held_series(reason, origin);
    settle(partition);
}

void HandlerRun::start_partition(const TopicPartition& origin, StartPosition from) {
    PartitionState& partition = partitions_.at(origin);
    partition.turn = ++turns_;
    // The shards have forgotten it.
    if (std::exchange(partition.resetting, false)) partition.progress = {};
    partition.lost.reset();
    partition.held.clear();
    partition.held_gauge.reset();
    partition.trail = {};
    partition.reading = true;
    const bool is_offset = from.kind == StartPosition::Kind::kOffset;
    partition.progress.start(is_offset ? std::optional(from.offset) : std::nullopt);
    partition.last_published = Offset{-1};
    partition.started = false;
    for (const auto& [shard, unsent] : unsent_[origin]) {
        partition.progress.hold_published(shard, unsent);
    }
    consumer_->start(origin, from);
    partition.bound.clear();
    if (intake_bound_.empty())
        consumer_->resume_draining(origin);
    else
        consumer_->stop_draining(origin);
    settle(partition);
}

// Whoever asked for it learns what became of the partition.
void HandlerRun::settle(PartitionState& partition) {
    if (auto settled = std::exchange(partition.settled, nullptr)) settled();
}

}  // namespace millrace::engine
