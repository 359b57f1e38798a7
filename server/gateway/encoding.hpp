// Small encodings of the web: base64, base64url, percent-encoding, query strings, JSON text, and a
// comparison for secrets.
//
// Pure functions; any thread. What cannot be decoded is nullopt.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::gateway {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// RFC 4648 section 4, padded.
std::string base64(std::string_view bytes);
// RFC 4648 section 5, without padding.
std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

// RFC 3986 section 2.1. With `plus_is_blank` as HTML forms and query strings do.
std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_blank = false);
// "a=1&b=two+words"; names without '=' have an empty value.
std::optional<Parameters> parse_query(std::string_view query);
// The first of that name.
std::optional<std::string_view> find_parameter(const Parameters& parameters, std::string_view name);

// A JSON string with its quotes; bytes that are not UTF-8 (of an address, say) become U+FFFD.
std::string json_quoted(std::string_view text);

std::string lower_case(std::string_view text);
bool equal_ignoring_case(std::string_view left, std::string_view right);
std::string_view trimmed(std::string_view text);

// Takes as long for a wrong secret as for the right one.
bool same_secret(std::string_view given, std::string_view expected);

}  // namespace millrace::gateway
