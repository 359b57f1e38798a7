// Fuzz target: the recurrence of a task, as a stranger's event says it. Whatever it is, the plan is
// made in bounded time and memory (libFuzzer's -timeout and -rss_limit_mb), and lies ahead.
//
// The input: the rule; then, each on a line of its own and optional, the zone, the anchor, the end,
// the interval.
#include <charconv>

#include "fuzz/check.hpp"
#include "occurrences.hpp"
#include "plan.hpp"
#include "rule.hpp"

namespace millrace::fuzz {
namespace {

using namespace recurring;

constexpr int kWalked = 20;
constexpr UtcTime kCompleted{std::chrono::seconds(1'767'225'600)};

std::optional<std::string> optional_line(std::string_view& text) {
    const std::string_view line = cut(text, "\n");
    return line.empty() ? std::nullopt : std::optional<std::string>(line);
}

// A rule may hold line ends: what follows it begins after the first blank line.
Task read_task(std::string_view text) {
    Task task;
    task.rule.value = std::string(cut(text, "\n\n"));
    task.zone.value = optional_line(text);
    task.anchor = optional_line(text);
    task.until.value = optional_line(text);
    if (const auto line = optional_line(text)) {
        std::int64_t interval = 0;
        std::from_chars(line->data(), line->data() + line->size(), interval);
        task.interval = interval;
    }
    task.due.value = 1'767'000'000'000'000;
    return task;
}

void check_plan(const Task& task, CatchUp catch_up) {
    Steps steps;
    const Plan plan = plan_next(task, kCompleted, catch_up, Zone::utc(), steps);
    check((plan.kind == PlanKind::kRefused) == !plan.problem.empty(), "a refusal says why");
    if (plan.kind == PlanKind::kNext && catch_up == CatchUp::kSkip)
        check(plan.due > kCompleted, "the next occurrence lies ahead", format_utc(plan.due));
}

void check_walk(const Task& task) {
    const Reading reading = read_rule(*task.rule.value);
    const auto anchor = parse_local(task.anchor.value_or("2026-01-31T09:00:00"));
    const auto zone = Zone::find(task.zone.value.value_or("UTC"));
    if (reading.kind != ReadingKind::kRule || !anchor || !zone) return;
    Steps steps;
    Occurrences walk(reading.rule, *anchor, *zone, steps);
    std::optional<UtcTime> before;
    for (int i = 0; i < kWalked; ++i) {
        const auto occurrence = walk.next();
        if (!occurrence) return;
        check(!before || *before <= occurrence->at.utc, "occurrences are in order",
              *task.rule.value);
        before = occurrence->at.utc;
    }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::fuzz;
    const auto task = read_task(view(data, size));
    check_plan(task, millrace::recurring::CatchUp::kSkip);
    check_plan(task, millrace::recurring::CatchUp::kEvery);
    check_walk(task);
    return 0;
}
