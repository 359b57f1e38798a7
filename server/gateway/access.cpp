#include "gateway/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "gateway/url.hpp"

namespace millrace::gateway {
namespace {

bool is_address(std::string_view host) {
    boost::system::error_code error;
    boost::asio::ip::make_address(std::string(host), error);
    return !error;
}

bool is_loopback(std::string_view host) {
    if (host == "localhost" || host.ends_with(".localhost")) return true;
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(host), error);
    return !error && address.is_loopback();
}

bool is_unspecified(std::string_view host) {
    return host == "0.0.0.0" || host == "::" || host == "*";
}

std::string_view after_scheme(std::string_view origin) {
    const std::size_t at = origin.find("://");
    return at == std::string_view::npos ? std::string_view() : origin.substr(at + 3);
}

std::string_view default_port(std::string_view origin) {
    return origin.starts_with("https:") ? "443" : "80";
}

Response unauthorized(const Request& request, std::string detail, std::string help,
                      std::string_view realm) {
    Response response = to_response({401, std::move(detail), request.path, std::move(help), {}});
    response.headers.emplace_back("WWW-Authenticate", fmt::format("Bearer realm=\"{}\"", realm));
    return response;
}

}  // namespace

Access::Access(const ServerConfig& config, std::string admin_token)
    : origins_(config.gateway.origins),
      admin_token_(std::move(admin_token)),
      ingest_tokens_(config.ingest.tokens) {
    for (const std::string& host : config.server.hosts) hosts_.push_back(lower_case(host));
    for (const ListenAddress& address : {config.server.http, config.server.admin}) {
        hosts_.push_back(lower_case(address.host));
        any_address_ = any_address_ || is_unspecified(address.host);
    }
    for (std::string& origin : origins_) origin = lower_case(origin);
}

std::optional<Problem> Access::check_host(const Request& request) const {
    const std::string_view value = request.header("host");
    const auto host = parse_host(value);
    if (!host)
        return Problem{400,
                       host.error().message + " (header Host)",
                       request.path,
                       "send the server's name as Host",
                       {}};
    if (is_loopback(host->host) || std::ranges::find(hosts_, host->host) != hosts_.end())
        return std::nullopt;
    if (any_address_ && is_address(host->host)) return std::nullopt;
    return Problem{
        403,
        fmt::format("this server does not answer to the Host '{}'", value),
        request.path,
        fmt::format("ask for it by its own name, or add '{}' to server.hosts", host->host),
        {}};
}

std::optional<Problem> Access::check_origin(const Request& request, bool is_stream) const {
    const bool is_read =
        request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
    const std::string_view origin = request.header("origin");
    if (request.count_headers("origin") == 0 || (is_read && !is_stream)) return std::nullopt;
    if (request.count_headers("origin") > 1)
        return Problem{400, "more than one Origin header", request.path, "send one", {}};
    if (is_same_host(origin, request.header("host")) || is_listed_origin(origin))
        return std::nullopt;
    return Problem{403,
                   fmt::format("pages of the Origin '{}' may not use this server", origin),
                   request.path,
                   "add it to gateway.origins if they should",
                   {}};
}

std::optional<std::string> Access::cross_origin(const Request& request) const {
    const std::string_view origin = request.header("origin");
    if (origin.empty() || request.count_headers("origin") > 1 || !is_listed_origin(origin))
        return std::nullopt;
    return std::string(origin);
}

// The scheme may differ: a proxy in front ends TLS.
bool Access::is_same_host(std::string_view origin, std::string_view host) const {
    const auto theirs = parse_host(after_scheme(origin));
    const auto ours = parse_host(host);
    if (!theirs || !ours || theirs->host != ours->host) return false;
    const std::string_view standard = default_port(origin);
    const auto port = [&](const HostPort& address) {
        return address.port.empty() ? standard : std::string_view(address.port);
    };
    return port(*theirs) == port(*ours);
}

bool Access::is_listed_origin(std::string_view origin) const {
    const std::string lowered = lower_case(origin);
    return std::ranges::any_of(
        origins_, [&](const std::string& allowed) { return allowed == "*" || allowed == lowered; });
}

std::optional<Response> Access::check_admin(const Request& request) const {
    if (!admin_token_.empty() && same_secret(bearer_token(request), admin_token_))
        return std::nullopt;
    const bool is_missing = bearer_token(request).empty();
    return unauthorized(
        request,
        is_missing ? "the admin listener wants a token" : "the token is not the admin token",
        "send 'Authorization: Bearer TOKEN'; the token is server.admin_token, else in the file "
        "admin-token in the data directory",
        "millrace admin");
}

std::optional<Response> Access::check_ingest(const Request& request) const {
    if (ingest_tokens_.empty()) return std::nullopt;
    const std::string_view given = bearer_token(request);
    bool is_known = false;
    for (const std::string& token : ingest_tokens_)
        is_known = same_secret(given, token) || is_known;
    if (is_known) return std::nullopt;
    return unauthorized(
        request,
        given.empty() ? "sending events wants a token" : "the token is not one of ingest.tokens",
        "send 'Authorization: Bearer TOKEN' with one of ingest.tokens", "millrace ingest");
}

std::string_view bearer_token(const Request& request) {
    constexpr std::string_view kScheme = "bearer ";
    const std::string_view value = request.header("authorization");
    if (value.size() > kScheme.size() &&
        equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
        return trimmed(value.substr(kScheme.size()));
    }
    constexpr std::string_view kProtocol = "bearer.";
    for (const std::string_view protocol : header_list(request, "sec-websocket-protocol")) {
        if (protocol.starts_with(kProtocol)) return protocol.substr(kProtocol.size());
    }
    return {};
}

std::vector<std::string_view> header_list(const Request& request, std::string_view name) {
    std::vector<std::string_view> values;
    for (const auto& [known, value] : request.headers) {
        if (known != name) continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(','), rest.size());
            if (const auto item = trimmed(rest.substr(0, end)); !item.empty())
                values.push_back(item);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return values;
}

}  // namespace millrace::gateway
