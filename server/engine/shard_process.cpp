// One input of a shard: what its handler makes of it, inside a savepoint of its own.
#include <fmt/format.h>

#include "core/kill_point.hpp"
#include "engine/shard.hpp"

namespace millrace::engine {
namespace {

// Fields are not read from a record of a handler that takes raw input.
bool is_unread(const DecodedEvent& event, bool raw) {
    if (raw) return false;
    return event.status != EventStatus::kReadable;
}

}  // namespace

Shard::Step Shard::process(Input& input) {
    if (input.state == InputState::kDeadLettered)
        return resolve_unhandled(input, Verdict::kDeadLettered);
    if (input.event != nullptr && input.state == InputState::kReady) {
        if (is_blocked(input)) {
            input.state = InputState::kBlocked;
            hold(input);
            return Step::kNext;
        }
        const DecodedEvent& event = *input.event;
        if (is_unread(event, setup_.factory->traits().raw)) return skip_or_fail_unread(input);
        if (is_known(input)) return resolve_unhandled(input, Verdict::kDuplicate);
        if (hops_of(input) > setup_.section.max_hops) {
            fail_input(input,
                       {"loop", fmt::format("published {} times over by handlers; max_hops is {}",
                                            hops_of(input), setup_.section.max_hops)},
                       false, std::nullopt);
            return Step::kNext;
        }
    }
    // A copy of it in another lane may have had its effects while this one was pending.
    if (input.state == InputState::kCompleted && is_known(input))
        return resolve_unhandled(input, Verdict::kDuplicate);
    return run(input);
}

bool Shard::is_known(const Input& input) const {
    return rings_.at(input.origin().topic)->contains(input.event->identity);
}

Shard::Step Shard::skip_or_fail_unread(Input& input) {
    const DecodedEvent& event = *input.event;
    switch (event.status) {
        case EventStatus::kReadable:
        case EventStatus::kTombstone:
            return resolve_unhandled(input, Verdict::kSkipped);
        case EventStatus::kUnknownVersion:
            log::warn("engine", "{}: {} offset {} is skipped: {}", setup_.identity.handler,
                      to_string(input.origin()), event.record->offset.value, event.fault);
            return resolve_unhandled(input, Verdict::kSkipped);
        case EventStatus::kUndecodable:
            fail_input(input, {"undecodable", std::string(event.fault)}, false, std::nullopt);
            return Step::kNext;
        case EventStatus::kSchemaFault:
            fail_input(input, {"schema", std::string(event.fault)}, false, std::nullopt);
            return Step::kNext;
    }
    return Step::kNext;
}

Shard::Step Shard::resolve(Input& input, Verdict verdict) {
    const bool succeeded = verdict == Verdict::kAcked || verdict == Verdict::kIgnored;
    end_probe(input, succeeded ? ProbeResult::kSucceeded : ProbeResult::kNothing);
    done_.push_back({lanes_.take(input), verdict});
    return Step::kNext;
}

// Without the handler's doing.
Shard::Step Shard::resolve_unhandled(Input& input, Verdict verdict) {
    auto removed = remove_row(input);
    if (!removed) return Step::kDiskFailed;
    return resolve(input, verdict);
}

Shard::Step Shard::run(Input& input) {
    if (const auto* crashed = condemned(input)) return refuse(input, *crashed);
    if (state_) {
        auto begun = state_->savepoint();
        if (!begun) return Step::kDiskFailed;
    }
    if (input.timer) {
        // Cancelled or replaced since it was loaded: nothing fires.
        auto there = state_->remove_timer_firing(input.timer->id, input.timer->firing);
        if (!there) return Step::kDiskFailed;
        if (!*there) return settle_success(input, Verdict::kSkipped, {});
    }
    Clock& clock = setup_.runtime.clock();
    const auto started = clock.monotonic();
    if (input.state == InputState::kReady && ++input.attempt == 1) input.budget_since = started;
    services_->begin_call({&input, sqlite::Trust::kPlugin, started + setup_.section.timeout});
    const Outcome outcome = noted_call(input, started);
    kill_point("in_handler");
    const CallEffects effects = services_->end_call();
    const auto took = clock.monotonic() - started;
    setup_.metrics.handle_seconds->observe(std::chrono::duration<double>(took).count());
    return settle(input, outcome, effects, took);
}

Outcome Shard::call_instance(Input& input) {
    if (input.timer) {
        const TimerRow& timer = *input.timer;
        return instance_->on_timer({timer.id, timer.key, timer.payload, timer.due, input.attempt});
    }
    if (input.response) {
        const auto& [call, answer] = *input.response;
        return instance_->on_response(
            {call.id, call.key, call.payload, answer.status, answer.body, call.tries});
    }
    const MessageInput message{
        input.origin(), *input.event, setup_.reader, input.attempt, {input.id, input.attempt}};
    if (input.state == InputState::kCompleted)
        return instance_->on_complete(message, *input.completion);
    return instance_->on_message(message);
}

Shard::Step Shard::settle(Input& input, const Outcome& outcome, const CallEffects& effects,
                          std::chrono::nanoseconds took) {
    const bool late = took > setup_.section.timeout;
    if (state_ && !state_->in_transaction()) {
        if (effects.disk_failed) return disk_failed(input);
        fail_input(
            input,
            late ? Failure{"timeout", fmt::format("no return within {} ms; its SQL was interrupted",
                                                  setup_.section.timeout.count())}
                 : Failure{"handler",
                           "its own statement took the whole transaction away (OR ROLLBACK or "
                           "RAISE(ROLLBACK))"},
            late, std::nullopt);
        return Step::kTransactionLost;
    }
    if (effects.disk_failed) return disk_failed(input);
    if (late || effects.refused_late) {
        undo();
        fail_input(input,
                   {"timeout", fmt::format("returned after {} ms, allowed are {} (`timeout`)",
                                           std::chrono::ceil<milliseconds>(took).count(),
                                           setup_.section.timeout.count())},
                   true, std::nullopt);
        return Step::kNext;
    }
    switch (outcome.kind) {
        case OutcomeKind::kAck:
            return settle_success(input, Verdict::kAcked, effects);
        case OutcomeKind::kIgnore:
            return settle_success(input, Verdict::kIgnored, effects);
        case OutcomeKind::kRetry:
            undo();
            fail_input(input, {"handler", outcome.reason}, true, outcome.retry_after);
            return Step::kNext;
        case OutcomeKind::kDeadLetter:
            undo();
            fail_input(input, {"handler", outcome.reason}, false, std::nullopt);
            return Step::kNext;
        case OutcomeKind::kPending:
            undo();
            if (effects.wrote || broadcast_ || input.event == nullptr ||
                input.state == InputState::kCompleted) {
                fail_input(
                    input,
                    {"handler",
                     "returned pending after it had made effects, or where it cannot be pending"},
                    false, std::nullopt);
            } else {
                wait_for_completion(input);
            }
            return Step::kNext;
    }
    return Step::kNext;
}

// Nobody's fault: the attempt does not count.
Shard::Step Shard::disk_failed(Input& input) {
    if (input.state == InputState::kReady) --input.attempt;
    return Step::kDiskFailed;
}

Shard::Step Shard::settle_success(Input& input, Verdict verdict, const CallEffects& effects) {
    if (state_) {
        auto removed = input.timer ? Result<void>() : remove_row(input);
        if (removed) removed = state_->release();
        if (!removed) return Step::kDiskFailed;
    }
    if (input.event != nullptr) rings_.at(input.origin().topic)->insert(input.event->identity);
    if (input.timer) loaded_timers_.erase({input.timer->id, input.timer->firing});
    outbox_changed_ = outbox_changed_ || effects.calls || !effects.events.empty() || input.response;
    new_events_.insert(new_events_.end(), effects.events.begin(), effects.events.end());
    timers_changed_ = timers_changed_ || effects.timers || input.timer;
    return resolve(input, verdict);
}

// The row that stands for an input of our own: it is resolved with the row.
Result<void> Shard::remove_row(const Input& input) {
    if (input.response) {
        outbox_changed_ = true;
        return state_->remove_call(input.response->call.sequence);
    }
    if (input.inbox != 0) return state_->remove_inbox(input.inbox);
    if (!input.timer) return {};
    loaded_timers_.erase({input.timer->id, input.timer->firing});
    timers_changed_ = true;
    auto removed = state_->remove_timer_firing(input.timer->id, input.timer->firing);
    if (!removed) return removed.error();
    return {};
}

void Shard::undo() {
    if (state_) {
        auto undone = state_->roll_back_to();
        if (!undone) return fail_shard(undone.error());
    }
    const CallScope noted = note_call(CallKind::kRollback);
    (void)instance_->on_rollback(HandlerInstance::RollbackScope::kInput);
}

}  // namespace millrace::engine
