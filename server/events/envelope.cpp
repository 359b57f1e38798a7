#include "events/envelope.hpp"

#include <algorithm>

#include "events/envelope_rules.hpp"
#include "events/event_decoder.hpp"
#include "events/json.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

// A parsed event takes about four times its bytes.
constexpr std::size_t kArenaBytesPerByte = 4;
constexpr std::size_t kSmallestArena = 1024;
constexpr std::size_t kLargestFirstBlock = 1024 * 1024;

std::size_t first_block(std::size_t bytes) {
    return std::clamp(bytes * kArenaBytesPerByte, kSmallestArena, kLargestFirstBlock);
}

// A batch of one record that owns its bytes.
struct OwnedRecord {
    std::string value;
    std::vector<std::pair<std::string, std::string>> header_texts;
};

RecordBatchPtr batch_of_one(const std::string& topic, std::string value,
                            std::vector<std::pair<std::string, std::string>> headers) {
    auto memory = std::make_shared<OwnedRecord>(OwnedRecord{std::move(value), std::move(headers)});
    auto batch = std::make_shared<RecordBatch>();
    batch->origin.topic = topic;
    batch->bytes = memory->value.size();
    for (const auto& [name, text] : memory->header_texts) {
        batch->headers.push_back({name, text});
        batch->bytes += name.size() + text.size();
    }
    Record record;
    record.value = memory->value;
    record.headers = batch->headers;
    batch->records.push_back(record);
    batch->memory = std::move(memory);
    return batch;
}

}  // namespace

DecodedBatch::DecodedBatch(RecordBatchPtr records)
    : batch(std::move(records)),
      arena(std::make_unique<json::monotonic_resource>(first_block(batch->bytes))) {}

std::string_view DecodedBatch::keep(std::string_view text) { return millrace::keep(*arena, text); }

struct EnvelopeReader::Impl {
    Impl(const ConfigNode& root, const SchemaSet& schemas)
        : rules(root), undeclared(TopicReading{}, rules.kinds, schemas) {}

    const TopicRules& find(const std::string& topic) const {
        const auto found = topics.find(topic);
        return found == topics.end() ? undeclared : found->second;
    }

    EnvelopeRules rules;
    TopicRules undeclared;
    TextMap<TopicRules> topics;
};

EnvelopeReader::EnvelopeReader(const ConfigNode& rules, const SchemaSet& schemas,
                               std::vector<TopicReading> topics)
    : impl_(std::make_unique<Impl>(rules, schemas)) {
    for (TopicReading& topic : topics) {
        const std::string name = topic.topic;
        impl_->topics.try_emplace(name, std::move(topic), impl_->rules.kinds, schemas);
    }
}

EnvelopeReader::~EnvelopeReader() = default;

DecodedBatchPtr EnvelopeReader::decode(RecordBatchPtr batch) const {
    auto decoded = std::make_shared<DecodedBatch>(std::move(batch));
    const TopicPartition& origin = decoded->batch->origin;
    EventDecoder decoder(impl_->rules, impl_->find(origin.topic), origin, *decoded->arena);
    decoded->events.reserve(decoded->batch->records.size());
    for (const Record& record : decoded->batch->records) {
        decoded->events.push_back(decoder.decode(record));
    }
    return decoded;
}

DecodedBatchPtr EnvelopeReader::decode_one(
    const std::string& topic, std::string value,
    std::vector<std::pair<std::string, std::string>> headers) const {
    return decode(batch_of_one(topic, std::move(value), std::move(headers)));
}

namespace {

// nullptr: the event could not be read, or its kind has no such field.
const FieldRule* rule_of(const DecodedEvent& event, std::string_view name) {
    if (event.root == nullptr || event.rules == nullptr) return nullptr;
    return event.rules->kind().field(name);
}

EventSources sources_of(const DecodedEvent& event) {
    EventSources sources;
    sources.event = event.root;
    sources.body = event.body;
    return sources;
}

}  // namespace

std::optional<std::string_view> EnvelopeReader::field(const DecodedEvent& event,
                                                      std::string_view name,
                                                      std::string& scratch) const {
    const FieldRule* rule = rule_of(event, name);
    return rule == nullptr ? std::nullopt : rule->read(sources_of(event), scratch);
}

FieldState field_state(const DecodedEvent& event, std::string_view name) {
    const FieldRule* rule = rule_of(event, name);
    std::string scratch;
    return rule == nullptr ? FieldState::kAbsent : rule->find(sources_of(event), scratch).state;
}

}  // namespace millrace
