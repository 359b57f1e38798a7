// What comes into a shard: sub-batches of records, timers that are due, partitions that are let go.
#include <algorithm>
#include <utility>

#include "core/kill_point.hpp"
#include "engine/router.hpp"
#include "engine/shard.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kLongestTimer{3'600'000};  // looked at again then: the wall clock may jump

}  // namespace

void Shard::deliver(SubBatch batch) {
    setup_.strand->post([self = shared_from_this(), batch = std::move(batch)] {
        if (!self->closed_) self->receive(batch);
    });
}

void Shard::receive(const SubBatch& batch) {
    const TopicPartition& origin = batch.decoded->batch->origin;
    // Here, between batches: what it writes must not go with a batch's transaction.
    if (ring_of(origin.topic) == nullptr) return;
    OriginState& state = origin_state(origin);
    if (forgotten_.erase(origin) > 0 || !received_sequence_.contains(origin))
        attempts_.forget_below(origin, batch.decoded->batch->records.front().offset);
    const std::string fallback = partition_lane(origin);
    for (const std::uint32_t index : batch.events) {
        const DecodedEvent& event = batch.decoded->events[index];
        if (state.tracker.receive(event.record->offset) != OffsetTracker::Arrival::kNew) {
            ++dropped_records_;
            dropped_bytes_ += bytes_of(*event.record);
            continue;
        }
        if (state.counts.first.value < 0) state.counts.first = event.record->offset;
        add_record(batch.decoded, event, fallback);
    }
    received_sequence_[origin] = batch.sequence;
    touched_.insert(origin);
    kill_point("after_claim");
    schedule();
}

void Shard::add_record(const DecodedBatchPtr& batch, const DecodedEvent& event,
                       std::string_view fallback) {
    auto input = std::make_unique<Input>();
    input->event = &event;
    input->batch = batch;
    input->bytes = bytes_of(*event.record);
    add(lane_of_record(event, fallback), std::move(input));
}

// At the end of its lane; one that failed in an earlier life goes on waiting.
Input& Shard::add(std::string_view lane, InputPtr input) {
    Input& added = *input;
    if (added.id == 0) added.id = next_input_++;
    const auto wait = attempts_.restore(added, setup_.runtime.clock());
    const bool waits = wait && wait->count() > 0;
    if (waits) added.state = InputState::kWaiting;
    lanes_.add(lane, std::move(input));
    if (waits) {
        hold(added);
        wait_and_retry(added, *wait);
    }
    return added;
}

// What is pushed to screens comes in the order of the log, whoever's it is: their cursors are
// positions in it.
std::string_view Shard::lane_of_record(const DecodedEvent& event,
                                       std::string_view partition) const {
    return broadcast_ ? partition : lane_of(event, setup_.factory->traits().raw, partition);
}

std::string Shard::lane_key(const Input& input) const {
    if (input.timer)
        return input.timer->key.empty() ? "timer " + input.timer->id : input.timer->key;
    if (input.response) {
        const OutboxCall& call = input.response->call;
        return call.key.empty() ? "call " + call.id : call.key;
    }
    return std::string(lane_of_record(*input.event, partition_lane(input.origin())));
}

OriginState& Shard::origin_state(const TopicPartition& origin) {
    auto found = origins_.find(origin);
    if (found == origins_.end()) {
        found = origins_.emplace(origin, OriginState{{}, {origin, Offset{-1}, Offset{-1}}}).first;
    }
    return found->second;
}

DedupeRing* Shard::ring_of(const std::string& topic) {
    auto& ring = rings_[topic];
    if (ring) return ring.get();
    if (!state_) {
        ring = std::make_unique<DedupeRing>(setup_.section.dedupe);
        return ring.get();
    }
    auto loaded = state_->load_ring(topic, setup_.section.dedupe);
    if (!loaded) {
        fail_shard(loaded.error());
        return nullptr;
    }
    ring = std::move(*loaded);
    return ring.get();
}

void Shard::reset(TopicPartition origin, ResetScope scope, std::function<void()> done) {
    setup_.strand->post(
        [self = shared_from_this(), origin = std::move(origin), scope, done = std::move(done)] {
            if (self->closed_ || self->failed_) return;
            auto forgotten = self->reset_now(origin, scope);
            if (!forgotten) return self->fail_shard(forgotten.error());
            Committed committed;
            committed.started = self->setup_.runtime.clock().monotonic();
            committed.durable = [&loop = self->setup_.runtime.loop(), done] { loop.post(done); };
            self->committed_.push_back(std::move(committed));
            self->start_sync();
        });
}

Result<void> Shard::reset_now(const TopicPartition& origin, ResetScope scope) {
    forget_now({origin});
    origins_.erase(origin);
    attempts_.forget(origin);
    std::erase_if(setup_.condemned, [&](const auto& each) { return each.is_of(origin); });
    const bool identities = scope == ResetScope::kPositionAndIdentities;
    if (identities) rings_.erase(origin.topic);
    if (state_) {
        auto done = state_->begin();
        if (done) done = state_->remove_origin(origin);
        if (done) done = attempts_.save(*state_);
        if (done && identities) done = state_->clear_ring(origin.topic);
        if (done) done = state_->commit();
        if (!done) return done;
    }
    attempts_.saved();
    // Its other partitions go on with an empty one.
    if (identities && ring_of(origin.topic) == nullptr)
        return fail(ErrorCode::kIo, setup_.path + ": the dedupe ring cannot be made anew");
    return {};
}

void Shard::arm_timers() {
    if (!state_ || closed_) return;
    auto due = state_->next_timer_due();
    if (!due) return fail_shard(due.error());
    if (auto count = state_->timer_count()) gauges_.timers = *count;
    if (!*due) return next_timer_.reset();
    const auto now = setup_.runtime.clock().now();
    auto wait = std::chrono::ceil<milliseconds>(std::max(**due - now, Timestamp::duration::zero()));
    // Those that are due but still on their way through a lane must not spin the strand.
    if (wait.count() == 0 && !loaded_timers_.empty()) wait = milliseconds(100);
    next_timer_ =
        setup_.strand->after(std::min(wait, kLongestTimer), [this] { load_due_timers(); });
}

void Shard::load_due_timers() {
    if (closed_ || failed_ || !state_) return;
    // Those that are loaded first have to get through their lanes.
    if (loaded_timers_.size() >= setup_.section.max_in_flight) return arm_timers();
    auto due =
        state_->timers_due(setup_.runtime.clock().now(), kTimerBatch + loaded_timers_.size());
    if (!due) return fail_shard(due.error());
    for (auto& timer : *due) {
        if (!loaded_timers_.emplace(timer.id, timer.firing).second) continue;
        auto input = std::make_unique<Input>();
        input->timer = std::move(timer);
        const std::string lane = lane_key(*input);
        add(lane, std::move(input));
    }
    arm_timers();
    schedule();
}

}  // namespace millrace::engine
