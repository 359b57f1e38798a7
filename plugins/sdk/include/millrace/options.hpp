// Option: one option that a handler's `config:` may have. Options: their values, as the server
// checked them.
//
// Plain values; Options are read-only and may be kept. The server refuses a wrong config before the
// handler is made, at the line where it stands, so a reader below throws only when it asks for an
// option that was not declared, for another type, or for one that has no value.
#pragma once

#include <millrace/abi.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <millrace/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {
inline namespace sdk {

// Option::integer("keep", "how many deliveries are remembered").or_else("10000").between(1, 1e6)
class Option {
public:
    static Option text(std::string name, std::string description) {
        return {MILLRACE_OPTION_TEXT, std::move(name), std::move(description)};
    }
    static Option integer(std::string name, std::string description) {
        return {MILLRACE_OPTION_INTEGER, std::move(name), std::move(description)};
    }
    static Option number(std::string name, std::string description) {
        return {MILLRACE_OPTION_NUMBER, std::move(name), std::move(description)};
    }
    static Option boolean(std::string name, std::string description) {
        return {MILLRACE_OPTION_BOOLEAN, std::move(name), std::move(description)};
    }
    // In the YAML 250ms 10s 5m 7d.
    static Option duration(std::string name, std::string description) {
        return {MILLRACE_OPTION_DURATION, std::move(name), std::move(description)};
    }
    // `words`: "skip|all".
    static Option choice(std::string name, std::string words, std::string description) {
        Option option(MILLRACE_OPTION_CHOICE, std::move(name), std::move(description));
        option.choices_ = std::move(words);
        return option;
    }
    // Of texts.
    static Option list(std::string name, std::string description) {
        return {MILLRACE_OPTION_LIST, std::move(name), std::move(description)};
    }

    // The value when the YAML has none, as it would stand there.
    Option or_else(std::string value) && {
        default_value_ = std::move(value);
        return std::move(*this);
    }
    Option required() && {
        flags_ |= MILLRACE_OPTION_IS_REQUIRED;
        return std::move(*this);
    }
    // Of numbers; of durations in milliseconds.
    Option between(double minimum, double maximum) && {
        minimum_ = minimum;
        maximum_ = maximum;
        return std::move(*this);
    }

    // Of texts, choices and each text of a list: refused where `is_good` says no, with `expected`
    // ("an IANA name such as Europe/Paris"). Defaults are checked too. It may throw: refused with
    // that.
    Option must_be(std::function<bool(std::string_view value)> is_good, std::string expected) && {
        is_good_ = std::move(is_good);
        expected_ = std::move(expected);
        return std::move(*this);
    }
    // Its value is never shown.
    Option secret() && {
        flags_ |= MILLRACE_OPTION_IS_SECRET;
        return std::move(*this);
    }

    const std::string& name() const { return name_; }
    const std::string& expected() const { return expected_; }
    bool is_secret() const { return (flags_ & MILLRACE_OPTION_IS_SECRET) != 0; }
    // What is wrong with a text; empty: shown as it is. nullopt: nothing is.
    std::optional<std::string> fault_of(std::string_view value) const {
        try {
            if (!is_good_ || is_good_(value)) return std::nullopt;
            return is_secret() ? "is not of the right form" : "";
        } catch (const std::exception& error) {
            return std::string("cannot be checked: ") + error.what();
        }
    }

    // Views into this option.
    millrace_option to_abi() const {
        return {.name = name_.c_str(),
                .description = description_.c_str(),
                .default_value = default_value_ ? default_value_->c_str() : nullptr,
                .choices = choices_.empty() ? nullptr : choices_.c_str(),
                .type = type_,
                .flags = flags_,
                .minimum = minimum_,
                .maximum = maximum_};
    }

private:
    Option(std::uint32_t type, std::string name, std::string description)
        : type_(type), name_(std::move(name)), description_(std::move(description)) {}

    std::uint32_t type_;
    std::string name_;
    std::string description_;
    std::string choices_;
    std::optional<std::string> default_value_;
    std::uint32_t flags_ = 0;  // of millrace_option_flag
    double minimum_ = 0;
    double maximum_ = 0;
    std::function<bool(std::string_view)> is_good_;
    std::string expected_;
};

class Options {
public:
    Options() = default;
    // The JSON object that the server hands over.
    explicit Options(std::string_view json) : values_(Json::parse(json)) {}

    // Has a value: given, or by default.
    bool has(std::string_view name) const { return !find(name).is_null(); }

    // Also of a choice.
    std::string text(std::string_view name) const {
        return std::string(get(name, find(name).text()));
    }
    std::string text_or(std::string_view name, std::string_view otherwise) const {
        return has(name) ? text(name) : std::string(otherwise);
    }
    std::int64_t integer(std::string_view name) const { return get(name, find(name).integer()); }
    double number(std::string_view name) const { return get(name, find(name).number()); }
    bool boolean(std::string_view name) const { return get(name, find(name).boolean()); }
    std::chrono::milliseconds duration(std::string_view name) const {
        return std::chrono::milliseconds(integer(name));
    }
    std::vector<std::string> list(std::string_view name) const {
        std::vector<std::string> texts;
        for (const Json& item : find(name).items()) texts.emplace_back(get(name, item.text()));
        return texts;
    }

    // Calls `each(item, text)` for a text (item -1) or for each of a list; other types have none.
    template <class Each>
    void each_text(std::string_view name, Each&& each) const {
        const Json& value = find(name);
        if (const auto text = value.text()) each(std::int64_t{-1}, *text);
        std::int64_t item = 0;
        for (const Json& entry : value.items()) each(item++, get(name, entry.text()));
    }

private:
    const Json& find(std::string_view name) const {
        const Json* value = values_.find(name);
        if (!value)
            throw std::logic_error("the option '" + std::string(name) + "' was not declared");
        return *value;
    }
    template <class T>
    static T get(std::string_view name, const std::optional<T>& value) {
        if (!value)
            throw std::logic_error("the option '" + std::string(name) +
                                   "' has no value of this type");
        return *value;
    }

    Json values_ = Json::object();
};

}  // namespace sdk
}  // namespace millrace
