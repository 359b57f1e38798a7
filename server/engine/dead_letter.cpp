#include "engine/dead_letter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "events/time.hpp"

namespace millrace::engine {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kMaxMessage = 1000;  // bytes of an error message in a header
constexpr std::size_t kShortMessage = 100;
constexpr std::size_t kMaxBareHeader = 300;

constexpr std::string_view kClass = "millrace-error-class";
constexpr std::string_view kMessage = "millrace-error-message";
constexpr std::array<std::string_view, 19> kOurs{kClass,
                                                 kMessage,
                                                 "millrace-topic",
                                                 "millrace-partition",
                                                 "millrace-offset",
                                                 "millrace-timestamp",
                                                 "millrace-handler",
                                                 "millrace-group",
                                                 "millrace-attempts",
                                                 "millrace-first-failure",
                                                 "millrace-last-failure",
                                                 "millrace-event-id",
                                                 "millrace-schema-version",
                                                 "millrace-redrives",
                                                 "millrace-timer",
                                                 "millrace-call",
                                                 "millrace-target",
                                                 "millrace-key-bytes",
                                                 "millrace-value-bytes"};
constexpr std::string_view kConnect = "__connect.errors.";
constexpr std::string_view kSpring = "kafka_dlt-";

bool is_ours(std::string_view name) { return std::ranges::find(kOurs, name) != kOurs.end(); }

bool is_foreign(std::string_view name) {
    return name.starts_with(kConnect) || name.starts_with(kSpring);
}

// At most `limit` bytes, whole characters of UTF-8.
std::string shortened(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return std::string(text);
    const auto continues = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
    };
    std::size_t end = limit;
    while (end > 0 && limit - end < 3 && continues(end)) --end;
    return std::string(text.substr(0, end));
}

template <class Integer>
std::string big_endian(Integer value) {
    std::string bytes(sizeof(value), '\0');
    auto rest = static_cast<std::uint64_t>(value);
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, rest >>= 8U)
        *byte = static_cast<char>(rest & 0xFFU);
    return bytes;
}

// What the three families say in their own words.
struct Origin {
    TopicPartition origin;
    Offset offset{-1};  // -1: not of a record
    Timestamp timestamp;
    TimestampType type = TimestampType::kCreate;
};

void add_ours(Headers& headers, const Failure& failure, const Origin& from,
              const DeadLetterContext& context) {
    headers.emplace_back(kClass, failure.error_class);
    headers.emplace_back(kMessage, shortened(failure.message, kMaxMessage));
    headers.emplace_back("millrace-topic", from.origin.topic);
    if (from.offset.value >= 0) {
        headers.emplace_back("millrace-partition", std::to_string(from.origin.partition.value));
        headers.emplace_back("millrace-offset", std::to_string(from.offset.value));
    }
    headers.emplace_back("millrace-timestamp", std::to_string(to_epoch_ms(from.timestamp)));
    headers.emplace_back("millrace-handler", context.handler);
    headers.emplace_back("millrace-group", context.group);
}

// As Connect's DeadLetterQueueReporter: all text, -1 where nothing is known.
void add_connect(Headers& headers, const Failure& failure, const Origin& from,
                 const DeadLetterContext& context) {
    const auto add = [&](std::string_view name, std::string value) {
        headers.emplace_back(fmt::format("{}{}", kConnect, name), std::move(value));
    };
    const bool unread = failure.error_class == "undecodable" || failure.error_class == "schema";
    add("topic", from.origin.topic);
    add("partition", std::to_string(from.origin.partition.value));
    add("offset", std::to_string(from.offset.value));
    add("connector.name", context.handler);
    add("task.id", "0");
    add("stage", unread ? "VALUE_CONVERTER" : "TASK_PUT");
    add("class.name", "millrace.handler." + context.handler);
    add("exception.class.name", "millrace." + failure.error_class);
    add("exception.message", shortened(failure.message, kMaxMessage));
}

// As Spring's DeadLetterPublishingRecoverer: numbers are big-endian binary.
void add_spring(Headers& headers, const Failure& failure, const Origin& from,
                const DeadLetterContext& context) {
    const auto add = [&](std::string_view name, std::string value) {
        headers.emplace_back(fmt::format("{}{}", kSpring, name), std::move(value));
    };
    const bool appended = from.type == TimestampType::kLogAppend;
    add("original-topic", from.origin.topic);
    add("original-partition", big_endian(from.origin.partition.value));
    add("original-offset", big_endian(from.offset.value));
    add("original-timestamp", big_endian(to_epoch_ms(from.timestamp)));
    add("original-timestamp-type", appended ? "LogAppendTime" : "CreateTime");
    add("original-consumer-group", context.group);
    add("exception-fqcn", "millrace." + failure.error_class);
    add("exception-message", shortened(failure.message, kMaxMessage));
}

void add_failure(OutgoingRecord& letter, const Failure& failure, Origin from,
                 const DeadLetterContext& context) {
    if (from.offset.value < 0) from.origin.partition = {-1};
    letter.topic = context.topic;
    add_ours(letter.headers, failure, from, context);
    if (context.section.connect_headers) add_connect(letter.headers, failure, from, context);
    if (context.section.spring_headers) add_spring(letter.headers, failure, from, context);
}

void add_attempts(Headers& headers, std::uint32_t attempts, int redrives, Timestamp first,
                  Timestamp last) {
    headers.emplace_back("millrace-attempts", std::to_string(attempts));
    headers.emplace_back("millrace-first-failure", format_time(first));
    headers.emplace_back("millrace-last-failure", format_time(last));
    headers.emplace_back("millrace-redrives", std::to_string(redrives));
}

// What an earlier failure added is replaced, never appended, or the record would outgrow the
// broker. Other tools' names are theirs to keep where we do not write them.
void keep_headers(OutgoingRecord& letter, const Record& record, const DeadLetterSection& section) {
    for (const Header& header : record.headers) {
        const bool replaced = is_ours(header.name) ||
                              (section.connect_headers && header.name.starts_with(kConnect)) ||
                              (section.spring_headers && header.name.starts_with(kSpring));
        if (!replaced) letter.headers.emplace_back(header.name, header.value);
    }
}

OutgoingRecord letter_of(const DecodedEvent& event, const TopicPartition& origin,
                         const Failure& failure, const DeadLetterContext& context) {
    const Record& record = *event.record;
    OutgoingRecord letter;
    if (record.key) letter.key = std::string(*record.key);
    if (record.value) letter.value = std::string(*record.value);
    keep_headers(letter, record, context.section);
    add_failure(letter, failure, {origin, record.offset, record.timestamp, record.timestamp_type},
                context);
    if (!event.effective_id.empty())
        letter.headers.emplace_back("millrace-event-id", event.effective_id);
    letter.headers.emplace_back("millrace-schema-version",
                                std::to_string(event.envelope.schema_version));
    return letter;
}

OutgoingRecord letter_of(const TimerRow& timer, const Failure& failure,
                         const DeadLetterContext& context) {
    OutgoingRecord letter;
    letter.key = timer.key;
    letter.value = timer.payload;
    add_failure(letter, failure, {timer.from.origin, timer.from.offset, timer.due}, context);
    letter.headers.emplace_back("millrace-timer", timer.id);
    return letter;
}

OutgoingRecord letter_of(const OutboxCall& call, const Failure& failure,
                         const DeadLetterContext& context) {
    OutgoingRecord letter;
    letter.key = call.key;
    letter.value = call.payload;
    add_failure(letter, failure, {call.from.origin, call.from.offset, call.created}, context);
    letter.headers.emplace_back("millrace-call", call.id);
    letter.headers.emplace_back("millrace-event-id", call.idempotency_key);
    return letter;
}

std::string* find_header(Headers& headers, std::string_view name) {
    const auto found = std::ranges::find(headers, name, &Headers::value_type::first);
    return found == headers.end() ? nullptr : &found->second;
}

// Where the record lies is in the headers; what it failed with first goes into the message.
void make_pointer(OutgoingRecord& letter) {
    std::string* error_class = find_header(letter.headers, kClass);
    std::string* message = find_header(letter.headers, kMessage);
    const std::size_t bytes = letter.value.value_or("").size();
    *message = fmt::format("{}: {} (its value of {} bytes does not fit into {})", *error_class,
                           *message, bytes, letter.topic);
    *error_class = "too-large";
    letter.headers.emplace_back("millrace-value-bytes", std::to_string(bytes));
    letter.value.reset();
}

void strip(OutgoingRecord& letter) {
    if (letter.key) {
        letter.headers.emplace_back("millrace-key-bytes", std::to_string(letter.key->size()));
        letter.key.reset();
    }
    std::erase_if(letter.headers, [](const auto& header) { return !is_ours(header.first); });
    for (auto& [name, value] : letter.headers) value = shortened(value, kMaxBareHeader);
}

}  // namespace

OutgoingRecord make_dead_letter(const Input& input, const DeadLetterContext& context) {
    const Failure& failure = *input.failure;
    OutgoingRecord letter = input.event != nullptr
                                ? letter_of(*input.event, input.origin(), failure, context)
                            : input.timer ? letter_of(*input.timer, failure, context)
                                          : letter_of(input.response->call, failure, context);
    add_attempts(letter.headers, input.attempt, input.redrives, input.first_failure,
                 input.last_failure);
    return letter;
}

OutgoingRecord make_dead_letter(const OutboxEvent& event, const std::string& fault, Timestamp now,
                                const DeadLetterContext& context) {
    OutgoingRecord letter;
    letter.key = event.key;
    letter.value = event.value;
    add_failure(letter, {"outbox", fault}, {event.from.origin, event.from.offset, event.created},
                context);
    letter.headers.emplace_back("millrace-target", event.topic);
    letter.headers.emplace_back("millrace-event-id", event.event_id);
    add_attempts(letter.headers, 1, 0, now, now);
    return letter;
}

std::optional<LetterForm> smaller(LetterForm form) {
    switch (form) {
        case LetterForm::kWhole:
            return LetterForm::kTrimmed;
        case LetterForm::kTrimmed:
            return LetterForm::kPointer;
        case LetterForm::kPointer:
            return LetterForm::kBarePointer;
        case LetterForm::kBarePointer:
            break;
    }
    return std::nullopt;
}

bool is_pointer(LetterForm form) {
    return form == LetterForm::kPointer || form == LetterForm::kBarePointer;
}

OutgoingRecord reduced(OutgoingRecord letter, LetterForm form) {
    if (form == LetterForm::kWhole) return letter;
    std::erase_if(letter.headers, [](const auto& header) { return is_foreign(header.first); });
    if (std::string* message = find_header(letter.headers, kMessage))
        *message = shortened(*message, kShortMessage);
    if (is_pointer(form)) make_pointer(letter);
    if (form == LetterForm::kBarePointer) strip(letter);
    return letter;
}

bool is_failure_header(std::string_view name) { return is_ours(name) || is_foreign(name); }

}  // namespace millrace::engine
