#include "events/field_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

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

// "$body", or {changes: $body.changes}: a delta.
Place compile_place(const ConfigNode& node, const std::shared_ptr<const ChangePairs>& changes) {
    if (node.kind() == ConfigNode::Kind::kScalar) return {JsonPath::compile_place(node), nullptr};
    require_keys(node, {"changes"});
    if (!changes) node.error("there are no `changes` that say how a delta is written");
    return {JsonPath::compile_place(require_member(node, "changes")), changes};
}

// Digits, however many; empty: it is no whole number.
std::string large_number(const json::value& value) {
    if (value.is_uint64()) return std::to_string(value.get_uint64());
    if (const double* number = value.if_double()) {
        const bool whole = std::isfinite(*number) && std::trunc(*number) == *number;
        return whole ? fmt::format("{:.0f}", *number) : std::string{};
    }
    const json::string* text = value.if_string();
    const bool digits =
        text != nullptr && std::ranges::all_of(*text, [](char c) { return c >= '0' && c <= '9'; });
    return digits ? std::string(*text) : std::string{};
}

}  // namespace

std::shared_ptr<const ChangePairs> compile_changes(const ConfigNode& node) {
    require_keys(node, {"old", "new"});
    return std::make_shared<const ChangePairs>(ChangePairs{
        read_words(require_member(node, "old")), read_words(require_member(node, "new"))});
}

PlaceGroups compile_places(const ConfigNode& node, std::shared_ptr<const ChangePairs> changes) {
    if (node.kind() != ConfigNode::Kind::kMapping) node.error("expected a mapping of groups");
    PlaceGroups groups;
    for (const auto& [name, members] : node.members()) {
        for (const ConfigNode& place : require_items(members)) {
            groups[name].push_back(compile_place(place, changes));
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
            require_keys(
                node, {"is", "names", "in", "paths", "when", "nothing", "ignored", "last_resort"});
            break;
        case Form::kInteger:
            require_keys(node, {"is", "names", "in", "paths", "when", "minimum"});
            break;
        case Form::kFlag:
            require_keys(node, {"is", "names", "in", "paths", "true_words", "false_words"});
            break;
        default:
            require_keys(node, {"is", "names", "in", "paths", "when"});
    }
    nothing_ = read_words_of(node, "nothing");
    ignored_ = read_words_of(node, "ignored");
    last_resort_ = read_words_of(node, "last_resort");
    true_words_ = read_words_of(node, "true_words");
    false_words_ = read_words_of(node, "false_words");
    if (const auto flag = node.find("when")) switch_name_ = flag->as_string();
    if (const auto minimum = node.find("minimum")) {
        minimum_ = minimum->as_integer(INT64_MIN, INT64_MAX);
    }
}

void FieldRule::compile_sources(const ConfigNode& node, const PlaceGroups& places) {
    if (const auto paths = node.find("paths")) {
        if (node.find("names") || node.find("in")) paths->error("either paths, or names and in");
        return compile_paths(*paths);
    }
    names_ = JsonPath::compile_all(require_member(node, "names"), JsonPath::Allowed::kFields);
    const ConfigNode group = require_member(node, "in");
    const auto found = places.find(group.as_string());
    if (found == places.end()) group.error("no group of `places` has this name");
    places_ = found->second;
}

void FieldRule::compile_paths(const ConfigNode& paths) {
    constexpr auto kFields = JsonPath::Allowed::kFields;
    for (const ConfigNode& item : require_items(paths)) {
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

void FieldRule::compile_switch(const FieldRules& fields) {
    if (!switch_name_.empty()) switch_ = {fields.find(switch_name_)->second};
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
        if (rule.switch_name_.empty()) continue;
        const auto flag = fields.find(rule.switch_name_);
        const bool good = flag != fields.end() && flag->second.form_ == FieldRule::Form::kFlag;
        if (!good)
            require_member(member, "when").error("no field of this kind is a flag of this name");
    }
    for (auto& [name, rule] : fields) rule.compile_switch(fields);
    for (auto& [name, rule] : fields) rule.link_parts(fields);
    return fields;
}

std::optional<std::string_view> FieldRule::read(const EventSources& sources,
                                                std::string& scratch) const {
    const FieldFound found = find(sources, scratch);
    return found.state == FieldState::kText ? std::optional(found.text) : std::nullopt;
}

FieldFound FieldRule::find(const EventSources& sources, std::string& scratch) const {
    if (form_ == Form::kJoined) return find_joined(sources, scratch);
    if (is_switched_off(sources)) return {FieldState::kNothing};
    Search search;
    places_.empty() ? search_paths(sources, search, scratch)
                    : search_places(sources, search, scratch);
    if (!search.ended && search.last_resort != nullptr) {
        read_value(*search.last_resort, scratch, search.text);
        search.found = true;
    }
    if (search.found) return {FieldState::kText, search.text};
    return {search.nothing ? FieldState::kNothing : FieldState::kAbsent};
}

FieldFound FieldRule::find_joined(const EventSources& sources, std::string& scratch) const {
    std::string joined;
    std::string part_scratch;
    bool word = false;
    for (const Part& part : parts_) {
        if (part.after_word && !word) continue;
        const FieldFound found = part.rule.front().find(sources, part_scratch);
        const bool is_there = found.state == FieldState::kText;
        if (&part == &parts_.front()) {
            if (!is_there) return {found.state};
            word = is_word(found.text);
        }
        if (is_there) joined.append(part.before).append(found.text);
    }
    scratch = std::move(joined);
    return {FieldState::kText, scratch};
}

bool FieldRule::is_switched_off(const EventSources& sources) const {
    if (switch_.empty()) return false;
    std::string scratch;
    return switch_.front().read(sources, scratch) == "false";
}

void FieldRule::search_places(const EventSources& sources, Search& search,
                              std::string& scratch) const {
    boost::container::small_vector<const json::object*, 16> seen;
    for (const Place& place : places_) {
        const json::object* object = place.path.find_object(sources);
        if (object == nullptr || std::ranges::find(seen, object) != seen.end()) continue;
        seen.push_back(object);
        for (const JsonPath& name : names_) {
            look_at(name.locate_in(*object, place.pairs.get()), search, scratch);
            if (search.ended) return;
        }
        // A delta that says null means it: what lies elsewhere is what was.
        search.ended = place.pairs && search.nothing;
        if (search.ended) return;
    }
}

void FieldRule::search_paths(const EventSources& sources, Search& search,
                             std::string& scratch) const {
    const bool flat = sources.body == sources.event;
    for (const Source& source : sources_) {
        if (flat && source.repeats_body) continue;
        if (source.picked_from) {
            pick(source, sources, search, scratch);
        } else {
            look_at(source.path.locate(sources), search, scratch);
        }
        if (search.ended) return;
    }
}

void FieldRule::pick(const Source& source, const EventSources& sources, Search& search,
                     std::string& scratch) const {
    const json::value* names = source.path.find(sources);
    const json::object* object = source.picked_from->find_object(sources);
    if (names == nullptr || object == nullptr) return;
    std::string picked = picked_members(*names, *object);
    if (picked.empty()) return;
    scratch = std::move(picked);
    search.text = scratch;
    search.found = search.ended = true;
}

void FieldRule::look_at(const json::value* value, Search& search, std::string& scratch) const {
    if (value == nullptr) return;
    if (value->is_null() || (value->is_string() && value->get_string().empty())) {
        search.nothing = true;
        return;
    }
    switch (read_value(*value, scratch, search.text)) {
        case Match::kNone:
            return;
        case Match::kNo:
            search.nothing = search.ended = true;
            return;
        case Match::kYes:
            search.found = search.ended = !contains(last_resort_, search.text);
            if (!search.found && search.last_resort == nullptr) search.last_resort = value;
            return;
    }
}

FieldRule::Match FieldRule::read_value(const json::value& value, std::string& scratch,
                                       std::string_view& text) const {
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
        case Form::kInteger:
            return read_integer(value, scratch, text);
        case Form::kFlag:
            return read_flag(value, text);
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

FieldRule::Match FieldRule::read_integer(const json::value& value, std::string& scratch,
                                         std::string_view& text) const {
    const auto number = whole_number(value);
    if (number && *number < minimum_) return Match::kNone;
    scratch = number ? std::to_string(*number) : large_number(value);
    text = scratch;
    const bool too_small = !number && scratch.starts_with('-');
    return scratch.empty() || too_small ? Match::kNone : Match::kYes;
}

FieldRule::Match FieldRule::read_flag(const json::value& value, std::string_view& text) const {
    if (value.is_structured()) return Match::kNone;
    std::string scratch;
    const std::string word = to_lower(text_of(value, scratch));
    const bool* flag = value.if_bool();
    const bool is_true = flag != nullptr ? *flag : contains(true_words_, word);
    const bool is_said =
        flag != nullptr || is_true || false_words_.empty() || contains(false_words_, word);
    text = is_true ? "true" : "false";
    return is_said ? Match::kYes : Match::kNone;
}

FieldRule::Match FieldRule::judge(std::string_view text) const {
    if (nothing_.empty() && ignored_.empty()) return Match::kYes;
    const std::string word = to_lower(text);
    if (contains(ignored_, word)) return Match::kNone;
    return contains(nothing_, word) ? Match::kNo : Match::kYes;
}

}  // namespace millrace
