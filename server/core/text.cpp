#include "core/text.hpp"

#include <fmt/format.h>

namespace millrace {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

unsigned char byte_at(std::string_view text, std::size_t index) {
    return static_cast<unsigned char>(text[index]);
}

// The range a second byte must be in; the first byte's length class is known. RFC 3629, section 4.
bool second_byte_fits(unsigned char first, unsigned char second) {
    if (first == 0xE0) return second >= 0xA0 && second <= 0xBF;
    if (first == 0xED) return second >= 0x80 && second <= 0x9F;
    if (first == 0xF0) return second >= 0x90 && second <= 0xBF;
    if (first == 0xF4) return second >= 0x80 && second <= 0x8F;
    return second >= 0x80 && second <= 0xBF;
}

// Bytes of the character at the start of `text`; 0: not UTF-8.
std::size_t character_length(std::string_view text) {
    const unsigned char first = byte_at(text, 0);
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (text.size() < length || !second_byte_fits(first, byte_at(text, 1))) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte_at(text, i) & 0xC0U) != 0x80U) return 0;
    }
    return length;
}

template <class EscapeControl>
std::string escape(std::string_view text, EscapeControl escape_ascii) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0) {
            out += kReplacement;
            text.remove_prefix(1);
            continue;
        }
        if (length > 1 || !escape_ascii(text.front(), out)) out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out;
}

bool is_control(char character) {
    const auto code = static_cast<unsigned char>(character);
    return code < 0x20 || code == 0x7F;
}

bool escape_named(char character, std::string& out) {
    constexpr std::string_view kCharacters = "\n\r\t";
    constexpr std::string_view kLetters = "nrt";
    const std::size_t found = kCharacters.find(character);
    if (found == std::string_view::npos) return false;
    out += '\\';
    out += kLetters[found];
    return true;
}

}  // namespace

std::string escape_line(std::string_view text) {
    return escape(text, [](char character, std::string& out) {
        if (escape_named(character, out)) return true;
        if (!is_control(character)) return false;
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(character));
        return true;
    });
}

std::string escape_json(std::string_view text) {
    return escape(text, [](char character, std::string& out) {
        if (escape_named(character, out)) return true;
        if (character == '"' || character == '\\') {
            out += '\\';
            out += character;
            return true;
        }
        if (!is_control(character)) return false;
        out += fmt::format("\\u{:04x}", static_cast<unsigned char>(character));
        return true;
    });
}

}  // namespace millrace
