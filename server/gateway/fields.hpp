// Parameters read and members written, as several routes do.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "gateway/http_message.hpp"

namespace millrace::gateway {

// kInvalid: not a whole number from 0 to `maximum`.
Result<std::int64_t> number_parameter(const Request& request, std::string_view name,
                                      std::int64_t standard, std::int64_t maximum);

// `"name":"text"`, `"name":null`, or base64 and `"name_encoding":"base64"` for what is not UTF-8.
std::string bytes_json(std::string_view name, const std::optional<std::string_view>& bytes);

Response json_response(std::string body);

}  // namespace millrace::gateway
