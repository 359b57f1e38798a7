#include "gateway/protocol.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "events/time.hpp"
#include "gateway/encoding.hpp"

namespace millrace::gateway {
namespace {

namespace json = boost::json;

std::string text_member(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

std::int64_t number_member(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

ClientMessage::Kind kind_of(std::string_view type) {
    if (type == "ping") return ClientMessage::Kind::kPing;
    if (type == "pong") return ClientMessage::Kind::kPong;
    if (type == "resume") return ClientMessage::Kind::kResume;
    if (type == "auth" || type == "refresh") return ClientMessage::Kind::kAuth;
    return type.empty() ? ClientMessage::Kind::kMalformed : ClientMessage::Kind::kUnknown;
}

}  // namespace

ClientMessage read_client_message(std::string_view text) {
    ClientMessage message;
    json::error_code error;
    const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !value.is_object()) return message;
    const json::object& object = value.get_object();
    message.type = text_member(object, "type");
    message.kind = kind_of(message.type);
    message.number = number_member(object, "n");
    message.cursor = text_member(object, "cursor");
    return message;
}

std::string welcome_text(const Joined& joined, const std::string& user,
                         const GatewaySection& config, Timestamp now) {
    std::string floor;
    for (const auto& [origin, offset] : joined.floor) {
        floor += fmt::format("{}{}:{}", floor.empty() ? "" : ",", json_quoted(to_string(origin)),
                             offset.value);
    }
    const std::string reason =
        joined.reason.empty() ? "" : fmt::format(R"(,"reason":{})", json_quoted(joined.reason));
    return fmt::format(
        R"({{"type":"welcome","session":"{}","user":{},"cursor":"{}","recovered":{}{},"floor":{{{}}},)"
        R"("limits":{{"message_bytes":{},"queue_bytes":{},"ping_interval_ms":{},"resume_events":{},"resume_age_ms":{}}},"time":"{}"}})",
        joined.session, json_quoted(user), joined.cursor, joined.recovered, reason, floor,
        config.max_message_bytes, config.max_session_queue_bytes, config.ping_interval.count(),
        config.resume_events, config.resume_age.count(), format_time(now));
}

std::string ping_text(std::uint64_t number, const std::string& cursor) {
    return fmt::format(R"({{"type":"ping","n":{},"cursor":"{}"}})", number, cursor);
}

std::string pong_text(std::int64_t number) {
    return fmt::format(R"({{"type":"pong","n":{}}})", number);
}

std::string error_text(std::string_view code, std::string_view message) {
    return fmt::format(R"({{"type":"error","code":"{}","message":{}}})", code,
                       json_quoted(message));
}

std::string goodbye_text(CloseCode code, std::string_view reason) {
    return fmt::format(R"({{"type":"goodbye","code":{},"reason":{}}})", static_cast<int>(code),
                       json_quoted(reason));
}

std::string stream_text(std::string_view event, std::string_view data, std::string_view cursor) {
    const std::string id = cursor.empty() ? "" : fmt::format("id: {}\n", cursor);
    return fmt::format("{}event: {}\ndata: {}\n\n", id, event, data);
}

}  // namespace millrace::gateway
