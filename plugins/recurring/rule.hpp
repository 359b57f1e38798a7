// Rule: how a task recurs, read from what producers write: a word ("weekly"), a word with an
// interval ("weekly every 2"), or an RRULE (RFC 5545, 3.3.10) with or without "RRULE:" and a
// DTSTART line.
//
// Plain values and pure functions; any thread. Reading never throws: what is not understood is
// refused with a problem that says what and where. The supported part of RFC 5545 is in
// docs/RECURRENCE.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zone.hpp"

namespace millrace::recurring {

enum class Frequency { kHourly = 1, kDaily, kWeekly, kMonthly, kYearly };

// BYDAY: every such weekday, or the ordinal-th of the month or year (-1: the last).
struct WeekdayRule {
    date::weekday weekday;
    int ordinal = 0;  // 0: every
};

// The end of a series. A date without a time means the whole of that day.
struct Until {
    enum class Kind { kUtc = 1, kLocal, kDate };
    Kind kind = Kind::kUtc;
    LocalTime time;  // for kUtc the UTC clock
};

struct Rule {
    Frequency frequency = Frequency::kDaily;
    int interval = 1;
    // Words count months from the anchor and take the last day of a shorter month; RRULEs skip such
    // months (RFC 5545).
    bool clamp_to_month_end = false;
    std::optional<int> count;
    std::optional<Until> until;
    std::vector<WeekdayRule> by_day;
    std::vector<int> by_month_day;
    std::vector<int> by_year_day;
    std::vector<int> by_month;
    std::vector<int> by_set_position;
    std::vector<int> by_hour;
    std::vector<int> by_minute;
    std::vector<int> by_second;
    date::weekday week_start = date::Monday;
    std::optional<LocalTime> start;  // DTSTART; in UTC when start_zone is "UTC"
    std::string start_zone;          // DTSTART's TZID; empty: floating
};

enum class ReadingKind {
    kRule = 1,
    kNothing,  // empty, "none", "never": the task does not recur
    kCustom,   // "custom" without a rule: the rule is somewhere else
    kRefused   // `problem` says what and where
};

struct Reading {
    ReadingKind kind = ReadingKind::kNothing;
    Rule rule;
    std::string problem;
};

inline constexpr int kMaxInterval = 10'000;
inline constexpr int kMaxCount = 100'000;
inline constexpr std::size_t kMaxRuleText = 4'000;
// Every five minutes. A stranger's rule must not fill the memory: a year of every second is 250 MB.
inline constexpr std::size_t kMaxTimesOfDay = 288;

// `interval` is the producer's separate field; it counts where the text itself has none.
Reading read_rule(std::string_view text, std::optional<int> interval = std::nullopt);

// "2026-12-31", "2026-12-31T18:00:00Z", ...: a date, or midnight, means the whole of that day.
std::optional<Until> read_until(std::string_view text);

// For read_rule: the RRULE part alone, in rrule.cpp.
Reading read_rrule(std::string_view text);

// "  Weekly " -> "weekly".
std::string lower_trimmed(std::string_view text);

}  // namespace millrace::recurring
