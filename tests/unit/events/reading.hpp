// How the tests of the envelope read events: the shipped rules and schemas, and a short text for
// what was found.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "events/envelope.hpp"
#include "events/schemas.hpp"
#include "events/time.hpp"

namespace millrace::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

inline const SchemaSet& shipped_schemas() {
    static const SchemaSet schemas = SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas");
    return schemas;
}

inline std::vector<TopicReading> shipped_topics() {
    return {{"task-events", "task-event", false},
            {"reminders", "reminder-event", false},
            {"task-updates", "task-update-event", false},
            {"strict-tasks", "task-event", true},
            {"strict-anything", "", true}};
}

inline const EnvelopeReader& shipped_reader() {
    static const EnvelopeReader reader(
        ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr),
        shipped_schemas(), shipped_topics());
    return reader;
}

// One event and the batch that keeps it.
struct Reading {
    Reading(const std::string& topic, std::string_view value, Headers headers = {})
        : batch(shipped_reader().decode_one(topic, std::string(value), std::move(headers))) {}

    const DecodedEvent& event() const { return batch->events.front(); }
    const Envelope& envelope() const { return event().envelope; }

    std::string field(std::string_view name) const {
        std::string scratch;
        const auto text = shipped_reader().field(event(), name, scratch);
        return text ? std::string(*text) : "null";
    }

    DecodedBatchPtr batch;
};

inline std::string text_or_null(const std::optional<std::string_view>& text) {
    return text ? std::string(*text) : "null";
}

// "completed user 7 task 42 id e-1 v1 at 2026-02-10T08:00:00Z", or the fault.
inline std::string summary(const Reading& reading) {
    const Envelope& envelope = reading.envelope();
    switch (reading.event().status) {
        case EventStatus::kReadable:
            return fmt::format("{} user {} task {} id {} v{} at {}",
                               envelope.event_type.empty() ? "null" : envelope.event_type,
                               text_or_null(envelope.user_id), text_or_null(envelope.task_id),
                               text_or_null(envelope.event_id), envelope.schema_version,
                               envelope.timestamp ? format_time(*envelope.timestamp) : "null");
        case EventStatus::kUndecodable:
            return fmt::format("undecodable: {}", reading.event().fault);
        case EventStatus::kSchemaFault:
            return fmt::format("schema: {}", reading.event().fault);
        case EventStatus::kUnknownVersion:
            return fmt::format("version: {}", reading.event().fault);
        case EventStatus::kTombstone:
            return "tombstone";
    }
    return "no status";
}

inline std::string read(const std::string& topic, std::string_view value, Headers headers = {}) {
    return summary(Reading(topic, value, std::move(headers)));
}

inline std::string read_field(const std::string& topic, std::string_view value,
                              std::string_view name) {
    return Reading(topic, value).field(name);
}

}  // namespace millrace::testing
