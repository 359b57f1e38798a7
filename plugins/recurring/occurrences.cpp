#include "occurrences.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace millrace::recurring {
namespace {

using date::days;
using date::local_days;
using date::year_month_day;

constexpr int kLastYear = 9999;

bool contains(const std::vector<int>& values, int value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

// "3 or -29": positions counted from either end, both from 1.
bool contains_either(const std::vector<int>& values, std::int64_t from_front,
                     std::int64_t from_back) {
    return contains(values, static_cast<int>(from_front)) ||
           contains(values, -static_cast<int>(from_back));
}

local_days first_of_month(year_month_day day) { return local_days{day.year() / day.month() / 1}; }
local_days last_of_month(year_month_day day) {
    return local_days{day.year() / day.month() / date::last};
}

std::vector<std::chrono::seconds> times_of_day(const Rule& rule, LocalTime anchor) {
    const date::hh_mm_ss<std::chrono::seconds> clock{anchor - date::floor<days>(anchor)};
    const auto or_own = [](const std::vector<int>& given, std::int64_t own) {
        return given.empty() ? std::vector<int>{static_cast<int>(own)} : given;
    };
    std::vector<std::chrono::seconds> times;
    for (const int hour : or_own(rule.by_hour, clock.hours().count())) {
        for (const int minute : or_own(rule.by_minute, clock.minutes().count())) {
            for (const int second : or_own(rule.by_second, clock.seconds().count())) {
                times.push_back(std::chrono::hours{hour} + std::chrono::minutes{minute} +
                                std::chrono::seconds{second});
            }
        }
    }
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    return times;
}

// Without any part that names days the anchor does (RFC 5545: "the information comes from
// DTSTART").
void take_days_from_anchor(Rule& rule, year_month_day anchor) {
    if (!rule.by_day.empty() || !rule.by_month_day.empty() || !rule.by_year_day.empty()) return;
    if (rule.frequency == Frequency::kWeekly) {
        rule.by_day.push_back({date::weekday{local_days{anchor}}});
    } else if (rule.frequency == Frequency::kMonthly || rule.frequency == Frequency::kYearly) {
        rule.by_month_day.push_back(static_cast<int>(static_cast<unsigned>(anchor.day())));
        if (rule.frequency == Frequency::kYearly && rule.by_month.empty()) {
            rule.by_month.push_back(static_cast<int>(static_cast<unsigned>(anchor.month())));
        }
    }
}

bool counts_by_months(const Rule& rule) {
    return rule.frequency == Frequency::kMonthly || rule.frequency == Frequency::kYearly;
}

}  // namespace

Occurrences::Occurrences(const Rule& rule, LocalTime anchor, Zone zone)
    : rule_(rule), anchor_(anchor), zone_(std::move(zone)), times_(times_of_day(rule, anchor)) {
    const year_month_day day{date::floor<days>(anchor)};
    rule_.clamp_to_month_end = rule.clamp_to_month_end && counts_by_months(rule);
    if (!rule_.clamp_to_month_end) take_days_from_anchor(rule_, day);
    horizon_ = date::floor<days>(anchor) + days{366 * kHorizonYears};
}

date::year_month Occurrences::month_of_period() const {
    const year_month_day anchor{date::floor<days>(anchor_)};
    const std::int64_t months = rule_.frequency == Frequency::kYearly ? period_ * 12 : period_;
    return anchor.year() / anchor.month() + date::months{months};
}

// The first and last day of the current period. False: beyond the calendar.
bool Occurrences::period_bounds(local_days& first, local_days& last) const {
    const local_days anchor = date::floor<days>(anchor_);
    if (rule_.frequency == Frequency::kDaily) {
        first = last = anchor + days{period_};
    } else if (rule_.frequency == Frequency::kWeekly) {
        first = anchor - (date::weekday{anchor} - rule_.week_start) + days{7 * period_};
        last = first + days{6};
    } else {
        const date::year_month month = month_of_period();
        if (static_cast<int>(month.year()) > kLastYear) return false;
        const bool year = rule_.frequency == Frequency::kYearly && !rule_.clamp_to_month_end;
        first = year ? local_days{month.year() / 1 / 1} : local_days{month / 1};
        last = year ? local_days{month.year() / 12 / 31} : local_days{month / date::last};
    }
    return static_cast<int>(year_month_day{first}.year()) <= kLastYear;
}

bool Occurrences::weekday_matches(local_days day, local_days first, local_days last) const {
    const date::weekday weekday{day};
    if (rule_.frequency == Frequency::kYearly && !rule_.by_month.empty()) {
        first = first_of_month(year_month_day{day});
        last = last_of_month(year_month_day{day});
    }
    const std::int64_t from_front = (day - first).count() / 7 + 1;
    const std::int64_t from_back = (last - day).count() / 7 + 1;
    return std::any_of(rule_.by_day.begin(), rule_.by_day.end(), [&](const WeekdayRule& each) {
        return each.weekday == weekday &&
               (each.ordinal == 0 || each.ordinal == from_front || each.ordinal == -from_back);
    });
}

bool Occurrences::day_matches(local_days day, local_days first, local_days last) const {
    const year_month_day calendar{day};
    if (!rule_.by_month.empty() &&
        !contains(rule_.by_month, static_cast<int>(static_cast<unsigned>(calendar.month())))) {
        return false;
    }
    if (!rule_.by_month_day.empty() &&
        !contains_either(rule_.by_month_day, (day - first_of_month(calendar)).count() + 1,
                         (last_of_month(calendar) - day).count() + 1)) {
        return false;
    }
    if (!rule_.by_year_day.empty() &&
        !contains_either(rule_.by_year_day, (day - first).count() + 1, (last - day).count() + 1)) {
        return false;
    }
    return rule_.by_day.empty() || weekday_matches(day, first, last);
}

void Occurrences::add_clamped(std::vector<local_days>& result) const {
    const date::year_month month = month_of_period();
    if (static_cast<int>(month.year()) > kLastYear) return;
    const year_month_day planned = month / year_month_day{date::floor<days>(anchor_)}.day();
    result.push_back(planned.ok() ? local_days{planned} : local_days{month / date::last});
}

void Occurrences::add_days(std::vector<local_days>& result) const {
    local_days first;
    local_days last;
    if (!period_bounds(first, last)) return;
    for (local_days day = first; day <= last; day += days{1}) {
        if (day_matches(day, first, last)) result.push_back(day);
    }
}

void Occurrences::select_positions() {
    if (rule_.by_set_position.empty()) return;
    std::vector<LocalTime> selected;
    // None of them lies within this period; a rule of which that is always so is walked far.
    if (std::ranges::all_of(rule_.by_set_position, [&](int position) {
            return std::abs(position) > static_cast<int>(buffer_.size());
        })) {
        buffer_.clear();
        return;
    }
    for (std::size_t at = 0; at < buffer_.size(); ++at) {
        if (contains_either(rule_.by_set_position, static_cast<std::int64_t>(at) + 1,
                            static_cast<std::int64_t>(buffer_.size() - at))) {
            selected.push_back(buffer_[at]);
        }
    }
    buffer_ = std::move(selected);
}

// The next period that has occurrences. False: there is none.
bool Occurrences::fill() {
    while (true) {
        local_days first;
        local_days last;
        if (!period_bounds(first, last) || first > horizon_) return false;
        std::vector<local_days> matching;
        rule_.clamp_to_month_end ? add_clamped(matching) : add_days(matching);
        period_ += rule_.interval;
        buffer_.clear();
        position_ = 0;
        for (const local_days day : matching) {
            for (const std::chrono::seconds time : times_) buffer_.push_back(day + time);
        }
        select_positions();
        std::erase_if(buffer_, [&](LocalTime each) { return each < anchor_; });
        if (!buffer_.empty()) {
            horizon_ = first + days{366 * kHorizonYears};
            return true;
        }
    }
}

// Hours pass evenly, whatever the clocks do: the buffer holds what they show then.
void Occurrences::fill_hourly() {
    const UtcTime start = zone_.from_local(anchor_).utc;
    buffer_ = {zone_.to_local(start + std::chrono::hours{period_})};
    position_ = 0;
    period_ += rule_.interval;
}

bool Occurrences::ended(const ZonedTime& at, LocalTime planned) const {
    if (rule_.count && emitted_ >= *rule_.count) return true;
    if (!rule_.until) return false;
    switch (rule_.until->kind) {
        case Until::Kind::kUtc:
            return at.utc.time_since_epoch() > rule_.until->time.time_since_epoch();
        case Until::Kind::kLocal:
            return planned > rule_.until->time;
        case Until::Kind::kDate:
            return date::floor<days>(planned) > date::floor<days>(rule_.until->time);
    }
    return true;
}

std::optional<Occurrence> Occurrences::next() {
    if (finished_) return std::nullopt;
    Occurrence result;
    if (rule_.frequency == Frequency::kHourly) {
        const UtcTime utc = zone_.from_local(anchor_).utc + std::chrono::hours{period_};
        fill_hourly();
        result.planned = buffer_.front();
        result.at = {utc, result.planned, LocalFit::kUnique};
        finished_ =
            static_cast<int>(year_month_day{date::floor<days>(result.planned)}.year()) > kLastYear;
    } else {
        if (position_ >= buffer_.size() && !fill()) finished_ = true;
        if (finished_) return std::nullopt;
        result.planned = buffer_[position_++];
        result.at = zone_.from_local(result.planned);
        result.clamped =
            rule_.clamp_to_month_end && year_month_day{date::floor<days>(result.planned)}.day() !=
                                            year_month_day{date::floor<days>(anchor_)}.day();
    }
    finished_ = finished_ || ended(result.at, result.planned);
    if (finished_) return std::nullopt;
    ++emitted_;
    return result;
}

// Jumps to a period shortly before `time`; a COUNT must be walked.
void Occurrences::skip_to(UtcTime time) {
    if (rule_.count || finished_) return;
    const LocalTime local = zone_.to_local(time);
    const std::int64_t passed_days =
        (date::floor<days>(local) - date::floor<days>(anchor_)).count();
    std::int64_t units = 0;
    switch (rule_.frequency) {
        case Frequency::kHourly:
            units = (passed_days - 2) * 24;
            break;
        case Frequency::kDaily:
            units = passed_days - 2;
            break;
        case Frequency::kWeekly:
            units = passed_days / 7 - 2;
            break;
        case Frequency::kMonthly:
            units = passed_days / 31 - 2;
            break;
        case Frequency::kYearly:
            units = passed_days / 366 - 2;
            break;
    }
    const std::int64_t period = units - units % rule_.interval;
    if (period <= period_) return;
    period_ = period;
    buffer_.clear();
    position_ = 0;
    horizon_ = date::floor<days>(local) + days{366 * kHorizonYears};
}

std::optional<Occurrence> Occurrences::next_after(UtcTime time) {
    skip_to(time);
    while (auto occurrence = next()) {
        if (occurrence->at.utc > time) return occurrence;
    }
    return std::nullopt;
}

}  // namespace millrace::recurring
