#include "core/kill_point.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace millrace {
namespace {

// Each in a process of its own: what is armed stays armed.
TEST(KillPointDeathTest, an_armed_place_kills_at_its_count_and_not_before) {
    const auto pass = [](std::string_view name, int times) {
        if (!arm_kill_point("after_claim:3")) std::_Exit(1);
        for (int i = 0; i < times; ++i) kill_point(name);
        std::_Exit(0);
    };
    EXPECT_EXIT(pass("after_claim", 3), testing::KilledBySignal(SIGKILL), "");
    EXPECT_EXIT(pass("after_claim", 2), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(pass("in_handler", 3), testing::ExitedWithCode(0), "");
}

TEST(KillPoint, what_names_no_place_or_no_count_is_refused) {
    for (const char* spec : {"", "after_claim", "after_claim:", "after_claim:0", "after_claim:-1",
                             "after_claim:2x", "nowhere:1", ":1"}) {
        const auto armed = arm_kill_point(spec);
        ASSERT_FALSE(armed) << spec;
        EXPECT_NE(armed.error().message.find("before_offset_commit"), std::string::npos);
    }
    EXPECT_FALSE(kill_point_is_armed("after_claim"));
}

}  // namespace
}  // namespace millrace
