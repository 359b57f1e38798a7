#include "events/field_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "events/json_text.hpp"
#include "events/rule_nodes.hpp"
#include "events/time.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

bool is_word(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    });
}

bool is_lower(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_date_alone(std::string_view text) { return text.size() == 10; }

const std::vector<std::string> kForms = {"any",  "text", "word", "object", "integer",
                                         "flag", "time", "day",  "joined"};

// "" if none of the names is a member.
std::string picked_members(const json::value& names, const json::object& object) {
    const json::array* list = names.if_array();
    if (list == nullptr) return {};
    json::object picked;
    for (const json::value& name : *list) {
        const json::string* text = name.if_string();
        const json::value* value = text == nullptr ? nullptr : object.if_contains(*text);
        if (value != nullptr) picked[*text] = *value;
    }
    return picked.empty() ? std::string{} : json::serialize(picked);
}

}  // namespace

PlaceGroups compile_places(const ConfigNode& node) {
    if (node.kind() != ConfigNode::Kind::kMapping) node.error("expected a mapping of groups");
    PlaceGroups groups;
    for (const auto& [name, members] : node.members()) {
        for (const ConfigNode& place : require_items(members)) {
            groups[name].push_back(JsonPath::compile_place(place));
        }
    }
    return groups;
}

FieldRule FieldRule::compile(const ConfigNode& node, const PlaceGroups& places) {
    FieldRule rule;
    rule.form_ = static_cast<Form>(require_member(node, "is").as_choice(kForms) + 1);
    if (rule.form_ == Form::kJoined) {
        require_keys(node, {"is", "parts"});
        return rule;
    }
    rule.compile_options(node);
    rule.compile_sources(node, places);
    return rule;
}

void FieldRule::compile_options(const ConfigNode& node) {
    switch (form_) {
        case Form::kText:
        case Form::kWord:
            require_keys(node, {"is", "names", "in", "paths", "nothing", "last_resort"});
            break;
        case Form::kInteger:
            require_keys(node, {"is", "names", "in", "paths", "minimum"});
            break;
        case Form::kFlag:
            require_keys(node, {"is", "names", "in", "paths", "true_words"});
            break;
        default:
            require_keys(node, {"is", "names", "in", "paths"});
    }
    nothing_ = read_words_of(node, "nothing");
    last_resort_ = read_words_of(node, "last_resort");
    true_words_ = read_words_of(node, "true_words");
    if (const auto minimum = node.find("minimum")) {
        minimum_ = minimum->as_integer(INT64_MIN, INT64_MAX);
    }
}

void FieldRule::compile_sources(const ConfigNode& node, const PlaceGroups& places) {
    constexpr auto kFields = JsonPath::Allowed::kFields;
    if (const auto paths = node.find("paths")) {
        if (node.find("names") || node.find("in")) paths->error("either paths, or names and in");
        for (const ConfigNode& item : require_items(*paths)) {
            if (item.kind() == ConfigNode::Kind::kScalar) {
                add_source(JsonPath::compile(item.as_string(), item, kFields));
                continue;
            }
            require_keys(item, {"pick", "from"});
            if (form_ != Form::kObject) item.error("only a field that is an object can pick");
            const ConfigNode names = require_member(item, "pick");
            sources_.push_back({JsonPath::compile(names.as_string(), names, kFields),
                                JsonPath::compile_place(require_member(item, "from")), false});
        }
        return;
    }
    const auto names = JsonPath::compile_all(require_member(node, "names"), kFields);
    const ConfigNode group = require_member(node, "in");
    const auto found = places.find(group.as_string());
    if (found == places.end()) group.error("no group of `places` has this name");
    for (const JsonPath& place : found->second) {
        for (const JsonPath& name : names) add_source(place / name);
    }
}

void FieldRule::add_source(JsonPath path) {
    const bool repeats = std::ranges::any_of(
        sources_, [&](const Source& earlier) { return path.repeats_body(earlier.path); });
    sources_.push_back({std::move(path), {}, repeats});
}

void FieldRule::compile_parts(const ConfigNode& node, const FieldRules& fields) {
    for (const ConfigNode& item : require_items(require_member(node, "parts"))) {
        require_keys(item, {"field", "before", "after_word"});
        const ConfigNode name = require_member(item, "field");
        const auto field = fields.find(name.as_string());
        if (field == fields.end() || field->second.form_ == Form::kJoined) {
            name.error("no field of this kind has this name (and is not joined itself)");
        }
        Part part{name.as_string(), {}, {}, false};
        if (const auto before = item.find("before")) part.before = before->as_string();
        if (const auto word = item.find("after_word")) part.after_word = word->as_bool();
        parts_.push_back(std::move(part));
    }
}

void FieldRule::link_parts(const FieldRules& fields) {
    for (Part& part : parts_) part.rule = {fields.find(part.field)->second};
}

FieldRules compile_fields(const ConfigNode& node, const PlaceGroups& places, FieldRules fields) {
    if (node.kind() != ConfigNode::Kind::kMapping) node.error("expected a mapping of fields");
    for (const auto& [name, member] : node.members()) {
        fields.insert_or_assign(name, FieldRule::compile(member, places));
    }
    for (const auto& [name, member] : node.members()) {
        FieldRule& rule = fields.find(name)->second;
        if (rule.form_ == FieldRule::Form::kJoined) rule.compile_parts(member, fields);
    }
    for (auto& [name, rule] : fields) rule.link_parts(fields);
    return fields;
}

std::optional<std::string_view> FieldRule::read(const EventSources& sources,
                                                std::string& scratch) const {
    if (form_ == Form::kJoined) return read_joined(sources, scratch);
    const Source* last_resort = nullptr;
    std::string_view text;
    const bool flat = sources.body == sources.event;
    for (const Source& source : sources_) {
        if (flat && source.repeats_body) continue;
        const Match match = read_source(source, sources, scratch, text);
        if (match == Match::kNo) return std::nullopt;
        if (match == Match::kNone) continue;
        if (!contains(last_resort_, text)) return text;
        if (last_resort == nullptr) last_resort = &source;
    }
    if (last_resort == nullptr) return std::nullopt;
    read_source(*last_resort, sources, scratch, text);
    return text;
}

std::optional<std::string_view> FieldRule::read_joined(const EventSources& sources,
                                                       std::string& scratch) const {
    std::string joined;
    std::string part_scratch;
    bool word = false;
    for (const Part& part : parts_) {
        if (part.after_word && !word) continue;
        const auto text = part.rule.front().read(sources, part_scratch);
        if (&part == &parts_.front()) {
            if (!text) return std::nullopt;
            word = is_word(*text);
        }
        if (text) joined.append(part.before).append(*text);
    }
    scratch = std::move(joined);
    return scratch;
}

FieldRule::Match FieldRule::read_source(const Source& source, const EventSources& sources,
                                        std::string& scratch, std::string_view& text) const {
    const json::value* value = source.path.find(sources);
    if (value == nullptr) return Match::kNone;
    if (!source.picked_from) return read_value(*value, scratch, text);
    const json::object* object = source.picked_from->find_object(sources);
    if (object != nullptr) scratch = picked_members(*value, *object);
    if (object == nullptr || scratch.empty()) return Match::kNone;
    text = scratch;
    return Match::kYes;
}

FieldRule::Match FieldRule::read_value(const json::value& value, std::string& scratch,
                                       std::string_view& text) const {
    const json::string* string = value.if_string();
    if (string != nullptr && string->empty()) return Match::kNone;
    switch (form_) {
        case Form::kAny:
            text = text_of(value, scratch);
            return Match::kYes;
        case Form::kText: {
            const auto found = text_or_number(value, scratch);
            if (!found) return Match::kNone;
            text = *found;
            return judge(text);
        }
        case Form::kWord:
            return read_word(value, scratch, text);
        case Form::kObject:
            if (!value.is_structured()) return Match::kNone;
            text = scratch = json::serialize(value);
            return Match::kYes;
        case Form::kInteger: {
            const auto number = whole_number(value);
            if (!number || *number < minimum_) return Match::kNone;
            text = scratch = std::to_string(*number);
            return Match::kYes;
        }
        case Form::kFlag:
            if (value.is_structured()) return Match::kNone;
            text = is_true(value) ? "true" : "false";
            return Match::kYes;
        case Form::kTime:
        case Form::kDay:
            return read_day(value, scratch, text);
        case Form::kJoined:
            break;
    }
    return Match::kNone;
}

FieldRule::Match FieldRule::read_word(const json::value& value, std::string& scratch,
                                      std::string_view& text) const {
    if (!value.is_string()) return Match::kNone;
    text = value.get_string();
    if (is_word(text) && !is_lower(text)) text = scratch = to_lower(text);
    return judge(text);
}

FieldRule::Match FieldRule::read_day(const json::value& value, std::string& scratch,
                                     std::string_view& text) const {
    const auto time = time_of(value);
    if (!time) return Match::kNone;
    if (form_ == Form::kDay && value.is_string() && is_date_alone(value.get_string())) {
        text = value.get_string();
    } else {
        text = scratch = format_time(*time);
    }
    return Match::kYes;
}

bool FieldRule::is_true(const json::value& value) const {
    if (const bool* flag = value.if_bool()) return *flag;
    std::string scratch;
    return contains(true_words_, to_lower(text_of(value, scratch)));
}

FieldRule::Match FieldRule::judge(std::string_view text) const {
    if (nothing_.empty()) return Match::kYes;
    return contains(nothing_, to_lower(text)) ? Match::kNo : Match::kYes;
}

}  // namespace millrace
