// Access: who may ask for what: Host and Origin allow-lists, the admin token, ingest tokens.
//
// Against DNS rebinding a request must name a host that is known to be this server; against forged
// requests from other sites a write or an event stream with an Origin needs one that is allowed.
// Immutable after construction; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/server_config.hpp"
#include "gateway/http_message.hpp"

namespace millrace::gateway {

class Access {
public:
    Access(const ServerConfig& config, std::string admin_token);

    // nullopt: go on. Checks Host, then Origin (of writes, streams and upgrades).
    std::optional<Problem> check_host(const Request& request) const;
    std::optional<Problem> check_origin(const Request& request, bool is_stream) const;
    // The Origin of a request if it is an allowed one from elsewhere: what CORS headers name.
    std::optional<std::string> cross_origin(const Request& request) const;

    // 401 with WWW-Authenticate when the token is missing or wrong. `subprotocols`: a WebSocket may
    // carry `bearer.<token>`.
    std::optional<Response> check_admin(const Request& request) const;
    std::optional<Response> check_ingest(const Request& request) const;

private:
    bool is_same_host(std::string_view origin, std::string_view host) const;
    bool is_listed_origin(std::string_view origin) const;

    std::vector<std::string> hosts_;  // lower case
    bool any_address_ = false;        // listens on all addresses: a literal address is a good Host
    std::vector<std::string> origins_;
    std::string admin_token_;
    std::vector<std::string> ingest_tokens_;
};

// "Bearer x" → "x"; a WebSocket's subprotocol `bearer.x` → "x".
std::string_view bearer_token(const Request& request);
// The comma-separated values of a header, trimmed.
std::vector<std::string_view> header_list(const Request& request, std::string_view name);

}  // namespace millrace::gateway
