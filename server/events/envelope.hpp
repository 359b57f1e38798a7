// Envelope: the fields that every event has, found in a record's value by rules that are data (schemas/envelope.yaml).
//
// EnvelopeReader is compiled once at start and may be used from any thread at once. A DecodedEvent's views point into its
// DecodedBatch, which keeps the records' batch and the parsed JSON alive; it is read-only and may be shared by threads.
// Errors: reading never fails as a whole; each event says by its `status` what became of it.
#pragma once

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "core/result.hpp"
#include "core/types.hpp"
#include "events/ids.hpp"
#include "events/record.hpp"

namespace millrace {

enum class EventStatus {
    kReadable = 1,
    kUndecodable,     // not JSON, not an object, not UTF-8, too deep, a number that is not finite: dead letter `undecodable`
    kSchemaFault,     // JSON, but not what the topic accepts: dead letter `schema`
    kUnknownVersion,  // a schema version this server does not know: logged and skipped
    kTombstone,       // no value: skipped
};

struct Envelope {
    std::optional<std::string_view> event_id;  // as sent; nullopt when the reader derives one
    std::string_view event_type;               // last segment of the dotted type, lower case: "completed"; empty if none
    std::string_view full_type;                // as sent: "com.todo.task.completed"
    int schema_version = 1;
    std::optional<std::string_view> user_id;
    std::optional<std::string_view> task_id;
    std::optional<Timestamp> timestamp;        // nullopt: missing, empty or unreadable
};

struct DecodedEvent {
    const Record* record = nullptr;
    EventStatus status = EventStatus::kReadable;
    std::string_view fault;              // for a person, when the status is a fault: what is wrong, at which path
    Envelope envelope;
    std::string_view effective_id;       // event_id, else the derived one; always set
    Identity identity;                   // what dedupe compares
    const boost::json::object* root = nullptr;  // the inner event, CloudEvents unwrapped
    const boost::json::object* body = nullptr;  // task_data / data / payload ..., or root for a flat event
    const class TopicRules* rules = nullptr;    // for `field`
};

// What a topic's declaration contributes to reading.
struct TopicReading {
    std::string topic;
    std::string schema;   // "task-event"; empty: any JSON object, only the envelope is read
    bool strict = false;  // only the canonical shape
};

struct DecodedBatch {
    explicit DecodedBatch(RecordBatchPtr batch);
    RecordBatchPtr batch;
    std::unique_ptr<boost::json::monotonic_resource> arena;
    std::vector<DecodedEvent> events;    // one a record, in order
    std::string_view keep(std::string_view text);  // a copy in the arena; only while the batch is being made
};

using DecodedBatchPtr = std::shared_ptr<const DecodedBatch>;

class SchemaSet;

class EnvelopeReader {
public:
    // `rules`: the root of schemas/envelope.yaml; `schemas` outlives the reader. Throws ConfigError.
    EnvelopeReader(const ConfigNode& rules, const SchemaSet& schemas, std::vector<TopicReading> topics);
    ~EnvelopeReader();

    // A topic that was not declared is read tolerantly, without a schema.
    DecodedBatchPtr decode(RecordBatchPtr batch) const;

    // One value outside the log (HTTP ingest): same rules and faults. Identity and derived id are of no use there.
    DecodedBatchPtr decode_one(const std::string& topic, std::string value,
                               std::vector<std::pair<std::string, std::string>> headers) const;

    // A named field of the topic's kind (`due`, `recurrence`, `title`, `remind_at`, `changes`, ...) by the ordered paths of
    // envelope.yaml: text as it is, times canonical, numbers as text, objects and arrays as JSON. nullopt: not there, null, or
    // a word that the rules list as nothing ("none"). `scratch` holds what had to be made.
    std::optional<std::string_view> field(const DecodedEvent& event, std::string_view name, std::string& scratch) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
