// DayFilter: which days of a period a rule names (BYMONTH, BYMONTHDAY, BYYEARDAY, BYDAY).
//
// Immutable, any thread. A day costs the same however long the rule's lists are. Never fails.
#pragma once

#include <array>
#include <bitset>
#include <vector>

#include "rule.hpp"
#include "steps.hpp"

namespace millrace::recurring {

// "3 or -29": positions counted from either end, both from 1.
class Positions {
public:
    void add(int position);
    bool empty() const { return empty_; }
    bool has(std::int64_t from_front, std::int64_t from_back) const;

private:
    static constexpr std::size_t kSize = 367;
    std::bitset<kSize> front_;
    std::bitset<kSize> back_;
    bool empty_ = true;
};

class DayFilter {
public:
    explicit DayFilter(const Rule& rule);

    // The days from first to last, the bounds of a period, in order. False: the steps are spent.
    bool collect(date::local_days first, date::local_days last, Steps& steps,
                 std::vector<date::local_days>& days) const;

private:
    bool matches(date::local_days day, const date::year_month_day& calendar, date::local_days first,
                 date::local_days last) const;
    bool weekday_matches(date::local_days day, const date::year_month_day& calendar,
                         date::local_days first, date::local_days last) const;

    std::bitset<13> months_;
    Positions month_days_;
    Positions year_days_;
    std::array<Positions, 7> ordinal_weekdays_;
    std::bitset<7> every_weekday_;
    bool any_weekday_;        // BYDAY is not given
    bool ordinals_of_month_;  // in a year of chosen months they count within each
};

}  // namespace millrace::recurring
