// Kind: what topics with the same schema have in common: the words for their event types and their
// fields. KindSet: all of them. TopicRules: a topic's declaration joined with its kind and its
// schema.
//
// Immutable, any thread. Errors: compiling throws ConfigError with file:line.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/node.hpp"
#include "events/envelope.hpp"
#include "events/field_rules.hpp"
#include "events/schemas.hpp"

namespace millrace {

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};
template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

class Kind {
public:
    // `node`: what the kind says; the rest is as in `inherited`.
    static Kind compile(const ConfigNode& node, const PlaceGroups& places, const Kind& inherited);

    // The type that a word stands for, however it is written; the word itself if it stands for
    // none.
    std::string_view type_of(std::string_view word) const;
    // The type of an event without one; empty if it has none.
    std::string_view type_without(const EventSources& sources) const;
    const FieldRule* field(std::string_view name) const;

private:
    struct Fallback {
        std::string field;  // empty: any event
        std::string type;
    };

    void compile_types(const ConfigNode& node);

    TextMap<std::string> aliases_;  // of plain words; a vague one stands for nothing
    std::vector<Fallback> without_type_;
    FieldRules fields_;
};

class KindSet {
public:
    KindSet(const ConfigNode& kinds, const PlaceGroups& places);
    const Kind& find(const std::string& schema) const;

private:
    Kind default_;
    std::vector<std::unique_ptr<Kind>> kinds_;
    std::map<std::string, const Kind*> by_schema_;
};

// A schema version above this is unknown.
constexpr int kMaxSchemaVersion = 1000;

class TopicRules {
public:
    TopicRules(TopicReading reading, const KindSet& kinds, const SchemaSet& schemas);

    const std::string& schema() const { return reading_.schema; }
    bool strict() const { return reading_.strict; }
    const Kind& kind() const { return kind_; }
    // A topic without a schema takes any version.
    bool knows_version(int version) const;
    const Schema* schema_of(int version) const;  // nullptr: there is none

private:
    TopicReading reading_;
    const Kind& kind_;
    std::vector<const Schema*> versions_;  // by version, up to the last there is
};

}  // namespace millrace
