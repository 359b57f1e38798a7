#include "day_filter.hpp"

namespace millrace::recurring {
namespace {

using date::days;
using date::local_days;
using date::year_month_day;

local_days first_of_month(const year_month_day& day) {
    return local_days{day.year() / day.month() / 1};
}
local_days last_of_month(const year_month_day& day) {
    return local_days{day.year() / day.month() / date::last};
}

}  // namespace

void Positions::add(int position) {
    empty_ = false;
    const auto index = static_cast<std::size_t>(std::abs(position));
    if (index < kSize) (position > 0 ? front_ : back_).set(index);
}

bool Positions::has(std::int64_t from_front, std::int64_t from_back) const {
    return front_.test(static_cast<std::size_t>(from_front)) ||
           back_.test(static_cast<std::size_t>(from_back));
}

DayFilter::DayFilter(const Rule& rule)
    : any_weekday_(rule.by_day.empty()),
      ordinals_of_month_(rule.frequency == Frequency::kYearly && !rule.by_month.empty()) {
    for (const int month : rule.by_month) months_.set(static_cast<std::size_t>(month));
    for (const int day : rule.by_month_day) month_days_.add(day);
    for (const int day : rule.by_year_day) year_days_.add(day);
    for (const WeekdayRule& each : rule.by_day) {
        const unsigned weekday = each.weekday.c_encoding();
        if (each.ordinal == 0) every_weekday_.set(weekday);
        if (each.ordinal != 0) ordinal_weekdays_[weekday].add(each.ordinal);
    }
}

bool DayFilter::collect(local_days first, local_days last, Steps& steps,
                        std::vector<local_days>& found) const {
    for (local_days day = first; day <= last; day += days{1}) {
        if (!steps.take()) return false;
        const year_month_day calendar{day};
        if (months_.any() && !months_.test(static_cast<unsigned>(calendar.month()))) {
            day = last_of_month(calendar);
        } else if (matches(day, calendar, first, last)) {
            found.push_back(day);
        }
    }
    return true;
}

bool DayFilter::matches(local_days day, const year_month_day& calendar, local_days first,
                        local_days last) const {
    if (!month_days_.empty() && !month_days_.has(static_cast<unsigned>(calendar.day()),
                                                 (last_of_month(calendar) - day).count() + 1)) {
        return false;
    }
    if (!year_days_.empty() &&
        !year_days_.has((day - first).count() + 1, (last - day).count() + 1)) {
        return false;
    }
    return any_weekday_ || weekday_matches(day, calendar, first, last);
}

bool DayFilter::weekday_matches(local_days day, const year_month_day& calendar, local_days first,
                                local_days last) const {
    const unsigned weekday = date::weekday{day}.c_encoding();
    if (every_weekday_.test(weekday)) return true;
    const Positions& ordinals = ordinal_weekdays_[weekday];
    if (ordinals.empty()) return false;
    if (ordinals_of_month_) {
        first = first_of_month(calendar);
        last = last_of_month(calendar);
    }
    return ordinals.has((day - first).count() / 7 + 1, (last - day).count() / 7 + 1);
}

}  // namespace millrace::recurring
