#include "occurrences.hpp"

#include <algorithm>
#include <utility>

namespace millrace::recurring {
namespace {

using date::days;
using date::local_days;
using date::year_month_day;

constexpr int kLastYear = 9999;
// How far two clocks of one zone can be apart: over the date line, and a little.
constexpr std::chrono::hours kLargestShift{25};

template <class T>
void sort_out(std::vector<T>& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
}

int year_of(local_days day) { return static_cast<int>(year_month_day{day}.year()); }

// Without any part that names days the anchor does (RFC 5545: "the information comes from
// DTSTART").
Rule with_days_of(const Rule& given, year_month_day anchor) {
    Rule rule = given;
    if (!rule.by_day.empty() || !rule.by_month_day.empty() || !rule.by_year_day.empty())
        return rule;
    if (rule.frequency == Frequency::kWeekly) {
        rule.by_day.push_back({date::weekday{local_days{anchor}}});
    } else if (rule.frequency == Frequency::kMonthly || rule.frequency == Frequency::kYearly) {
        rule.by_month_day.push_back(static_cast<int>(static_cast<unsigned>(anchor.day())));
        if (rule.frequency == Frequency::kYearly && rule.by_month.empty()) {
            rule.by_month.push_back(static_cast<int>(static_cast<unsigned>(anchor.month())));
        }
    }
    return rule;
}

bool counts_by_months(const Rule& rule) {
    return rule.frequency == Frequency::kMonthly || rule.frequency == Frequency::kYearly;
}

Rule prepared(const Rule& given, LocalTime anchor) {
    Rule rule = given;
    rule.clamp_to_month_end = given.clamp_to_month_end && counts_by_months(given);
    sort_out(rule.by_set_position);
    return rule.clamp_to_month_end ? rule
                                   : with_days_of(rule, year_month_day{date::floor<days>(anchor)});
}

std::vector<int> sorted_or(std::vector<int> given, std::int64_t own) {
    if (given.empty()) given.push_back(static_cast<int>(own));
    sort_out(given);
    return given;
}

std::int64_t months_between(year_month_day from, year_month_day to) {
    return (date::year_month{to.year(), to.month()} - date::year_month{from.year(), from.month()})
        .count();
}

}  // namespace

TimesOfDay::TimesOfDay(const Rule& rule, LocalTime anchor) {
    const date::hh_mm_ss<std::chrono::seconds> clock{anchor - date::floor<days>(anchor)};
    hours_ = sorted_or(rule.by_hour, clock.hours().count());
    minutes_ = sorted_or(rule.by_minute, clock.minutes().count());
    seconds_ = sorted_or(rule.by_second, clock.seconds().count());
}

std::int64_t TimesOfDay::size() const {
    return static_cast<std::int64_t>(hours_.size() * minutes_.size() * seconds_.size());
}

std::chrono::seconds TimesOfDay::at(std::int64_t index) const {
    const auto position = static_cast<std::size_t>(index);
    const std::size_t minute = position / seconds_.size();
    return std::chrono::hours{hours_[minute / minutes_.size()]} +
           std::chrono::minutes{minutes_[minute % minutes_.size()]} +
           std::chrono::seconds{seconds_[position % seconds_.size()]};
}

Occurrences::Occurrences(const Rule& rule, LocalTime anchor, Zone zone, Steps& steps)
    : rule_(prepared(rule, anchor)),
      anchor_(anchor),
      zone_(std::move(zone)),
      steps_(steps),
      filter_(rule_),
      times_(rule, anchor),
      horizon_(date::floor<days>(anchor) + days{366 * kHorizonYears}) {}

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
    return year_of(first) <= kLastYear;
}

// The days of the period into `days_`. False: there are no more periods, or no more steps.
bool Occurrences::find_days() {
    local_days first;
    local_days last;
    days_.clear();
    if (!period_bounds(first, last) || first > horizon_) return false;
    if (!rule_.clamp_to_month_end) {
        if (!filter_.collect(first, last, steps_, days_)) return false;
    } else {
        if (!steps_.take()) return false;
        const date::year_month month = month_of_period();
        const year_month_day planned = month / year_month_day{date::floor<days>(anchor_)}.day();
        days_.push_back(planned.ok() ? local_days{planned} : local_days{month / date::last});
    }
    last_day_ = last;
    return true;
}

void Occurrences::select_positions() {
    const std::int64_t all = static_cast<std::int64_t>(days_.size()) * times_.size();
    size_ = all;
    if (rule_.by_set_position.empty()) return;
    selected_.clear();
    steps_.take(static_cast<std::int64_t>(rule_.by_set_position.size()));
    for (const int position : rule_.by_set_position) {
        const std::int64_t index = position > 0 ? position - 1 : all + position;
        if (index >= 0 && index < all) selected_.push_back(index);
    }
    sort_out(selected_);
    size_ = static_cast<std::int64_t>(selected_.size());
}

LocalTime Occurrences::candidate(std::int64_t position) const {
    const std::int64_t index =
        rule_.by_set_position.empty() ? position : selected_[static_cast<std::size_t>(position)];
    return days_[static_cast<std::size_t>(index / times_.size())] +
           times_.at(index % times_.size());
}

// The first candidate of the period that is not before `time`; size_: none.
std::int64_t Occurrences::lower_bound(LocalTime time) const {
    std::int64_t low = position_;
    std::int64_t high = size_;
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (candidate(middle) < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The next period that has occurrences. False: there is none.
bool Occurrences::fill() {
    while (find_days()) {
        period_ += rule_.interval;
        position_ = 0;
        select_positions();
        position_ = lower_bound(anchor_);
        if (position_ >= size_) continue;
        horizon_ = last_day_ + days{366 * kHorizonYears};
        return true;
    }
    position_ = size_ = 0;
    return false;
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

// Hours pass evenly, whatever the clocks do: what is planned is what they show then.
std::optional<Occurrence> Occurrences::next_hourly() {
    const UtcTime utc = zone_.from_local(anchor_).utc + std::chrono::hours{period_};
    period_ += rule_.interval;
    Occurrence result;
    result.planned = zone_.to_local(utc);
    result.at = {utc, result.planned, LocalFit::kUnique};
    if (year_of(date::floor<days>(result.planned)) > kLastYear) return std::nullopt;
    return result;
}

std::optional<Occurrence> Occurrences::next_in_period() {
    if (position_ >= size_ && !fill()) return std::nullopt;
    Occurrence result;
    result.planned = candidate(position_++);
    result.at = zone_.from_local(result.planned);
    result.clamped =
        rule_.clamp_to_month_end && year_month_day{date::floor<days>(result.planned)}.day() !=
                                        year_month_day{date::floor<days>(anchor_)}.day();
    return result;
}

std::optional<Occurrence> Occurrences::next() {
    if (finished_) return std::nullopt;
    finished_ = !steps_.take();
    std::optional<Occurrence> result;
    if (!finished_)
        result = rule_.frequency == Frequency::kHourly ? next_hourly() : next_in_period();
    finished_ = !result || ended(result->at, result->planned);
    if (finished_) return std::nullopt;
    ++emitted_;
    return result;
}

// To the first one after `time`, exactly.
void Occurrences::skip_hours(UtcTime time) {
    const std::chrono::hours interval{rule_.interval};
    const std::chrono::seconds passed = time - zone_.from_local(anchor_).utc;
    if (passed < std::chrono::seconds{0}) return;
    emitted_ = std::max<std::int64_t>(emitted_, passed / interval + 1);
    period_ = emitted_ * rule_.interval;
}

// To a period shortly before; only a series without COUNT can be entered anywhere.
void Occurrences::skip_periods(LocalTime local) {
    if (rule_.count) return;
    const local_days from = date::floor<days>(anchor_);
    const local_days to = date::floor<days>(local);
    std::int64_t units = 0;
    switch (rule_.frequency) {
        case Frequency::kHourly:
            return;
        case Frequency::kDaily:
            units = (to - from).count() - 2;
            break;
        case Frequency::kWeekly:
            units = (to - from).count() / 7 - 2;
            break;
        case Frequency::kMonthly:
            units = months_between(year_month_day{from}, year_month_day{to}) - 2;
            break;
        case Frequency::kYearly:
            units = year_of(to) - year_of(from) - 2;
            break;
    }
    const std::int64_t period = units - units % rule_.interval;
    if (period <= period_) return;
    period_ = period;
    position_ = size_ = 0;
    horizon_ = to + days{366 * kHorizonYears};
}

// Counts what lies before `before` without making it.
void Occurrences::pass_over(LocalTime before) {
    while (!finished_) {
        finished_ = (position_ >= size_ && !fill()) || (rule_.count && emitted_ >= *rule_.count);
        if (finished_) return;
        const std::int64_t reached = lower_bound(before);
        emitted_ += reached - position_;
        position_ = reached;
        if (position_ < size_) return;
    }
}

std::optional<Occurrence> Occurrences::next_after(UtcTime time) {
    if (rule_.frequency == Frequency::kHourly) {
        skip_hours(time);
    } else {
        const LocalTime local = zone_.to_local(time);
        skip_periods(local);
        pass_over(local - kLargestShift);
    }
    while (auto occurrence = next()) {
        if (occurrence->at.utc > time) return occurrence;
    }
    return std::nullopt;
}

}  // namespace millrace::recurring
