// What nobody should send, by HTTP: refused at the door with its place, in every form that events
// come in, and its neighbours are taken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bad_inputs.hpp"
#include "unit/gateway/gateway_world.hpp"

namespace millrace::gateway {
namespace {

using testing::BadInput;
using testing::Fate;
using ::testing::HasSubstr;

constexpr const char* kTarget = "/v1/topics/task-events/events";
constexpr const char* kGood = R"({"event_id":"g","user_id":"good"})";
constexpr const char* kCloudEvent = R"("specversion":"1.0","id":"c","type":"t","source":"s")";

struct BadRequests : ::testing::Test, GatewayWorld {
    BadRequests() { start(); }

    std::size_t taken() {
        return on_loop_value([&] { return transport.all_of("task-events").size(); });
    }
    // The good ones around it are in the log, nothing else is, and the server answers.
    void expect_taken(std::size_t wanted, const std::string& name) {
        EXPECT_EQ(taken(), wanted) << name;
        EXPECT_EQ(ask("GET", "/healthz").status, 200) << name;
        on_loop([&] {
            for (auto& [origin, records] : transport.log) records.clear();
        });
    }
    static bool is_taken(const BadInput& input) { return input.http_status == 200; }
    // What has no end, or is nothing, leaves no borders between the elements of an array.
    static bool has_borders(const BadInput& input) {
        const std::string name = input.name;
        return name != "empty" && name != "blank" && name != "nested_without_end" &&
               name != "two_values";
    }
    static std::vector<BadInput> sendable() {
        auto inputs = testing::bad_inputs();
        std::erase_if(inputs, [](const BadInput& input) { return !input.value; });
        return inputs;
    }
    // Without the events around it: what the batch says of the middle one.
    void expect_middle_refused(const Answer& answer, const BadInput& input) {
        ASSERT_EQ(answer.status, is_taken(input) ? 200 : 207) << input.name << answer.body;
        const auto results = answer.json().at("results").as_array();
        ASSERT_EQ(results.size(), 3U) << input.name;
        EXPECT_TRUE(results[0].as_object().contains("offset")) << input.name;
        EXPECT_TRUE(results[2].as_object().contains("offset")) << input.name;
        if (is_taken(input)) return;
        const auto& error = results[1].at("error").as_object();
        EXPECT_EQ(error.at("status").as_int64(), input.http_status) << input.name;
    }
};

TEST_F(BadRequests, alone_each_is_answered_with_its_status) {
    for (const BadInput& input : sendable()) {
        const Answer answer =
            ask("POST", kTarget, "Content-Type: application/json\r\n", *input.value);
        EXPECT_EQ(answer.status, input.http_status) << input.name << answer.body;
        EXPECT_NO_THROW(answer.json()) << input.name;
        expect_taken(is_taken(input) ? 1 : 0, input.name);
    }
}

TEST_F(BadRequests, in_an_array_the_others_are_taken) {
    for (const BadInput& input : sendable()) {
        const std::string body = std::string("[") + kGood + "," + *input.value + "," + kGood + "]";
        const Answer answer = ask("POST", kTarget, "Content-Type: application/json\r\n", body);
        if (has_borders(input)) {
            expect_middle_refused(answer, input);
            expect_taken(is_taken(input) ? 3 : 2, input.name);
        } else {
            EXPECT_EQ(answer.status, 400) << input.name;
            expect_taken(0, input.name);
        }
    }
}

TEST_F(BadRequests, on_a_line_the_others_are_taken) {
    for (const BadInput& input : sendable()) {
        const std::string body = std::string(kGood) + "\n" + *input.value + "\n" + kGood + "\n";
        const Answer answer = ask("POST", kTarget, "Content-Type: application/x-ndjson\r\n", body);
        const bool is_line = !trimmed(*input.value).empty();
        if (is_line)
            expect_middle_refused(answer, input);
        else
            EXPECT_EQ(answer.status, 200) << input.name;
        expect_taken(!is_line || !is_taken(input) ? 2 : 3, input.name);
    }
}

TEST_F(BadRequests, as_the_data_of_a_cloud_event_it_is_refused_too) {
    for (const BadInput& input : sendable()) {
        if (is_taken(input) || input.http_status == 422) continue;
        if (std::string(input.name) == "array" || std::string(input.name) == "null") continue;
        const std::string event =
            std::string("{") + kCloudEvent + ",\"data\":" + *input.value + "}";
        const Answer answer =
            ask("POST", kTarget, "Content-Type: application/cloudevents+json\r\n", event);
        EXPECT_EQ(answer.status, 400) << input.name << answer.body;
        expect_taken(0, input.name);
    }
}

TEST_F(BadRequests, an_id_in_a_cloud_event_is_judged_as_anywhere) {
    for (const BadInput& input : sendable()) {
        if (input.http_status != 422) continue;
        const std::string event =
            std::string("{") + kCloudEvent + ",\"data\":" + *input.value + "}";
        const std::string batch = "[" + event + "," + kGood + "]";
        EXPECT_EQ(
            ask("POST", kTarget, "Content-Type: application/cloudevents+json\r\n", event).status,
            422)
            << input.name;
        EXPECT_EQ(
            ask("POST", kTarget, "Content-Type: application/cloudevents-batch+json\r\n", batch)
                .status,
            207)
            << input.name;
        expect_taken(1, input.name);
    }
}

TEST_F(BadRequests, a_binary_cloud_event_is_its_body) {
    for (const BadInput& input : sendable()) {
        const Answer answer = ask("POST", kTarget,
                                  "Content-Type: application/json\r\nce-specversion: 1.0\r\nce-id: "
                                  "c\r\nce-type: t\r\nce-source: s\r\n",
                                  *input.value);
        EXPECT_EQ(answer.status, input.http_status) << input.name << answer.body;
        expect_taken(is_taken(input) ? 1 : 0, input.name);
    }
}

TEST_F(BadRequests, twenty_megabytes_are_refused_by_their_announced_length) {
    const Answer answer = ask("POST", kTarget, "Content-Type: application/json\r\n",
                              "{\"a\":\"" + std::string(20U << 20, 'x') + "\"}");
    EXPECT_EQ(answer.status, 413);
    EXPECT_THAT(answer.body, HasSubstr("max_body_bytes"));
    expect_taken(0, "large");
}

}  // namespace
}  // namespace millrace::gateway
