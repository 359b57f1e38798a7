#include "core/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace millrace {
namespace {

using testing::MatchesRegex;

std::string captured(const std::function<void()>& work) {
    testing::internal::CaptureStderr();
    work();
    return testing::internal::GetCapturedStderr();
}

class Log : public testing::Test {
protected:
    ~Log() override { log::configure(log::Level::kInfo, log::Format::kText); }
};

TEST_F(Log, a_text_line_has_time_level_component_and_message) {
    log::configure(log::Level::kInfo, log::Format::kText);
    EXPECT_THAT(captured([] { log::info("engine", "{} of {}", 1, 3); }),
                MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z "
                             "info  engine  1 of 3\n"));
}

TEST_F(Log, a_message_can_neither_forge_a_line_nor_drive_a_terminal) {
    log::configure(log::Level::kInfo, log::Format::kText);
    const std::string line = captured([] { log::warn("engine", "{}", "a\nb\x1b[2J\xff"); });
    EXPECT_THAT(line, testing::EndsWith("warn  engine  a\\nb\\x1b[2J\xEF\xBF\xBD\n"));
}

TEST_F(Log, a_json_line_is_one_escaped_object) {
    log::configure(log::Level::kInfo, log::Format::kJson);
    const std::string line = captured([] { log::error("kafka", "{}", "say \"hi\"\\\n\x01é"); });
    EXPECT_THAT(line, testing::StartsWith(R"({"time":")"));
    EXPECT_THAT(line, testing::EndsWith(R"(Z","level":"error","component":"kafka",)"
                                        R"("message":"say \"hi\"\\\n\u0001é"})"
                                        "\n"));
}

TEST_F(Log, configuring_again_replaces_the_level) {
    log::configure(log::Level::kError, log::Format::kText);
    EXPECT_EQ(captured([] { log::warn("engine", "quiet"); }), "");
    log::configure(log::Level::kDebug, log::Format::kText);
    EXPECT_THAT(captured([] { log::debug("engine", "loud"); }), testing::HasSubstr("loud"));
    log::configure(log::Level::kOff, log::Format::kText);
    EXPECT_EQ(captured([] { log::error("engine", "nothing"); }), "");
}

}  // namespace
}  // namespace millrace
