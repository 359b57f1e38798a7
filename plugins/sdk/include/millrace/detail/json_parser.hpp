// JsonParser: RFC 8259, strictly: no comments, no trailing commas, no control characters in texts,
// at most kMaxDepth deep.
//
// One use, one thread. Errors: JsonError with the byte position.
#pragma once

#include <cstdlib>
#include <millrace/json.hpp>

namespace millrace {
inline namespace sdk {

class JsonParser {
public:
    static constexpr int kMaxDepth = 64;

    explicit JsonParser(std::string_view text) : text_(text) {}

    Json parse() {
        Json value = parse_value(0);
        skip_blanks();
        if (position_ != text_.size()) error("something follows the value");
        return value;
    }

private:
    [[noreturn]] void error(const char* what) const {
        throw JsonError("JSON: " + std::string(what) + " at byte " + std::to_string(position_));
    }
    char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
    bool take(char wanted) {
        if (peek() != wanted || position_ >= text_.size()) return false;
        ++position_;
        return true;
    }
    void skip_blanks() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++position_;
    }
    bool take_word(std::string_view word) {
        if (!text_.substr(position_).starts_with(word)) return false;
        position_ += word.size();
        return true;
    }

    Json parse_value(int depth) {
        if (depth > kMaxDepth) error("nested too deeply");
        skip_blanks();
        if (take('{')) return parse_object(depth);
        if (take('[')) return parse_array(depth);
        if (take('"')) return Json(parse_text());
        if (take_word("null")) return Json();
        if (take_word("true")) return Json(true);
        if (take_word("false")) return Json(false);
        return parse_number();
    }

    Json parse_object(int depth) {
        Json::Object members;
        skip_blanks();
        if (take('}')) return Json(std::move(members));
        do {
            skip_blanks();
            if (!take('"')) error("a member's name was expected");
            std::string name = parse_text();
            skip_blanks();
            if (!take(':')) error("':' was expected");
            members.emplace_back(std::move(name), parse_value(depth + 1));
            skip_blanks();
        } while (take(','));
        if (!take('}')) error("',' or '}' was expected");
        return Json(std::move(members));
    }

    Json parse_array(int depth) {
        Json::Array items;
        skip_blanks();
        if (take(']')) return Json(std::move(items));
        do {
            items.push_back(parse_value(depth + 1));
            skip_blanks();
        } while (take(','));
        if (!take(']')) error("',' or ']' was expected");
        return Json(std::move(items));
    }

    bool skip_digits() {
        const std::size_t begin = position_;
        while (peek() >= '0' && peek() <= '9') ++position_;
        return position_ > begin;
    }

    Json parse_number() {
        const std::size_t begin = position_;
        take('-');
        if (!take('0') && !skip_digits()) error("a value was expected");
        bool whole = true;
        if (take('.')) {
            whole = false;
            if (!skip_digits()) error("a digit was expected");
        }
        if (peek() == 'e' || peek() == 'E') {
            whole = false;
            ++position_;
            if (!take('+')) take('-');
            if (!skip_digits()) error("a digit was expected");
        }
        return make_number(text_.substr(begin, position_ - begin), whole);
    }

    Json make_number(std::string_view digits, bool whole) const {
        const char* end = digits.data() + digits.size();
        std::int64_t integer = 0;
        if (whole && std::from_chars(digits.data(), end, integer).ec == std::errc() &&
            digits != "-0")
            return Json(integer);
        Json::Number number{0, std::string(digits)};
        // What is too small for a double is zero; from_chars calls it out of range too.
        if (std::from_chars(digits.data(), end, number.value).ec != std::errc())
            number.value = std::strtod(number.text.c_str(), nullptr);
        if (!std::isfinite(number.value)) error("a number beyond all bounds");
        Json json;
        json.value_ = std::move(number);
        return json;
    }

    std::string parse_text() {
        std::string out;
        while (position_ < text_.size()) {
            const char c = text_[position_++];
            if (c == '"') return out;
            if (static_cast<unsigned char>(c) < 0x20) error("a control character in a text");
            if (c == '\\') {
                parse_escape(out);
            } else {
                out += c;
            }
        }
        error("a text without an end");
    }

    void parse_escape(std::string& out) {
        static constexpr std::string_view kNames = "\"\\/bfnrt";
        static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
        const char c = peek();
        ++position_;
        if (c == 'u') return append_utf8(out, parse_code_point());
        const std::size_t index = kNames.find(c);
        if (index == std::string_view::npos) error("an unknown escape");
        out += kMeanings[index];
    }

    std::uint32_t parse_hex() {
        const std::string_view digits = text_.substr(position_, 4);
        std::uint32_t unit = 0;
        const auto [end, fault] =
            std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
        if (digits.size() != 4 || fault != std::errc() || end != digits.data() + 4)
            error("four hexadecimal digits were expected");
        position_ += 4;
        return unit;
    }

    std::uint32_t parse_code_point() {
        const std::uint32_t high = parse_hex();
        if (high < 0xd800 || high > 0xdfff) return high;
        if (high > 0xdbff || !take_word("\\u")) error("half of a surrogate pair");
        const std::uint32_t low = parse_hex();
        if (low < 0xdc00 || low > 0xdfff) error("half of a surrogate pair");
        return 0x10000 + ((high - 0xd800) << 10U) + (low - 0xdc00);
    }

    static void append_utf8(std::string& out, std::uint32_t code) {
        const auto byte = [&out](std::uint32_t value) {
            out += static_cast<char>(static_cast<unsigned char>(value));
        };
        const auto tail = [&byte, code](unsigned shift) { byte(0x80 | ((code >> shift) & 0x3f)); };
        if (code < 0x80) return byte(code);
        if (code < 0x800) {
            byte(0xc0 | (code >> 6U));
        } else if (code < 0x10000) {
            byte(0xe0 | (code >> 12U));
            tail(6);
        } else {
            byte(0xf0 | (code >> 18U));
            tail(12);
            tail(6);
        }
        tail(0);
    }

    std::string_view text_;
    std::size_t position_ = 0;
};

inline Json Json::parse(std::string_view text) { return JsonParser(text).parse(); }

}  // namespace sdk
}  // namespace millrace
