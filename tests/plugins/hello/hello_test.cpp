#include <gtest/gtest.h>

#include <millrace/testing.hpp>

namespace millrace {
namespace {

TEST(Hello, it_greets_with_its_option_and_counts_by_user) {
    FakeHost host({{"greeting", "Good morning"}});
    EXPECT_EQ(host.send(task_event("created", "7", "42")).kind, MILLRACE_ACK);
    EXPECT_EQ(host.send(task_event("completed", "7", "42")).kind, MILLRACE_ACK);
    EXPECT_EQ(host.send(task_event("created", "8", "43")).kind, MILLRACE_ACK);
    EXPECT_EQ(host.logs().front(), "info: Good morning, 7");
    EXPECT_EQ(host.query("greeted"),
              R"({"items":[{"user":"7","times":2},{"user":"8","times":1}]})");
}

TEST(Hello, an_event_of_nobody_is_ignored) {
    FakeHost host;
    EXPECT_EQ(host.send({.type = "created"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.query("greeted"), R"({"items":[]})");
}

TEST(Hello, the_counts_survive_a_restart) {
    FakeHost host;
    host.send(task_event("created", "7", "42"));
    host.restart();
    host.send(task_event("created", "7", "42"));
    EXPECT_EQ(host.sql("SELECT times FROM greeted"), "2");
}

}  // namespace
}  // namespace millrace
