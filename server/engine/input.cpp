#include "engine/input.hpp"

#include <fmt/format.h>

#include <charconv>

namespace millrace::engine {

std::size_t bytes_of(const Record& record) {
    return (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
}

std::string input_prefix(const TopicPartition& origin) {
    return fmt::format("record {} {} ", origin.topic, origin.partition.value);
}

std::string input_name(const Input& input) {
    if (input.from_log())
        return fmt::format("{}{}", input_prefix(input.origin()), input.event->record->offset.value);
    if (input.event != nullptr) return fmt::format("inbox {}", input.inbox);
    if (input.timer) return fmt::format("timer {} {}", input.timer->firing, input.timer->id);
    return fmt::format("call {}", input.response->call.sequence);
}

IdentityBuilder effect_identity(std::string_view handler, const Input& input) {
    IdentityBuilder identity("millrace.effect");
    identity.add(handler);
    if (input.event != nullptr) {
        identity.add("record").add(input.origin().topic).add(input.event->identity.view());
    } else if (input.timer) {
        const TimerRow& timer = *input.timer;
        identity.add("timer")
            .add(timer.id)
            .add(timer.due.time_since_epoch().count())
            .add(timer.firing);
    } else {
        identity.add("response").add(input.response->call.idempotency_key);
    }
    return identity;
}

EffectOrigin effect_origin(const Input& input) {
    if (input.event != nullptr) return source_of(input);
    EffectOrigin from;
    from.origin.topic = source_of(input).origin.topic;
    return from;
}

EffectOrigin source_of(const Input& input) {
    if (input.event != nullptr) return {input.origin(), input.event->record->offset};
    return input.timer ? input.timer->from : input.response->call.from;
}

std::int64_t hops_of(const Input& input) {
    if (input.event == nullptr) return 0;
    const auto text = input.event->record->header("millrace-hops");
    std::int64_t hops = 0;
    std::from_chars(text.data(), text.data() + text.size(), hops);
    return hops;
}

std::string_view traceparent_of(const Input& input) {
    return input.event == nullptr ? std::string_view() : input.event->record->header("traceparent");
}

}  // namespace millrace::engine
