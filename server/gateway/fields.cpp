#include "gateway/fields.hpp"

#include <fmt/format.h>

#include <charconv>

#include "events/json.hpp"

namespace millrace::gateway {

Result<std::int64_t> number_parameter(const Request& request, std::string_view name,
                                      std::int64_t standard, std::int64_t maximum) {
    const auto text = request.parameter(name);
    if (!text) return standard;
    std::int64_t value = 0;
    const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (fault == std::errc() && end == text->data() + text->size() && value >= 0 &&
        value <= maximum)
        return value;
    return fail(ErrorCode::kInvalid,
                fmt::format("{}={} is not a number from 0 to {}", name, *text, maximum));
}

std::string bytes_json(std::string_view name, const std::optional<std::string_view>& bytes) {
    if (!bytes) return fmt::format(R"("{}":null)", name);
    if (is_utf8(*bytes)) return fmt::format(R"("{}":{})", name, json_quoted(*bytes));
    return fmt::format(R"("{}":"{}","{}_encoding":"base64")", name, base64(*bytes), name);
}

Response json_response(std::string body) {
    return Response{200, "application/json", {}, std::move(body) + "\n", false};
}

}  // namespace millrace::gateway
