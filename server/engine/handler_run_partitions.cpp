// The partitions of a handler: batches to shards, what is done back to the group.
#include <fmt/format.h>

#include <algorithm>

#include "core/kill_point.hpp"
#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kFlushInterval{50};

}  // namespace

PartitionState* HandlerRun::find_partition(const TopicPartition& origin, Epoch epoch) {
    const auto found = partitions_.find(origin);
    if (found == partitions_.end() || found->second.epoch != epoch) return nullptr;
    if (!consumer_) return nullptr;
    return found->second.let_go ? nullptr : &found->second;
}

PartitionState* HandlerRun::find_turn(const TopicPartition& origin, std::uint64_t turn) {
    const auto found = partitions_.find(origin);
    if (found == partitions_.end() || found->second.turn != turn) return nullptr;
    if (!consumer_) return nullptr;  // closed; the shards, and then the partitions, follow
    return found->second.let_go ? nullptr : &found->second;
}

bool HandlerRun::holds(const TopicPartition& origin, Epoch epoch) const {
    const auto found = partitions_.find(origin);
    return found != partitions_.end() && found->second.epoch == epoch && !found->second.forgotten &&
           !found->second.resetting;
}

void HandlerRun::on_batch(RecordBatchPtr batch) {
    PartitionState* partition = find_partition(batch->origin, batch->epoch);
    if (partition == nullptr || partition->resetting || batch->records.empty()) return;
    kill_point("after_fetch");
    buffered_records_ += batch->records.size();
    for (const auto& record : batch->records) buffered_bytes_ += bytes_of(record);
    apply_back_pressure();
    const std::size_t shards = shards_.size();
    partition->decoder->post([this, batch = std::move(batch), own = partition->shard, shards,
                              turn = partition->turn, raw = traits().raw] {
        const auto decoded = decode(surroundings_.reader, raw, batch);
        std::vector<Part> parts;
        if (own)
            parts.push_back(whole(*decoded, *own));
        else
            parts = split_by_lane(*decoded, shards, raw);
        const Handed handed{turn, fingerprint_of(batch->records.back())};
        surroundings_.runtime.loop().post([this, decoded, handed, parts = std::move(parts)] {
            dispatch(decoded, parts, handed);
        });
    });
}

void HandlerRun::dispatch(const DecodedBatchPtr& decoded, std::vector<Part> parts,
                          const Handed& handed) {
    const RecordBatch& batch = *decoded->batch;
    PartitionState* partition = find_turn(batch.origin, handed.turn);
    if (partition == nullptr) {
        std::size_t bytes = 0;
        for (const auto& record : batch.records) bytes += bytes_of(record);
        return release(batch.records.size(), bytes);
    }
    note_beginning(batch.origin, *partition, batch.records.front().offset);
    std::vector<PartitionProgress::Dispatch> dispatches;
    for (const auto& part : parts) {
        dispatches.push_back(
            {part.shard, ++next_sequence_, decoded->events[part.events.front()].record->offset});
    }
    partition->trail.passed(handed.last);
    partition->progress.dispatched(batch.records.back().offset.next(),
                                   batch.records.front().timestamp, dispatches);
    progressed(batch.origin, *partition);  // over a gap in front of it
    for (std::size_t i = 0; i < parts.size(); ++i) {
        shards_[parts[i].shard]->deliver(
            {decoded, std::move(parts[i].events), dispatches[i].sequence});
    }
}

void HandlerRun::on_end(const TopicPartition& origin, Epoch epoch, Offset end) {
    PartitionState* partition = find_partition(origin, epoch);
    if (partition == nullptr || partition->resetting) return;
    // Behind the batches that are still being decoded.
    partition->decoder->post([this, origin, turn = partition->turn, end] {
        surroundings_.runtime.loop().post(
            [this, origin, turn, end] { reached_end(origin, turn, end); });
    });
}

void HandlerRun::reached_end(const TopicPartition& origin, std::uint64_t turn, Offset end) {
    PartitionState* partition = find_turn(origin, turn);
    if (partition == nullptr) return;
    note_beginning(origin, *partition, end);
    partition->progress.reached_end(end);
    progressed(origin, *partition);
}

void HandlerRun::note_beginning(const TopicPartition& origin, PartitionState& partition,
                                Offset first) {
    if (std::exchange(partition.started, true)) return;
    partition.accepting = false;
    if (traits().broadcast) surroundings_.push.opened(origin, first);
}

void HandlerRun::take_report(const TopicPartition& origin, const ShardReport& report) {
    if (report.lowest_unsent)
        unsent_[origin][report.shard] = *report.lowest_unsent;
    else
        unsent_[origin].erase(report.shard);
    const auto found = partitions_.find(origin);
    // What an earlier assignment had under way says nothing of one that has not begun.
    if (found == partitions_.end() || !found->second.reading) return;
    found->second.progress.reported(report);
    progressed(origin, found->second);
    check_bounds(origin, found->second);
}

void HandlerRun::on_shard_released(std::size_t shard, const ShardRelease& released) {
    const bool open = shard < shards_.size() && shards_[shard] != nullptr;
    for (const auto& [origin, report] : released.reports) {
        if (open) take_report(origin, report);
    }
    release(released.records, released.bytes);
}

void HandlerRun::release(std::size_t records, std::size_t bytes) {
    buffered_records_ -= std::min(records, buffered_records_);
    buffered_bytes_ -= std::min(bytes, buffered_bytes_);
    apply_back_pressure();
}

// The limit at which all reading stops; what is buffered goes down to half of its own before it goes
// on. Empty: none.
std::string HandlerRun::intake_bound() const {
    // What the disk does not take is not taken in either.
    if (std::ranges::any_of(held_, [](const auto& held) { return held.first.second == "disk"; }))
        return "disk";
    const auto outbox = [](const auto& shard) { return shard ? shard->gauges().outbox.load() : 0; };
    if (std::ranges::any_of(shards_, [&](const auto& shard) {
            return outbox(shard) >= static_cast<std::int64_t>(section().max_outbox);
        }))
        return "max_outbox";
    const auto is_full = [this](std::uint64_t buffered, std::uint64_t most) {
        return intake_bound_.empty() ? buffered >= most : buffered > most / 2;
    };
    if (is_full(buffered_records_, section().max_buffered)) return "max_buffered";
    if (is_full(buffered_bytes_, section().max_buffered_bytes)) return "max_buffered_bytes";
    return {};
}

void HandlerRun::apply_back_pressure() {
    if (!consumer_ || state_ != RunState::kRunning) return;
    const bool stopped = !intake_bound_.empty();
    intake_bound_ = intake_bound();
    if (intake_bound_.empty() != stopped) return;
    for (const auto& [origin, partition] : partitions_) {
        if (!stopped)
            consumer_->stop_draining(origin);
        else if (partition.bound.empty())
            consumer_->resume_draining(origin);
    }
}

// A record that is held lets the partition get only so far ahead of it.
void HandlerRun::check_bounds(const TopicPartition& origin, PartitionState& partition) {
    const auto intervals = partition.progress.intervals();
    const auto ahead = static_cast<std::uint64_t>(partition.progress.distance());
    if (partition.bound.empty()) {
        if (intervals >= section().max_intervals) partition.bound = "max_intervals";
        if (ahead >= section().max_ahead) partition.bound = "max_ahead";
        if (partition.bound.empty()) return;
        log::warn("engine", "{}: {}: reading stops at {}, it waits for {}", name(),
                  to_string(origin), partition.bound, waits_for(partition));
        return consumer_->stop_draining(origin);
    }
    if (intervals > section().max_intervals / 2 || ahead > section().max_ahead / 2) return;
    partition.bound.clear();
    if (intake_bound_.empty()) consumer_->resume_draining(origin);
}

void HandlerRun::on_revoked(Epoch, const std::vector<TopicPartition>& partitions,
                            std::function<void()> done) {
    rebalances_->add();
    for (const auto& origin : partitions) {
        const auto found = partitions_.find(origin);
        if (found == partitions_.end()) continue;
        found->second.let_go = true;
        found->second.probe_timer.reset();
    }
    drain_shards(partitions, [this, partitions, done = std::move(done)] {
        for (const auto& origin : let_go(partitions)) partitions_.at(origin).forgotten = true;
        forget(let_go(partitions), [this, partitions, done] {
            flush([this, partitions, done] {
                erase(let_go(partitions));
                done();
            });
        });
    });
}

// Those of them that were not given back meanwhile: the transport does not wait for ever.
std::vector<TopicPartition> HandlerRun::let_go(std::vector<TopicPartition> partitions) const {
    std::erase_if(partitions, [this](const TopicPartition& origin) {
        const auto found = partitions_.find(origin);
        return found == partitions_.end() || !found->second.let_go;
    });
    return partitions;
}

// Until what these partitions have under way has ended, or the time is over.
void HandlerRun::drain_shards(const std::vector<TopicPartition>& partitions,
                              std::function<void()> done) {
    auto once = [this, waiting = std::make_shared<bool>(true), done = std::move(done)] {
        if (!std::exchange(*waiting, false)) return;
        revoke_deadline_.reset();
        done();
    };
    revoke_deadline_ = surroundings_.runtime.loop().after(surroundings_.revoke_timeout, [this,
                                                                                         once] {
        log::warn("engine",
                  "{}: partitions go before all their work has ended; it is done again elsewhere",
                  name());
        once();
    });
    auto left = std::make_shared<std::size_t>(1);
    auto one = [left, once] {
        if (--*left == 0) once();
    };
    for (const auto& shard : shards_) {
        if (!shard) continue;
        ++*left;
        shard->drain(partitions, one);
    }
    one();
}

void HandlerRun::on_lost(Epoch, const std::vector<TopicPartition>& partitions) {
    rebalances_->add();
    forget(partitions, [] {});
    erase(partitions);
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

void HandlerRun::erase(const std::vector<TopicPartition>& partitions) {
    for (const auto& origin : partitions) {
        if (partitions_.erase(origin) > 0 && traits().broadcast) surroundings_.push.closed(origin);
    }
    count_open_breakers();
}

void HandlerRun::progressed(const TopicPartition& origin, PartitionState& partition) {
    if (partition.resetting || !partition.started) return;
    const Offset position = partition.progress.position();
    const auto known = positions_.find(origin);
    const bool moved = known == positions_.end() || known->second.position != position;
    if (!moved && partition.last_published == partition.progress.published()) return;
    SavedPosition& saved = partition.saved;
    saved.position = position;
    if (const auto newest = partition.trail.advance(position)) saved.fingerprint = newest;
    if (saved.published <= position) saved.published = Offset{-1};
    unsaved_[origin] = positions_[origin] = saved;
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
    std::function<void(const Result<void>&)> commit = [this, published = take_published(),
                                                       done = std::move(done)](const auto& saved) {
        flushing_ = false;
        if (!published.empty()) kill_point("before_offset_commit");
        for (const auto& each : published) {
            const auto found = partitions_.find(each.origin);
            // Given back meanwhile, it may stand elsewhere.
            if (saved && consumer_ && found != partitions_.end() &&
                found->second.epoch == each.epoch)
                consumer_->commit(each.origin, each.offset);
        }
        if (!saved) fail_run(saved.error());
        done();
    };
    flushing_ = true;
    auto positions = std::exchange(unsaved_, {});
    auto topics = std::exchange(unsaved_topics_, {});
    if (!stateful() || (positions.empty() && topics.empty())) {
        return surroundings_.runtime.loop().post([commit = std::move(commit)] { commit({}); });
    }
    files_->post([this, positions = std::move(positions), topics = std::move(topics),
                  commit = std::move(commit)] {
        auto saved = positions_file_ ? positions_file_->save(positions, topics) : Result<void>();
        surroundings_.runtime.loop().post([this, commit, saved] {
            if (saved) disk_trouble_.clear();
            commit(saved);
        });
    });
}

std::vector<HandlerRun::Published> HandlerRun::take_published() {
    std::vector<Published> published;
    if (traits().broadcast) return published;
    for (auto& [origin, partition] : partitions_) {
        const Offset offset = partition.progress.published();
        if (!partition.started || partition.resetting || offset.value < 0 ||
            offset == partition.last_published)
            continue;
        partition.last_published = offset;
        published.push_back({origin, partition.epoch, offset});
    }
    return published;
}

}  // namespace millrace::engine
