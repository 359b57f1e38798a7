// Times: UTC with microseconds, and their text.
//
// Pure functions; any thread.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {
inline namespace sdk {

using Time = std::chrono::sys_time<std::chrono::microseconds>;

inline Time from_microseconds(std::int64_t microseconds) {
    return Time(std::chrono::microseconds(microseconds));
}
inline std::int64_t to_microseconds(Time time) { return time.time_since_epoch().count(); }

// "2026-02-10T08:00:00.5Z": no trailing zeros in the fraction, no fraction when it is zero.
inline std::string format_time(Time time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    char text[64];
    const int size = std::snprintf(
        text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06d", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    std::string out(text, static_cast<std::size_t>(size));
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
    return out += 'Z';
}

namespace detail {

// Reads digits and separators from the front of a text.
struct TimeScanner {
    std::string_view rest;

    bool number(std::size_t digits, int minimum, int maximum, int& value) {
        if (rest.size() < digits || rest.find_first_not_of("0123456789") < digits) return false;
        std::from_chars(rest.data(), rest.data() + digits, value);
        rest.remove_prefix(digits);
        return value >= minimum && value <= maximum;
    }
    bool one_of(std::string_view separators) {
        if (rest.empty() || separators.find(rest.front()) == std::string_view::npos) return false;
        rest.remove_prefix(1);
        return true;
    }
    std::chrono::microseconds fraction() {
        std::int64_t value = 0;
        std::int64_t unit = 100'000;
        for (; !rest.empty() && rest.front() >= '0' && rest.front() <= '9';
             rest.remove_prefix(1), unit /= 10) {
            value += unit * (rest.front() - '0');
        }
        return std::chrono::microseconds(value);
    }
};

// nullopt for years that have no text of this form.
inline std::optional<Time> within_four_digits(Time time) {
    const int year = static_cast<int>(
        std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
    return year >= 0 && year <= 9999 ? std::optional(time) : std::nullopt;
}

}  // namespace detail

// RFC 3339, also with a blank for the T, without seconds, without an offset (then UTC), or a date
// alone. nullopt: not a time, or not in the years 0000 to 9999.
inline std::optional<Time> parse_time(std::string_view text) {
    detail::TimeScanner scan{text};
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (!scan.number(4, 0, 9999, year) || !scan.one_of("-") || !scan.number(2, 1, 12, month) ||
        !scan.one_of("-") || !scan.number(2, 1, 31, day)) {
        return std::nullopt;
    }
    const auto date = std::chrono::year(year) / std::chrono::month(static_cast<unsigned>(month)) /
                      std::chrono::day(static_cast<unsigned>(day));
    if (!date.ok()) return std::nullopt;
    Time time = std::chrono::sys_days(date);
    if (scan.rest.empty()) return time;
    if (!scan.one_of("Tt ") || !scan.number(2, 0, 23, hour) || !scan.one_of(":") ||
        !scan.number(2, 0, 59, minute)) {
        return std::nullopt;
    }
    if (scan.one_of(":") && !scan.number(2, 0, 60, second)) return std::nullopt;
    time += std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
    if (scan.one_of(".,")) time += scan.fraction();
    if (scan.rest.empty() || scan.rest == "Z" || scan.rest == "z")
        return detail::within_four_digits(time);
    const int sign = scan.rest.front() == '-' ? 1 : -1;
    if (!scan.one_of("+-") || !scan.number(2, 0, 23, hour)) return std::nullopt;
    minute = 0;
    scan.one_of(":");
    if (!scan.rest.empty() && !scan.number(2, 0, 59, minute)) return std::nullopt;
    if (!scan.rest.empty()) return std::nullopt;
    return detail::within_four_digits(
        time + sign * (std::chrono::hours(hour) + std::chrono::minutes(minute)));
}

}  // namespace sdk
}  // namespace millrace
