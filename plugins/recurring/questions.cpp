#include "questions.hpp"

#include <utility>

#include "occurrences.hpp"
#include "rule.hpp"

namespace millrace::recurring {
namespace {

Rule asked_rule(const Parameters& parameters) {
    const auto text = parameters.text("rule");
    if (!text)
        throw BadParameter(
            "'rule' is missing: a word like weekly, or an RRULE like FREQ=WEEKLY;BYDAY=MO");
    std::optional<int> interval;
    if (const auto given = parameters.integer("interval", 1, kMaxInterval))
        interval = static_cast<int>(*given);
    Reading reading = read_rule(*text, interval);
    switch (reading.kind) {
        case ReadingKind::kRule:
            return std::move(reading.rule);
        case ReadingKind::kNothing:
            throw BadParameter("'rule' is '" + std::string(*text) + "': that does not recur");
        case ReadingKind::kCustom:
            throw BadParameter("'rule' is 'custom', which names no rule");
        case ReadingKind::kRefused:
            break;
    }
    throw BadParameter("'rule' is not understood: " + reading.problem);
}

Zone asked_zone(const Parameters& parameters, const Rule& rule, const Zone& otherwise) {
    const auto name = parameters.text("zone");
    if (!name && rule.start_zone.empty()) return otherwise;
    auto zone = Zone::find(name ? *name : std::string_view(rule.start_zone));
    if (!zone)
        throw BadParameter("'zone' is '" + std::string(name.value_or("")) +
                           "', it must be like Europe/Paris");
    return *std::move(zone);
}

LocalTime asked_start(const Parameters& parameters, const Rule& rule, Time now, const Zone& zone) {
    const auto text = parameters.text("start");
    if (!text) return rule.start.value_or(zone.to_local(date::floor<std::chrono::seconds>(now)));
    const auto start = parse_local(*text);
    if (!start) {
        throw BadParameter("'start' is '" + std::string(*text) +
                           "', it must be local time without offset, like 2026-01-31T09:00:00");
    }
    return *start;
}

Json note_of(const Occurrence& occurrence) {
    switch (occurrence.at.fit) {
        case LocalFit::kGap:
            return "the clocks skip " + format_local(occurrence.planned) +
                   ": moved forward by the gap";
        case LocalFit::kOverlap:
            return "the clocks show this time twice: the first is meant";
        case LocalFit::kUnique:
            break;
    }
    if (occurrence.clamped) return "a shorter month: its last day";
    return nullptr;
}

Json time_or_null(const std::optional<std::int64_t>& microseconds) {
    return microseconds ? Json(format_time(from_microseconds(*microseconds))) : Json(nullptr);
}

Json describe(const Task& task, const Zone& default_zone, Steps& steps) {
    const auto base =
        date::floor<std::chrono::seconds>(from_microseconds(task.due.value.value_or(task.time)));
    const Plan plan = plan_next(task, base, CatchUp::kEvery, default_zone, steps);
    return Json::object(
        {{"user_id", task.user},
         {"series", task.series.value_or(task.task)},
         {"task_id", task.task},
         {"title", task.title.value},
         {"rule", task.rule.value},
         {"interval", task.interval.value_or(1)},
         {"timezone", task.zone.value.value_or(default_zone.name())},
         {"until", task.until.value},
         {"due", time_or_null(task.due.value)},
         {"next", plan.kind == PlanKind::kNext ? Json(format_utc(plan.due)) : Json(nullptr)},
         {"problem", plan.problem.empty() ? Json(nullptr) : Json(plan.problem)}});
}

}  // namespace

std::string answer_preview(const Parameters& parameters, Time now, const Zone& default_zone,
                           std::int64_t max_steps) {
    const Rule rule = asked_rule(parameters);
    const Zone zone = asked_zone(parameters, rule, default_zone);
    const auto count = parameters.integer("count", 1, kMaxPreview).value_or(kDefaultPreview);
    Steps steps(max_steps);
    Occurrences walk(rule, asked_start(parameters, rule, now, zone), zone, steps);
    Json occurrences = Json::array();
    std::optional<Occurrence> next = walk.next();
    for (std::int64_t at = 0; at < count && next; ++at, next = walk.next()) {
        occurrences.push_back(Json::object({{"local", format_local(next->at.local)},
                                            {"utc", format_utc(next->at.utc)},
                                            {"note", note_of(*next)}}));
    }
    Json answer = Json::object({{"occurrences", std::move(occurrences)},
                                {"finished", !next.has_value() && !steps.spent()}});
    if (steps.spent()) answer.set("problem", steps.problem());
    return answer.dump();
}

std::string answer_series(const Parameters& parameters, const TaskTable& tasks,
                          const Zone& default_zone, std::int64_t max_steps) {
    const auto limit = parameters.integer("limit", 1, kMaxSeries).value_or(kDefaultSeries);
    Json items = Json::array();
    Steps steps(max_steps);
    tasks.each_live(parameters.text("user"), limit, [&](const Task& task) {
        items.push_back(describe(task, default_zone, steps));
    });
    return Json::object({{"items", std::move(items)}}).dump();
}

}  // namespace millrace::recurring
