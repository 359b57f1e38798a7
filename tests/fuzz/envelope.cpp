// Fuzz target: a record through all that reads events: envelope, fields, identity, schemas, and the
// canonical form.
//
// The input is `topic`, header lines `name: value`, a blank line and the value; without a blank
// line it is the value of a record of task-events.
#include "events/envelope.hpp"

#include <array>

#include "core/config/node.hpp"
#include "events/canonical.hpp"
#include "events/json.hpp"
#include "events/time.hpp"
#include "fuzz/check.hpp"

namespace millrace::fuzz {
namespace {

struct Input {
    std::string topic = "task-events";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string value;
};

const SchemaSet& schemas() {
    static const SchemaSet set = SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas");
    return set;
}

const EnvelopeReader& reader() {
    static const EnvelopeReader shipped(
        ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr), schemas(),
        {{"task-events", "task-event", false},
         {"reminders", "reminder-event", false},
         {"task-updates", "task-update-event", false},
         {"strict-tasks", "task-event", true},
         {"strict-anything", "", true}});
    return shipped;
}

Input read_input(std::string_view text) {
    Input input;
    if (text.find("\n\n") == std::string_view::npos) {
        input.value = text;
        return input;
    }
    std::string_view head = cut(text, "\n\n");
    input.topic = cut(head, "\n");
    while (!head.empty()) {
        std::string_view line = cut(head, "\n");
        const std::string_view name = cut(line, ": ");
        input.headers.emplace_back(name, line);
    }
    input.value = text;
    return input;
}

// The value twice, as a producer that sends again does, and a tombstone behind it.
RecordBatchPtr batch_of(const Input& input) {
    auto batch = std::make_shared<RecordBatch>();
    batch->origin.topic = input.topic;
    for (const auto& [name, value] : input.headers) batch->headers.push_back({name, value});
    for (std::int64_t offset = 0; offset < 3; ++offset) {
        Record record{Offset{offset}, Timestamp{}, "key", input.value, batch->headers};
        if (offset == 2) record.value.reset();
        batch->bytes += input.value.size();
        batch->records.push_back(record);
    }
    return batch;
}

void check_text(const std::optional<std::string_view>& text, std::string_view what) {
    if (text) check(is_utf8(*text), what, *text);
}

void check_envelope(const DecodedEvent& event) {
    const Envelope& envelope = event.envelope;
    check(!event.effective_id.empty(), "every event has an id");
    const bool is_refused =
        event.status != EventStatus::kReadable && event.status != EventStatus::kTombstone;
    check(event.fault.empty() != is_refused, "what is refused has a reason", event.fault);
    check(event.root != nullptr || event.status == EventStatus::kUndecodable ||
              event.status == EventStatus::kTombstone,
          "what was decoded has a root");
    check_text(event.fault, "a fault is UTF-8");
    check_text(event.effective_id, "an id is UTF-8");
    check_text(envelope.user_id, "a user is UTF-8");
    check_text(envelope.task_id, "a task is UTF-8");
    check_text(envelope.event_type, "a type is UTF-8");
    check_text(envelope.full_type, "a full type is UTF-8");
    if (!envelope.timestamp) return;
    const std::string text = format_time(*envelope.timestamp);
    check(parse_time(text) == envelope.timestamp, "a time survives its text", text);
}

void check_fields(const DecodedEvent& event) {
    constexpr std::array kNames{"title",
                                "description",
                                "status",
                                "completed",
                                "completed_at",
                                "priority",
                                "tags",
                                "due",
                                "remind_at",
                                "changes",
                                "recurrence",
                                "recurrence_rule",
                                "recurrence_interval",
                                "recurrence_until",
                                "reminder_id",
                                "no such field"};
    for (const char* name : kNames) {
        std::string scratch;
        check_text(reader().field(event, name, scratch), "a field is UTF-8");
    }
}

// A second copy is the same event where an id says so, and another where only its place does.
void check_identity(const DecodedEvent& first, const DecodedEvent& second) {
    check(first.status == second.status && first.fault == second.fault, "reading is repeatable");
    const bool has_id = first.envelope.event_id.has_value();
    check((first.identity == second.identity) == has_id, "an id is what makes two records the same",
          first.effective_id);
}

void check_schemas(std::string_view value) {
    boost::json::monotonic_resource arena;
    JsonReader json(arena);
    const auto* parsed = json.read(value);
    if (parsed == nullptr) return;
    for (const char* name : {"task-event", "reminder-event", "task-update-event"}) {
        const auto fault = schemas().find(name, 1)->validate(*parsed);
        check(!fault || (!fault->empty() && is_utf8(*fault)), "a fault says where");
    }
}

// What Millrace publishes: completed once, it stays as it is, and a strict reader takes it.
void check_canonical_form(std::string_view value) {
    const auto made = canonical_event(value, "6f1c7b0e-8f1d-4b39-9f53-0e1d8a5c2b11", Timestamp{});
    if (!made) return;
    const auto again = canonical_event(*made, "another", Timestamp{std::chrono::seconds(9)});
    check(again && *again == *made, "the canonical form is stable", *made);
    if (!check_canonical(schemas(), "task-event", *made)) return;
    const auto read = reader().decode_one("strict-tasks", *made, {});
    check(read->events.front().status == EventStatus::kReadable, "what is canonical can be read",
          *made);
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::fuzz;
    const Input input = read_input(view(data, size));
    const auto decoded = reader().decode(batch_of(input));
    for (const auto& event : decoded->events) {
        check_envelope(event);
        check_fields(event);
    }
    check_identity(decoded->events[0], decoded->events[1]);
    check_schemas(input.value);
    check_canonical_form(input.value);
    return 0;
}
