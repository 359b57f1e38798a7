#include "task.hpp"

#include <algorithm>
#include <charconv>

#include "rule.hpp"

namespace millrace::recurring {
namespace {

std::optional<std::string> own(std::optional<std::string_view> text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}

// One that is too large for any number is kept as the largest: it is refused, not forgotten.
std::optional<std::int64_t> interval_of(const Event& event) {
    const auto text = event.field("recurrence_interval");
    if (!text) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc::result_out_of_range) return std::numeric_limits<std::int64_t>::max();
    return error == std::errc{} ? std::optional(value) : std::nullopt;
}

bool same_rule(const Task& stored, const Facts& said) {
    const bool same_text =
        stored.rule.value && lower_trimmed(*stored.rule.value) == lower_trimmed(*said.rule);
    return same_text && (!said.interval || said.interval.value() == stored.interval.value_or(1));
}

void take_missing(std::optional<std::string>& stored, const std::optional<std::string>& said) {
    if (!stored) stored = said;
}

void forget_series(Task& stored) {
    stored.anchor.reset();
    stored.until = {};
}

// A changed rule begins anew at the task's due; one that is repeated goes on from its anchor.
void change_rule(Task& stored, const Facts& facts) {
    const bool changes = !same_rule(stored, facts);
    if (changes && stored.rule.value) forget_series(stored);
    if (changes) stored.interval = facts.interval;
    if (changes || facts.time >= stored.rule.time)
        stored.rule = {facts.rule, std::max(facts.time, stored.rule.time)};
}

// The interval alone, in an update that says no more.
void change_interval(Task& stored, const Facts& facts) {
    if (!stored.rule.value || facts.interval.value() == stored.interval.value_or(1)) return;
    forget_series(stored);
    stored.interval = facts.interval;
    stored.rule.time = facts.time;
}

void merge_rule(Task& stored, const Facts& facts) {
    const bool newer = facts.time >= stored.rule.time;
    if (facts.rule) {
        if (!newer && !is_custom(stored.rule.value) && !same_rule(stored, facts)) return;
        change_rule(stored, facts);
    } else if (facts.rule_gone) {
        if (!newer) return;
        stored.rule.clear(facts.time);
        stored.interval.reset();
        return forget_series(stored);
    } else if (facts.interval && newer) {
        change_interval(stored, facts);
    }
    stored.zone.take(facts.zone, facts.time);
    stored.until.take(facts.until, facts.time);
    take_missing(stored.anchor, facts.anchor);
    take_missing(stored.series, facts.series);
}

}  // namespace

bool is_custom(const std::optional<std::string>& rule) {
    return rule && read_rule(*rule).kind == ReadingKind::kCustom;
}

std::int64_t time_of(const Event& event) {
    if (event.time()) return to_microseconds(*event.time());
    return to_microseconds(event.time_field("completed_at").value_or(event.record_time()));
}

Facts read_facts(const Event& event) {
    Facts facts;
    facts.time = time_of(event);
    if (const auto due = event.time_field("due")) facts.due = to_microseconds(*due);
    facts.title = own(event.field("title"));
    facts.description = own(event.field("description"));
    facts.priority = own(event.field("priority"));
    facts.tags = own(event.field("tags"));
    facts.rule = own(event.field("recurrence_rule"));
    facts.interval = interval_of(event);
    facts.zone = own(event.field("recurrence_timezone"));
    facts.until = own(event.field("recurrence_until"));
    facts.anchor = own(event.field("recurrence_anchor"));
    facts.series = own(event.field("recurrence_series"));
    facts.rule_gone = !facts.rule && event.said("recurrence_rule") == Said::kNothing;
    // Completed events often have an empty due; only an update means it.
    facts.due_gone = !facts.due && event.type() == "updated" && event.said("due") == Said::kNothing;
    return facts;
}

void merge(Task& stored, const Facts& facts) {
    stored.due.take(facts.due, facts.time);
    if (facts.due_gone) stored.due.clear(facts.time);
    stored.title.take(facts.title, facts.time);
    stored.description.take(facts.description, facts.time);
    stored.priority.take(facts.priority, facts.time);
    stored.tags.take(facts.tags, facts.time);
    merge_rule(stored, facts);
    stored.time = std::max(stored.time, facts.time);
}

}  // namespace millrace::recurring
