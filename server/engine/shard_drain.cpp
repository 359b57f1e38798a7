// Letting go in good order: what a shard still has under way when it stops or when partitions are
// taken away.
#include <algorithm>
#include <utility>

#include "engine/shard.hpp"

namespace millrace::engine {

void Shard::drain(std::vector<TopicPartition> origins, std::function<void()> done) {
    setup_.strand->post([self = shared_from_this(), origins = std::move(origins),
                         done = std::move(done)]() mutable {
        // What a shard keeps must not keep the shard.
        self->drains_.push_back({std::move(origins), [shard = self.get(), done = std::move(done)] {
                                     shard->on_loop([done](ShardOwner&) { done(); });
                                 }});
        self->check_drained();
    });
}

void Shard::check_drained() {
    if (!syncing_) {
        for (const auto& next : std::exchange(after_sync_, {})) next();
    }
    for (std::size_t i = 0; i < drains_.size();) {
        if (is_busy(drains_[i])) {
            ++i;
            continue;
        }
        const auto done = std::move(drains_[i].done);
        drains_.erase(drains_.begin() + static_cast<std::ptrdiff_t>(i));
        done();
    }
}

bool Shard::is_busy(const Drain& drain) const {
    if (closed_) return false;
    if (syncing_) return true;
    if (failed_) return false;
    if (scheduled_ || !committed_.empty() || (events_ && !events_->idle())) return true;
    const auto meant = [&](const Input& input) {
        return drain.origins.empty() ||
               (input.from_log() &&
                std::ranges::find(drain.origins, input.origin()) != drain.origins.end());
    };
    // An attempt that waits, a dead letter that could not be written: what comes next is far.
    const auto near = [](const Input& head) {
        return head.runnable() || head.state == InputState::kPending ||
               (head.state == InputState::kFailed && head.dead_letter_tries == 0);
    };
    return lanes_.any_of(
        [&](const Input& input) { return meant(input) && near(*input.lane->head); });
}

void Shard::forget(std::vector<TopicPartition> origins, std::function<void()> done) {
    setup_.strand->post(
        [self = shared_from_this(), origins = std::move(origins), done = std::move(done)] {
            if (!self->closed_) self->forget_now(origins);
            self->schedule();
            // What was decided before is reported first.
            self->after_sync_.emplace_back([shard = self.get(), done] {
                shard->on_loop([done](ShardOwner&) { done(); });
            });
            self->check_drained();
        });
}

void Shard::forget_now(const std::vector<TopicPartition>& origins) {
    const auto gone = [&](const TopicPartition& origin) {
        return std::ranges::find(origins, origin) != origins.end();
    };
    lanes_.remove_if([&](const Input& input) {
        if (!input.from_log() || !gone(input.origin())) return false;
        held_.erase(input.id);
        if (input.state == InputState::kPending) leave_pending();
        ++dropped_records_;
        dropped_bytes_ += input.bytes;
        return true;
    });
    gauges_.waiting = static_cast<std::int64_t>(held_.size());
    for (const auto& origin : origins) {
        held_at_.erase(origin);
        gates_.erase(origin);
        handled_.erase(origin);
    }
    for (auto& [origin, state] : origins_) {
        if (gone(origin)) state.tracker.forget_open();
    }
    forgotten_.insert(origins.begin(), origins.end());
    // At once: no batch may follow, and until then they count as buffered.
    ShardRelease room;
    room.records = std::exchange(dropped_records_, 0);
    room.bytes = std::exchange(dropped_bytes_, 0);
    on_loop(
        [index = setup_.index, room](ShardOwner& owner) { owner.on_shard_released(index, room); });
}

}  // namespace millrace::engine
