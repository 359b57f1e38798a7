// The plan: what follows when a task is completed. Pure; any thread; never fails, a rule that is
// not understood is a kind of plan. The policy (catch-up, anchors) is explained in
// docs/RECURRENCE.md.
#pragma once

#include <optional>
#include <string>

#include "steps.hpp"
#include "task.hpp"
#include "zone.hpp"

namespace millrace::recurring {

enum class CatchUp {
    kSkip = 1,  // the next occurrence after the completion, and after the due
    kEvery      // the next occurrence after the due, even if it is past
};

enum class PlanKind {
    kNext = 1,
    kEnded,         // COUNT, UNTIL or the end date is reached
    kNotRecurring,  // no rule, or "none"
    kCustom,        // "custom", and the rule is nowhere to be found
    kRefused        // `problem` says what is wrong with the rule, or that it takes too many steps
};

struct Plan {
    PlanKind kind = PlanKind::kNotRecurring;
    UtcTime due;           // kNext
    LocalTime anchor;      // kNext: where the series began
    std::string problem;   // kRefused
    std::string bad_zone;  // a zone that is not known; the default one was taken
};

Plan plan_next(const Task& task, UtcTime completed, CatchUp catch_up, const Zone& default_zone,
               Steps& steps);

}  // namespace millrace::recurring
