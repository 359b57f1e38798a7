// FieldRule: how one named field of a kind of topic is found and what form it takes.
//
// Immutable, any thread. What is found points into the event or into `scratch`. Errors:
// compiling throws ConfigError with file:line; reading has none, what cannot be read is not there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "events/field_state.hpp"
#include "events/json_path.hpp"

namespace millrace {

class FieldRule;
using FieldRules = std::map<std::string, FieldRule, std::less<>>;

// Where fields lie: an object in the event, or a delta, which says what is new.
struct Place {
    JsonPath path;
    std::shared_ptr<const ChangePairs> pairs;  // nullptr: no delta
};
using PlaceGroups = std::map<std::string, std::vector<Place>, std::less<>>;

// `changes`: how deltas are written; nullptr if the rules do not say.
PlaceGroups compile_places(const ConfigNode& node, std::shared_ptr<const ChangePairs> changes);
std::shared_ptr<const ChangePairs> compile_changes(const ConfigNode& node);

struct FieldFound {
    FieldState state = FieldState::kAbsent;
    std::string_view text = {};
};

class FieldRule {
public:
    static FieldRule compile(const ConfigNode& node, const PlaceGroups& places);

    FieldFound find(const EventSources& sources, std::string& scratch) const;
    // The text alone.
    std::optional<std::string_view> read(const EventSources& sources, std::string& scratch) const;

private:
    // `kNo` is the field's word for nothing: the search ends.
    enum class Match { kNone = 1, kYes, kNo };
    enum class Form { kAny = 1, kText, kWord, kObject, kInteger, kFlag, kTime, kDay, kJoined };
    struct Source {
        JsonPath path;
        std::optional<JsonPath> picked_from;  // the path leads to names of this object's members
        bool repeats_body = false;            // in a flat event an earlier source says the same
    };
    struct Part {
        std::string field;
        std::vector<FieldRule>
            rule;  // that field's; a vector because the type is not complete here
        std::string before;
        bool after_word = false;
    };

    friend FieldRules compile_fields(const ConfigNode& node, const PlaceGroups& places,
                                     FieldRules fields);

    // What a search has come upon.
    struct Search {
        std::string_view text;
        const boost::json::value* last_resort = nullptr;
        bool found = false;
        bool nothing = false;
        bool ended = false;
    };

    void compile_paths(const ConfigNode& node);
    void compile_sources(const ConfigNode& node, const PlaceGroups& places);
    void compile_switch(const FieldRules& fields);
    void add_source(JsonPath path);
    void compile_options(const ConfigNode& node);
    void compile_parts(const ConfigNode& node, const FieldRules& fields);
    void link_parts(const FieldRules& fields);

    FieldFound find_joined(const EventSources& sources, std::string& scratch) const;
    bool is_switched_off(const EventSources& sources) const;
    void search_places(const EventSources& sources, Search& search, std::string& scratch) const;
    void search_paths(const EventSources& sources, Search& search, std::string& scratch) const;
    void look_at(const boost::json::value* value, Search& search, std::string& scratch) const;
    void pick(const Source& source, const EventSources& sources, Search& search,
              std::string& scratch) const;
    Match read_value(const boost::json::value& value, std::string& scratch,
                     std::string_view& text) const;
    Match read_word(const boost::json::value& value, std::string& scratch,
                    std::string_view& text) const;
    Match read_day(const boost::json::value& value, std::string& scratch,
                   std::string_view& text) const;
    Match read_flag(const boost::json::value& value, std::string_view& text) const;
    Match read_integer(const boost::json::value& value, std::string& scratch,
                       std::string_view& text) const;
    Match judge(std::string_view text) const;

    Form form_ = Form::kAny;
    std::vector<Place> places_;  // each name in the first, then in the next ...
    std::vector<JsonPath> names_;
    std::vector<Source> sources_;  // or these paths
    std::string switch_name_;      // the flag `when`
    std::vector<FieldRule> switch_;
    std::vector<Part> parts_;
    std::vector<std::string> nothing_;
    std::vector<std::string> ignored_;
    std::vector<std::string> last_resort_;
    std::vector<std::string> true_words_;
    std::vector<std::string> false_words_;
    std::int64_t minimum_ = INT64_MIN;
};

// The fields of a kind over those it inherits.
FieldRules compile_fields(const ConfigNode& node, const PlaceGroups& places, FieldRules inherited);

}  // namespace millrace
