#include <gtest/gtest.h>

#include <millrace/testing.hpp>

namespace millrace {
namespace {

TEST(Websocket, an_event_goes_to_its_user_in_its_own_bytes) {
    Harness harness;
    const std::string value =
        R"({ "event_type":"task.updated", "user_id": 7, "changes": {"n": 1.50} })";
    EXPECT_EQ(harness.send({.topic = "task-updates", .value = value, .user = "7"}).kind,
              MILLRACE_ACK);
    ASSERT_EQ(harness.pushed().size(), 1U);
    EXPECT_EQ(harness.pushed().front().user, "7");
    EXPECT_EQ(harness.pushed().front().data, value);
}

TEST(Websocket, an_event_of_nobody_is_skipped) {
    Harness harness;
    EXPECT_EQ(harness.send({.topic = "task-updates", .value = "{}"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(harness.send({.topic = "task-updates", .user = "7"}).kind, MILLRACE_IGNORE);
    EXPECT_TRUE(harness.pushed().empty());
}

}  // namespace
}  // namespace millrace
