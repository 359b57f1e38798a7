// Json: one JSON value (RFC 8259), for reading what a handler receives and writing what it
// publishes.
//
// A plain value; any thread, if no two use one value at once. Members keep their order. Numbers
// that are not 64-bit integers keep the text they were written in, so that what is copied from one
// event to another stays what it was. Errors: JsonError, with the position; it becomes a dead
// letter when a handler lets it pass.
//
//     Json body = Json::parse(text);
//     std::string title(body.text_or("title", "untitled"));
//     Json event = Json::object({{"event_type", "created"}, {"task_id", id}, {"task_data", body}});
//     context.publish("task-events", user, event.dump());
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace millrace {
inline namespace sdk {

class JsonError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Appends `text` as a JSON string, quotes included. Bytes beyond ASCII go through as they are.
inline void append_json_text(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            (out += '\\') += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20) {
            ((out += "\\u00") += kHex[byte >> 4U]) += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

class Json {
public:
    using Member = std::pair<std::string, Json>;
    using Array = std::vector<Json>;
    using Object = std::vector<Member>;

    Json() = default;
    Json(std::nullptr_t) {}
    Json(std::same_as<bool> auto value) : value_(value) {}
    Json(std::integral auto value)
        requires(!std::same_as<decltype(value), bool>)
        : value_(static_cast<std::int64_t>(value)) {}
    Json(double value) : value_(to_number(value)) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(std::string_view value) : value_(std::string(value)) {}
    Json(const char* value) : value_(std::string(value)) {}
    template <class T>
    Json(const std::optional<T>& value) {
        if (value) *this = Json(*value);
    }

    static Json object(std::initializer_list<Member> members = {}) { return Json(Object(members)); }
    static Json array(Array items = {}) { return Json(std::move(items)); }
    static Json parse(std::string_view text);  // throws JsonError

    bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
    bool is_text() const { return std::holds_alternative<std::string>(value_); }
    bool is_object() const { return std::holds_alternative<Object>(value_); }
    bool is_array() const { return std::holds_alternative<Array>(value_); }
    bool is_number() const {
        return std::holds_alternative<std::int64_t>(value_) ||
               std::holds_alternative<Number>(value_);
    }

    // nullopt: it is of another kind.
    std::optional<std::string_view> text() const {
        const auto* held = std::get_if<std::string>(&value_);
        return held ? std::optional<std::string_view>(*held) : std::nullopt;
    }
    std::optional<std::int64_t> integer() const {
        const auto* held = std::get_if<std::int64_t>(&value_);
        return held ? std::optional(*held) : std::nullopt;
    }
    std::optional<double> number() const {
        if (const auto whole = integer()) return static_cast<double>(*whole);
        const auto* held = std::get_if<Number>(&value_);
        return held ? std::optional(held->value) : std::nullopt;
    }
    std::optional<bool> boolean() const {
        const auto* held = std::get_if<bool>(&value_);
        return held ? std::optional(*held) : std::nullopt;
    }

    // Empty for other kinds.
    const Array& items() const {
        static const Array kNone;
        const auto* held = std::get_if<Array>(&value_);
        return held ? *held : kNone;
    }
    const Object& members() const {
        static const Object kNone;
        const auto* held = std::get_if<Object>(&value_);
        return held ? *held : kNone;
    }
    // nullptr: no such member, or not an object. Of duplicates the last.
    const Json* find(std::string_view name) const {
        const Object& all = members();
        for (auto member = all.rbegin(); member != all.rend(); ++member) {
            if (member->first == name) return &member->second;
        }
        return nullptr;
    }
    std::string_view text_or(std::string_view name, std::string_view otherwise) const {
        const Json* member = find(name);
        return member ? member->text().value_or(otherwise) : otherwise;
    }

    // Sets or replaces a member; a value that is not an object becomes one.
    Json& set(std::string_view name, Json value) {
        if (!is_object()) value_ = Object{};
        Object& all = std::get<Object>(value_);
        std::erase_if(all, [name](const Member& member) { return member.first == name; });
        all.emplace_back(std::string(name), std::move(value));
        return *this;
    }
    void erase(std::string_view name) {
        if (auto* all = std::get_if<Object>(&value_)) {
            std::erase_if(*all, [name](const Member& member) { return member.first == name; });
        }
    }
    // Appends an item; a value that is not an array becomes one.
    Json& push_back(Json value) {
        if (!is_array()) value_ = Array{};
        std::get<Array>(value_).push_back(std::move(value));
        return *this;
    }

    std::string dump() const {
        std::string out;
        write(out);
        return out;
    }
    void write(std::string& out) const;

private:
    friend class JsonParser;
    struct Number {
        double value;
        std::string text;
    };
    explicit Json(Object members) : value_(std::move(members)) {}
    explicit Json(Array items) : value_(std::move(items)) {}

    static Number to_number(double value) {
        if (!std::isfinite(value))
            throw JsonError("a number that is not finite has no place in JSON");
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
        return Number{value, std::string(digits, end)};
    }

    std::variant<std::monostate, bool, std::int64_t, Number, std::string, Array, Object> value_;
};

inline void Json::write(std::string& out) const {
    const char* separator = "";
    if (const auto* members = std::get_if<Object>(&value_)) {
        out += '{';
        for (const auto& [name, value] : *members) {
            append_json_text(out += std::exchange(separator, ","), name);
            value.write(out += ':');
        }
        out += '}';
    } else if (const auto* items = std::get_if<Array>(&value_)) {
        out += '[';
        for (const Json& item : *items) item.write(out += std::exchange(separator, ","));
        out += ']';
    } else if (const auto* text = std::get_if<std::string>(&value_)) {
        append_json_text(out, *text);
    } else if (const auto* number = std::get_if<Number>(&value_)) {
        out += number->text;
    } else if (const auto* whole = std::get_if<std::int64_t>(&value_)) {
        out += std::to_string(*whole);
    } else if (const auto* truth = std::get_if<bool>(&value_)) {
        out += *truth ? "true" : "false";
    } else {
        out += "null";
    }
}

}  // namespace sdk
}  // namespace millrace

#include <millrace/detail/json_parser.hpp>
