#include "gateway/ingest_body.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::gateway {
namespace {

enum class Media { kUnknown, kByContent, kLines, kCloudEvent, kCloudEventBatch };

std::string media_type(std::string_view content_type) {
    return lower_case(trimmed(content_type.substr(0, content_type.find(';'))));
}

Media media_of(std::string_view content_type) {
    const std::string type = media_type(content_type);
    if (type == "application/cloudevents+json") return Media::kCloudEvent;
    if (type == "application/cloudevents-batch+json") return Media::kCloudEventBatch;
    constexpr std::string_view kLines[] = {"application/x-ndjson",   "application/ndjson",
                                           "application/jsonl",      "application/x-jsonlines",
                                           "application/json-lines", "application/jsonlines"};
    if (std::ranges::find(kLines, type) != std::end(kLines)) return Media::kLines;
    constexpr std::string_view kByContent[] = {
        "",           "application/json",         "text/json",
        "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"};
    if (std::ranges::find(kByContent, type) != std::end(kByContent) || type.ends_with("+json"))
        return Media::kByContent;
    return Media::kUnknown;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Where the value that begins at `begin` ends: its closing bracket, or the next comma, bracket or
// line outside of text. npos: it does not end.
std::size_t end_of_value(std::string_view text, std::size_t begin) {
    std::size_t depth = 0;
    bool in_text = false;
    for (std::size_t i = begin; i < text.size(); ++i) {
        const char c = text[i];
        if (in_text) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return i;
            if (--depth == 0) return i + 1;
        } else if (depth == 0 && (c == ',' || c == '\n')) {
            return i;
        }
    }
    return depth == 0 && !in_text ? text.size() : std::string_view::npos;
}

std::size_t skip_blanks(std::string_view text, std::size_t at) {
    while (at < text.size() && is_blank(text[at])) ++at;
    return at;
}

Error malformed(std::string what) { return fail(ErrorCode::kInvalid, std::move(what)); }

Error too_many(std::size_t max_events) {
    return fail(ErrorCode::kFull,
                fmt::format("more than {} events in one request (server.limits.max_batch_events)",
                            max_events));
}

Result<std::vector<std::string_view>> cut_array(std::string_view text, std::size_t max_events) {
    std::vector<std::string_view> events;
    std::size_t at = skip_blanks(text, 1);
    if (at < text.size() && text[at] == ']')
        return malformed("the array is empty: there is nothing to append");
    while (true) {
        at = skip_blanks(text, at);
        const std::size_t end = end_of_value(text, at);
        if (end == std::string_view::npos || end == text.size())
            return malformed("the array does not end: a closing bracket is missing");
        const std::string_view event = trimmed(text.substr(at, end - at));
        if (event.empty())
            return malformed(
                fmt::format("element {} of the array is empty (a comma too many)", events.size()));
        if (events.size() == max_events) return too_many(max_events);
        events.push_back(event);
        at = skip_blanks(text, end);
        if (at >= text.size())
            return malformed("the array does not end: a closing bracket is missing");
        if (text[at] == ']') break;
        if (text[at] != ',')
            return malformed(fmt::format("after element {} of the array stands '{}', not a comma",
                                         events.size() - 1, text[at]));
        ++at;
    }
    if (skip_blanks(text, at + 1) != text.size())
        return malformed("something follows the array's closing bracket");
    return events;
}

Result<std::vector<std::string_view>> cut_lines(std::string_view text, std::size_t max_events) {
    std::vector<std::string_view> events;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        if (events.size() == max_events) return too_many(max_events);
        events.push_back(line);
    }
    if (events.empty()) return malformed("the body is empty: there is nothing to append");
    return events;
}

// One value that may stand on several lines, or several values on a line each?
bool looks_like_lines(std::string_view text) {
    const std::size_t end = end_of_value(text, 0);
    if (end == std::string_view::npos) return false;
    const std::size_t next = skip_blanks(text, end);
    return next < text.size() && text.substr(end, next - end).find('\n') != std::string_view::npos;
}

// CloudEvents' HTTP binding, binary mode: `ce-` headers are the attributes; on Kafka they are
// called `ce_`.
void add_cloud_event_headers(const Request& request, IngestBody& body) {
    for (const auto& [name, value] : request.headers) {
        if (!name.starts_with("ce-") || name.size() == 3) continue;
        body.headers.emplace_back("ce_" + name.substr(3), percent_decoded(value).value_or(value));
    }
}

void add_headers(const Request& request, Media media, IngestBody& body) {
    const bool is_binary = !request.header("ce-specversion").empty();
    if (is_binary) add_cloud_event_headers(request, body);
    if (media == Media::kCloudEvent || media == Media::kCloudEventBatch) {
        body.headers.emplace_back("content-type", "application/cloudevents+json; charset=UTF-8");
    } else if (is_binary) {
        body.headers.emplace_back("content-type", "application/json");
    }
    for (const char* name : {"traceparent", "tracestate"}) {
        if (const auto value = request.header(name); !value.empty())
            body.headers.emplace_back(name, value);
    }
}

}  // namespace

bool is_ingest_type(std::string_view content_type) {
    return media_of(content_type) != Media::kUnknown;
}

Result<IngestBody> read_ingest_body(const Request& request, std::size_t max_events) {
    const Media media = media_of(request.header("content-type"));
    if (media == Media::kUnknown) {
        return fail(ErrorCode::kDenied, fmt::format("'{}' is not a media type of events",
                                                    request.header("content-type")));
    }
    std::string_view text = request.body;
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    text = trimmed(text);
    if (text.empty()) return malformed("the body is empty: there is nothing to append");

    IngestBody body;
    add_headers(request, media, body);
    if (text.front() == '[' && media != Media::kLines && media != Media::kCloudEvent) {
        auto events = cut_array(text, max_events);
        if (!events) return events.error();
        body.events = std::move(*events);
        body.is_batch = true;
    } else if (media == Media::kLines || (media == Media::kByContent && looks_like_lines(text))) {
        auto events = cut_lines(text, max_events);
        if (!events) return events.error();
        body.events = std::move(*events);
        body.is_batch = true;
    } else if (media == Media::kCloudEventBatch) {
        return malformed("a batch of CloudEvents is an array");
    } else {
        body.events.push_back(text);
    }
    return body;
}

}  // namespace millrace::gateway
