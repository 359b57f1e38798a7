// Listen addresses, and who may be left open on them.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "core/config/load.hpp"
#include "core/config/units.hpp"

namespace millrace::config {
namespace {

constexpr std::string_view kExpected = "expected host:port such as 127.0.0.1:8080 or [::1]:8080";

bool is_host_name(const std::string& host) {
    return !host.empty() && std::ranges::all_of(host, [](char character) {
        return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
               (character >= '0' && character <= '9') || character == '-' || character == '.';
    });
}

bool is_address(int family, const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return inet_pton(family, host.c_str(), bytes.data()) == 1;
}

}  // namespace

ListenAddress read_address(const ConfigNode& node) {
    const std::string text = node.as_string();
    const std::size_t colon = text.rfind(':');
    const std::int64_t port =
        colon == std::string::npos ? -1 : parse_integer(text.substr(colon + 1)).value_or(-1);
    std::string host = text.substr(0, colon);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    const bool good_host = bracketed ? is_address(AF_INET6, host) : is_host_name(host);
    if (port < 0 || port > 65'535 || !good_host)
        node.error(fmt::format("is '{}', {}", text, kExpected));
    return {host, static_cast<std::uint16_t>(port)};
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && is_address(AF_INET, host));
}

void check_listeners(const ConfigNode& root, const ServerConfig& config, Faults& faults) {
    const auto& [http, admin] = std::tie(config.server.http, config.server.admin);
    const ConfigNode node = nearest_node(root, {"server", "http"});
    if (http.port != 0 && http.port == admin.port && http.host == admin.host)
        faults.attempt([&] {
            nearest_node(root, {"server", "admin"})
                .error(fmt::format("is {}:{}, which server.http listens on already; choose another "
                                   "port",
                                   admin.host, admin.port));
        });
    if (config.server.allow_open || is_loopback(http.host)) return;
    constexpr std::string_view kAdvice =
        "listen on 127.0.0.1 behind a proxy that checks users, or set server.allow_open: true";
    if (config.gateway.auth == GatewaySection::Auth::kNone)
        faults.attempt([&] {
            node.error(
                fmt::format("is {}, where anybody could read any user's events: "
                            "gateway.auth.mode is none; {}",
                            http.host, kAdvice));
        });
    if (config.ingest.tokens.empty())
        faults.attempt([&] {
            node.error(
                fmt::format("is {}, where anybody could write events: set ingest.tokens; or "
                            "{}",
                            http.host, kAdvice));
        });
}

}  // namespace millrace::config
