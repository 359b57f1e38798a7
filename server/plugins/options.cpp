#include "plugins/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "core/config/mapping_reader.hpp"
#include "core/config/suggestion.hpp"
#include "plugins/host_services.hpp"
#include "plugins/received.hpp"

namespace millrace::plugins {
namespace {

namespace json = boost::json;

std::vector<std::string> split_words(std::string_view choices) {
    std::vector<std::string> words;
    for (;;) {
        const std::size_t bar = choices.find('|');
        words.emplace_back(choices.substr(0, bar));
        if (bar == std::string_view::npos) return words;
        choices.remove_prefix(bar + 1);
    }
}

std::string suggest(std::string_view key, std::span<const millrace_option> options) {
    if (options.empty()) return "this plugin has no options";
    std::vector<std::string> names;
    for (const millrace_option& option : options) names.emplace_back(option.name);
    if (const auto nearest = config::nearest_word(key, names))
        return fmt::format("did you mean '{}'?", *nearest);
    return fmt::format("there are: {}", fmt::join(names, ", "));
}

bool has_limits(const millrace_option& option) { return option.minimum < option.maximum; }

std::int64_t read_integer(const ConfigNode& node, const millrace_option& option) {
    using Limits = std::numeric_limits<std::int64_t>;
    const auto clamp = [](double limit, std::int64_t otherwise) {
        constexpr double kBeyond = 0x1p63;
        return limit >= -kBeyond && limit < kBeyond ? static_cast<std::int64_t>(limit) : otherwise;
    };
    if (!has_limits(option)) return node.as_integer(Limits::min(), Limits::max());
    return node.as_integer(clamp(option.minimum, Limits::min()),
                           clamp(option.maximum, Limits::max()));
}

double read_number(const ConfigNode& node, const millrace_option& option) {
    constexpr double kLargest = std::numeric_limits<double>::max();
    return has_limits(option) ? node.as_number(std::max(option.minimum, -kLargest),
                                               std::min(option.maximum, kLargest))
                              : node.as_number(-kLargest, kLargest);
}

std::int64_t read_duration(const ConfigNode& node, const millrace_option& option) {
    const std::int64_t value = node.as_duration().count();
    const auto real = static_cast<double>(value);
    if (has_limits(option) && (real < option.minimum || real > option.maximum)) {
        node.error(fmt::format("is {} ms, expected {} ms to {} ms", value, option.minimum,
                               option.maximum));
    }
    return value;
}

json::array read_list(const ConfigNode& node) {
    json::array texts;
    for (const ConfigNode& item : node.items()) texts.emplace_back(item.as_string());
    return texts;
}

json::value read_value(const ConfigNode& node, const millrace_option& option) {
    switch (option.type) {
        case MILLRACE_OPTION_INTEGER:
            return read_integer(node, option);
        case MILLRACE_OPTION_NUMBER:
            return read_number(node, option);
        case MILLRACE_OPTION_BOOLEAN:
            return node.as_bool();
        case MILLRACE_OPTION_DURATION:
            return read_duration(node, option);
        case MILLRACE_OPTION_CHOICE: {
            const auto words = split_words(option.choices);
            return json::value(words[node.as_choice(words)]);
        }
        case MILLRACE_OPTION_LIST:
            return read_list(node);
        default:
            return json::value(node.as_string());
    }
}

json::value read_default(const millrace_option& option) {
    if (option.default_value == nullptr) return nullptr;
    if (option.type == MILLRACE_OPTION_TEXT) return json::value(option.default_value);
    return read_value(ConfigNode::parse(option.default_value,
                                        fmt::format("default of option {}", option.name), nullptr),
                      option);
}

void refuse_unknown(const ConfigNode& config, std::span<const millrace_option> options) {
    for (const auto& [key, value] : config.members()) {
        const auto known = [&name = key](const millrace_option& option) {
            return name == option.name;
        };
        if (std::ranges::none_of(options, known))
            value.error(fmt::format("unknown option, {}", suggest(key, options)));
    }
}

// Where a plugin's own check puts what it finds.
struct Checking {
    const ConfigNode& config;
    const std::string& where;
    Faults faults;

    // The value that is at fault; nullopt: it is the plugin's default, or several are.
    std::optional<ConfigNode> place(const millrace_option_fault& fault) const {
        if (config.is_null() || fault.option.data == nullptr) return std::nullopt;
        const auto option = config.find(to_view(fault.option));
        if (!option || option->kind() != ConfigNode::Kind::kSequence || fault.item < 0)
            return option;
        const auto items = option->items();
        const auto index = static_cast<std::size_t>(fault.item);
        return index < items.size() ? items[index] : *option;
    }

    void add(const millrace_option_fault* given) {
        const auto received = receive(given);
        if (!received) return faults.add(fmt::format("{}.config: `check` gave no fault", where));
        const millrace_option_fault& fault = *received;
        const std::string expected(to_view(fault.expected));
        const auto node = place(fault);
        if (node && fault.what.data == nullptr)
            return faults.attempt([&] { node->refuse(expected); });
        const std::string what =
            fmt::format("{}, expected {}",
                        fault.what.data == nullptr ? "is wrong" : to_view(fault.what), expected);
        if (node) return faults.attempt([&] { node->error(what); });
        const std::string option(to_view(fault.option));
        faults.add(
            fmt::format("{}.config{}{}: {}", where, option.empty() ? "" : ".", option, what));
    }
};

}  // namespace

void check_config(const millrace_plugin_api& api, const ConfigNode& config, const std::string& made,
                  const std::string& where) {
    if (api.check == nullptr) return;
    Checking checking{config, where, {}};
    api.check(
        to_abi(made),
        [](void* context, const millrace_option_fault* fault) {
            static_cast<Checking*>(context)->add(fault);
        },
        &checking);
    checking.faults.raise();
}

std::string make_config(const ConfigNode& config, std::span<const millrace_option> options,
                        const std::string& where) {
    if (!config.is_null()) refuse_unknown(config, options);
    json::object values;
    for (const millrace_option& option : options) {
        const auto given = config.is_null() ? std::nullopt : config.find(option.name);
        if (!given && (option.flags & MILLRACE_OPTION_IS_REQUIRED) != 0) {
            const std::string what =
                fmt::format("the option '{}' is required: {}", option.name,
                            option.description == nullptr ? "" : option.description);
            if (config.is_null()) throw ConfigError(fmt::format("{}.config: {}", where, what));
            config.error(what);
        }
        values[option.name] = given ? read_value(*given, option) : read_default(option);
    }
    return json::serialize(values);
}

std::string check_option(const millrace_option& option) {
    if (option.type < MILLRACE_OPTION_TEXT || option.type > MILLRACE_OPTION_LIST) {
        return fmt::format("option '{}' is of type {}, which this server does not know",
                           option.name, option.type);
    }
    if (option.type == MILLRACE_OPTION_CHOICE &&
        (option.choices == nullptr || *option.choices == '\0')) {
        return fmt::format("option '{}' is a choice without words", option.name);
    }
    if (option.minimum > option.maximum)
        return fmt::format("option '{}' has its minimum above its maximum", option.name);
    try {
        read_default(option);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return {};
}

}  // namespace millrace::plugins
