// FieldRule: how one named field of a kind of topic is found and what form it takes.
//
// Immutable, any thread. What `read` returns points into the event or into `scratch`. Errors:
// compiling throws ConfigError with file:line; reading has none, what cannot be read is not there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "events/json_path.hpp"

namespace millrace {

class FieldRule;
using FieldRules = std::map<std::string, FieldRule, std::less<>>;
using PlaceGroups = std::map<std::string, std::vector<JsonPath>, std::less<>>;

PlaceGroups compile_places(const ConfigNode& node);

class FieldRule {
public:
    static FieldRule compile(const ConfigNode& node, const PlaceGroups& places);

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

    void compile_sources(const ConfigNode& node, const PlaceGroups& places);
    void add_source(JsonPath path);
    void compile_options(const ConfigNode& node);
    void compile_parts(const ConfigNode& node, const FieldRules& fields);
    void link_parts(const FieldRules& fields);

    std::optional<std::string_view> read_joined(const EventSources& sources,
                                                std::string& scratch) const;
    Match read_source(const Source& source, const EventSources& sources, std::string& scratch,
                      std::string_view& text) const;
    Match read_value(const boost::json::value& value, std::string& scratch,
                     std::string_view& text) const;
    Match read_word(const boost::json::value& value, std::string& scratch,
                    std::string_view& text) const;
    Match read_day(const boost::json::value& value, std::string& scratch,
                   std::string_view& text) const;
    bool is_true(const boost::json::value& value) const;
    Match judge(std::string_view text) const;

    Form form_ = Form::kAny;
    std::vector<Source> sources_;
    std::vector<Part> parts_;
    std::vector<std::string> nothing_;
    std::vector<std::string> last_resort_;
    std::vector<std::string> true_words_;
    std::int64_t minimum_ = INT64_MIN;
};

// The fields of a kind over those it inherits.
FieldRules compile_fields(const ConfigNode& node, const PlaceGroups& places, FieldRules inherited);

}  // namespace millrace
