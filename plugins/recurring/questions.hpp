// The questions that recurring answers: `preview` (the occurrences of any rule) and `series` (the
// live ones of a user).
//
// Called from on_query, read-only. Errors: BadParameter, for the asker.
#pragma once

#include <millrace/plugin.hpp>
#include <string>

#include "plan.hpp"
#include "task_table.hpp"
#include "zone.hpp"

namespace millrace::recurring {

inline constexpr int kDefaultPreview = 10;
inline constexpr int kMaxPreview = 1'000;
inline constexpr int kDefaultSeries = 100;
inline constexpr int kMaxSeries = 1'000;

// rule, start (local, default now), zone, interval, count. `max_steps` bounds each answer: what it
// keeps from being found is told as a `problem`.
std::string answer_preview(const Parameters& parameters, Time now, const Zone& default_zone,
                           std::int64_t max_steps);

// user (default all), limit.
std::string answer_series(const Parameters& parameters, const TaskTable& tasks,
                          const Zone& default_zone, std::int64_t max_steps);

}  // namespace millrace::recurring
