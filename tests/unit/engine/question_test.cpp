#include "engine/question.hpp"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

HandlerTraits traits() {
    HandlerTraits traits;
    traits.questions = {"events", "summary", "anything"};
    traits.parameters["events"] = {"user", "limit"};
    traits.parameters["summary"] = {};
    return traits;
}

std::string fault_of(std::string_view question,
                     const std::vector<std::pair<std::string, std::string>>& parameters) {
    const auto checked = check_question(traits(), "audit", question, parameters);
    return checked ? "taken" : checked.error().message;
}

TEST(Question, one_with_its_own_parameters_is_asked) {
    EXPECT_EQ(fault_of("events", {{"user", "7"}, {"limit", "1"}}), "taken");
    EXPECT_EQ(fault_of("summary", {}), "taken");
}

TEST(Question, an_unknown_one_names_those_there_are) {
    const auto checked = check_question(traits(), "audit", "event", {});
    EXPECT_EQ(checked.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(checked.error().message,
              "handler audit has no question 'event'; it has: events, summary, anything");
}

TEST(Question, a_mistyped_parameter_is_not_passed_over) {
    EXPECT_EQ(fault_of("events", {{"usr", "7"}}),
              "audit events has no parameter 'usr'; it has: user, limit");
    EXPECT_EQ(fault_of("summary", {{"user", "7"}}),
              "audit summary has no parameter 'user'; it has: none");
}

TEST(Question, a_parameter_given_twice_has_no_meaning) {
    EXPECT_EQ(fault_of("events", {{"user", "7"}, {"limit", "1"}, {"user", "8"}}),
              "audit events: the parameter 'user' is given twice");
}

TEST(Question, a_plugin_that_does_not_say_its_parameters_gets_any) {
    EXPECT_EQ(fault_of("anything", {{"a", "1"}, {"a", "2"}}), "taken");
}

}  // namespace
}  // namespace millrace::engine
