#include <gtest/gtest.h>

#include <millrace/testing.hpp>

namespace millrace {
namespace {

TEST(Websocket, an_event_goes_to_its_user_in_its_own_bytes) {
    FakeHost host;
    const std::string value =
        R"({ "event_type":"task.updated", "user_id": 7, "changes": {"n": 1.50} })";
    EXPECT_EQ(host.send({.topic = "task-updates", .value = value, .user = "7"}).kind, MILLRACE_ACK);
    ASSERT_EQ(host.pushed().size(), 1U);
    EXPECT_EQ(host.pushed().front().user, "7");
    EXPECT_EQ(host.pushed().front().data, value);
}

TEST(Websocket, an_event_of_nobody_is_skipped) {
    FakeHost host;
    EXPECT_EQ(host.send({.topic = "task-updates", .value = "{}"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send({.topic = "task-updates", .user = "7"}).kind, MILLRACE_IGNORE);
    EXPECT_TRUE(host.pushed().empty());
}

}  // namespace
}  // namespace millrace
