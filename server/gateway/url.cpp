#include "gateway/url.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/encoding.hpp"

namespace millrace::gateway {
namespace {

bool is_host_character(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' ||
           letter == '.' || letter == '_';
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) &&
           std::stoi(std::string(text)) <= 65535;
}

bool is_visible(char letter) { return letter > 0x20 && letter < 0x7f; }

}  // namespace

Result<HostPort> parse_host(std::string_view text) {
    const auto wrong = [&] {
        return fail(ErrorCode::kInvalid,
                    fmt::format("'{}' is not a host name with an optional port", text));
    };
    HostPort parsed;
    std::string_view rest = text;
    if (rest.starts_with('[')) {
        const std::size_t end = rest.find(']');
        if (end == std::string_view::npos) return wrong();
        parsed.host = lower_case(rest.substr(1, end - 1));
        rest.remove_prefix(end + 1);
        if (!std::ranges::all_of(parsed.host,
                                 [](char c) { return is_host_character(c) || c == ':'; }))
            return wrong();
    } else {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        parsed.host = lower_case(rest.substr(0, end));
        rest.remove_prefix(end);
        if (parsed.host.ends_with('.')) parsed.host.pop_back();
        if (!std::ranges::all_of(parsed.host, is_host_character)) return wrong();
    }
    if (parsed.host.empty()) return wrong();
    if (rest.empty()) return parsed;
    if (!rest.starts_with(':') || !is_port(rest.substr(1))) return wrong();
    parsed.port = rest.substr(1);
    return parsed;
}

std::string Url::host_header() const {
    const std::string name = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
    return port == (secure ? "443" : "80") ? name : fmt::format("{}:{}", name, port);
}

Result<Url> parse_url(std::string_view text) {
    const auto wrong = [&](std::string_view what) {
        return fail(
            ErrorCode::kInvalid,
            fmt::format("'{}' is not a usable address: {}; write http(s)://host[:port]/path", text,
                        what));
    };
    if (!std::ranges::all_of(text, is_visible))
        return wrong("it has blanks or characters that must be percent-encoded");
    Url url;
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos) return wrong("it has no scheme");
    const std::string scheme = lower_case(text.substr(0, colon));
    if (scheme != "http" && scheme != "https") return wrong("only http and https are spoken");
    url.secure = scheme == "https";
    std::string_view rest = text.substr(colon + 3);
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    const std::string_view authority = rest.substr(0, end);
    if (authority.find('@') != std::string_view::npos)
        return wrong("credentials belong in a header");
    auto host = parse_host(authority);
    if (!host) return wrong("it has no host");
    url.host = std::move(host->host);
    url.port = host->port.empty() ? (url.secure ? "443" : "80") : std::move(host->port);
    rest = rest.substr(end);
    rest = rest.substr(0, rest.find('#'));
    url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
    return url;
}

}  // namespace millrace::gateway
