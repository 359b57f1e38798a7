// Fuzz target: the small parsers that read what strangers write: cursors, addresses, hosts, request
// targets, encodings, times, WebSocket messages, bodies of ingest.
#include <array>
#include <boost/json/parse.hpp>

#include "events/json.hpp"
#include "events/time.hpp"
#include "fuzz/check.hpp"
#include "gateway/cursor.hpp"
#include "gateway/encoding.hpp"
#include "gateway/http_client.hpp"
#include "gateway/http_message.hpp"
#include "gateway/ingest_body.hpp"
#include "gateway/protocol.hpp"
#include "gateway/url.hpp"

namespace millrace::fuzz {
namespace {

using namespace millrace::gateway;

constexpr std::size_t kMaxEvents = 100;

void check_encodings(std::string_view text) {
    check(from_base64url(base64url(text)) == text, "base64url is reversible");
    check(percent_decoded(text).value_or("").size() <= text.size(), "decoding does not grow");
    parse_query(text);
    boost::system::error_code error;
    const auto quoted = boost::json::parse(json_quoted(text), error);
    check(!error || !is_utf8(text), "quoted text is JSON", text);
    check(lower_case(trimmed(text)).size() <= text.size(), "trimming does not grow");
}

void check_cursor(std::string_view text) {
    const auto cursor = decode_cursor(text);
    if (cursor) check(decode_cursor(encode_cursor(*cursor)) == cursor, "a cursor survives", text);
}

void check_addresses(std::string_view text) {
    if (const auto url = parse_url(text)) {
        check(url->target.starts_with('/') && !url->host.empty(), "an address has a host and path");
        check(url->host_header().find_first_of("\r\n ") == std::string::npos, "a host is one word");
    }
    if (const auto host = parse_host(text)) check(!host->host.empty(), "a host has a name");
    Request request;
    if (read_target(request, text)) check(request.path.starts_with('/'), "a path is absolute");
    parse_retry_after(text, Timestamp{});
}

// Nothing but blanks, separators and brackets stands between the events of a body, and they are in
// order.
void check_bodies(std::string_view text) {
    constexpr std::array kTypes{"application/json", "application/x-ndjson",
                                "application/cloudevents+json",
                                "application/cloudevents-batch+json"};
    for (const char* type : kTypes) {
        Request request;
        request.headers.emplace_back("content-type", type);
        request.body = text;
        const auto body = read_ingest_body(request, kMaxEvents);
        if (!body) continue;
        check(!body->events.empty() && body->events.size() <= kMaxEvents, "a body has events");
        const char* at = request.body.data();
        for (const std::string_view event : body->events) {
            check(!event.empty() && event.data() >= at, "events are parts of the body, in order");
            const std::string_view between(at, static_cast<std::size_t>(event.data() - at));
            check(between.find_first_not_of(" \t\r\n,[\xef\xbb\xbf") == std::string_view::npos,
                  "nothing of a body is lost", between);
            at = event.data() + event.size();
        }
    }
}

void check_message(std::string_view text) {
    const ClientMessage message = read_client_message(text);
    check(message.type.empty() == (message.kind == ClientMessage::Kind::kMalformed),
          "a message has a type or is malformed");
}

void check_time(std::string_view text) {
    const auto time = parse_time(text);
    if (time) check(parse_time(format_time(*time)) == time, "a time survives its text", text);
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::fuzz;
    const std::string_view text = view(data, size);
    check_encodings(text);
    check_cursor(text);
    check_addresses(text);
    check_bodies(text);
    check_message(text);
    check_time(text);
    return 0;
}
