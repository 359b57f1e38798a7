// Occurrences: the times of a rule in order, computed in local time and placed in a zone.
//
// One object per walk; not shared between threads. Never fails: a rule that can match no more ends,
// and so does a walk whose steps are spent (`steps.spent()` tells them apart). The occurrences of a
// period are made one by one when they are asked for, so memory is bounded by a year's days. A rule
// that matches nothing within kHorizonYears ends too. Semantics: RFC 5545, 3.3.10, and as
// python-dateutil where the RFC leaves room; an anchor that does not match the rule is not an
// occurrence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "day_filter.hpp"
#include "rule.hpp"
#include "steps.hpp"

namespace millrace::recurring {

struct Occurrence {
    ZonedTime at;
    LocalTime planned;     // what the rule says; differs from at.local in a gap
    bool clamped = false;  // a shorter month: its last day stands for the anchor's
};

// BYHOUR, BYMINUTE, BYSECOND: the times of a day in order, without a list of them.
class TimesOfDay {
public:
    TimesOfDay(const Rule& rule, LocalTime anchor);
    std::int64_t size() const;
    std::chrono::seconds at(std::int64_t index) const;

private:
    std::vector<int> hours_;
    std::vector<int> minutes_;
    std::vector<int> seconds_;
};

class Occurrences {
public:
    static constexpr int kHorizonYears = 400;

    // `anchor`: the first moment of the series, in `zone`. `steps` outlives this.
    Occurrences(const Rule& rule, LocalTime anchor, Zone zone, Steps& steps);

    std::optional<Occurrence> next();

    // Goes on with the first occurrence after `time`. Without COUNT it jumps there; a COUNT is
    // counted period by period.
    std::optional<Occurrence> next_after(UtcTime time);

private:
    bool fill();
    bool find_days();
    bool period_bounds(date::local_days& first, date::local_days& last) const;
    void select_positions();
    LocalTime candidate(std::int64_t position) const;
    std::int64_t lower_bound(LocalTime time) const;
    std::optional<Occurrence> next_hourly();
    std::optional<Occurrence> next_in_period();
    bool ended(const ZonedTime& at, LocalTime planned) const;
    void skip_hours(UtcTime time);
    void skip_periods(LocalTime local);
    void pass_over(LocalTime before);
    date::year_month month_of_period() const;

    Rule rule_;
    LocalTime anchor_;
    Zone zone_;
    Steps& steps_;
    DayFilter filter_;
    TimesOfDay times_;
    std::int64_t period_ = 0;  // the next one, in units of the frequency, from the anchor's
    date::local_days horizon_;
    date::local_days last_day_;  // of the current period
    // The candidates of the current period: each day at each time, or those of BYSETPOS.
    std::vector<date::local_days> days_;
    std::vector<std::int64_t> selected_;
    std::int64_t size_ = 0;
    std::int64_t position_ = 0;
    std::int64_t emitted_ = 0;
    bool finished_ = false;
};

}  // namespace millrace::recurring
