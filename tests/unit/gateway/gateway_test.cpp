// The gateway on real sockets: ingest, sessions, the admin side, and clients that mean no good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/gateway/gateway_world.hpp"

namespace millrace::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kEvent =
    R"({"event_id":"6f1c7b0e-8f1d-4b39-9f53-0e1d8a5c2b11","event_type":"created","schema_version":1,)"
    R"("timestamp":"2026-02-10T08:00:00Z","task_id":"t1","user_id":"7","task_data":{"title":"Water  1.50"}})";

struct GatewayTest : ::testing::Test, GatewayWorld {};

// ---- ingest ----

TEST_F(GatewayTest, an_event_is_appended_byte_for_byte_and_answered_with_its_position) {
    start();
    const Answer answer = ask("POST", "/v1/topics/task-events/events", "", kEvent);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.json().at("event_id").as_string(), "6f1c7b0e-8f1d-4b39-9f53-0e1d8a5c2b11");
    const Partition partition = partition_for_key("7", 3);
    EXPECT_EQ(answer.json().at("partition").as_int64(), partition.value);
    const auto stored = transport.log.at({"task-events", partition}).at(0);
    EXPECT_EQ(stored.value, kEvent);
    EXPECT_EQ(stored.key, "7");
}

TEST_F(GatewayTest, the_key_of_the_query_comes_before_the_user) {
    start();
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events?key=a%20b", "", kEvent).status, 200);
    EXPECT_EQ(transport.all_of("task-events").at(0).key, "a b");
}

TEST_F(GatewayTest, an_event_without_id_is_answered_with_a_derived_one_or_the_idempotency_key) {
    start();
    const std::string event = R"({"event_type":"created","task_id":"t1","user_id":"7"})";
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "", event)
                  .json()
                  .at("event_id")
                  .as_string()
                  .size(),
              36U);
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "Idempotency-Key: order-9\r\n", event)
                  .json()
                  .at("event_id")
                  .as_string(),
              "order-9");
}

TEST_F(GatewayTest, a_mixed_batch_is_answered_in_order_with_207) {
    start();
    const Answer answer = ask("POST", "/v1/topics/task-events/events", "",
                              std::string("[") + kEvent + ", 7, {\"user_id\":\"8\"}]");
    ASSERT_EQ(answer.status, 207) << answer.body;
    EXPECT_EQ(answer.json().at("accepted").as_int64(), 2);
    EXPECT_EQ(answer.json().at("rejected").as_int64(), 1);
    const auto results = answer.json().at("results").as_array();
    EXPECT_TRUE(results.at(0).as_object().contains("offset"));
    EXPECT_THAT(std::string(results.at(1).at("error").at("detail").as_string()),
                HasSubstr("not a JSON object"));
    EXPECT_TRUE(results.at(2).as_object().contains("offset"));
}

TEST_F(GatewayTest, lines_are_events_and_a_chunked_body_is_put_together) {
    start();
    Client client(port);
    client.send(
        "POST /v1/topics/task-events/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
        "chunked\r\n"
        "Content-Type: "
        "application/"
        "x-ndjson\r\n\r\n10\r\n{\"user_id\":\"7\"}\n\r\n10\r\n{\"user_id\":\"8\"}\n\r\n0\r\n\r\n");
    EXPECT_EQ(client.answer().json().at("accepted").as_int64(), 2);
}

TEST_F(GatewayTest, nothing_is_appended_of_what_cannot_be_read) {
    config.topics[0].strict = true;
    start();
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "", "{\"a\":").status, 400);
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "",
                  R"({"event_type":"created","user_id":"7"})")
                  .status,
              422);
    EXPECT_EQ(
        ask("POST", "/v1/topics/task-events/events", "Content-Type: text/html\r\n", "<p>").status,
        415);
    const Answer answer = ask("POST", "/v1/topics/tasks/events", "", kEvent);
    EXPECT_EQ(answer.status, 404);
    EXPECT_THAT(answer.body, HasSubstr("task-events, task-updates"));
    EXPECT_TRUE(transport.all_of("task-events").empty());
}

TEST_F(GatewayTest, a_log_that_cannot_be_written_is_answered_503_with_retry_after) {
    transport.unavailable.insert("task-events");
    start();
    const Answer answer = ask("POST", "/v1/topics/task-events/events", "", kEvent);
    EXPECT_EQ(answer.status, 503);
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: "));
    EXPECT_EQ(
        counted("millrace_ingest_events_total", {{"topic", "task-events"}, {"result", "failed"}}),
        1);
}

TEST_F(GatewayTest, ingest_tokens_are_asked_for_when_there_are_any) {
    config.ingest.tokens = {"one", "two"};
    start();
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "", kEvent).status, 401);
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "Authorization: Bearer two\r\n", kEvent)
                  .status,
              200);
}

TEST_F(GatewayTest, events_that_are_compressed_are_refused) {
    start();
    const std::string path = "/v1/topics/task-events/events";
    const Answer answer = ask("POST", path, "Content-Encoding: gzip\r\n", kEvent);
    EXPECT_EQ(answer.status, 415);
    EXPECT_THAT(answer.body, HasSubstr("gzip"));
    EXPECT_EQ(ask("POST", path, "Content-Encoding: identity\r\n", kEvent).status, 200);
}

TEST_F(GatewayTest, a_fault_of_an_event_reads_as_a_sentence) {
    start();
    const Answer answer = ask("POST", "/v1/topics/task-events/events", "", "{\"a\":");
    EXPECT_THAT(std::string(answer.json().at("detail").as_string()),
                StartsWith("the event is refused: the value is not JSON: "));
}

// More events than are handed to the log at a time, faults among them.
TEST_F(GatewayTest, a_large_batch_is_answered_event_by_event_in_order) {
    start();
    std::string lines;
    for (int i = 0; i < 1'200; ++i)
        lines +=
            i % 100 == 7 ? "nonsense\n" : "{\"user_id\":\"7\",\"n\":" + std::to_string(i) + "}\n";
    const Answer answer = ask("POST", "/v1/topics/task-events/events",
                              "Content-Type: application/x-ndjson\r\n", lines);
    ASSERT_EQ(answer.status, 207);
    EXPECT_EQ(answer.json().at("accepted").as_int64(), 1'188);
    const auto answered = answer.json();
    const auto& results = answered.at("results").as_array();
    const auto stored = transport.all_of("task-events");
    ASSERT_EQ(results.size(), 1'200U);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const auto& result = results[i].as_object();
        ASSERT_EQ(result.contains("error"), i % 100 == 7) << i;
        if (result.contains("error")) continue;
        ASSERT_EQ(result.at("offset").as_int64(), next) << i;
        ASSERT_THAT(*stored.at(static_cast<std::size_t>(next)).value,
                    HasSubstr("\"n\":" + std::to_string(i) + "}"));
        ++next;
    }
    EXPECT_EQ(
        counted("millrace_ingest_events_total", {{"topic", "task-events"}, {"result", "accepted"}}),
        1'188);
    EXPECT_EQ(
        counted("millrace_ingest_events_total", {{"topic", "task-events"}, {"result", "rejected"}}),
        12);
}

TEST_F(GatewayTest, a_large_batch_that_the_log_refuses_is_refused_to_its_end) {
    transport.unavailable.insert("task-events");
    start();
    std::string lines;
    for (int i = 0; i < 1'000; ++i) lines += "{\"user_id\":\"7\"}\n";
    const Answer answer = ask("POST", "/v1/topics/task-events/events",
                              "Content-Type: application/x-ndjson\r\n", lines);
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.json().at("rejected").as_int64(), 1'000);
    EXPECT_EQ(
        counted("millrace_ingest_events_total", {{"topic", "task-events"}, {"result", "failed"}}),
        1'000);
    EXPECT_TRUE(transport.all_of("task-events").empty());
}

// ---- limits and misbehaviour ----

TEST_F(GatewayTest, smuggling_is_answered_400_and_the_connection_closed) {
    start();
    const std::string post = "POST /v1/topics/task-events/events HTTP/1.1\r\n";
    const std::string smuggled = "0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (const std::string& request :
         {post + "Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" +
              smuggled,
          post + "Host: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n" + smuggled,
          post +
              "Host: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
              "chunked\r\n\r\n" +
              smuggled,
          "POST /v1/topics/task-events/events HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: "
          "chunked\r\n\r\n" +
              smuggled,
          post + "Host: localhost\r\nContent-Length: 4\r\nContent-Length: 60\r\n\r\n" + smuggled,
          post + "Host: localhost\r\nContent-Length : 4\r\n\r\n" + smuggled,
          post + "Host: localhost\r\nX: a\r\n Content-Length: 4\r\n\r\n",
          post + "Host: localhost\r\nContent-Length: 4\r\n\t0\r\n\r\n" + smuggled,
          std::string("GET /healthz HTTP/1.1\r\n\r\n"),
          std::string("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
          std::string("nonsense\r\n\r\n")}) {
        Client client(port);
        client.send(request);
        EXPECT_EQ(client.answer().status, 400) << request;
        EXPECT_EQ(client.answer().status, 0) << "answered twice: " << request;
    }
    EXPECT_TRUE(transport.all_of("task-events").empty());
}

TEST_F(GatewayTest, strange_hosts_and_origins_are_refused) {
    start();
    Client client(port);
    client.send("GET /healthz HTTP/1.1\r\nHost: rebound.example\r\n\r\n");
    EXPECT_EQ(client.answer().status, 403);
    EXPECT_EQ(
        ask("POST", "/v1/topics/task-events/events", "Origin: https://evil.example\r\n", kEvent)
            .status,
        403);
    EXPECT_EQ(
        ask("POST", "/v1/topics/task-events/events", "Origin: http://localhost\r\n", kEvent).status,
        200);
    EXPECT_EQ(
        SocketClient(port, "/v1/ws?user=7", "Origin: https://evil.example\r\n").handshake.status,
        403);
}

TEST_F(GatewayTest, what_is_too_large_has_a_status_that_says_so) {
    config.server.limits.max_body_bytes = 1'000;
    config.server.limits.max_header_bytes = 2'000;
    config.server.limits.max_batch_events = 2;
    start();
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "", std::string(2'000, ' ')).status,
              413);
    EXPECT_EQ(ask("POST", "/v1/topics/task-events/events", "", "[{},{},{}]").status, 413);
    EXPECT_EQ(ask("GET", "/healthz", "X: " + std::string(5'000, 'x') + "\r\n").status, 431);
}

TEST_F(GatewayTest, the_bodies_of_all_requests_together_are_bounded) {
    config.server.limits.max_pending_body_bytes = 1'500;
    start();
    const std::string large = kEvent + std::string(1'000 - std::string(kEvent).size(), ' ');
    const std::string path = "/v1/topics/task-events/events";
    Client first(port);
    first.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    int status = 200;
    for (int i = 0; i < 1'000 && status == 200; ++i) status = ask("POST", path, "", large).status;
    EXPECT_EQ(status, 503);
    first.send(large);
    EXPECT_EQ(first.answer().status, 200);
    EXPECT_EQ(ask("POST", path, "", large).status, 200);
}

TEST_F(GatewayTest, a_request_that_does_not_arrive_times_out) {
    config.server.limits.request_timeout = milliseconds(200);
    start();
    Client slow(port);
    slow.send(
        "POST /v1/topics/task-events/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "10\r\n\r\n{");
    EXPECT_EQ(slow.answer().status, 408);
    Client silent(port);
    EXPECT_TRUE(silent.is_closed());
}

TEST_F(GatewayTest, a_part_that_does_not_answer_is_not_waited_for_for_ever) {
    config.server.limits.request_timeout = milliseconds(200);
    start();
    EXPECT_EQ(admin("/v1/handlers/silent/x").status, 503);
}

TEST_F(GatewayTest, connections_are_kept_and_pipelined_requests_answered_in_order) {
    start();
    Client client(port);
    client.send(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: "
        "localhost\r\n\r\n"
        "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.answer().status, 200);
    EXPECT_EQ(client.answer().status, 404);
    EXPECT_THAT(client.take_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(client.is_closed());
}

// ---- the admin side ----

TEST_F(GatewayTest, the_admin_listener_wants_its_token_for_everything_but_the_page) {
    start();
    for (const char* path :
         {"/metrics", "/v1/handlers", "/v1/topics", "/healthz", "/v1/stream?user=7", "/nowhere"}) {
        EXPECT_EQ(admin(path, "").status, 401) << path;
        EXPECT_EQ(admin(path, "Authorization: Bearer wrong\r\n").status, 401) << path;
    }
    const Answer page = admin("/", "");
    EXPECT_EQ(page.status, 200);
    EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy: default-src 'none'"));
    EXPECT_THAT(page.body, Not(HasSubstr("secret")));
    EXPECT_EQ(admin("/console/console.js", "").status, 200);
    EXPECT_EQ(ask("GET", "/metrics").status, 404);
    EXPECT_THAT(admin("/metrics").body, HasSubstr("millrace_sessions 0"));
}

TEST_F(GatewayTest, handlers_answer_questions_and_unknown_ones_are_404) {
    start();
    EXPECT_THAT(admin("/v1/handlers").body, HasSubstr(R"({"handlers":[{"handler":"audit"}]})"));
    EXPECT_EQ(admin("/v1/handlers/audit/events?user=7&limit=2").json().at("parameters").as_int64(),
              2);
    EXPECT_EQ(admin("/v1/handlers/none/events").status, 404);
}

TEST_F(GatewayTest, handlers_are_replayed_resumed_and_restarted_by_command) {
    start();
    const std::string audit = "/v1/admin/handlers/audit/";
    EXPECT_EQ(command(audit + "restart").body, "{\"command\":\"restart\"}\n");
    EXPECT_EQ(command(audit + "replay?from=earliest&topic=t").status, 200);
    EXPECT_EQ(command(audit + "replay?from=7&topic=t&partition=2").status, 200);
    EXPECT_EQ(command(audit + "replay?from=2026-02-10T08:00:00Z").status, 200);
    EXPECT_EQ(command(audit + "resume").status, 200);
    EXPECT_EQ(command(audit + "resume?decision=accept&partition=1").status, 200);
    using From = engine::ReplayRequest::From;
    const auto& replays = handlers.replays;
    ASSERT_EQ(replays.size(), 3U);
    EXPECT_EQ(replays[0].from, From::kEarliest);
    EXPECT_EQ(replays[0].which.topic, "t");
    EXPECT_EQ(replays[1].offset, Offset{7});
    EXPECT_EQ(replays[1].which.partition, Partition{2});
    EXPECT_EQ(replays[2].from, From::kTime);
    EXPECT_FALSE(handlers.resumes.at(0).decision);
    EXPECT_EQ(handlers.resumes.at(1).decision, engine::LostDecision::kAccept);
}

TEST_F(GatewayTest, a_command_that_is_not_understood_does_nothing) {
    start();
    const std::string audit = "/v1/admin/handlers/audit/";
    for (const char* wrong :
         {"replay", "replay?from=yesterday", "replay?from=-1", "replay?from=1&parttion=0",
          "replay?from=1&partition=x", "resume?decision=perhaps", "resume?acept", "restart?now"}) {
        const auto answer = command(audit + wrong);
        EXPECT_EQ(answer.status, 400) << wrong;
        EXPECT_THAT(answer.body, HasSubstr("detail")) << wrong;
    }
    EXPECT_TRUE(handlers.replays.empty() && handlers.resumes.empty());
    EXPECT_EQ(command("/v1/admin/handlers/nope/restart").status, 404);
    EXPECT_EQ(command(audit + "restart", "").status, 401);
    EXPECT_EQ(ask("POST", audit + "restart", "Content-Length: 0\r\n").status, 404);
}

TEST_F(GatewayTest, readiness_says_what_is_missing) {
    handlers.reasons = {"audit: restarting"};
    start();
    const Answer answer = ask("GET", "/readyz");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.json().at("reasons").as_array().at(0).as_string(), "audit: restarting");
    on_loop([this] { handlers.reasons.clear(); });
    EXPECT_EQ(ask("GET", "/readyz").status, 200);
}

TEST_F(GatewayTest, topics_and_their_records_can_be_looked_at) {
    start();
    on_loop([this] {
        transport.append({"task-events", {1}}, "k", "{\"a\":1}");
        transport.append({"task-events", {1}}, std::nullopt, "\xff\x01");
    });
    const Answer list = admin("/v1/topics");
    const auto first = list.json().at("topics").as_array().at(0).as_object();
    EXPECT_EQ(first.at("name").as_string(), "task-events");
    EXPECT_EQ(first.at("partitions").as_array().at(1).as_object().at("high").as_int64(), 2);
    const auto read = admin("/v1/topics/task-events/records?partition=1&offset=earliest").json();
    EXPECT_EQ(read.at("next").as_int64(), 2);
    const auto records = read.at("records").as_array();
    EXPECT_EQ(records.at(0).as_object().at("value").as_string(), "{\"a\":1}");
    EXPECT_EQ(records.at(0).as_object().at("key").as_string(), "k");
    EXPECT_EQ(records.at(1).as_object().at("value").as_string(), "/wE=");
    EXPECT_EQ(records.at(1).as_object().at("value_encoding").as_string(), "base64");
    EXPECT_EQ(admin("/v1/topics/task-events/records?partition=x").status, 400);
    const auto beyond = admin("/v1/topics/task-events/records?partition=1&offset=99999").json();
    EXPECT_EQ(beyond.at("high").as_int64(), 2);
    EXPECT_EQ(beyond.at("next").as_int64(), 99'999);
    EXPECT_TRUE(beyond.at("records").as_array().empty());
}

// ---- sessions ----

TEST_F(GatewayTest, a_user_that_is_not_text_or_too_long_is_refused) {
    config.gateway.max_user_bytes = 8;
    start();
    for (const char* user : {"%ff%fe", "%c3", "123456789"}) {
        for (const std::string& path :
             {std::string("/v1/ws?user=") + user, std::string("/ws/") + user}) {
            EXPECT_EQ(SocketClient(port, path).handshake.status, 400) << path;
        }
        const Answer answer = ask("GET", std::string("/v1/stream?user=") + user);
        EXPECT_EQ(answer.status, 400) << user;
        EXPECT_THAT(answer.body, HasSubstr("the user's id is "));
    }
    EXPECT_EQ(SocketClient(port, "/v1/ws?user=J%C3%BCrgen").handshake.status, 101);
}

TEST_F(GatewayTest, a_push_reaches_the_sessions_of_its_user_only) {
    start();
    SocketClient mine(port, "/v1/ws?user=7", "Sec-WebSocket-Protocol: millrace.v1\r\n");
    ASSERT_EQ(mine.handshake.status, 101) << mine.handshake.body;
    EXPECT_THAT(mine.handshake.head, HasSubstr("millrace.v1"));
    SocketClient other(port, "/v1/ws?user=8");
    EXPECT_EQ(mine.hear_until("welcome").at("user").as_string(), "7");
    other.hear_until("welcome");
    push("7", 0, R"({"n":1})");
    push("8", 1, R"({"n":2})");
    const auto event = mine.hear_until("event");
    EXPECT_EQ(event.at("data").as_object().at("n").as_int64(), 1);
    EXPECT_TRUE(event.at("prev").is_null());
    EXPECT_EQ(other.hear_until("event").at("data").as_object().at("n").as_int64(), 2);
}

TEST_F(GatewayTest, a_session_that_comes_back_with_its_cursor_gets_the_gap) {
    start();
    SocketClient first(port, "/v1/ws?user=7");
    const std::string cursor(first.hear_until("welcome").at("cursor").as_string());
    first.close();
    for (int i = 0; i < 3; ++i) push("7", i, "{\"n\":" + std::to_string(i) + "}");
    SocketClient by_query(port, "/v1/ws?user=7&cursor=" + cursor);
    SocketClient by_message(port, "/v1/ws?user=7");
    EXPECT_FALSE(by_message.hear_until("welcome").at("recovered").as_bool());
    by_message.say(R"({"type":"resume","cursor":")" + cursor + "\"}");
    for (SocketClient* client : {&by_query, &by_message}) {
        EXPECT_TRUE(client->hear_until("welcome").at("recovered").as_bool());
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(client->hear_until("event").at("data").as_object().at("n").as_int64(), i);
    }
}

TEST_F(GatewayTest, upstream_clients_get_plain_event_objects) {
    start();
    SocketClient client(port, "/ws/7");
    ASSERT_EQ(client.handshake.status, 101);
    // The session is there once a push to it is counted.
    while (on_loop_value([this] { return hub->sessions(); }) == 0) std::this_thread::yield();
    push("7", 0, "{\"a\":1.50}");
    push("7", 1, "{\"b\":2}");
    EXPECT_EQ(client.hear(), "{\"a\":1.50}");
    EXPECT_EQ(client.hear(), "{\"b\":2}");
}

TEST_F(GatewayTest, pings_are_answered_and_nonsense_is_not_tolerated) {
    start();
    SocketClient client(port, "/v1/ws?user=7");
    client.say(R"({"type":"ping","n":41})");
    EXPECT_EQ(client.hear_until("pong").at("n").as_int64(), 41);
    client.say(R"({"type":"dance"})");
    EXPECT_EQ(client.hear_until("error").at("code").as_string(), "unknown_type");
    client.say("nonsense");
    EXPECT_EQ(client.hear_until("goodbye").at("code").as_int64(), 4000);
    EXPECT_EQ(client.hear(), "");
    EXPECT_EQ(client.close_code, 4000);
}

TEST_F(GatewayTest, a_message_that_is_too_large_closes_with_4008) {
    start();
    SocketClient client(port, "/v1/ws?user=7");
    client.say(std::string(100'000, 'x'));
    EXPECT_EQ(client.hear_until("goodbye").at("code").as_int64(), 4008);
}

TEST_F(GatewayTest, a_client_that_does_not_read_is_closed_and_its_neighbour_is_not_held_up) {
    config.gateway.max_session_queue_bytes = 64U << 10;
    start();
    SocketClient slow(port, "/v1/ws?user=7", "", 4'096);
    SocketClient quick(port, "/v1/ws?user=7");
    quick.hear_until("welcome");
    slow.hear_until("welcome");
    const std::string data = "{\"x\":\"" + std::string(8'000, 'x') + "\"}";
    int sent = 0;
    for (; sent < 500 && on_loop_value([this] { return hub->sessions(); }) == 2; ++sent) {
        push("7", sent, data);
        EXPECT_EQ(quick.hear_until("event").at("offset").as_int64(), sent);
    }
    EXPECT_LT(sent, 500);
    EXPECT_EQ(counted("millrace_deliveries_total", {{"result", "slow"}}), 1);
    push("7", sent, data);
    EXPECT_EQ(quick.hear_until("event").at("offset").as_int64(), sent);
}

TEST_F(GatewayTest, too_many_sessions_are_told_4102) {
    config.gateway.max_sessions_per_user = 1;
    start();
    SocketClient first(port, "/v1/ws?user=7");
    first.hear_until("welcome");
    SocketClient second(port, "/v1/ws?user=7");
    EXPECT_EQ(second.hear_until("goodbye").at("code").as_int64(), 4102);
    EXPECT_EQ(ask("GET", "/v1/stream?user=7").status, 503);
}

TEST_F(GatewayTest, an_event_stream_carries_the_same_events_and_resumes_by_last_event_id) {
    start();
    Client stream(port);
    stream.send("GET /v1/stream?user=7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(stream.take_until("\r\n\r\n"), HasSubstr("text/event-stream"));
    EXPECT_THAT(stream.take_until("\n\n"), StartsWith("retry: "));
    const std::string welcome = stream.take_until("\n\n");
    EXPECT_THAT(welcome, HasSubstr("event: welcome\n"));
    const std::string cursor = welcome.substr(4, welcome.find('\n') - 4);
    push("7", 0, "{\"n\":0}");
    EXPECT_THAT(stream.take_until("\n\n"), HasSubstr("event: updated\ndata: {\"n\":0}\n\n"));
    Client again(port);
    again.send("GET /v1/stream?user=7 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " + cursor +
               "\r\n\r\n");
    again.take_until("event: welcome");
    again.take_until("\n\n");
    EXPECT_THAT(again.take_until("\n\n"), HasSubstr("data: {\"n\":0}\n\n"));
}

TEST_F(GatewayTest, a_session_without_user_is_refused_before_the_upgrade) {
    start();
    EXPECT_EQ(SocketClient(port, "/v1/ws").handshake.status, 400);
    EXPECT_EQ(ask("GET", "/v1/stream").status, 400);
    EXPECT_EQ(ask("GET", "/v1/ws?user=7").status, 426);
}

TEST_F(GatewayTest, shutting_down_tells_sessions_to_come_back_and_lets_requests_end) {
    start();
    SocketClient client(port, "/v1/ws?user=7");
    client.hear_until("welcome");
    Client idle(port);
    std::promise<void> closed;
    on_loop([&] { gateway->close(milliseconds(5'000), [&] { closed.set_value(); }); });
    EXPECT_EQ(client.hear_until("goodbye").at("code").as_int64(), 4100);
    EXPECT_EQ(client.hear(), "");
    EXPECT_EQ(client.close_code, 4100);
    client.say(std::string("\x10\x04", 2), 8);
    EXPECT_TRUE(client.is_closed());
    client.close();
    EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds(4)), std::future_status::ready);
    EXPECT_TRUE(idle.is_closed());
}

}  // namespace
}  // namespace millrace::gateway
