// Fuzz target: the SDK's own JSON, which every plugin reads events with, against the server's, and
// its times.
#include <boost/json/parse.hpp>
#include <cmath>
#include <millrace/json.hpp>
#include <millrace/time.hpp>

#include "fuzz/check.hpp"

namespace millrace::fuzz {
namespace {

std::optional<Json> parse(std::string_view text) {
    try {
        return Json::parse(text);
    } catch (const JsonError&) {
        return std::nullopt;
    }
}

bool is_same(const Json& ours, const boost::json::value& theirs);

// Of duplicates the last counts, on both sides.
bool is_same_object(const Json& ours, const boost::json::object& theirs) {
    for (const auto& [name, value] : theirs) {
        const Json* member = ours.find(name);
        if (member == nullptr || !is_same(*member, value)) return false;
    }
    return ours.members().size() >= theirs.size();
}

bool is_same_array(const Json& ours, const boost::json::array& theirs) {
    if (ours.items().size() != theirs.size()) return false;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
        if (!is_same(ours.items()[i], theirs[i])) return false;
    }
    return true;
}

// The server rounds a number to the last place but one.
bool is_same_number(const Json& ours, double theirs) {
    const double number = ours.number().value_or(std::nan(""));
    return std::abs(number - theirs) <= std::abs(theirs) * 1e-14;
}

bool is_same(const Json& ours, const boost::json::value& theirs) {
    switch (theirs.kind()) {
        case boost::json::kind::null:
            return ours.is_null();
        case boost::json::kind::bool_:
            return ours.boolean() == theirs.get_bool();
        case boost::json::kind::int64:
            return ours.is_number() &&
                   is_same_number(ours, static_cast<double>(theirs.get_int64()));
        case boost::json::kind::uint64:
            return is_same_number(ours, static_cast<double>(theirs.get_uint64()));
        case boost::json::kind::double_:
            return is_same_number(ours, theirs.get_double());
        case boost::json::kind::string:
            return ours.text() == std::string_view(theirs.get_string());
        case boost::json::kind::array:
            return is_same_array(ours, theirs.get_array());
        case boost::json::kind::object:
            return is_same_object(ours, theirs.get_object());
    }
    return false;
}

bool is_finite(const boost::json::value& value) {
    if (const auto* number = value.if_double()) return std::isfinite(*number);
    if (const auto* items = value.if_array()) {
        for (const auto& item : *items) {
            if (!is_finite(item)) return false;
        }
    }
    if (const auto* members = value.if_object()) {
        for (const auto& member : *members) {
            if (!is_finite(member.value())) return false;
        }
    }
    return true;
}

void check_json(std::string_view text) {
    boost::json::parse_options options;
    options.max_depth = 64;
    boost::system::error_code error;
    const auto theirs = boost::json::parse(text, error, {}, options);
    const auto ours = parse(text);
    // What the server takes the plugin can read too: an event is not lost on the way.
    if (!error && is_finite(theirs)) {
        check(ours.has_value(), "the SDK reads what the server reads", text);
        check(is_same(*ours, theirs), "both read the same", text);
    }
    if (!ours) return;
    const std::string dumped = ours->dump();
    const auto again = parse(dumped);
    check(again && again->dump() == dumped, "what is written can be read", dumped);
}

void check_time(std::string_view text) {
    const auto time = parse_time(text);
    if (time) check(parse_time(format_time(*time)) == time, "a time survives its text", text);
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = millrace::fuzz::view(data, size);
    millrace::fuzz::check_json(text);
    millrace::fuzz::check_time(text);
    return 0;
}
