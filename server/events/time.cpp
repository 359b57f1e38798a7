#include "events/time.hpp"

#include <fmt/format.h>

namespace millrace {
namespace {

using namespace std::chrono;

// Takes what it recognises off the front of `rest`.
class TimeScanner {
public:
    explicit TimeScanner(std::string_view text) : rest_(text) {}

    bool done() const { return rest_.empty(); }

    bool take(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
        last_ = rest_.front();
        rest_.remove_prefix(1);
        return true;
    }
    char last() const { return last_; }

    // Exactly `count` digits with a value in the range.
    bool number(std::size_t count, int minimum, int maximum, int& value) {
        if (rest_.size() < count) return false;
        value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') return false;
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return value >= minimum && value <= maximum;
    }

    // One digit or more; those beyond microseconds are cut.
    bool fraction(microseconds& value) {
        std::int64_t scale = 100'000;
        std::int64_t sum = 0;
        bool any = false;
        for (int digit = 0; number(1, 0, 9, digit); any = true, scale /= 10) sum += digit * scale;
        value = microseconds{sum};
        return any;
    }

private:
    std::string_view rest_;
    char last_ = 0;
};

std::optional<sys_days> scan_date(TimeScanner& scanner) {
    int year_number = 0;
    int month_number = 0;
    int day_number = 0;
    if (!scanner.number(4, 0, 9999, year_number) || !scanner.take("-") ||
        !scanner.number(2, 1, 12, month_number) || !scanner.take("-") ||
        !scanner.number(2, 1, 31, day_number)) {
        return std::nullopt;
    }
    const year_month_day date{year{year_number}, month{static_cast<unsigned>(month_number)},
                              day{static_cast<unsigned>(day_number)}};
    if (!date.ok()) return std::nullopt;
    return sys_days{date};
}

// HH:MM, HH:MM:SS or HH:MM:SS.fraction; second 60 is a leap second.
std::optional<microseconds> scan_time_of_day(TimeScanner& scanner) {
    int hour_number = 0;
    int minute_number = 0;
    int second_number = 0;
    microseconds fraction{0};
    if (!scanner.number(2, 0, 23, hour_number) || !scanner.take(":") ||
        !scanner.number(2, 0, 59, minute_number)) {
        return std::nullopt;
    }
    if (scanner.take(":")) {
        if (!scanner.number(2, 0, 60, second_number)) return std::nullopt;
        if (scanner.take(".,") && !scanner.fraction(fraction)) return std::nullopt;
    }
    return hours{hour_number} + minutes{minute_number} + seconds{second_number} + fraction;
}

// Nothing, Z, +02:00, +0200 or +02.
std::optional<minutes> scan_offset(TimeScanner& scanner) {
    if (scanner.done() || scanner.take("Zz")) return minutes{0};
    if (!scanner.take("+-")) return std::nullopt;
    const bool west = scanner.last() == '-';
    int hour_number = 0;
    int minute_number = 0;
    if (!scanner.number(2, 0, 23, hour_number)) return std::nullopt;
    if (!scanner.done()) {
        scanner.take(":");
        if (!scanner.number(2, 0, 59, minute_number)) return std::nullopt;
    }
    const minutes offset = hours{hour_number} + minutes{minute_number};
    return west ? -offset : offset;
}

// What can be written with a year of four digits.
bool is_writable(Timestamp time) {
    return time >= sys_days{year{0} / 1 / 1} && time < sys_days{year{10000} / 1 / 1};
}

}  // namespace

std::optional<Timestamp> parse_time(std::string_view text) {
    TimeScanner scanner(text);
    const auto date = scan_date(scanner);
    if (!date) return std::nullopt;
    if (scanner.done()) return Timestamp{*date};
    if (!scanner.take("Tt ")) return std::nullopt;
    const auto time_of_day = scan_time_of_day(scanner);
    if (!time_of_day) return std::nullopt;
    const auto offset = scan_offset(scanner);
    if (!offset || !scanner.done()) return std::nullopt;
    const Timestamp time = Timestamp{*date} + *time_of_day - *offset;
    return is_writable(time) ? std::optional(time) : std::nullopt;
}

std::string format_time(Timestamp time) {
    const auto midnight = floor<days>(time);
    const year_month_day date{midnight};
    const hh_mm_ss clock{time - midnight};
    std::string text =
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    if (clock.subseconds().count() != 0) {
        text += fmt::format(".{:06}", clock.subseconds().count());
        text.erase(text.find_last_not_of('0') + 1);
    }
    return text + 'Z';
}

std::int64_t to_epoch_ms(Timestamp time) {
    return floor<milliseconds>(time).time_since_epoch().count();
}

Timestamp from_epoch_ms(std::int64_t count) { return Timestamp{milliseconds{count}}; }

}  // namespace millrace
