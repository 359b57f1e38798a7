#include "engine/dead_letter.hpp"

#include <string_view>

#include "events/time.hpp"

namespace millrace::engine {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A record that failed before carries these already: they are replaced, never appended, or it would
// outgrow the broker.
bool is_context(std::string_view name) {
    for (std::string_view ours :
         {"millrace-error-class", "millrace-error-message", "millrace-topic", "millrace-partition",
          "millrace-offset", "millrace-timestamp", "millrace-handler", "millrace-group",
          "millrace-attempts", "millrace-first-failure", "millrace-last-failure",
          "millrace-event-id", "millrace-schema-version"}) {
        if (name == ours) return true;
    }
    return false;
}

constexpr std::size_t kMaxMessage = 1000;  // bytes of an error message in a header

void add_error(Headers& headers, const std::string& error_class, const std::string& message,
               const DeadLetterContext& context) {
    headers.emplace_back("millrace-error-class", error_class);
    headers.emplace_back("millrace-error-message", message.substr(0, kMaxMessage));
    headers.emplace_back("millrace-handler", context.handler);
    headers.emplace_back("millrace-group", context.group);
}

void add_origin(Headers& headers, const TopicPartition& origin, Offset offset) {
    headers.emplace_back("millrace-topic", origin.topic);
    headers.emplace_back("millrace-partition", std::to_string(origin.partition.value));
    headers.emplace_back("millrace-offset", std::to_string(offset.value));
}

void add_record(Headers& headers, const Input& input) {
    const DecodedEvent& event = *input.event;
    add_origin(headers, input.origin(), event.record->offset);
    headers.emplace_back("millrace-timestamp",
                         std::to_string(to_epoch_ms(event.record->timestamp)));
    if (!event.effective_id.empty()) headers.emplace_back("millrace-event-id", event.effective_id);
    headers.emplace_back("millrace-schema-version", std::to_string(event.envelope.schema_version));
}

}  // namespace

OutgoingRecord make_dead_letter(const Input& input, const DeadLetterContext& context) {
    OutgoingRecord letter;
    letter.topic = context.topic;
    if (input.event != nullptr) {
        const Record& record = *input.event->record;
        if (record.key) letter.key = std::string(*record.key);
        if (record.value) letter.value = std::string(*record.value);
        for (const Header& header : record.headers) {
            if (!is_context(header.name)) letter.headers.emplace_back(header.name, header.value);
        }
        add_record(letter.headers, input);
    } else if (input.timer) {
        letter.key = input.timer->key;
        letter.value = input.timer->payload;
        letter.headers.emplace_back("millrace-timer", input.timer->id);
        letter.headers.emplace_back("millrace-timestamp",
                                    std::to_string(to_epoch_ms(input.timer->due)));
    } else {
        const OutboxCall& call = input.response->call;
        letter.key = call.key;
        letter.value = call.payload;
        letter.headers.emplace_back("millrace-call", call.id);
        add_origin(letter.headers, call.from.origin, call.from.offset);
    }
    add_error(letter.headers, input.failure->error_class, input.failure->message, context);
    letter.headers.emplace_back("millrace-attempts", std::to_string(input.attempt));
    letter.headers.emplace_back("millrace-first-failure", format_time(input.first_failure));
    letter.headers.emplace_back("millrace-last-failure", format_time(input.last_failure));
    return letter;
}

OutgoingRecord make_dead_letter(const OutboxEvent& event, const std::string& fault, Timestamp now,
                                const DeadLetterContext& context) {
    OutgoingRecord letter;
    letter.topic = context.topic;
    letter.key = event.key;
    letter.value = event.value;
    letter.headers.emplace_back("millrace-target", event.topic);
    add_origin(letter.headers, event.from.origin, event.from.offset);
    letter.headers.emplace_back("millrace-event-id", event.event_id);
    add_error(letter.headers, "outbox", fault, context);
    letter.headers.emplace_back("millrace-first-failure", format_time(now));
    letter.headers.emplace_back("millrace-last-failure", format_time(now));
    return letter;
}

}  // namespace millrace::engine
