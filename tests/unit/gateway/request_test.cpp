// Requests without sockets: targets, framing, hosts and origins, bodies cut into events, problem
// documents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "gateway/access.hpp"
#include "gateway/connection.hpp"
#include "gateway/http_client.hpp"
#include "gateway/ingest_body.hpp"
#include "gateway/protocol.hpp"
#include "gateway/url.hpp"

namespace millrace::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Request request_with(Parameters headers, std::string method = "GET") {
    Request request;
    request.method = std::move(method);
    request.headers = std::move(headers);
    return request;
}

TEST(Request, its_target_is_cut_before_it_is_decoded) {
    Request request;
    ASSERT_TRUE(read_target(request, "/v1/topics/a%2Fb/events?key=x%26y&empty&t=a+b"));
    EXPECT_THAT(request.segments, ElementsAre("v1", "topics", "a/b", "events"));
    EXPECT_EQ(request.parameter("key"), "x&y");
    EXPECT_EQ(request.parameter("empty"), "");
    EXPECT_EQ(request.parameter("t"), "a b");
    EXPECT_EQ(request.parameter("absent"), std::nullopt);
    for (const char* wrong : {"", "*", "http://x/", "/%zz", "/a?b=%f", "/a b"}) {
        Request other;
        EXPECT_FALSE(read_target(other, wrong)) << wrong;
    }
}

TEST(Framing, what_two_servers_could_read_differently_is_refused) {
    using Headers = Parameters;
    const auto status = [](Headers headers, unsigned version = 11) {
        const auto problem = check_framing(request_with(std::move(headers)), version);
        return problem ? problem->status : 0;
    };
    EXPECT_EQ(status({{"host", "a"}}), 0);
    EXPECT_EQ(status({{"host", "a"}, {"transfer-encoding", "chunked"}}), 0);
    EXPECT_EQ(status({}), 400);
    EXPECT_EQ(status({{"host", "a"}, {"host", "a"}}), 400);
    EXPECT_EQ(status({{"host", "a"}, {"transfer-encoding", "chunked"}}, 10), 400);
    EXPECT_EQ(status({{"host", "a"}, {"transfer-encoding", "chunked, identity"}}), 400);
    EXPECT_EQ(status({{"host", "a"}, {"transfer-encoding", "gzip, chunked"}}), 400);
    EXPECT_EQ(
        status({{"host", "a"}, {"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked"}}),
        400);
    EXPECT_EQ(status({{"host", "a"}, {"transfer-encoding", "chunked"}, {"content-length", "3"}}),
              400);
    EXPECT_EQ(status({{"host", "a"}, {"content-length", "3"}, {"content-length", "3"}}), 400);
    EXPECT_EQ(status({{"host", "a"}, {"expect", "a pony"}}), 417);
    EXPECT_EQ(status({{"host", "a"}}, 20), 505);
}

TEST(Access, only_known_hosts_are_answered) {
    ServerConfig config;
    config.server.hosts = {"Tasks.Example"};
    const Access access(config, "token");
    const auto is_fine = [&](const char* host) {
        return !access.check_host(request_with({{"host", host}}));
    };
    for (const char* good : {"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080",
                             "tasks.example", "TASKS.example.:443"}) {
        EXPECT_TRUE(is_fine(good)) << good;
    }
    for (const char* bad :
         {"evil.example", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example",
          "localhost:8080@evil.example", "tasks.example:99999", "a b", ""}) {
        EXPECT_FALSE(is_fine(bad)) << bad;
    }
}

TEST(Access, a_server_on_all_addresses_answers_to_addresses_but_not_to_strange_names) {
    ServerConfig config;
    config.server.http.host = "0.0.0.0";
    const Access access(config, "token");
    EXPECT_FALSE(access.check_host(request_with({{"host", "10.1.2.3:8080"}})));
    EXPECT_TRUE(access.check_host(request_with({{"host", "rebound.example"}})));
}

TEST(Access, writes_and_streams_of_other_sites_need_an_allowed_origin) {
    ServerConfig config;
    config.gateway.origins = {"https://app.example"};
    const Access access(config, "token");
    const auto refused = [&](const char* origin, const char* method, bool is_stream) {
        return access
            .check_origin(request_with({{"host", "localhost:8080"}, {"origin", origin}}, method),
                          is_stream)
            .has_value();
    };
    EXPECT_TRUE(refused("https://evil.example", "POST", false));
    EXPECT_TRUE(refused("https://evil.example", "GET", true));
    EXPECT_TRUE(refused("null", "POST", false));
    EXPECT_TRUE(refused("http://localhost:9999", "POST", false));
    EXPECT_FALSE(refused("https://evil.example", "GET", false));
    EXPECT_FALSE(refused("https://app.example", "POST", false));
    EXPECT_FALSE(refused("http://localhost:8080", "POST", false));
    EXPECT_FALSE(
        access.check_origin(request_with({{"host", "localhost:8080"}}, "POST"), false).has_value());
}

TEST(Access, the_admin_token_comes_as_bearer_or_as_a_subprotocol) {
    const Access access(ServerConfig{}, "secret");
    EXPECT_FALSE(access.check_admin(request_with({{"authorization", "Bearer secret"}})));
    EXPECT_FALSE(access.check_admin(
        request_with({{"sec-websocket-protocol", "millrace.v1, bearer.secret"}})));
    for (const char* wrong : {"Bearer secret2", "Bearer ", "Basic secret", "secret", ""}) {
        const auto refusal = access.check_admin(request_with({{"authorization", wrong}}));
        ASSERT_TRUE(refusal) << wrong;
        EXPECT_EQ(refusal->status, 401);
        EXPECT_THAT(find_parameter(refusal->headers, "WWW-Authenticate").value_or(""),
                    HasSubstr("Bearer"));
    }
    EXPECT_TRUE(
        Access(ServerConfig{}, "").check_admin(request_with({{"authorization", "Bearer "}})));
}

struct Body {
    std::vector<std::string> events;
    bool is_batch = false;
    std::string error;
};

Body cut(std::string text, const std::string& type = "application/json", Parameters more = {}) {
    Request request = request_with(std::move(more), "POST");
    request.headers.emplace_back("content-type", type);
    request.body = std::move(text);
    const auto body = read_ingest_body(request, 5);
    if (!body) return {{}, false, body.error().message};
    Body found{{}, body->is_batch, ""};
    for (const auto event : body->events) found.events.emplace_back(event);
    return found;
}

TEST(IngestBody, one_object_is_taken_whole_however_it_is_laid_out) {
    const Body body = cut(" {\n  \"a\": \"x}\\\"]\",\n  \"b\": [1, {\"c\": 2}]\n}\n");
    EXPECT_FALSE(body.is_batch);
    EXPECT_THAT(body.events, ElementsAre("{\n  \"a\": \"x}\\\"]\",\n  \"b\": [1, {\"c\": 2}]\n}"));
}

TEST(IngestBody, an_arrays_elements_keep_their_own_bytes) {
    const Body body = cut("[ {\"a\":1.50} ,\n{\"b\":\",]\"}, 7 ]");
    EXPECT_TRUE(body.is_batch);
    EXPECT_THAT(body.events, ElementsAre("{\"a\":1.50}", "{\"b\":\",]\"}", "7"));
}

TEST(IngestBody, lines_are_found_by_type_and_by_content) {
    EXPECT_THAT(cut("{\"a\":1}\n\n{\"b\":2}\r\n").events, ElementsAre("{\"a\":1}", "{\"b\":2}"));
    EXPECT_THAT(cut("{\"a\":1}", "application/x-ndjson").events, ElementsAre("{\"a\":1}"));
    EXPECT_TRUE(cut("{\"a\":1}", "application/x-ndjson; charset=utf-8").is_batch);
    EXPECT_THAT(cut("{\"a\":1}\nbroken\n{\"b\":2}").events,
                ElementsAre("{\"a\":1}", "broken", "{\"b\":2}"));
}

TEST(IngestBody, borders_that_cannot_be_found_are_an_error_of_the_whole) {
    for (const char* wrong : {"", "  ", "[]", "[1,,2]", "[{\"a\":1}", "[1]x", "[1,]"})
        EXPECT_THAT(cut(wrong).events, IsEmpty()) << wrong;
    EXPECT_THAT(cut("[1,2,3,4,5,6]").error, HasSubstr("max_batch_events"));
    EXPECT_THAT(cut("{}", "text/html").error, HasSubstr("text/html"));
    EXPECT_THAT(cut("{}", "application/cloudevents-batch+json").error, HasSubstr("array"));
}

TEST(IngestBody, cloud_events_in_binary_mode_become_record_headers) {
    Request request = request_with({{"content-type", "application/json"},
                                    {"ce-specversion", "1.0"},
                                    {"ce-id", "a%20b"},
                                    {"traceparent", "00-1-2-01"}});
    request.body = "{}";
    const auto body = read_ingest_body(request, 5);
    ASSERT_TRUE(body);
    EXPECT_THAT(body->headers,
                ElementsAre(std::pair{"ce_specversion", "1.0"}, std::pair{"ce_id", "a b"},
                            std::pair{"content-type", "application/json"},
                            std::pair{"traceparent", "00-1-2-01"}));
}

TEST(Problem, is_a_document_with_what_where_and_what_to_do) {
    const Response response =
        to_response({503, "the \"log\" is full", "/v1/x", "wait", "\"accepted\":0"});
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_EQ(find_parameter(response.headers, "Retry-After"), "1");
    const auto document = boost::json::parse(response.body).as_object();
    EXPECT_EQ(document.at("status").as_int64(), 503);
    EXPECT_EQ(document.at("title").as_string(), "Service Unavailable");
    EXPECT_EQ(document.at("detail").as_string(), "the \"log\" is full");
    EXPECT_EQ(document.at("instance").as_string(), "/v1/x");
    EXPECT_EQ(document.at("help").as_string(), "wait");
    EXPECT_EQ(document.at("accepted").as_int64(), 0);
}

TEST(Url, is_taken_apart_or_refused) {
    const auto url = parse_url("https://Hooks.Example:8443/a/b?c=d#e");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->host, "hooks.example");
    EXPECT_EQ(url->port, "8443");
    EXPECT_EQ(url->target, "/a/b?c=d");
    EXPECT_EQ(url->host_header(), "hooks.example:8443");
    EXPECT_EQ(parse_url("http://[::1]:80")->host_header(), "[::1]");
    for (const char* wrong : {"", "ftp://x", "x/y", "http://", "http://u:p@x/", "http://a b/",
                              "http://x:99999/", "http://x\r\nHost: y/"}) {
        EXPECT_FALSE(parse_url(wrong)) << wrong;
    }
}

TEST(RetryAfter, is_seconds_or_a_date) {
    const Timestamp now{std::chrono::seconds(1'445'412'470)};
    EXPECT_EQ(parse_retry_after(" 120 ", now), milliseconds(120'000));
    EXPECT_EQ(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), milliseconds(10'000));
    EXPECT_EQ(parse_retry_after("Wed, 21 Oct 2014 07:28:00 GMT", now), milliseconds(0));
    EXPECT_EQ(parse_retry_after("soon", now), std::nullopt);
    EXPECT_EQ(parse_retry_after("", now), std::nullopt);
}

TEST(ClientMessage, is_read_or_known_to_be_malformed) {
    EXPECT_EQ(read_client_message(R"({"type":"ping","n":7})").number, 7);
    EXPECT_EQ(read_client_message(R"({"type":"resume","cursor":"abc"})").cursor, "abc");
    EXPECT_EQ(read_client_message(R"({"type":"dance"})").kind, ClientMessage::Kind::kUnknown);
    for (const char* wrong : {"", "7", "[]", "{}", "{\"type\":7}", "{\"type\":\"ping\""}) {
        EXPECT_EQ(read_client_message(wrong).kind, ClientMessage::Kind::kMalformed) << wrong;
    }
}

TEST(Encoding, agrees_with_the_standards_examples) {
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
    EXPECT_EQ(base64url("\xfb\xff"), "-_8");
    EXPECT_EQ(from_base64url("-_8"), "\xfb\xff");
    EXPECT_EQ(from_base64url("a"), std::nullopt);
}

TEST(Encoding, json_is_utf8_whatever_it_is_made_of) {
    EXPECT_EQ(json_quoted("a\"\xc3\xa9"), "\"a\\\"\xc3\xa9\"");
    EXPECT_EQ(json_quoted("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_EQ(json_quoted("\xed\xa0\x80z"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

}  // namespace
}  // namespace millrace::gateway
