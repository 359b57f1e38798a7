// What a server may say: HTTP/1.1 responses one after another, then perhaps WebSocket frames (RFC
// 6455) or an event stream. Anything else ends the program: a response that was split, a body that
// is not as long as it says, JSON that is none.
#pragma once

#include <boost/json/parse.hpp>
#include <charconv>
#include <string>
#include <string_view>

#include "events/json.hpp"
#include "fuzz/check.hpp"
#include "gateway/encoding.hpp"

namespace millrace::fuzz {

inline void check_json(std::string_view text) {
    boost::system::error_code error;
    boost::json::parse(text, error);
    check(!error, "what calls itself JSON is JSON", text);
}

// The answers to read; what is left stands in `rest_`.
class Answers {
public:
    explicit Answers(std::string_view text) : rest_(text) {}

    void check_all() {
        while (!rest_.empty()) check_response();
    }

private:
    void check_response() {
        const std::string_view whole = rest_;
        check(whole.find("\r\n\r\n") != std::string_view::npos, "a head ends", whole);
        std::string_view head = cut(rest_, "\r\n\r\n");
        const std::string_view status = cut(head, "\r\n");
        // A handshake that cannot be is answered in the version that it came in.
        check(is_status(status) && status.size() > 12, "a status line", status);
        if (status.substr(9, 3) == "100") return;
        std::size_t length = 0;
        std::string type;
        while (!head.empty()) {
            std::string_view line = cut(head, "\r\n");
            const std::string name = gateway::lower_case(cut(line, ":"));
            check(is_token(name), "a header's name is a token", name);
            check(is_field_value(line), "a header's value has no control characters", line);
            line = gateway::trimmed(line);
            if (name == "content-length")
                std::from_chars(line.data(), line.data() + line.size(), length);
            if (name == "content-type") type = line;
        }
        if (status.substr(9, 3) == "101") return check_frames();
        if (type == "text/event-stream") return check_stream();
        check_body(length, type);
    }

    void check_body(std::size_t length, const std::string& type) {
        if (rest_.empty() || is_status(rest_)) return;  // of a HEAD
        check(length <= rest_.size(), "a body is as long as it says", rest_);
        const std::string_view body = rest_.substr(0, length);
        rest_.remove_prefix(length);
        if (type == "application/json" || type == "application/problem+json") check_json(body);
    }

    // The connection may end within a frame, not with a wrong one.
    void check_frames() {
        std::string message;
        while (rest_.size() >= 2) {
            const auto first = static_cast<unsigned char>(rest_[0]);
            const auto second = static_cast<unsigned char>(rest_[1]);
            const unsigned opcode = first & 15U;
            check((first & 0x70U) == 0, "no reserved bits");
            check((second & 128U) == 0, "a server does not mask");
            std::size_t length = second & 127U;
            const std::size_t extra = length == 127 ? 8 : length == 126 ? 2 : 0;
            if (rest_.size() < 2 + extra) return;
            if (extra > 0) length = 0;
            for (std::size_t i = 0; i < extra; ++i)
                length = (length << 8U) | static_cast<unsigned char>(rest_[2 + i]);
            rest_.remove_prefix(2 + extra);
            if (rest_.size() < length) return;
            const std::string_view payload = rest_.substr(0, length);
            rest_.remove_prefix(length);
            if (opcode >= 8) {
                check((first & 128U) != 0 && length < 126, "a control frame is whole and short");
                if (opcode == 8) check_close(payload);
                continue;
            }
            check(opcode == (message.empty() ? 1U : 0U), "messages are texts, parts in order");
            message += payload;
            if ((first & 128U) == 0) continue;
            check_json(message);
            message.clear();
        }
    }

    void check_close(std::string_view payload) {
        check(payload.size() != 1, "a close frame has a code or nothing");
        if (payload.size() > 2) check(is_utf8(payload.substr(2)), "a reason is UTF-8", payload);
        rest_ = {};
    }

    void check_stream() {
        check(is_utf8(rest_), "an event stream is UTF-8");
        while (!rest_.empty()) {
            const std::string_view line = cut(rest_, "\n");
            check(line.find('\r') == std::string_view::npos, "lines end with LF", line);
            const bool is_known = line.empty() || line.starts_with("id: ") ||
                                  line.starts_with("event: ") || line.starts_with("data: ") ||
                                  line.starts_with("retry: ") || line.starts_with(": ");
            check(is_known || rest_.empty(), "a line of an event stream", line);
            if (line.starts_with("data: ") && !rest_.empty()) check_json(line.substr(6));
        }
    }

    static bool is_status(std::string_view text) {
        return text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 ");
    }
    static bool is_token(std::string_view name) {
        if (name.empty()) return false;
        for (const char c : name) {
            const bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
            if (!is_letter && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos)
                return false;
        }
        return true;
    }
    static bool is_field_value(std::string_view value) {
        for (const char c : value) {
            if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
        }
        return true;
    }

    std::string_view rest_;
};

}  // namespace millrace::fuzz
