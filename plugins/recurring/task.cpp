#include "task.hpp"

#include <algorithm>
#include <array>
#include <millrace/json.hpp>

#include "rule.hpp"

namespace millrace::recurring {
namespace {

// Names under which producers put a rule, without case and underscores. The reading rules tell no
// null from a member that is not there; for a rule that is taken away the difference counts.
constexpr std::array<std::string_view, 9> kRuleNames{
    "recurrence",       "recurring",      "recurrencerule", "rrule", "recurrencepattern",
    "recurringpattern", "recurrencetype", "isrecurring",    "rule"};
constexpr int kSearchDepth = 4;

std::string plain_name(std::string_view name) {
    std::string plain = lower_trimmed(name);
    std::erase(plain, '_');
    return plain;
}

bool is_never(const Json& value) {
    if (value.is_null() || value.boolean() == false) return true;
    const auto text = value.text();
    return text && read_rule(*text).kind == ReadingKind::kNothing;
}

bool has_empty_rule(const Json& value, int depth) {
    if (depth == 0) return false;
    return std::any_of(
        value.members().begin(), value.members().end(), [depth](const Json::Member& member) {
            const bool named = std::find(kRuleNames.begin(), kRuleNames.end(),
                                         plain_name(member.first)) != kRuleNames.end();
            return (named && is_never(member.second)) || has_empty_rule(member.second, depth - 1);
        });
}

bool says_never(const Event& event) {
    if (!event.value()) return false;
    try {
        return has_empty_rule(Json::parse(*event.value()), kSearchDepth);
    } catch (const JsonError&) {
        return false;  // readable for the server, too deep or odd for us: nothing is said
    }
}

std::optional<std::string> own(std::optional<std::string_view> text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}

std::optional<std::int64_t> interval_of(const Event& event) {
    const auto text = event.field("recurrence_interval");
    if (!text) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    return error == std::errc{} ? std::optional(value) : std::nullopt;
}

template <class T>
void take(std::optional<T>& stored, const std::optional<T>& said, bool newer) {
    if (said && (newer || !stored)) stored = said;
}

bool same_rule(const Task& stored, const Task& said) {
    const bool same_text = stored.rule && lower_trimmed(*stored.rule) == lower_trimmed(*said.rule);
    return same_text && (!said.interval || said.interval.value() == stored.interval.value_or(1));
}

// A changed rule begins anew at the task's due; one that is repeated goes on from its anchor.
void merge_rule(Task& stored, const Facts& facts, bool newer) {
    if (newer && !facts.said.rule && facts.says_never) {
        stored.rule = stored.until = stored.anchor = std::nullopt;
        stored.interval.reset();
        return;
    }
    const bool changes = facts.said.rule && !same_rule(stored, facts.said);
    if (changes && (newer || !stored.rule)) {
        if (stored.rule) stored.anchor = stored.until = std::nullopt;
        stored.rule = facts.said.rule;
        stored.interval = facts.said.interval;
    }
    take(stored.zone, facts.said.zone, newer);
    take(stored.until, facts.said.until, newer);
    take(stored.anchor, facts.said.anchor, !stored.anchor);
    take(stored.series, facts.said.series, !stored.series);
}

}  // namespace

std::int64_t time_of(const Event& event) {
    if (event.time()) return to_microseconds(*event.time());
    return to_microseconds(event.time_field("completed_at").value_or(event.record_time()));
}

Facts read_facts(const Event& event) {
    Facts facts;
    facts.time = time_of(event);
    Task& said = facts.said;
    if (const auto due = event.time_field("due")) said.due = to_microseconds(*due);
    said.title = own(event.field("title"));
    said.description = own(event.field("description"));
    said.priority = own(event.field("priority"));
    said.tags = own(event.field("tags"));
    said.rule = own(event.field("recurrence_rule"));
    said.interval = interval_of(event);
    said.zone = own(event.field("recurrence_timezone"));
    said.until = own(event.field("recurrence_until"));
    said.anchor = own(event.field("recurrence_anchor"));
    said.series = own(event.field("recurrence_series"));
    facts.says_never = !said.rule && says_never(event);
    return facts;
}

void merge(Task& stored, const Facts& facts) {
    const bool newer = facts.time >= stored.time;
    take(stored.due, facts.said.due, newer);
    take(stored.title, facts.said.title, newer);
    take(stored.description, facts.said.description, newer);
    take(stored.priority, facts.said.priority, newer);
    take(stored.tags, facts.said.tags, newer);
    merge_rule(stored, facts, newer);
    stored.time = std::max(stored.time, facts.time);
}

}  // namespace millrace::recurring
