// The parts of an http or https address.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace millrace::gateway {

struct Url {
    bool secure = false;
    std::string host;    // without the brackets of an IPv6 address
    std::string port;    // "443" where none is written
    std::string target;  // path and query, at least "/"
    std::string host_header() const;
};

// kInvalid: another scheme, no host, user information (credentials belong in a header), control
// characters.
Result<Url> parse_url(std::string_view text);

struct HostPort {
    std::string host;  // lower case, without brackets and the final dot
    std::string port;  // empty: none was written
};

// A Host header's value, or what follows the scheme of an Origin.
Result<HostPort> parse_host(std::string_view text);

}  // namespace millrace::gateway
