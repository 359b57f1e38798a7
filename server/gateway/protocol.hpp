// The texts of the WebSocket protocol millrace.v1 (INTERFACE.md) besides events: what a client may
// say, what the server says of itself.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/config/server_config.hpp"
#include "gateway/hub.hpp"

namespace millrace::gateway {

constexpr std::string_view kProtocol = "millrace.v1";

struct ClientMessage {
    enum class Kind {
        kMalformed = 1,  // not a JSON object with a type
        kUnknown,
        kPing,
        kPong,
        kResume,
        kAuth,  // also refresh: there are no tokens in mode none
    } kind = Kind::kMalformed;
    std::string type;
    std::int64_t number = 0;  // of a ping
    std::string cursor;       // of a resume
};

ClientMessage read_client_message(std::string_view text);

std::string welcome_text(const Joined& joined, const std::string& user,
                         const GatewaySection& config, Timestamp now);
std::string ping_text(std::uint64_t number, const std::string& cursor);
std::string pong_text(std::int64_t number);
std::string error_text(std::string_view code, std::string_view message);
std::string goodbye_text(CloseCode code, std::string_view reason);

// A server-sent event with one line of data.
std::string stream_text(std::string_view event, std::string_view data,
                        std::string_view cursor = {});

}  // namespace millrace::gateway
