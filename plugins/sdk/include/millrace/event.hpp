// What a handler is given: Event, Timer, Response, and the Parameters of a question.
//
// Views over the server's memory, valid until the callback returns: copy what is kept. A text that
// is not there is nullopt, which differs from an empty one.
#pragma once

#include <millrace/abi.h>

#include <charconv>
#include <cstdint>
#include <millrace/json.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace millrace {
inline namespace sdk {

inline millrace_str to_abi(std::string_view text) {
    return {text.data() ? text.data() : "", text.size()};
}
inline std::string_view to_view(millrace_str text) {
    return text.data ? std::string_view(text.data, text.size) : std::string_view();
}
inline std::optional<std::string_view> to_optional(millrace_str text) {
    return text.data ? std::optional<std::string_view>(std::in_place, text.data, text.size)
                     : std::nullopt;
}
inline std::optional<Time> to_time(std::int64_t time) {
    return time == MILLRACE_NO_TIME ? std::nullopt : std::optional(from_microseconds(time));
}

namespace detail {

inline std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace detail

using Token = millrace_token;

// What an event says of a field.
enum class Said {
    kAbsent,   // not there, or it cannot be read
    kNothing,  // there, and null, empty or a word for nothing: taken away
    kText      // field() has it
};

class Event {
public:
    Event(const millrace_host_api& api, millrace_host* host, const millrace_event& event)
        : api_(&api), host_(host), event_(&event) {}

    // The record.
    std::string_view topic() const { return to_view(event_->topic); }
    std::int32_t partition() const { return event_->partition; }
    std::int64_t offset() const { return event_->offset; }
    Time record_time() const { return from_microseconds(event_->record_time); }
    std::optional<std::string_view> key() const { return to_optional(event_->key); }
    // The original bytes.
    std::optional<std::string_view> value() const { return to_optional(event_->value); }
    // The last header of that name.
    std::optional<std::string_view> header(std::string_view name) const {
        for (std::size_t i = event_->header_count; i-- > 0;) {
            if (to_view(event_->headers[i].name) == name)
                return to_optional(event_->headers[i].value);
        }
        return std::nullopt;
    }
    std::span<const millrace_header> headers() const {
        return {event_->headers, event_->header_count};
    }

    // The envelope.
    // As sent, else derived: always there.
    std::string_view id() const { return to_view(event_->id); }
    bool id_is_derived() const {
        return (event_->flags & MILLRACE_EVENT_ID_IS_DERIVED) != 0;
    }  // the producer sent none
    std::string_view type() const { return to_view(event_->type); }  // "completed"; empty: none
    std::string_view full_type() const { return to_view(event_->full_type); }
    std::uint32_t schema_version() const { return event_->schema_version; }
    std::optional<std::string_view> user() const { return to_optional(event_->user_id); }
    std::optional<std::string_view> task() const { return to_optional(event_->task_id); }
    std::optional<Time> time() const { return to_time(event_->time); }

    // A field by the server's reading rules: `due`, `title`, `recurrence`, `changes` ... Text as it
    // is, times as 2026-02-10T08:00:00Z, objects and arrays as JSON. nullopt: absent or null.
    std::optional<std::string_view> field(std::string_view name) const {
        millrace_str value{};
        if (api_->field(host_, event_, to_abi(name), &value) != MILLRACE_OK) return std::nullopt;
        return to_optional(value);
    }
    // Tells a field that was taken away (null, "none") from one that the event does not speak of.
    Said said(std::string_view name) const {
        millrace_str value{};
        const int status = api_->field(host_, event_, to_abi(name), &value);
        if (status == MILLRACE_OK) return Said::kText;
        return status == MILLRACE_NOTHING ? Said::kNothing : Said::kAbsent;
    }
    std::optional<Time> time_field(std::string_view name) const {
        const auto text = field(name);
        return text ? parse_time(*text) : std::nullopt;
    }
    std::optional<std::int64_t> integer_field(std::string_view name) const {
        const auto text = field(name);
        return text ? detail::parse_integer(*text) : std::nullopt;
    }
    // "true" or "false".
    std::optional<bool> boolean_field(std::string_view name) const {
        const auto text = field(name);
        if (!text || (*text != "true" && *text != "false")) return std::nullopt;
        return *text == "true";
    }
    // An object or array field.
    std::optional<Json> json_field(std::string_view name) const {
        const auto text = field(name);
        return text ? std::optional(Json::parse(*text)) : std::nullopt;
    }

    // This delivery.
    std::uint32_t attempt() const { return event_->attempt; }  // 1 the first time
    Token token() const { return event_->token; }              // for Completer, with pending()
    const millrace_event& abi() const { return *event_; }

private:
    const millrace_host_api* api_;
    millrace_host* host_;
    const millrace_event* event_;
};

class Timer {
public:
    explicit Timer(const millrace_timer& timer) : timer_(&timer) {}
    std::string_view id() const { return to_view(timer_->id); }
    std::string_view key() const { return to_view(timer_->key); }
    std::string_view payload() const { return to_view(timer_->payload); }
    Time due() const { return from_microseconds(timer_->due); }
    std::uint32_t attempt() const { return timer_->attempt; }

private:
    const millrace_timer* timer_;
};

class Response {
public:
    explicit Response(const millrace_response& response) : response_(&response) {}
    std::string_view id() const { return to_view(response_->id); }  // as given to `call`
    std::string_view key() const { return to_view(response_->key); }
    std::string_view payload() const { return to_view(response_->payload); }  // as given to `call`
    int status() const { return response_->status; }  // of HTTP; 0: no answer, body() says why
    bool succeeded() const { return status() >= 200 && status() < 300; }
    std::string_view body() const { return to_view(response_->body); }
    std::uint32_t tries() const { return response_->tries; }

private:
    const millrace_response* response_;
};

// A parameter of a question is wrong; the message says which, and what it should be. The asker gets
// it.
class BadParameter : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Parameters {
public:
    explicit Parameters(std::span<const millrace_parameter> all) : all_(all) {}
    std::span<const millrace_parameter> all() const { return all_; }

    // Empty counts as absent: `?user=` asks for nothing.
    std::optional<std::string_view> text(std::string_view name) const {
        for (const millrace_parameter& parameter : all_) {
            if (to_view(parameter.name) == name && parameter.value.size > 0)
                return to_view(parameter.value);
        }
        return std::nullopt;
    }
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t minimum,
                                        std::int64_t maximum) const {
        const auto given = text(name);
        if (!given) return std::nullopt;
        const auto value = detail::parse_integer(*given);
        if (!value || *value < minimum || *value > maximum) {
            throw BadParameter("'" + std::string(name) + "' is '" + std::string(*given) +
                               "', it must be a whole number from " + std::to_string(minimum) +
                               " to " + std::to_string(maximum));
        }
        return value;
    }
    std::optional<Time> time(std::string_view name) const {
        const auto given = text(name);
        if (!given) return std::nullopt;
        const auto value = parse_time(*given);
        if (!value) {
            throw BadParameter("'" + std::string(name) + "' is '" + std::string(*given) +
                               "', it must be a time like 2026-02-10T08:00:00Z");
        }
        return value;
    }

private:
    std::span<const millrace_parameter> all_;
};

}  // namespace sdk
}  // namespace millrace
