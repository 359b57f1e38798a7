#include "events/event_decoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "events/json_text.hpp"
#include "events/rule_nodes.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

// What a CloudEvent without an event inside has for a body: its own `id` and `time` are not the
// task's.
const json::object kEmptyBody;

bool is_blank(const json::value& value) { return value.is_string() && value.get_string().empty(); }

// The path whose value is there, and neither null nor "".
std::pair<const JsonPath*, const json::value*> first_present(const std::vector<JsonPath>& paths,
                                                             const EventSources& sources) {
    for (const JsonPath& path : paths) {
        const json::value* value = path.find(sources);
        if (value != nullptr && !is_blank(*value)) return {&path, value};
    }
    return {nullptr, nullptr};
}

const json::value* find_version(const VersionRules& rules, const EventSources& sources) {
    const json::value* value = first_present(rules.paths, sources).second;
    if (value != nullptr) return value;
    for (const JsonPath& path : rules.paths_if_dotted) {
        value = path.find(sources);
        if (value != nullptr && is_dotted(*value)) return value;
    }
    return nullptr;
}

constexpr std::size_t kLongestQuote = 64;

// "the number 1.5", "an object".
std::string describe(const json::value& value) {
    if (!value.is_number()) return std::string(name_of_kind(value));
    std::string scratch;
    return fmt::format("the number {}", text_of(value, scratch));
}

bool has_upper(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

EventDecoder::EventDecoder(const EnvelopeRules& rules, const TopicRules& topic,
                           const TopicPartition& origin, json::monotonic_resource& arena)
    : rules_(rules), topic_(topic), origin_(origin), arena_(arena), reader_(arena) {}

DecodedEvent EventDecoder::decode(const Record& record) {
    DecodedEvent event;
    event.record = &record;
    event.rules = &topic_;
    CloudEventStack stack;
    if (const json::value* value = parse(record, event)) {
        value = rules_.cloud_events.unwrap(reader_, value, record.headers, stack);
        EventSources sources{&value->get_object(), nullptr, &stack, record.headers, &arena_};
        find_body(sources);
        event.root = sources.event;
        event.body = sources.body;
        read_envelope(sources, event);
        if (event.status != EventStatus::kUnknownVersion) check_schema(*value, event);
    }
    identify(stack, event);
    return event;
}

const json::value* EventDecoder::parse(const Record& record, DecodedEvent& event) {
    if (!record.value) {
        event.status = EventStatus::kTombstone;
        return nullptr;
    }
    const json::value* value = reader_.read(*record.value);
    if (value != nullptr && value->is_string()) value = reader_.read(value->get_string());
    if (value == nullptr) {
        refuse(event, EventStatus::kUndecodable, "the value " + reader_.fault());
        return nullptr;
    }
    if (value->is_object()) return value;
    refuse(event, EventStatus::kUndecodable,
           fmt::format("the value is {}, not a JSON object", name_of_kind(*value)));
    return nullptr;
}

void EventDecoder::find_body(EventSources& sources) {
    sources.body = sources.event;
    for (const JsonPath& path : rules_.body) {
        const json::value* body = object_in(reader_, path.find(sources));
        if (body == nullptr) continue;
        sources.body = &body->get_object();
        return;
    }
    const CloudEventStack& stack = *sources.cloud_events;
    if (stack.size > 0 && stack.attributes[stack.size - 1] == sources.event) {
        sources.body = &kEmptyBody;
    }
}

void EventDecoder::read_envelope(const EventSources& sources, DecodedEvent& event) {
    Envelope& envelope = event.envelope;
    check_version(sources, event);
    envelope.event_id = read_id(rules_.event_id, sources, event);
    envelope.user_id = read_id(rules_.user_id, sources, event);
    envelope.task_id = read_id(rules_.task_id, sources, event);
    const json::value* time = first_present(rules_.timestamp, sources).second;
    if (time != nullptr) envelope.timestamp = time_of(*time);
    read_type(sources, envelope);
}

void EventDecoder::read_type(const EventSources& sources, Envelope& envelope) {
    for (const JsonPath& path : rules_.type.paths) {
        const json::value* value = path.find(sources);
        if (value == nullptr || !value->is_string() || is_blank(*value)) continue;
        if (rules_.type.is_ignored(value->get_string())) continue;
        envelope.full_type = value->get_string();
        break;
    }
    const std::string_view word = lower(rules_.type.last_segment(envelope.full_type));
    envelope.event_type = topic_.kind().type_of(word);
    if (envelope.event_type.empty()) envelope.event_type = topic_.kind().type_without(sources);
}

std::string_view EventDecoder::lower(std::string_view text) {
    return has_upper(text) ? keep(arena_, to_lower(text)) : text;
}

std::optional<std::string_view> EventDecoder::read_id(const std::vector<JsonPath>& paths,
                                                      const EventSources& sources,
                                                      DecodedEvent& event) {
    const auto [path, value] = first_present(paths, sources);
    if (value == nullptr) return std::nullopt;
    if (value->is_int64() || value->is_uint64()) {
        std::string scratch;
        return keep(arena_, text_of(*value, scratch));
    }
    if (!value->is_string()) {
        refuse(event, EventStatus::kSchemaFault,
               fmt::format("{}: is {}, must be text or a whole number of at most 64 bits",
                           path->text(), describe(*value)));
        return std::nullopt;
    }
    const std::string_view text = value->get_string();
    if (text.size() <= rules_.max_id_bytes) return text;
    refuse(event, EventStatus::kSchemaFault,
           fmt::format("{}: is {} bytes long, must be at most {} (limits.id_bytes)", path->text(),
                       text.size(), rules_.max_id_bytes));
    return std::nullopt;
}

void EventDecoder::check_version(const EventSources& sources, DecodedEvent& event) {
    const json::value* value = find_version(rules_.version, sources);
    if (value == nullptr) return;
    const int version = major_version(*value);
    event.envelope.schema_version = version;
    if (topic_.knows_version(version)) return;
    std::string scratch;
    const std::string_view text = text_of(*value, scratch).substr(0, kLongestQuote);
    refuse(event, EventStatus::kUnknownVersion,
           version == 0
               ? fmt::format("schema_version {} is not a version (expected 1 or \"1.0\")", text)
               : fmt::format("schema_version {} is not known: there is no schema {}.v{}", text,
                             topic_.schema(), version));
}

void EventDecoder::check_schema(const json::value& value, DecodedEvent& event) {
    const Schema* schema =
        topic_.strict() ? topic_.schema_of(event.envelope.schema_version) : nullptr;
    if (schema == nullptr) return;
    const auto fault = schema->validate(value);
    if (!fault) return;
    event.fault = keep(arena_, *fault);
    event.status = EventStatus::kSchemaFault;
}

void EventDecoder::identify(const CloudEventStack& stack, DecodedEvent& event) {
    std::string unwrapped;
    const bool uses_value = rules_.identity.uses_value(event.envelope);
    if (uses_value && stack.unwrapped) unwrapped = json::serialize(*event.root);
    const IdentityRules::Subject subject{
        origin_.topic, origin_.partition, *event.record, event.envelope,
        stack.unwrapped ? std::string_view(unwrapped) : event.record->value.value_or("")};
    event.identity = rules_.identity.identify(subject);
    event.effective_id =
        event.envelope.event_id ? *event.envelope.event_id : keep(arena_, to_uuid(event.identity));
}

void EventDecoder::refuse(DecodedEvent& event, EventStatus status, std::string_view fault) {
    if (event.status != EventStatus::kReadable) return;
    event.status = status;
    event.fault = keep(arena_, fault);
}

}  // namespace millrace
