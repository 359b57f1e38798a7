// Occurrences: the times of a rule in order, computed in local time and placed in a zone.
//
// One object per walk; not shared between threads. Never fails: a rule that can match no more ends.
// A rule that matches nothing within kHorizonYears ends too, so a walk is bounded in time.
// Semantics: RFC 5545, 3.3.10, and as python-dateutil where the RFC leaves room; an anchor that
// does not match the rule is not an occurrence.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "rule.hpp"

namespace millrace::recurring {

struct Occurrence {
    ZonedTime at;
    LocalTime planned;     // what the rule says; differs from at.local in a gap
    bool clamped = false;  // a shorter month: its last day stands for the anchor's
};

class Occurrences {
public:
    static constexpr int kHorizonYears = 400;

    // `anchor`: the first moment of the series, in `zone`.
    Occurrences(const Rule& rule, LocalTime anchor, Zone zone);

    std::optional<Occurrence> next();

    // Goes on with the first occurrence after `time`. Cheap for a series without COUNT.
    std::optional<Occurrence> next_after(UtcTime time);

private:
    bool fill();
    void fill_hourly();
    void add_days(std::vector<date::local_days>& days) const;
    void add_clamped(std::vector<date::local_days>& days) const;
    bool day_matches(date::local_days day, date::local_days first, date::local_days last) const;
    bool weekday_matches(date::local_days day, date::local_days first, date::local_days last) const;
    bool period_bounds(date::local_days& first, date::local_days& last) const;
    void select_positions();
    bool ended(const ZonedTime& at, LocalTime planned) const;
    void skip_to(UtcTime time);
    date::year_month month_of_period() const;

    Rule rule_;
    LocalTime anchor_;
    Zone zone_;
    std::vector<std::chrono::seconds> times_;  // of the day
    std::int64_t period_ = 0;                  // in units of the frequency, from the anchor's
    date::local_days horizon_;
    std::vector<LocalTime> buffer_;
    std::size_t position_ = 0;
    int emitted_ = 0;
    bool finished_ = false;
};

}  // namespace millrace::recurring
