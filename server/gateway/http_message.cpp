#include "gateway/http_message.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::gateway {

std::string_view Request::header(std::string_view name) const {
    return find_parameter(headers, name).value_or(std::string_view());
}

std::size_t Request::count_headers(std::string_view name) const {
    return static_cast<std::size_t>(
        std::ranges::count(headers, name, &Parameters::value_type::first));
}

Result<void> read_target(Request& request, std::string_view target) {
    const auto wrong = [&](std::string_view what) {
        return fail(ErrorCode::kInvalid, fmt::format("the target {}", what));
    };
    request.target = target;
    if (!target.starts_with('/')) return wrong("is not an absolute path");
    if (std::ranges::any_of(target, [](char c) { return c <= 0x20 || c == 0x7f; }))
        return wrong("has control characters");
    const std::size_t question = std::min(target.find('?'), target.size());
    request.path = target.substr(0, question);
    auto query = parse_query(target.substr(std::min(question + 1, target.size())));
    if (!query) return wrong("has a query with a broken percent-encoding");
    request.query = std::move(*query);
    std::string_view rest = request.path;
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const std::size_t end = std::min(rest.find('/'), rest.size());
        auto segment = percent_decoded(rest.substr(0, end));
        if (!segment) return wrong("has a broken percent-encoding");
        request.segments.push_back(std::move(*segment));
        rest.remove_prefix(end);
    }
    return {};
}

std::string_view title_of(int status) {
    // RFC 9110 section 15, RFC 6585.
    static constexpr std::pair<int, std::string_view> kTitles[] = {
        {200, "OK"},
        {204, "No Content"},
        {207, "Multi-Status"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    const auto found = std::ranges::find(kTitles, status, &std::pair<int, std::string_view>::first);
    return found == std::end(kTitles) ? "Error" : found->second;
}

std::string to_json(const Problem& problem) {
    std::string text = fmt::format(R"({{"status":{},"title":"{}","detail":{})", problem.status,
                                   title_of(problem.status), json_quoted(problem.detail));
    if (!problem.help.empty()) text += fmt::format(R"(,"help":{})", json_quoted(problem.help));
    return text + "}";
}

Response to_response(const Problem& problem) {
    Response response;
    response.status = problem.status;
    response.content_type = "application/problem+json";
    response.body = fmt::format(R"({{"type":"about:blank",{})", to_json(problem).substr(1));
    response.body.pop_back();
    if (!problem.instance.empty())
        response.body += fmt::format(R"(,"instance":{})", json_quoted(problem.instance));
    if (!problem.members.empty()) response.body += "," + problem.members;
    response.body += "}\n";
    if (problem.status == 503 || problem.status == 429)
        response.headers.emplace_back("Retry-After", "1");
    return response;
}

Problem problem_of(const Error& error, const Request& request) {
    const auto problem = [&](int status, std::string help) {
        return Problem{status, error.message, request.path, std::move(help), {}};
    };
    switch (error.code) {
        case ErrorCode::kInvalid:
            return problem(422, "correct the request; it would be refused again as it is");
        case ErrorCode::kTooLarge:
            return problem(413, "send less; the topic's own limit says how much");
        case ErrorCode::kNotFound:
            return problem(
                404, "GET /v1/topics and /v1/handlers on the admin listener list what is there");
        case ErrorCode::kDenied:
            return problem(403, "");
        case ErrorCode::kConflict:
            return problem(409, "");
        case ErrorCode::kUnavailable:
        case ErrorCode::kCancelled:
            return problem(503, "send it again after the seconds in Retry-After");
        case ErrorCode::kFull:
            return problem(503,
                           "nothing was taken; send it again after the seconds in Retry-After");
        case ErrorCode::kTimeout:
            return problem(503,
                           "whether it was done is not known; an event sent again with its "
                           "event_id counts once");
        case ErrorCode::kIo:
        case ErrorCode::kCorrupt:
        case ErrorCode::kInternal:
            break;
    }
    return problem(500, "the server's log says more");
}

}  // namespace millrace::gateway
