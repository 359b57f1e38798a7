// The admin API of dead letters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/gateway/gateway_world.hpp"

namespace millrace::gateway {
namespace {

using ::testing::HasSubstr;

struct LetterRoutes : ::testing::Test {
    void start() {
        world.transport.make_topic("task-events-dlq", 1);
        append("key", R"({"user_id":"7","task_id":"1","event_type":"created"})", "schema", "0");
        append("k\xff", "not json", "undecodable", "1");
        world.start();
    }
    void append(const std::string& key, const std::string& value, const std::string& error_class,
                const std::string& offset) {
        world.transport.append({"task-events-dlq", {0}}, {{},
                                                          key,
                                                          value,
                                                          {{"trace", "7"},
                                                           {"millrace-error-class", error_class},
                                                           {"millrace-error-message", "why"},
                                                           {"millrace-handler", "audit"},
                                                           {"millrace-topic", "task-events"},
                                                           {"millrace-partition", "2"},
                                                           {"millrace-offset", offset}}});
    }
    boost::json::object list(const std::string& query = "") {
        const auto answer = world.admin("/v1/admin/dead-letters/task-events" + query);
        EXPECT_EQ(answer.status, 200) << answer.body;
        return answer.json();
    }
    Answer post(const std::string& action) {
        Client client(world.admin_port);
        client.send("POST /v1/admin/dead-letters/task-events/" + action +
                    " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
                    "Content-Length: 0\r\n\r\n");
        return client.answer();
    }

    GatewayWorld world;
};

TEST_F(LetterRoutes, list_what_is_open_by_the_name_of_the_topic_or_of_its_letters) {
    start();
    const auto items = list().at("items").as_array();
    ASSERT_EQ(items.size(), 2U);
    const auto& first = items[0].as_object();
    EXPECT_EQ(first.at("class"), "schema");
    EXPECT_EQ(first.at("handler"), "audit");
    EXPECT_EQ(first.at("topic"), "task-events");
    EXPECT_EQ(first.at("partition"), 2);
    EXPECT_EQ(first.at("user_id"), "7");
    EXPECT_EQ(first.at("state"), "open");
    EXPECT_EQ(first.at("position").at("offset"), 0);
    EXPECT_EQ(first.if_contains("value"), nullptr);
    EXPECT_EQ(world.admin("/v1/admin/dead-letters/task-events-dlq").json().at("items"),
              boost::json::value(items));
}

TEST_F(LetterRoutes, show_values_and_headers_as_they_came) {
    start();
    const auto items = list("?values=true&class=undecodable").at("items").as_array();
    ASSERT_EQ(items.size(), 1U);
    const auto& letter = items[0].as_object();
    EXPECT_EQ(letter.at("value"), "not json");
    EXPECT_EQ(letter.at("key_encoding"), "base64");
    ASSERT_EQ(letter.at("headers").as_array().size(), 1U) << "the record's own";
    EXPECT_EQ(letter.at("headers").at(0).at("name"), "trace");
}

TEST_F(LetterRoutes, page_with_a_cursor) {
    start();
    const auto page = list("?limit=1");
    ASSERT_EQ(page.at("items").as_array().size(), 1U);
    const std::string next(page.at("next").as_string());
    const auto rest = list("?limit=1&cursor=" + next);
    EXPECT_EQ(rest.at("items").at(0).at("class"), "undecodable");
    EXPECT_TRUE(rest.at("next").is_null());
}

TEST_F(LetterRoutes, give_back_what_matches_and_say_so) {
    start();
    const auto plan = post("redrive?class=schema&dry_run=true");
    EXPECT_EQ(plan.status, 200) << plan.body;
    EXPECT_EQ(plan.json().at("matched"), 1);
    EXPECT_EQ(plan.json().at("letters").at(0).at("class"), "schema");
    EXPECT_TRUE(world.on_loop_value([this] { return world.redriven.empty(); }));

    const auto done = post("redrive?class=schema");
    EXPECT_EQ(done.status, 200) << done.body;
    EXPECT_EQ(done.json().at("done"), 1);
    const auto given = world.on_loop_value([this] { return world.redriven; });
    ASSERT_EQ(given.size(), 1U);
    EXPECT_EQ(given[0].first, "audit");
    EXPECT_EQ(given[0].second.offset, Offset{0});
    EXPECT_EQ(list().at("items").as_array().size(), 1U);
}

TEST_F(LetterRoutes, say_what_could_not_be_given_back_and_what_the_rest_waits_for) {
    world.redrive_result = fail(ErrorCode::kUnavailable, "audit is restarting");
    start();
    const auto answer = post("redrive").json();
    EXPECT_EQ(answer.at("done"), 0);
    EXPECT_EQ(answer.at("stopped"), "audit is restarting");
    EXPECT_EQ(answer.at("failed").at(0).at("error"), "audit is restarting");
    EXPECT_EQ(list().at("items").as_array().size(), 2U);
}

TEST_F(LetterRoutes, put_aside_what_matches) {
    start();
    EXPECT_EQ(post("discard?at=0:1").json().at("done"), 1);
    EXPECT_EQ(list().at("items").as_array().size(), 1U);
    const auto all = list("?all=true").at("items").as_array();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].at("state"), "discarded");
}

TEST_F(LetterRoutes, count_what_lies_in_each_topic) {
    start();
    const auto topics = world.admin("/v1/admin/dead-letters").json().at("topics").as_array();
    ASSERT_EQ(topics.size(), 2U);
    EXPECT_EQ(topics[0].at("dead_letter"), "task-events-dlq");
    EXPECT_EQ(topics[0].at("records"), 2);
    EXPECT_TRUE(topics[1].at("records").is_null()) << "it is not there";
}

TEST_F(LetterRoutes, refuse_what_they_do_not_understand) {
    start();
    EXPECT_EQ(world.admin("/v1/admin/dead-letters/nowhere").status, 404);
    EXPECT_THAT(world.admin("/v1/admin/dead-letters/nowhere").body, HasSubstr("task-events"));
    for (const char* query : {"?at=1", "?at=x:1", "?from=yesterday", "?limit=-1", "?cursor=x"})
        EXPECT_EQ(world.admin(std::string("/v1/admin/dead-letters/task-events") + query).status,
                  400)
            << query;
    EXPECT_EQ(world.ask("GET", "/v1/admin/dead-letters/task-events").status, 404);
    EXPECT_EQ(world.admin("/v1/admin/dead-letters/task-events", "").status, 401);
}

}  // namespace
}  // namespace millrace::gateway
