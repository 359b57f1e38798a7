#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/config/node.hpp"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

std::optional<std::string> variable(const std::string& name) {
    if (name == "PORT") return "9000";
    if (name == "EMPTY") return "";
    if (name == "PASSWORD") return "hunter2";
    return std::nullopt;
}

ConfigNode parsed(std::string_view text) { return ConfigNode::parse(text, "test.yaml", variable); }

std::string fault(const std::function<void()>& work) {
    try {
        work();
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

std::string fault_of(std::string_view text) {
    return fault([text] { parsed(text); });
}

TEST(ConfigNode, a_value_knows_its_file_line_and_path) {
    const ConfigNode root = parsed("server:\n  limits:\n    - a\n    - b\n");
    const ConfigNode item = root.find("server")->find("limits")->items()[1];
    EXPECT_EQ(item.path(), "server.limits[1]");
    EXPECT_EQ(item.where(), "test.yaml:4");
    EXPECT_EQ(root.find("server")->where(), "test.yaml:1");
    EXPECT_EQ(item.as_string(), "b");
}

TEST(ConfigNode, an_absent_and_a_null_value_are_the_same) {
    const ConfigNode root = parsed("a:\nb: ~\nc: ''\nd: ${EMPTY}\n");
    EXPECT_FALSE(root.find("a"));
    EXPECT_FALSE(root.find("b"));
    EXPECT_FALSE(root.find("d"));
    EXPECT_FALSE(root.find("nothing"));
    ASSERT_TRUE(root.find("c"));
    EXPECT_EQ(root.find("c")->as_string(), "");
    EXPECT_TRUE(parsed("").is_null());
}

TEST(ConfigNode, durations_and_sizes_are_read_with_their_units) {
    const ConfigNode root = parsed(
        "{a: 250ms, b: 10s, c: 5m, d: 2h, e: 7d, f: 512, g: 64KiB, h: 1MiB, i: 2GiB, j: 0s}");
    using namespace std::chrono_literals;
    EXPECT_EQ(root.find("a")->as_duration(), 250ms);
    EXPECT_EQ(root.find("b")->as_duration(), 10s);
    EXPECT_EQ(root.find("c")->as_duration(), 5min);
    EXPECT_EQ(root.find("d")->as_duration(), 2h);
    EXPECT_EQ(root.find("e")->as_duration(), 168h);
    EXPECT_EQ(root.find("j")->as_duration(), 0s);
    EXPECT_EQ(root.find("f")->as_bytes(), 512U);
    EXPECT_EQ(root.find("g")->as_bytes(), 65'536U);
    EXPECT_EQ(root.find("h")->as_bytes(), 1U << 20U);
    EXPECT_EQ(root.find("i")->as_bytes(), 2ULL << 30U);
}

TEST(ConfigNode, what_is_not_a_duration_or_a_size_is_refused) {
    for (const char* text : {"10", "-5s", "1.5s", "10 s", "s", "10sec", "99999999999d", "[]"}) {
        const ConfigNode node = *parsed(std::string("a: ") + text).find("a");
        EXPECT_THAT(fault([&] { node.as_duration(); }), HasSubstr("test.yaml:1: a: is ")) << text;
    }
    for (const char* text : {"-1", "1KB", "64 KiB", "1.5MiB", "99999999TiB", "x"}) {
        const ConfigNode node = *parsed(std::string("a: ") + text).find("a");
        EXPECT_THAT(fault([&] { node.as_bytes(); }), HasSubstr("expected a size")) << text;
    }
}

TEST(ConfigNode, numbers_keep_their_range_and_their_form) {
    const ConfigNode root = parsed("{a: 70000, b: 1e3, c: 0x10, d: 2.5, e: .inf}");
    EXPECT_EQ(fault([&] { root.find("a")->as_integer(0, 65'535); }),
              "test.yaml:1: a: is '70000', expected a whole number from 0 to 65535");
    EXPECT_THAT(fault([&] { root.find("b")->as_integer(0, 9'999); }), HasSubstr("whole number"));
    EXPECT_THAT(fault([&] { root.find("c")->as_integer(0, 99); }), HasSubstr("whole number"));
    EXPECT_EQ(root.find("d")->as_number(1, 10), 2.5);
    EXPECT_THAT(fault([&] { root.find("e")->as_number(0, 1); }), HasSubstr("expected a number"));
    EXPECT_THAT(fault([&] { root.find("d")->as_bool(); }), HasSubstr("true or false"));
    EXPECT_THAT(fault([&] {
                    root.find("d")->as_choice({"one", "two", "three"});
                }),
                HasSubstr("is '2.5', expected one, two or three"));
}

TEST(ConfigNode, variables_are_expanded_and_never_read_as_yaml) {
    const ConfigNode root = parsed(
        "a: ${PORT}\nb: http://h:${PORT}/${NONE:-x}\nc: ${NONE:-}\nd: $${PORT}\n"
        "e: ${EMPTY:-full}\nf: $ConnectionString\n");
    EXPECT_EQ(root.find("a")->as_integer(0, 65'535), 9'000);
    EXPECT_EQ(root.find("b")->as_string(), "http://h:9000/x");
    EXPECT_FALSE(root.find("c"));
    EXPECT_EQ(root.find("d")->as_string(), "${PORT}");
    EXPECT_EQ(root.find("e")->as_string(), "full");
    EXPECT_EQ(root.find("f")->as_string(), "$ConnectionString");
}

TEST(ConfigNode, a_variable_that_is_not_set_is_refused_with_its_line) {
    EXPECT_EQ(fault_of("x: 1\na:\n  b: ${NONE}\n"),
              "test.yaml:3: a.b: the environment variable NONE is not set; set it, or write "
              "${NONE:-default}");
    EXPECT_THAT(fault_of("a: ${PORT\n"), HasSubstr("has no '}'"));
    EXPECT_THAT(fault_of("a: ${PO RT}\n"), HasSubstr("'${PO RT}' is not understood"));
    EXPECT_EQ(ConfigNode::parse("a: ${NONE}", "x", nullptr).find("a")->as_string(), "${NONE}");
}

TEST(ConfigNode, an_error_shows_neither_a_secret_nor_what_a_variable_holds) {
    const ConfigNode root = parsed("limit: ${PASSWORD}\nadmin_token: hunter2\n");
    EXPECT_EQ(fault([&] { root.find("limit")->as_bytes(); }),
              "test.yaml:1: limit: is the value of ${PASSWORD}, expected a size: 512 64KiB 1MiB "
              "2GiB");
    EXPECT_THAT(fault([&] { root.find("admin_token")->as_bool(); }), Not(HasSubstr("hunter2")));
}

TEST(ConfigNode, broken_yaml_is_refused_with_file_and_line) {
    EXPECT_THAT(fault_of("a: 1\nb: [1\nc: 2\n"), HasSubstr("test.yaml:"));
    EXPECT_THAT(fault_of("a: 1\nb: 2\na: 3\n"),
                HasSubstr("test.yaml:3: a: is given twice, first at test.yaml:1"));
    EXPECT_THAT(fault_of("a: 1\n---\nb: 2\n"), HasSubstr("test.yaml:2: a second YAML document"));
    EXPECT_THAT(fault_of(",-: , ,-"), HasSubstr("test.yaml:1: "));
    EXPECT_THAT(fault_of("a: !!binary aGk=\n"), HasSubstr("tags are not understood"));
    EXPECT_THAT(fault([] { ConfigNode::load_file("/nowhere/x.yaml", nullptr); }),
                HasSubstr("/nowhere/x.yaml: cannot be read"));
    EXPECT_THAT(fault([] { ConfigNode::load_file("/", nullptr); }), HasSubstr("cannot be read"));
}

TEST(ConfigNode, anchors_that_multiply_are_bounded) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; ++i) {
        const std::string previous = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) text += (j > 0 ? ", " : "") + previous;
        text += "]\n";
    }
    EXPECT_THAT(fault_of(text), HasSubstr("more than 100000 values"));
}

TEST(ConfigNode, a_setting_lies_over_the_file_and_says_where_it_came_from) {
    ConfigNode root = parsed("server: {port: 1}\ntopics:\n  orders.v1: {partitions: 3}\n");
    root.set("server.port", "2", "--set");
    root.set("server.limits.size", "x", "--set");
    root.set("topics.orders.v1.partitions", "5", "--set");
    root.set("kafka.properties.sasl.mechanism", "PLAIN", "--set");
    root.set("hosts", "[a, 'b c']", "--set");
    EXPECT_EQ(root.find("server")->find("port")->as_integer(0, 9), 2);
    EXPECT_EQ(root.find("server")->find("port")->where(), "--set");
    EXPECT_THAT(fault([&] { root.find("server")->find("limits")->find("size")->as_bytes(); }),
                HasSubstr("--set: server.limits.size: is 'x'"));
    EXPECT_EQ(root.find("topics")->members().size(), 1U);
    EXPECT_EQ(root.find("topics")->find("orders.v1")->find("partitions")->as_integer(0, 9), 5);
    EXPECT_EQ(root.find("kafka")->find("properties")->find("sasl.mechanism")->as_string(), "PLAIN");
    EXPECT_EQ(root.find("hosts")->items()[1].as_string(), "b c");
    EXPECT_THAT(fault([&] { root.set("server.port.x", "1", "--set"); }),
                HasSubstr("--set: server.port.x: server.port is not a mapping"));
    EXPECT_THAT(fault([&] { root.set("server..x", "1", "--set"); }), HasSubstr("empty key"));
}

TEST(ConfigNode, json_keeps_what_was_quoted_as_text) {
    const ConfigNode root = parsed(
        "a: 1\nb: '1'\nc: true\nd: \"true\"\ne: ~\nf: [1.5, -2, x, 01, 0x1]\ng: {\"h\\\"\": é}\n");
    EXPECT_EQ(root.to_json(),
              R"({"a":1,"b":"1","c":true,"d":"true","e":null,"f":[1.5,-2,"x","01","0x1"],)"
              R"("g":{"h\"":"é"}})");
}

}  // namespace
}  // namespace millrace
