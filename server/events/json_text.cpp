#include "events/json_text.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "events/time.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view number_text(const json::value& value, std::string& scratch) {
    scratch.clear();
    if (value.is_int64()) {
        fmt::format_to(std::back_inserter(scratch), "{}", value.get_int64());
    } else if (value.is_uint64()) {
        fmt::format_to(std::back_inserter(scratch), "{}", value.get_uint64());
    } else {
        fmt::format_to(std::back_inserter(scratch), "{}", value.get_double());
    }
    return scratch;
}

// A time in units below a second is recognised by its size: each unit is good from 1973 to 5138.
constexpr long double kEarliestSeconds = 1e8L;
constexpr long double kLatestSeconds = 1e11L;

std::optional<Timestamp> epoch_time(long double number) {
    for (const long double unit : {1.0L, 1e3L, 1e6L, 1e9L}) {
        const long double seconds = number / unit;
        if (seconds < kEarliestSeconds) return std::nullopt;
        if (seconds >= kLatestSeconds) continue;
        return Timestamp{std::chrono::microseconds{std::llround(seconds * 1e6L)}};
    }
    return std::nullopt;
}

std::optional<Timestamp> text_time(std::string_view text) {
    text = trim(text);
    if (const auto time = parse_time(text)) return time;
    if (text.ends_with("+00:00Z")) return parse_time(text.substr(0, text.size() - 1));
    double number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return epoch_time(number);
}

}  // namespace

std::optional<std::string_view> text_or_number(const json::value& value, std::string& scratch) {
    if (const json::string* text = value.if_string()) return std::string_view(*text);
    if (value.is_number()) return number_text(value, scratch);
    return std::nullopt;
}

std::string_view text_of(const json::value& value, std::string& scratch) {
    if (const auto text = text_or_number(value, scratch)) return *text;
    scratch = json::serialize(value);
    return scratch;
}

std::optional<std::int64_t> whole_number(const json::value& value) {
    if (value.is_int64()) return value.get_int64();
    if (const double* number = value.if_double()) {
        const bool exact = std::trunc(*number) == *number && std::fabs(*number) < 0x1p53;
        return exact ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
    }
    const json::string* string = value.if_string();
    if (string == nullptr) return std::nullopt;
    const std::string_view text = trim(*string);
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<Timestamp> time_of(const json::value& value) {
    if (const json::string* text = value.if_string()) return text_time(*text);
    if (value.is_int64()) return epoch_time(static_cast<long double>(value.get_int64()));
    if (value.is_uint64()) return epoch_time(static_cast<long double>(value.get_uint64()));
    if (const double* number = value.if_double()) return epoch_time(*number);
    return std::nullopt;
}

}  // namespace millrace
