#include "events/kinds.hpp"

#include <fmt/format.h>

#include "events/rule_nodes.hpp"

namespace millrace {
namespace {

constexpr std::string_view kJoints = " _-";

// "Reminder-Due", "reminder_due" and "ReminderDue" are one word.
std::string plain_word(std::string_view text) {
    std::string plain = to_lower(text);
    std::erase_if(plain, [](char c) { return kJoints.find(c) != std::string_view::npos; });
    return plain;
}

}  // namespace

Kind Kind::compile(const ConfigNode& node, const PlaceGroups& places, const Kind& inherited) {
    require_keys(node, {"schemas", "type_aliases", "vague_types", "without_type", "fields"});
    Kind kind = inherited;
    kind.compile_types(node);
    if (const auto fields = node.find("fields")) {
        kind.fields_ = compile_fields(*fields, places, std::move(kind.fields_));
    }
    const auto fallbacks = node.find("without_type");
    if (!fallbacks) return kind;
    kind.without_type_.clear();
    for (const ConfigNode& item : require_items(*fallbacks)) {
        require_keys(item, {"has", "type"});
        Fallback fallback{{}, require_member(item, "type").as_string()};
        if (const auto field = item.find("has")) {
            fallback.field = field->as_string();
            if (kind.field(fallback.field) == nullptr) field->error("no field has this name");
        }
        kind.without_type_.push_back(std::move(fallback));
    }
    return kind;
}

void Kind::compile_types(const ConfigNode& node) {
    const auto types = node.find("type_aliases");
    if (types) {
        if (types->kind() != ConfigNode::Kind::kMapping) types->error("expected a mapping");
        aliases_.clear();
        for (const auto& [type, words] : types->members()) {
            for (const ConfigNode& word : require_items(words)) {
                const auto [known, is_new] = aliases_.emplace(plain_word(word.as_string()), type);
                if (!is_new && known->second != type)
                    word.error("this word already stands for " + known->second);
            }
        }
    }
    for (const auto& word : read_words_of(node, "vague_types")) aliases_[plain_word(word)].clear();
}

std::string_view Kind::type_of(std::string_view word) const {
    const bool is_plain = word.find_first_of(kJoints) == std::string_view::npos;
    const auto found = is_plain ? aliases_.find(word) : aliases_.find(plain_word(word));
    return found == aliases_.end() ? word : std::string_view(found->second);
}

std::string_view Kind::type_without(const EventSources& sources) const {
    std::string scratch;
    for (const Fallback& fallback : without_type_) {
        if (fallback.field.empty()) return fallback.type;
        if (field(fallback.field)->read(sources, scratch)) return fallback.type;
    }
    return {};
}

const FieldRule* Kind::field(std::string_view name) const {
    const auto found = fields_.find(name);
    return found == fields_.end() ? nullptr : &found->second;
}

KindSet::KindSet(const ConfigNode& kinds, const PlaceGroups& groups) {
    if (kinds.kind() != ConfigNode::Kind::kMapping) kinds.error("expected a mapping of kinds");
    default_ = Kind::compile(require_member(kinds, "default"), groups, Kind{});
    for (const auto& [name, node] : kinds.members()) {
        if (name == "default") continue;
        kinds_.push_back(std::make_unique<Kind>(Kind::compile(node, groups, default_)));
        for (const ConfigNode& schema : require_items(require_member(node, "schemas"))) {
            if (by_schema_.emplace(schema.as_string(), kinds_.back().get()).second) continue;
            schema.error("another kind has this schema already");
        }
    }
}

const Kind& KindSet::find(const std::string& schema) const {
    const auto found = by_schema_.find(schema);
    return found == by_schema_.end() ? default_ : *found->second;
}

TopicRules::TopicRules(TopicReading reading, const KindSet& kinds, const SchemaSet& schemas)
    : reading_(std::move(reading)), kind_(kinds.find(reading_.schema)) {
    if (reading_.schema.empty()) return;
    for (int version = 1; version <= kMaxSchemaVersion; ++version) {
        const Schema* schema = schemas.find(reading_.schema, version);
        if (schema == nullptr) continue;
        versions_.resize(static_cast<std::size_t>(version) + 1);
        versions_.back() = schema;
    }
    if (!versions_.empty()) return;
    throw ConfigError(fmt::format("topic {}: there is no schema named {} (schemas/{}.v1.json)",
                                  reading_.topic, reading_.schema, reading_.schema));
}

bool TopicRules::knows_version(int version) const {
    return reading_.schema.empty() ? version >= 1 : schema_of(version) != nullptr;
}

const Schema* TopicRules::schema_of(int version) const {
    const auto index = static_cast<std::size_t>(version);
    return version >= 1 && index < versions_.size() ? versions_[index] : nullptr;
}

}  // namespace millrace
