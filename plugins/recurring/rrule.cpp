// RRULE: RFC 5545, 3.3.10, the part that docs/RECURRENCE.md lists.
#include <algorithm>
#include <charconv>
#include <utility>

#include "rule.hpp"

namespace millrace::recurring {
namespace {

struct Range {
    int lowest;
    int highest;
    bool negative;  // also -highest..-lowest

    bool holds(int number) const {
        return (number >= lowest && number <= highest) ||
               (negative && number >= -highest && number <= -lowest);
    }
};

constexpr std::array<std::string_view, 7> kDays{"SU", "MO", "TU", "WE", "TH", "FR", "SA"};

// Every step of the parser fills the rule or leaves a problem; the first problem ends the reading.
class RruleParser {
public:
    Reading parse(std::string_view text);

private:
    bool parse_line(std::string_view line);
    bool parse_start(std::string_view line);
    bool parse_parts(std::string_view parts);
    bool parse_part(std::string_view name, std::string_view value);
    bool parse_limits(std::string_view name, std::string_view value);
    bool parse_frequency(std::string_view value);
    bool parse_until(std::string_view value);
    bool parse_by_day(std::string_view value);
    bool parse_weekday(std::string_view item, std::string_view list);
    bool parse_week_start(std::string_view value);
    bool parse_list(std::string_view name, std::string_view value, Range range,
                    std::vector<int>& into);
    bool parse_positive(std::string_view name, std::string_view value, int highest, int& into);
    bool check();
    bool refuse(std::string problem) {
        problem_ = std::move(problem);
        return false;
    }

    Rule rule_;
    bool has_frequency_ = false;
    std::vector<std::string> seen_;
    std::string problem_;
};

std::string upper(std::string_view text) {
    std::string result = lower_trimmed(text);
    for (char& each : result) {
        if (each >= 'a' && each <= 'z') each = static_cast<char>(each - 'a' + 'A');
    }
    return result;
}

std::optional<int> to_number(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    int value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

// Calls `each` for the parts of `text` between separators; stops at the first false.
template <class Each>
bool split(std::string_view text, char separator, Each each) {
    while (true) {
        const std::size_t end = text.find(separator);
        if (!each(text.substr(0, end))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

// 20260131, 20260131T090000, 20260131T090000Z, and the same with - and : between, as some producers
// write.
std::optional<Until> parse_stamp(std::string_view value) {
    std::string digits;
    for (const char each : value) {
        if (each != '-' && each != ':') digits.push_back(each);
    }
    const bool utc = !digits.empty() && digits.back() == 'Z';
    if (utc) digits.pop_back();
    const bool timed = digits.size() == 15 && digits[8] == 'T';
    if (!timed && digits.size() != 8) return std::nullopt;
    std::string iso = digits.substr(0, 4) + "-" + digits.substr(4, 2) + "-" + digits.substr(6, 2);
    if (timed)
        iso += "T" + digits.substr(9, 2) + ":" + digits.substr(11, 2) + ":" + digits.substr(13, 2);
    const auto time = parse_local(iso);
    if (!time) return std::nullopt;
    const auto kind = !timed ? Until::Kind::kDate : utc ? Until::Kind::kUtc : Until::Kind::kLocal;
    return Until{kind, *time};
}

bool RruleParser::parse_frequency(std::string_view value) {
    constexpr std::array<std::pair<std::string_view, Frequency>, 5> kFrequencies{
        {{"HOURLY", Frequency::kHourly},
         {"DAILY", Frequency::kDaily},
         {"WEEKLY", Frequency::kWeekly},
         {"MONTHLY", Frequency::kMonthly},
         {"YEARLY", Frequency::kYearly}}};
    for (const auto& [name, frequency] : kFrequencies) {
        if (value != name) continue;
        rule_.frequency = frequency;
        has_frequency_ = true;
        return true;
    }
    return refuse("FREQ=" + std::string(value) +
                  " is not one of HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY");
}

bool RruleParser::parse_positive(std::string_view name, std::string_view value, int highest,
                                 int& into) {
    const auto number = to_number(value);
    if (!number || *number < 1 || *number > highest) {
        return refuse(std::string(name) + "=" + std::string(value) + " is not a number from 1 to " +
                      std::to_string(highest));
    }
    into = *number;
    return true;
}

bool RruleParser::parse_list(std::string_view name, std::string_view value, Range range,
                             std::vector<int>& into) {
    return split(value, ',', [&](std::string_view item) {
        const auto number = to_number(item);
        if (!number || !range.holds(*number)) {
            return refuse("\"" + std::string(item) + "\" in " + std::string(name) + "=" +
                          std::string(value) + " is not a number from " +
                          std::to_string(range.lowest) + " to " + std::to_string(range.highest) +
                          (range.negative ? " or its negative" : ""));
        }
        if (std::find(into.begin(), into.end(), *number) == into.end()) into.push_back(*number);
        return true;
    });
}

bool RruleParser::parse_weekday(std::string_view item, std::string_view list) {
    const std::string_view day = item.size() < 2 ? item : item.substr(item.size() - 2);
    const auto found = std::find(kDays.begin(), kDays.end(), day);
    const std::string_view prefix = item.substr(0, item.size() - day.size());
    const auto ordinal = prefix.empty() ? std::optional<int>(0) : to_number(prefix);
    const bool in_range = ordinal && (prefix.empty() || Range{1, 53, true}.holds(*ordinal));
    if (found == kDays.end() || !in_range) {
        return refuse("\"" + std::string(item) + "\" in BYDAY=" + std::string(list) +
                      " is not a weekday like MO, 1MO or -1FR");
    }
    rule_.by_day.push_back({date::weekday{static_cast<unsigned>(found - kDays.begin())}, *ordinal});
    return true;
}

bool RruleParser::parse_by_day(std::string_view value) {
    return split(value, ',', [&](std::string_view item) { return parse_weekday(item, value); });
}

bool RruleParser::parse_week_start(std::string_view value) {
    const auto found = std::find(kDays.begin(), kDays.end(), value);
    if (found == kDays.end())
        return refuse("WKST=" + std::string(value) + " is not a weekday like MO");
    rule_.week_start = date::weekday{static_cast<unsigned>(found - kDays.begin())};
    return true;
}

bool RruleParser::parse_until(std::string_view value) {
    rule_.until = parse_stamp(value);
    return rule_.until.has_value() ||
           refuse("UNTIL=" + std::string(value) + " is not a time like 20261231T235959Z");
}

bool RruleParser::parse_limits(std::string_view name, std::string_view value) {
    if (name == "BYDAY") return parse_by_day(value);
    if (name == "BYMONTHDAY") return parse_list(name, value, {1, 31, true}, rule_.by_month_day);
    if (name == "BYYEARDAY") return parse_list(name, value, {1, 366, true}, rule_.by_year_day);
    if (name == "BYMONTH") return parse_list(name, value, {1, 12, false}, rule_.by_month);
    if (name == "BYSETPOS") return parse_list(name, value, {1, 366, true}, rule_.by_set_position);
    if (name == "BYHOUR") return parse_list(name, value, {0, 23, false}, rule_.by_hour);
    if (name == "BYMINUTE") return parse_list(name, value, {0, 59, false}, rule_.by_minute);
    if (name == "BYSECOND") return parse_list(name, value, {0, 59, false}, rule_.by_second);
    return refuse(std::string(name) + " is not supported");
}

bool RruleParser::parse_part(std::string_view name, std::string_view value) {
    if (std::find(seen_.begin(), seen_.end(), name) != seen_.end()) {
        return refuse(std::string(name) + " is given twice");
    }
    seen_.emplace_back(name);
    if (name == "FREQ") return parse_frequency(value);
    if (name == "INTERVAL") return parse_positive(name, value, kMaxInterval, rule_.interval);
    if (name == "COUNT") return parse_positive(name, value, kMaxCount, rule_.count.emplace());
    if (name == "UNTIL") return parse_until(value);
    if (name == "WKST") return parse_week_start(value);
    if (name == "DTSTART") return parse_start(":" + std::string(value));
    return parse_limits(name, value);
}

bool RruleParser::parse_parts(std::string_view parts) {
    return split(parts, ';', [&](std::string_view part) {
        if (part.empty()) return true;
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos)
            return refuse("\"" + std::string(part) + "\" is not NAME=VALUE");
        return parse_part(part.substr(0, equals), part.substr(equals + 1));
    });
}

// What follows DTSTART: ";TZID=Europe/Paris:20260131T090000" or ":20260131T090000Z".
bool RruleParser::parse_start(std::string_view line) {
    const std::size_t colon = line.find(':');
    const auto stamp =
        colon == std::string_view::npos ? std::nullopt : parse_stamp(upper(line.substr(colon + 1)));
    if (!stamp)
        return refuse("DTSTART" + std::string(line) + " is not a time like :20260131T090000");
    rule_.start = stamp->time;
    if (stamp->kind == Until::Kind::kUtc) rule_.start_zone = "UTC";
    const std::size_t zone = line.substr(0, colon).find("TZID=");
    if (zone == std::string_view::npos) return true;
    rule_.start_zone = std::string(line.substr(zone + 5, colon - zone - 5));
    return Zone::find(rule_.start_zone).has_value() ||
           refuse("DTSTART's TZID=" + rule_.start_zone + " is not a time zone like Europe/Paris");
}

bool RruleParser::parse_line(std::string_view line) {
    const std::string big = upper(line);
    if (big.empty()) return true;
    if (big.starts_with("DTSTART")) {
        return parse_start(line.substr(std::min(line.size(), line.find_first_not_of(" \t") + 7)));
    }
    if (big.starts_with("RRULE:")) return parse_parts(std::string_view(big).substr(6));
    if (big.starts_with("FREQ=") || big.find(";FREQ=") != std::string::npos)
        return parse_parts(big);
    return refuse("the line \"" + std::string(line.substr(0, 80)) +
                  "\" is neither DTSTART nor RRULE");
}

bool RruleParser::check() {
    if (!has_frequency_) return refuse("FREQ is missing");
    if (rule_.count && rule_.until)
        return refuse("COUNT and UNTIL are both given; only one may be");
    const bool months_or_years =
        rule_.frequency == Frequency::kMonthly || rule_.frequency == Frequency::kYearly;
    for (const WeekdayRule& each : rule_.by_day) {
        if (each.ordinal != 0 && !months_or_years)
            return refuse("BYDAY with a number needs FREQ=MONTHLY or YEARLY");
    }
    const bool limited = !rule_.by_day.empty() || !rule_.by_month_day.empty() ||
                         !rule_.by_month.empty() || !rule_.by_year_day.empty() ||
                         !rule_.by_hour.empty() || !rule_.by_minute.empty() ||
                         !rule_.by_second.empty();
    if (rule_.frequency == Frequency::kHourly && (limited || !rule_.by_set_position.empty())) {
        return refuse("FREQ=HOURLY takes no BY parts here");
    }
    const auto at_least_one = [](const auto& list) {
        return std::max<std::size_t>(list.size(), 1);
    };
    if (at_least_one(rule_.by_hour) * at_least_one(rule_.by_minute) *
            at_least_one(rule_.by_second) >
        kMaxTimesOfDay) {
        return refuse("BYHOUR, BYMINUTE and BYSECOND together mean more than " +
                      std::to_string(kMaxTimesOfDay) + " times a day");
    }
    if (!rule_.by_set_position.empty() && !limited) return refuse("BYSETPOS needs another BY part");
    if (!rule_.by_month_day.empty() && rule_.frequency == Frequency::kWeekly) {
        return refuse("BYMONTHDAY does not go with FREQ=WEEKLY");
    }
    if (!rule_.by_year_day.empty() && rule_.frequency != Frequency::kYearly) {
        return refuse("BYYEARDAY needs FREQ=YEARLY");
    }
    return true;
}

Reading RruleParser::parse(std::string_view text) {
    std::string lines(text);
    for (std::size_t at = 0; (at = lines.find("\\n", at)) != std::string::npos;)
        lines.replace(at, 2, "\n");
    for (char& each : lines) {
        if (each == ' ' || each == '\r' || each == '\t') each = '\n';
    }
    const bool good =
        split(lines, '\n', [&](std::string_view line) { return parse_line(line); }) && check();
    if (!good) return {ReadingKind::kRefused, {}, problem_};
    return {ReadingKind::kRule, std::move(rule_), {}};
}

}  // namespace

Reading read_rrule(std::string_view text) { return RruleParser().parse(text); }

}  // namespace millrace::recurring
