// What the model does with a record.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "simulation/model_instance.hpp"

namespace millrace::simulation {
namespace {

using engine::MessageInput;
using engine::Outcome;
using engine::OutcomeKind;

std::string word_for(const Outcome& outcome) {
    static constexpr const char* kWords[] = {"",      "ack",         "ignore",
                                             "retry", "dead letter", "pending"};
    const std::string word = kWords[static_cast<int>(outcome.kind)];
    return outcome.reason.empty() ? word : word + " (" + outcome.reason + ")";
}

std::string_view text_in(const boost::json::object* object, std::string_view name) {
    const auto* value = object == nullptr ? nullptr : object->if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return value->get_string();
}

}  // namespace

Outcome retry(const std::string& why) { return {OutcomeKind::kRetry, why, {}}; }

Outcome ModelInstance::on_message(const MessageInput& input) {
    const CallScope scope(*this);
    const Script script = Script::from_text(text_in(input.event.body, "title"));
    Outcome outcome = act(input, script);
    note(input, outcome, false);
    return outcome;
}

Outcome ModelInstance::on_complete(const MessageInput& input, std::string_view payload) {
    const CallScope scope(*this);
    const Script script = Script::from_text(text_in(input.event.body, "title"));
    if (payload != serial_of(input))
        setup_.witness.on_fault("the completion of another record: " + std::string(payload));
    const bool fails = script.act == Act::kPendingFlaky && input.attempt <= count_of(script.times);
    Outcome outcome = fails ? retry("not yet") : effect(input);
    note(input, outcome, true);
    return outcome;
}

void ModelInstance::note(const MessageInput& input, const Outcome& outcome, bool completion) {
    setup_.witness.on_called({setup_.process, setup_.handler, shard_, input.origin,
                              input.event.record->offset, serial_of(input), input.attempt,
                              completion, outcome.kind, word_for(outcome)});
}

Outcome ModelInstance::act(const MessageInput& input, const Script& script) {
    if (stateful()) return act_with_state(input, script);
    return script.needs_state() ? Outcome{} : act_in_time(input, script);
}

Outcome ModelInstance::act_in_time(const MessageInput& input, const Script& script) {
    switch (script.act) {
        case Act::kIgnore:
            return {OutcomeKind::kIgnore, "", {}};
        case Act::kFlaky:
            if (input.attempt <= count_of(script.times)) return retry("flaky");
            return effect(input);
        case Act::kNeedsOutside:
            (void)effect(input);
            return setup_.outside.is_away ? retry("the outside is away") : Outcome{};
        case Act::kDieUntilCured:
            if (setup_.outside.cured.contains(serial_of(input))) return effect(input);
            [[fallthrough]];
        case Act::kDie:
            (void)effect(input);
            return {OutcomeKind::kDeadLetter, "dies", {}};
        case Act::kExhaust:
            (void)effect(input);
            return retry("never");
        case Act::kPending:
        case Act::kPendingLate:
        case Act::kPendingTwice:
        case Act::kPendingNever:
        case Act::kPendingFlaky:
            return pend(input, script);
        case Act::kSlow:
            setup_.scheduler.sleep(milliseconds(script.delay));
            return effect(input);
        case Act::kHang:
        case Act::kHangInSql:
            return hang(input, script);
        default:
            return effect(input);
    }
}

Outcome ModelInstance::act_with_state(const MessageInput& input, const Script& script) {
    switch (script.act) {
        case Act::kPendingAfterWrite:
            (void)effect(input);
            return {OutcomeKind::kPending, "", {}};
        case Act::kOrRollback:
            return take_transaction(input, "INSERT OR ROLLBACK INTO fixed VALUES(1)");
        case Act::kRaiseRollback:
            return take_transaction(input, "INSERT INTO poison VALUES(2)");
        case Act::kPublish:
            return publish(input, script, "out");
        case Act::kPublishRefused:
            return publish(input, script, "refusing");
        case Act::kTimer:
        case Act::kTimerFlaky:
        case Act::kTimerDie:
            return set_timer(input, script);
        case Act::kTimerCancel:
            return cancel_timer(input);
        case Act::kCall:
        case Act::kCallDie:
            return call(input, script);
        default:
            return act_in_time(input, script);
    }
}

Outcome ModelInstance::pend(const MessageInput& input, const Script& script) {
    const milliseconds soon(script.delay);
    switch (script.act) {
        case Act::kPendingLate:
            complete_later(input, input.attempt <= count_of(script.times)
                                      ? setup_.pending_timeout + soon
                                      : soon);
            break;
        case Act::kPendingTwice:
            complete_later(input, soon);
            complete_later(input, soon + milliseconds(5));
            break;
        case Act::kPendingNever:
            break;
        default:
            complete_later(input, soon);
    }
    return {OutcomeKind::kPending, "", {}};
}

void ModelInstance::complete_later(const MessageInput& input, milliseconds delay) {
    completer_.later(delay, [&setup = setup_, &services = services_, token = input.token,
                             serial = serial_of(input), origin = input.origin,
                             offset = input.event.record->offset, alive = std::weak_ptr(alive_)] {
        if (!alive.lock()) return;
        setup.witness.on_completing(setup.process, setup.handler, origin, offset);
        services.complete(token, serial);
    });
}

Outcome ModelInstance::hang(const MessageInput& input, const Script& script) {
    if (input.attempt > count_of(script.times)) return effect(input);
    const milliseconds long_enough = setup_.timeout + milliseconds(script.delay);
    if (script.act == Act::kHang || !stateful()) {
        setup_.scheduler.sleep(long_enough);
        return effect(input);
    }
    (void)effect(input);
    auto slow = services_.exec(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "LIMIT 4) SELECT x FROM c",
        {}, [&](const sqlite::Statement&) {
            setup_.scheduler.sleep(long_enough / 2);
            return true;
        });
    return slow ? Outcome{} : retry(slow.error().message);
}

// It acks whatever SQLite said: the engine has to see for itself.
Outcome ModelInstance::take_transaction(const MessageInput& input, std::string_view sql) {
    (void)effect(input);
    (void)services_.exec(sql, {}, {});
    return {};
}

}  // namespace millrace::simulation
