#include "plugins/options.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "plugins/host_services.hpp"

namespace millrace::plugins {
namespace {

constexpr millrace_option option(const char* name, std::uint32_t type,
                                 const char* default_value = nullptr) {
    return {.name = name,
            .description = "what it is for",
            .default_value = default_value,
            .choices = nullptr,
            .type = type,
            .flags = 0,
            .minimum = 0,
            .maximum = 0};
}

std::vector<millrace_option> every_type() {
    std::vector<millrace_option> options = {option("greeting", MILLRACE_OPTION_TEXT),
                                            option("retries", MILLRACE_OPTION_INTEGER, "3"),
                                            option("factor", MILLRACE_OPTION_NUMBER, "1.5"),
                                            option("loud", MILLRACE_OPTION_BOOLEAN, "false"),
                                            option("wait", MILLRACE_OPTION_DURATION, "5m"),
                                            option("mode", MILLRACE_OPTION_CHOICE, "skip"),
                                            option("words", MILLRACE_OPTION_LIST, "[a, b]")};
    options[1].minimum = 1;
    options[1].maximum = 9;
    options[4].minimum = 1'000;
    options[4].maximum = 3'600'000;
    options[5].choices = "skip|all";
    return options;
}

std::string make(const std::string& yaml,
                 const std::vector<millrace_option>& options = every_type()) {
    const auto root = ConfigNode::parse(yaml, "test.yaml", nullptr);
    return make_config(root.find("config").value_or(ConfigNode()), options,
                       "test.yaml:1: handlers.x");
}

std::string fault_of(const std::string& yaml,
                     const std::vector<millrace_option>& options = every_type()) {
    try {
        return "taken: " + make(yaml, options);
    } catch (const ConfigError& error) {
        return error.what();
    }
}

TEST(Options, without_a_config_the_plugin_gets_its_defaults) {
    EXPECT_EQ(
        make("a: 1"),
        R"({"greeting":null,"retries":3,"factor":1.5E0,"loud":false,"wait":300000,"mode":"skip","words":["a","b"]})");
}

TEST(Options, what_is_given_replaces_the_defaults) {
    EXPECT_EQ(
        make("config: {greeting: '5', retries: 4, factor: 2, loud: true, wait: 10s, mode: all, "
             "words: [c]}"),
        R"({"greeting":"5","retries":4,"factor":2E0,"loud":true,"wait":10000,"mode":"all","words":["c"]})");
}

TEST(Options, an_unknown_one_is_refused_with_the_nearest) {
    const std::string fault = fault_of("config:\n  retrys: 4\n");
    EXPECT_TRUE(fault.starts_with("test.yaml:2: config.retrys: ")) << fault;
    EXPECT_NE(fault.find("did you mean 'retries'?"), std::string::npos) << fault;
    EXPECT_NE(fault_of("config: {something_else: 4}").find("there are: greeting, retries"),
              std::string::npos);
    EXPECT_NE(fault_of("config: {a: 4}", {}).find("has no options"), std::string::npos);
}

TEST(Options, a_wrong_value_is_refused_at_its_line) {
    for (const char* wrong :
         {"retries: many", "retries: 10", "retries: 0", "retries: 1.5", "factor: x", "loud: 3",
          "wait: 10", "wait: 10ms", "wait: 2h", "mode: some", "words: a", "greeting: [a]"}) {
        const std::string fault = fault_of("config:\n  " + std::string(wrong) + "\n");
        EXPECT_TRUE(fault.starts_with("test.yaml:2: config.")) << wrong << " -> " << fault;
    }
}

TEST(Options, one_limit_may_be_infinite) {
    std::vector<millrace_option> options = {option("count", MILLRACE_OPTION_INTEGER),
                                            option("factor", MILLRACE_OPTION_NUMBER)};
    for (millrace_option& limited : options) {
        limited.minimum = 0;
        limited.maximum = std::numeric_limits<double>::infinity();
    }
    EXPECT_EQ(make("config: {count: 9223372036854775807, factor: 1e300}", options),
              R"({"count":9223372036854775807,"factor":1E300})");
    for (const char* wrong : {"count: -1", "factor: -0.5"}) {
        const std::string fault = fault_of("config:\n  " + std::string(wrong) + "\n", options);
        EXPECT_TRUE(fault.starts_with("test.yaml:2: config.")) << wrong << " -> " << fault;
    }
}

TEST(Options, a_required_one_must_be_there) {
    std::vector<millrace_option> options = {option("url", MILLRACE_OPTION_TEXT)};
    options[0].flags = MILLRACE_OPTION_IS_REQUIRED;
    EXPECT_TRUE(fault_of("a: 1", options)
                    .starts_with("test.yaml:1: handlers.x.config: the option 'url' is required"))
        << fault_of("a: 1", options);
    EXPECT_NE(fault_of("config: {}", options).find("'url' is required: what it is for"),
              std::string::npos);
    EXPECT_EQ(make("config: {url: x}", options), R"({"url":"x"})");
}

std::string fault_of_check(const std::string& yaml, decltype(millrace_plugin_api::check) check) {
    millrace_plugin_api api{};
    api.check = check;
    const auto config =
        ConfigNode::parse(yaml, "test.yaml", nullptr).find("config").value_or(ConfigNode());
    try {
        check_config(api, config, "{}", "test.yaml:1: handlers.x");
        return "taken";
    } catch (const ConfigError& error) {
        return error.what();
    }
}

void tell(millrace_option_fault_callback fault, void* context, const char* option,
          std::int64_t item, const char* what, const char* expected) {
    const auto text = [](const char* given) {
        return given == nullptr ? millrace_str{nullptr, 0} : to_abi(given);
    };
    const millrace_option_fault found{sizeof found, text(option), item, text(what), text(expected)};
    fault(context, &found);
}

TEST(OptionChecks, a_plugin_without_a_check_takes_what_its_table_takes) {
    EXPECT_EQ(fault_of_check("config: {url: x}", nullptr), "taken");
}

TEST(OptionChecks, what_the_plugin_finds_is_told_at_its_line_with_the_value) {
    EXPECT_EQ(fault_of_check("config:\n  a: 1\n  url: gopher://x\n  words:\n    - b\n    - c\n",
                             [](millrace_str, millrace_option_fault_callback fault, void* context) {
                                 tell(fault, context, "url", -1, nullptr, "http");
                                 tell(fault, context, "words", 1, "has no ':'", "'Name: value'");
                             }),
              "test.yaml:3: config.url: is 'gopher://x', expected http\n"
              "test.yaml:6: config.words[1]: has no ':', expected 'Name: value'");
}

TEST(OptionChecks, what_is_not_in_the_file_is_told_at_the_handler) {
    EXPECT_EQ(fault_of_check("a: 1",
                             [](millrace_str, millrace_option_fault_callback fault, void* context) {
                                 tell(fault, context, "zone", -1, nullptr, "a zone");
                                 tell(fault, context, nullptr, -1, "are two", "one");
                             }),
              "test.yaml:1: handlers.x.config.zone: is wrong, expected a zone\n"
              "test.yaml:1: handlers.x.config: are two, expected one");
}

TEST(OptionChecks, an_item_that_is_not_there_is_told_at_its_list) {
    EXPECT_EQ(fault_of_check("config: {words: [a]}",
                             [](millrace_str, millrace_option_fault_callback fault, void* context) {
                                 tell(fault, context, "words", 7, "are too many", "one");
                             }),
              "test.yaml:1: config.words: are too many, expected one");
}

}  // namespace
}  // namespace millrace::plugins
