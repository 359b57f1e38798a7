// Rules in words: "weekly", "every 2 weeks", "weekly every 2", "every monday", "weekdays".
#include <algorithm>
#include <charconv>
#include <millrace/time.hpp>
#include <utility>

#include "rule.hpp"

namespace millrace::recurring {
namespace {

struct Word {
    std::string_view text;
    Frequency frequency;
    int interval;
};

constexpr std::array<Word, 30> kWords{{
    {"hourly", Frequency::kHourly, 1},       {"hour", Frequency::kHourly, 1},
    {"hours", Frequency::kHourly, 1},        {"daily", Frequency::kDaily, 1},
    {"day", Frequency::kDaily, 1},           {"days", Frequency::kDaily, 1},
    {"everyday", Frequency::kDaily, 1},      {"weekly", Frequency::kWeekly, 1},
    {"week", Frequency::kWeekly, 1},         {"weeks", Frequency::kWeekly, 1},
    {"biweekly", Frequency::kWeekly, 2},     {"bi-weekly", Frequency::kWeekly, 2},
    {"bi_weekly", Frequency::kWeekly, 2},    {"fortnightly", Frequency::kWeekly, 2},
    {"fortnight", Frequency::kWeekly, 2},    {"monthly", Frequency::kMonthly, 1},
    {"month", Frequency::kMonthly, 1},       {"months", Frequency::kMonthly, 1},
    {"quarterly", Frequency::kMonthly, 3},   {"quarter", Frequency::kMonthly, 3},
    {"yearly", Frequency::kYearly, 1},       {"year", Frequency::kYearly, 1},
    {"years", Frequency::kYearly, 1},        {"annually", Frequency::kYearly, 1},
    {"annual", Frequency::kYearly, 1},       {"semiannually", Frequency::kMonthly, 6},
    {"half-yearly", Frequency::kMonthly, 6}, {"every-day", Frequency::kDaily, 1},
    {"every-week", Frequency::kWeekly, 1},   {"every-month", Frequency::kMonthly, 1},
}};

constexpr std::array<std::string_view, 7> kWeekdayNames{
    "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

constexpr std::array<std::string_view, 9> kNothingWords{
    "", "none", "never", "no", "null", "off", "false", "once", "does_not_repeat"};

std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t start = text.find_first_not_of(" \t_");
        if (start == std::string_view::npos) break;
        text.remove_prefix(start);
        const std::size_t end = std::min(text.find_first_of(" \t_"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

std::optional<int> read_number(std::string_view text) {
    if (text == "other" || text == "second") return 2;
    if (text == "third") return 3;
    int value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

bool set_weekdays(std::string_view word, Rule& rule) {
    const bool work =
        word == "weekday" || word == "weekdays" || word == "workdays" || word == "workday";
    const bool weekend = word == "weekend" || word == "weekends";
    if (!work && !weekend) return false;
    rule.frequency = Frequency::kWeekly;
    if (weekend) {
        rule.by_day = {{date::Saturday}, {date::Sunday}};
    } else {
        rule.by_day = {
            {date::Monday}, {date::Tuesday}, {date::Wednesday}, {date::Thursday}, {date::Friday}};
    }
    return true;
}

bool set_named_day(std::string_view word, Rule& rule) {
    if (word.ends_with("days")) word.remove_suffix(1);
    for (std::size_t at = 0; at < kWeekdayNames.size(); ++at) {
        if (word != kWeekdayNames[at]) continue;
        rule.frequency = Frequency::kWeekly;
        rule.by_day.push_back({date::weekday{static_cast<unsigned>(at)}});
        return true;
    }
    return false;
}

bool set_frequency(std::string_view word, Rule& rule) {
    const auto found = std::find_if(kWords.begin(), kWords.end(),
                                    [&](const Word& each) { return each.text == word; });
    if (found == kWords.end()) return set_weekdays(word, rule) || set_named_day(word, rule);
    rule.frequency = found->frequency;
    rule.interval = found->interval;
    rule.clamp_to_month_end = true;
    return true;
}

Reading refused(std::string problem) { return {ReadingKind::kRefused, {}, std::move(problem)}; }

std::string quoted(std::string_view text) {
    constexpr std::size_t kShown = 80;
    return "\"" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "") + "\"";
}

Reading with_interval(Reading reading, std::optional<int> interval) {
    if (reading.kind != ReadingKind::kRule || !interval) return reading;
    if (*interval < 1 || *interval > kMaxInterval) {
        return refused("interval " + std::to_string(*interval) + " is not between 1 and " +
                       std::to_string(kMaxInterval));
    }
    reading.rule.interval *= *interval;
    return reading;
}

// The words in any order that producers use: [every] [number] unit, or unit "every" number.
Reading read_words(std::string_view text, std::optional<int> interval) {
    Reading reading{ReadingKind::kRule, {}, {}};
    bool has_unit = false;
    for (const std::string_view word : split_words(text)) {
        if (word == "every" || word == "each" || word == "on") continue;
        if (const auto number = read_number(word)) {
            interval = number;
        } else if (!has_unit && set_frequency(word, reading.rule)) {
            has_unit = true;
        } else {
            return refused("the word " + quoted(word) + " in " + quoted(text) +
                           " is not understood; write daily, weekly, monthly, yearly or an RRULE");
        }
    }
    if (!has_unit) return refused(quoted(text) + " names no unit (day, week, month, year)");
    return with_interval(std::move(reading), interval);
}

}  // namespace

std::string lower_trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t start = text.find_first_not_of(kBlank);
    if (start == std::string_view::npos) return {};
    std::string lower(text.substr(start, text.find_last_not_of(kBlank) - start + 1));
    for (char& each : lower) {
        if (each >= 'A' && each <= 'Z') each = static_cast<char>(each - 'A' + 'a');
    }
    return lower;
}

Reading read_rule(std::string_view text, std::optional<int> interval) {
    if (text.size() > kMaxRuleText) {
        return refused("the rule is longer than " + std::to_string(kMaxRuleText) + " bytes");
    }
    const std::string lower = lower_trimmed(text);
    if (std::find(kNothingWords.begin(), kNothingWords.end(), lower) != kNothingWords.end())
        return {};
    if (lower == "custom") return {ReadingKind::kCustom, {}, {}};
    if (lower.find("freq") == std::string::npos && lower.find("rrule") == std::string::npos) {
        return read_words(lower, interval);
    }
    Reading reading = read_rrule(text);
    if (reading.kind == ReadingKind::kRule && reading.rule.interval != 1) return reading;
    return with_interval(std::move(reading), interval);
}

std::optional<Until> read_until(std::string_view text) {
    const auto utc = parse_time(text);
    if (!utc) return std::nullopt;
    const LocalTime time{date::floor<std::chrono::seconds>(*utc).time_since_epoch()};
    const bool whole_day = time == date::floor<date::days>(time);
    return Until{whole_day ? Until::Kind::kDate : Until::Kind::kUtc, time};
}

}  // namespace millrace::recurring
