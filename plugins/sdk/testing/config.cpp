#include <charconv>
#include <cmath>
#include <millrace/event.hpp>
#include <stdexcept>

#include "state.hpp"

namespace millrace::sdk {
namespace {

[[noreturn]] void refuse(const millrace_option& option, const std::string& value,
                         const char* expected) {
    throw std::runtime_error("option '" + std::string(option.name) + "' is '" + value +
                             "', it must be " + expected);
}

double read_number(const millrace_option& option, const std::string& value,
                   std::string_view& rest) {
    double number = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (fault != std::errc()) refuse(option, value, "a number");
    rest = std::string_view(end, static_cast<std::size_t>(value.data() + value.size() - end));
    if (option.minimum < option.maximum && option.type != MILLRACE_OPTION_DURATION &&
        (number < option.minimum || number > option.maximum)) {
        refuse(option, value, "within its limits");
    }
    return number;
}

Json read_duration(const millrace_option& option, const std::string& value) {
    static const std::map<std::string_view, double> kUnits = {
        {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3'600e3}, {"d", 86'400e3}};
    std::string_view rest;
    const double amount = read_number(option, value, rest);
    const auto unit = kUnits.find(rest);
    if (unit == kUnits.end()) refuse(option, value, "a duration such as 250ms, 10s, 5m, 7d");
    return Json(static_cast<std::int64_t>(std::llround(amount * unit->second)));
}

// "[a, 'b']", or "a, b".
Json read_list(std::string_view value) {
    const auto strip = [](std::string_view text, std::string_view what) {
        const std::size_t begin = text.find_first_not_of(what);
        if (begin == std::string_view::npos) return std::string_view();
        return text.substr(begin, text.find_last_not_of(what) - begin + 1);
    };
    value = strip(value, " []");
    Json items = Json::array();
    while (!value.empty()) {
        const std::size_t comma = value.find(',');
        items.push_back(strip(value.substr(0, comma), " '\""));
        value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    }
    return items;
}

Json read_option(const millrace_option& option, const std::string& value) {
    std::string_view rest;
    switch (option.type) {
        case MILLRACE_OPTION_INTEGER:
            return Json(static_cast<std::int64_t>(std::llround(read_number(option, value, rest))));
        case MILLRACE_OPTION_NUMBER:
            return Json(read_number(option, value, rest));
        case MILLRACE_OPTION_BOOLEAN:
            if (value != "true" && value != "false") refuse(option, value, "true or false");
            return Json(value == "true");
        case MILLRACE_OPTION_DURATION:
            return read_duration(option, value);
        case MILLRACE_OPTION_CHOICE:
            if (("|" + std::string(option.choices) + "|").find("|" + value + "|") ==
                std::string::npos) {
                refuse(option, value, option.choices);
            }
            return Json(value);
        case MILLRACE_OPTION_LIST:
            return read_list(value);
        default:
            return Json(value);
    }
}

// The first fault that the plugin itself finds.
void check_config(const millrace_plugin_api& api, const std::string& config) {
    if (api.check == nullptr) return;
    std::string found;
    const auto note = [](void* context, const millrace_option_fault* fault) {
        auto& text = *static_cast<std::string*>(context);
        if (!text.empty()) return;
        text = "option '" + std::string(to_view(fault->option)) + "' " +
               (fault->what.data ? std::string(to_view(fault->what)) : "is wrong") + ", expected " +
               std::string(to_view(fault->expected));
    };
    api.check(to_abi(config), note, &found);
    if (!found.empty()) throw std::runtime_error(found);
}

}  // namespace

std::string make_config(const millrace_plugin_api& api, const FakeHost::Texts& options) {
    FakeHost::Texts left = options;
    Json config = Json::object();
    for (std::size_t i = 0; i < api.option_count; ++i) {
        const millrace_option& option = api.options[i];
        const auto given = left.find(option.name);
        if (given != left.end()) {
            config.set(option.name, read_option(option, given->second));
            left.erase(given);
        } else if ((option.flags & MILLRACE_OPTION_IS_REQUIRED) != 0) {
            throw std::runtime_error("option '" + std::string(option.name) + "' is required");
        } else {
            config.set(option.name,
                       option.default_value ? read_option(option, option.default_value) : Json());
        }
    }
    if (!left.empty()) throw std::runtime_error("there is no option '" + left.begin()->first + "'");
    const std::string made = config.dump();
    check_config(api, made);
    return made;
}

}  // namespace millrace::sdk
