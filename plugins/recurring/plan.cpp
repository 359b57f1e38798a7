#include "plan.hpp"

#include <algorithm>
#include <limits>
#include <millrace/time.hpp>
#include <utility>

#include "occurrences.hpp"
#include "rule.hpp"

namespace millrace::recurring {
namespace {

UtcTime to_seconds(std::int64_t microseconds) {
    return date::floor<std::chrono::seconds>(from_microseconds(microseconds));
}

Zone choose_zone(const Task& task, const Rule& rule, const Zone& otherwise, Plan& plan) {
    const std::string name = task.zone.value.value_or(rule.start_zone);
    if (name.empty()) return otherwise;
    if (auto zone = Zone::find(name)) return *std::move(zone);
    plan.bad_zone = name;
    return otherwise;
}

LocalTime choose_anchor(const Task& task, const Rule& rule, UtcTime base, const Zone& zone) {
    if (task.anchor) {
        if (const auto anchor = parse_local(*task.anchor)) return *anchor;
    }
    if (rule.start) return *rule.start;
    return zone.to_local(base);
}

std::optional<int> interval_of(const Task& task) {
    if (!task.interval) return std::nullopt;
    return static_cast<int>(
        std::clamp<std::int64_t>(*task.interval, 0, std::numeric_limits<int>::max()));
}

}  // namespace

Plan plan_next(const Task& task, UtcTime completed, CatchUp catch_up, const Zone& default_zone,
               Steps& steps) {
    Plan plan;
    if (!task.rule.value) return plan;
    Reading reading = read_rule(*task.rule.value, interval_of(task));
    plan.problem = reading.problem;
    switch (reading.kind) {
        case ReadingKind::kNothing:
            return plan;
        case ReadingKind::kCustom:
            plan.kind = PlanKind::kCustom;
            return plan;
        case ReadingKind::kRefused:
            plan.kind = PlanKind::kRefused;
            return plan;
        case ReadingKind::kRule:
            break;
    }
    if (task.until.value && !reading.rule.until) reading.rule.until = read_until(*task.until.value);
    const Zone zone = choose_zone(task, reading.rule, default_zone, plan);
    const UtcTime base = task.due.value ? to_seconds(*task.due.value) : completed;
    plan.anchor = choose_anchor(task, reading.rule, base, zone);
    const UtcTime after = catch_up == CatchUp::kSkip ? std::max(base, completed) : base;
    const auto next = Occurrences(reading.rule, plan.anchor, zone, steps).next_after(after);
    plan.kind = next ? PlanKind::kNext : PlanKind::kEnded;
    if (!next && steps.spent()) {
        plan.kind = PlanKind::kRefused;
        plan.problem = steps.problem();
    }
    if (next) plan.due = next->at.utc;
    return plan;
}

}  // namespace millrace::recurring
