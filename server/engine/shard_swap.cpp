// A shard's part in a hot swap: another version of its handler takes over its state between two
// inputs.
#include <algorithm>
#include <utility>

#include "engine/shard.hpp"

namespace millrace::engine {

void Shard::try_version(std::shared_ptr<HandlerFactory> next,
                        std::function<void(Result<void>)> done) {
    setup_.strand->post(
        [self = shared_from_this(), next = std::move(next), done = std::move(done)] {
            auto made = self->adopt(*next);
            Result<void> tried;
            if (made)
                self->stop_instance(*made);
            else
                tried = made.error();
            if (self->services_) self->services_->drop_statements();
            if (self->state_) self->state_->roll_back();
            self->on_loop([tried, done](ShardOwner&) { done(tried); });
        });
}

// Its tables and an instance of it, in a transaction that stays open.
Result<std::unique_ptr<HandlerInstance>> Shard::adopt(HandlerFactory& next) {
    if (closed_ || failed_) return fail(ErrorCode::kUnavailable, "the shard is closed");
    services_->drop_statements();
    if (state_) {
        auto ready = state_->begin();
        if (ready) ready = upgrade_tables(next);
        if (!ready) return ready.error();
    }
    return make_instance(next);
}

void Shard::swap(std::shared_ptr<HandlerFactory> next, SwapDone done) {
    setup_.strand->post(
        [self = shared_from_this(), next = std::move(next), done = std::move(done)]() mutable {
            self->swap_.emplace(Swap{
                std::move(next), std::move(done), self->setup_.runtime.clock().monotonic(), {}});
            if (self->closed_ || self->failed_)
                return self->refuse_swap(fail(ErrorCode::kUnavailable, "the shard is closed"));
            self->swap_->patience =
                self->setup_.strand->after(self->setup_.section.timeout, [self = self.get()] {
                    self->give_up_pending();
                    self->schedule();
                });
            self->check_swap();
        });
}

// No call begins that has not; what the old version left pending it may still complete.
bool Shard::waits_for_swap(const Input& input) const {
    return swap_ && input.state == InputState::kReady;
}

void Shard::check_swap() {
    if (!swap_ || paused_ || scheduled_ || pending_ > 0) return;
    const bool completed = lanes_.any_of(
        [](const Input& input) { return input.lane->head->state == InputState::kCompleted; });
    if (!completed) swap_now();
}

void Shard::swap_now() {
    Swap swap = *std::exchange(swap_, std::nullopt);
    auto made = adopt(*swap.next);
    if (made && state_) {
        auto committed = state_->commit();
        if (!committed) {
            fail_shard(committed.error());
            made = committed.error();
        }
    }
    if (made) {
        stop_instance(instance_);
        instance_ = std::move(*made);
        setup_.factory = swap.next;
    } else if (!failed_) {
        services_->drop_statements();
        if (state_) state_->roll_back();
    }
    lanes_.wake_all();
    schedule();
    const auto held = setup_.runtime.clock().monotonic() - swap.since;
    Result<std::chrono::nanoseconds> outcome(held);
    if (!made) outcome = made.error();
    on_loop([outcome, done = std::move(swap.done)](ShardOwner&) { done(outcome); });
}

// Is handled anew, by the version that comes: a completion that is late meets a later attempt.
void Shard::give_up_pending() {
    std::vector<Input*> pending;
    for (const auto& [id, input] : held_) {
        if (input->state == InputState::kPending) pending.push_back(input);
    }
    for (Input* input : pending) {
        leave_pending();
        input->state = InputState::kReady;
        let_go(*input);
    }
}

void Shard::refuse_swap(const Error& error) {
    if (!swap_) return;
    on_loop([error, done = std::move(swap_->done)](ShardOwner&) { done(error); });
    swap_.reset();
}

}  // namespace millrace::engine
