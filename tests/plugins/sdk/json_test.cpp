#include <gtest/gtest.h>

#include <millrace/json.hpp>

namespace millrace {
namespace {

TEST(Json, what_is_read_is_written_as_it_was) {
    for (const char* text :
         {R"({"a":[1,-2,3.50,1e3,12345678901234567890],"b":{"c":null,"d":[true,false]},"e":""})",
          "[]", "{}", "-0", "0.1", R"("\"\\\n\u0001ä")"}) {
        EXPECT_EQ(Json::parse(text).dump(), text);
    }
}

TEST(Json, a_number_too_small_for_a_double_is_zero_and_stays_as_it_was_written) {
    const Json number = Json::parse("1e-400");
    EXPECT_EQ(number.number(), 0.0);
    EXPECT_EQ(number.dump(), "1e-400");
}

TEST(Json, escapes_become_utf8) {
    EXPECT_EQ(Json::parse(R"("\u00e4\u20ac\ud83d\ude00\t\/")").text(), "\u00e4\u20ac\U0001F600\t/");
}

TEST(Json, what_rfc_8259_does_not_allow_is_refused) {
    for (const char* text : {"",
                             "{",
                             "[1,]",
                             "{\"a\":1,}",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "1e",
                             "tru",
                             "'a'",
                             "\"a",
                             "\"\\x\"",
                             "\"\\ud800\"",
                             "\"\\ud800\\u0041\"",
                             "\"\\u12g4\"",
                             "\"\n\"",
                             "[1] 2",
                             "1e999",
                             "{\"a\" 1}",
                             "{a:1}",
                             "nan"}) {
        EXPECT_THROW(Json::parse(text), JsonError) << text;
    }
}

TEST(Json, depth_is_bounded) {
    EXPECT_NO_THROW(Json::parse(std::string(64, '[') + std::string(64, ']')));
    EXPECT_THROW(Json::parse(std::string(100'000, '[')), JsonError);
}

TEST(Json, members_are_found_set_and_erased) {
    Json json = Json::parse(R"({"a":1,"b":"x","a":2})");
    EXPECT_EQ(json.find("a")->integer(), 2);
    EXPECT_EQ(json.text_or("b", "-"), "x");
    EXPECT_EQ(json.text_or("a", "-"), "-");
    json.set("a", 3).set("c", std::optional<std::string>()).erase("b");
    EXPECT_EQ(json.dump(), R"({"a":3,"c":null})");
}

TEST(Json, a_number_that_is_not_finite_cannot_be_made) {
    EXPECT_THROW(Json(std::nan("")), JsonError);
    EXPECT_EQ(Json(2.5).dump(), "2.5");
}

}  // namespace
}  // namespace millrace
