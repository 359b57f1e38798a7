#include "engine/letter.hpp"

#include <fmt/format.h>

#include <charconv>

#include "engine/dead_letter.hpp"
#include "events/ids.hpp"
#include "events/time.hpp"

namespace millrace::engine {
namespace {

constexpr std::size_t kIdBytes = 8;

template <class Integer>
Integer number(std::string_view text, Integer standard) {
    Integer value = standard;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    return fault == std::errc() && end == text.data() + text.size() ? value : standard;
}

std::string id_of(const Letter& letter) {
    IdentityBuilder builder("millrace.letter");
    if (letter.error_class.empty()) {  // not one of ours: it is where it lies
        builder.add(letter.position.origin.topic)
            .add(letter.position.origin.partition.value)
            .add(letter.position.offset.value);
    }
    builder.add(letter.handler)
        .add(letter.origin.topic)
        .add(letter.origin.partition.value)
        .add(letter.offset.value)
        .add(letter.redrives)
        .add(letter.timer)
        .add(letter.call)
        .add(letter.target);
    if (!letter.timer.empty()) builder.add(letter.timestamp.time_since_epoch().count());
    if (!letter.call.empty() || !letter.target.empty()) builder.add(letter.event_id);
    const Identity identity = builder.finish();
    std::string id;
    for (std::size_t i = 0; i < kIdBytes; ++i)
        id += fmt::format("{:02x}", std::to_integer<unsigned>(identity.bytes.at(i)));
    return id;
}

void read_failure(const Record& record, Letter& letter) {
    letter.error_class = record.header("millrace-error-class");
    letter.message = record.header("millrace-error-message");
    letter.handler = record.header("millrace-handler");
    letter.group = record.header("millrace-group");
    letter.attempts = number<std::uint32_t>(record.header("millrace-attempts"), 0);
    letter.first_failure = record.header("millrace-first-failure");
    letter.last_failure = record.header("millrace-last-failure");
    letter.redrives = number<std::uint32_t>(record.header("millrace-redrives"), 0);
}

void read_origin(const Record& record, Letter& letter) {
    letter.origin.topic = record.header("millrace-topic");
    letter.origin.partition.value = number<std::int32_t>(record.header("millrace-partition"), -1);
    letter.offset.value = number<std::int64_t>(record.header("millrace-offset"), -1);
    letter.timestamp = from_epoch_ms(number<std::int64_t>(record.header("millrace-timestamp"), 0));
    letter.event_id = record.header("millrace-event-id");
    letter.timer = record.header("millrace-timer");
    letter.call = record.header("millrace-call");
    letter.target = record.header("millrace-target");
    if (const auto bytes = record.header("millrace-value-bytes"); !bytes.empty())
        letter.value_bytes = number<std::uint64_t>(bytes, 0);
}

}  // namespace

const char* to_string(Letter::State state) {
    switch (state) {
        case Letter::State::kOpen:
            return "open";
        case Letter::State::kRedriven:
            return "redriven";
        case Letter::State::kDiscarded:
            return "discarded";
    }
    return "unknown";
}

Letter read_letter(const DecodedEvent& event, const TopicPartition& origin) {
    const Record& record = *event.record;
    Letter letter;
    letter.position = {origin, record.offset};
    letter.written = record.timestamp;
    read_failure(record, letter);
    read_origin(record, letter);
    if (event.status == EventStatus::kReadable && event.envelope.user_id)
        letter.user = std::string(*event.envelope.user_id);
    if (record.key) letter.key = std::string(*record.key);
    if (record.value) letter.value = std::string(*record.value);
    for (const Header& header : record.headers) {
        if (!is_failure_header(header.name)) letter.headers.emplace_back(header.name, header.value);
    }
    letter.id = id_of(letter);
    return letter;
}

bool LetterFilter::matches(const Letter& letter) const {
    return (error_class.empty() || error_class == letter.error_class) &&
           (handler.empty() || handler == letter.handler) &&
           (user.empty() || user == letter.user) && (!key || key == letter.key) &&
           (id.empty() || id == letter.id) &&
           (!at || (at->first == letter.position.origin.partition &&
                    at->second == letter.position.offset)) &&
           (!from || letter.written >= *from) && (!to || letter.written < *to);
}

}  // namespace millrace::engine
