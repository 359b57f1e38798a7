// The calls of a shard into its handler: noted while they run, so that a crash has a culprit;
// watched, so that one that does not return has a name; not made where they have crashed before.
#include <fmt/format.h>

#include "engine/shard.hpp"

namespace millrace::engine {

CallView Shard::position_of(const Input& input) {
    if (input.event != nullptr) {
        const TopicPartition& origin = input.origin();
        if (input.inbox != 0) {
            return make_position(CallKind::kInbox, origin.topic, origin.partition,
                                 Offset{input.inbox});
        }
        return make_position(CallKind::kRecord, origin.topic, origin.partition,
                             input.event->record->offset);
    }
    if (input.timer) {
        return make_position(CallKind::kTimer, input.timer->id, {-1}, Offset{input.timer->firing});
    }
    const OutboxCall& call = input.response->call;
    return make_position(CallKind::kResponse, call.id, {-1}, Offset{call.sequence});
}

CallScope Shard::note_call(CallKind kind, std::string_view name) {
    return {*slot_, make_position(kind, name), setup_.runtime.clock().monotonic()};
}

Outcome Shard::noted_call(Input& input, std::chrono::nanoseconds started) {
    Outcome outcome = [&] {
        const CallScope noted(*slot_, position_of(input), started);
        return call_instance(input);
    }();
    // An interrupt that is under way is this call's: it must not hit the statements that follow.
    if (setup_.runtime.clock().monotonic() - started > setup_.section.timeout)
        const std::lock_guard ended(interrupt_mutex_);
    return outcome;
}

std::optional<CallSlot::Running> Shard::watch() {
    const std::lock_guard lock(interrupt_mutex_);
    const auto now = setup_.runtime.clock().monotonic();  // before the look, see noted_call
    if (slot_->started().count() == 0 || now - slot_->started() <= setup_.section.timeout)
        return std::nullopt;
    auto running = slot_->running();
    if (!running || now - running->started <= setup_.section.timeout) return std::nullopt;
    // A migration takes what it takes.
    if (running->place.kind == CallKind::kMigrate) return std::nullopt;
    if (interruptible_ != nullptr) interruptible_->interrupt();
    return running;
}

const CondemnedInput* Shard::condemned(const Input& input) const {
    if (setup_.condemned.empty() || input.state != InputState::kReady) return nullptr;
    const CallView position = position_of(input);
    for (const auto& each : setup_.condemned)
        if (each.is_at(position, setup_.identity.shard)) return &each;
    return nullptr;
}

Shard::Step Shard::refuse(Input& input, const CondemnedInput& condemned) {
    input.attempt = std::max(input.attempt, condemned.crashes);
    if (!input.failure || condemned.first < input.first_failure)
        input.first_failure = condemned.first;
    input.failure = Failure{"crash", ""};
    fail_input(input,
               {"crash", fmt::format("it crashed the process {} times (last {})", condemned.crashes,
                                     signal_name(condemned.signal))},
               false, std::nullopt);
    return Step::kNext;
}

}  // namespace millrace::engine
