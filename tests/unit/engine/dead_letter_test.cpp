// Dead letters: what is in them, what becomes of one that is too large or cannot be written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/time.hpp"
#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::dead_letter;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::StoredRecord;

struct DeadLetters : ::testing::Test {
    DeadLetters() {
        world.model->on_message = [this](ShardServices& services, const MessageInput& input) {
            const bool bad = input.event.envelope.task_id == "bad";
            return bad ? dead_letter(reason.c_str()) : ModelHandler::insert(services, input);
        };
    }
    // The letter of a record of user a on partition 1, offset 0.
    StoredRecord letter_of(StoredRecord record) {
        world.start();
        world.transport.append({"tasks", {1}}, std::move(record));
        world.run();
        const auto letters = world.transport.all_of("tasks-dlq");
        EXPECT_EQ(letters.size(), 1U);
        return letters.empty() ? StoredRecord{} : letters.front();
    }
    StoredRecord bad(std::vector<std::pair<std::string, std::string>> headers = {}) {
        return {{}, "key\xff", world.event("a", "bad"), std::move(headers)};
    }
    static std::size_t count(const StoredRecord& record, const std::string& name) {
        return static_cast<std::size_t>(
            std::ranges::count(record.headers, name, &std::pair<std::string, std::string>::first));
    }

    EngineWorld world;
    std::string reason = "no";
};

TEST_F(DeadLetters, carry_their_context_as_text) {
    const auto letter = letter_of(bad());
    EXPECT_EQ(letter.header("millrace-error-class"), "handler");
    EXPECT_EQ(letter.header("millrace-error-message"), "no");
    EXPECT_EQ(letter.header("millrace-topic"), "tasks");
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    const Timestamp sent = world.transport.log[{"tasks", {1}}][0].timestamp;
    EXPECT_EQ(letter.header("millrace-timestamp"), std::to_string(to_epoch_ms(sent)));
    EXPECT_EQ(letter.header("millrace-handler"), "model");
    EXPECT_EQ(letter.header("millrace-group"), "test.model");
    EXPECT_EQ(letter.header("millrace-attempts"), "1");
    EXPECT_EQ(letter.header("millrace-event-id").size(), 36U);
    EXPECT_EQ(letter.header("millrace-schema-version"), "1");
    EXPECT_EQ(letter.header("millrace-redrives"), "0");
    EXPECT_TRUE(parse_time(letter.header("millrace-first-failure")));
}

TEST_F(DeadLetters, carry_what_readers_of_kafka_connects_look_for_as_text) {
    const auto letter = letter_of(bad());
    const std::string prefix = "__connect.errors.";
    EXPECT_EQ(letter.header(prefix + "topic"), "tasks");
    EXPECT_EQ(letter.header(prefix + "partition"), "1");
    EXPECT_EQ(letter.header(prefix + "offset"), "0");
    EXPECT_EQ(letter.header(prefix + "connector.name"), "model");
    EXPECT_EQ(letter.header(prefix + "task.id"), "0");
    EXPECT_EQ(letter.header(prefix + "stage"), "TASK_PUT");
    EXPECT_EQ(letter.header(prefix + "class.name"), "millrace.handler.model");
    EXPECT_EQ(letter.header(prefix + "exception.class.name"), "millrace.handler");
    EXPECT_EQ(letter.header(prefix + "exception.message"), "no");
}

TEST_F(DeadLetters, say_to_readers_of_kafka_connects_that_a_value_could_not_be_read) {
    const auto letter = letter_of({{}, std::nullopt, "not json", {}});
    EXPECT_EQ(letter.header("__connect.errors.stage"), "VALUE_CONVERTER");
}

TEST_F(DeadLetters, carry_what_readers_of_springs_look_for_with_binary_numbers) {
    world.send(1, "b", "first");
    world.start();
    world.transport.append({"tasks", {1}}, bad());
    world.run();
    const auto letter = world.transport.all_of("tasks-dlq").at(0);
    const auto bytes = [](std::initializer_list<int> values) {
        std::string text;
        for (const int value : values) text += static_cast<char>(value);
        return text;
    };
    EXPECT_EQ(letter.header("kafka_dlt-original-topic"), "tasks");
    EXPECT_EQ(letter.header("kafka_dlt-original-partition"), bytes({0, 0, 0, 1}));
    EXPECT_EQ(letter.header("kafka_dlt-original-offset"), bytes({0, 0, 0, 0, 0, 0, 0, 1}));
    std::int64_t time = 0;
    for (const char byte : letter.header("kafka_dlt-original-timestamp"))
        time = time * 256 + static_cast<unsigned char>(byte);
    EXPECT_EQ(letter.header("kafka_dlt-original-timestamp").size(), 8U);
    EXPECT_EQ(std::to_string(time), letter.header("millrace-timestamp"));
    EXPECT_EQ(letter.header("kafka_dlt-original-timestamp-type"), "CreateTime");
    EXPECT_EQ(letter.header("kafka_dlt-original-consumer-group"), "test.model");
    EXPECT_EQ(letter.header("kafka_dlt-exception-fqcn"), "millrace.handler");
    EXPECT_EQ(letter.header("kafka_dlt-exception-message"), "no");
}

TEST_F(DeadLetters, carry_only_our_names_where_the_others_are_not_wanted) {
    world.section.dead_letters.connect_headers = false;
    world.section.dead_letters.spring_headers = false;
    const auto letter = letter_of(bad({{"kafka_dlt-original-topic", "another tool's"}}));
    EXPECT_EQ(letter.header("__connect.errors.topic"), "");
    EXPECT_EQ(letter.header("kafka_dlt-original-topic"), "another tool's");
    EXPECT_EQ(letter.header("kafka_dlt-original-offset"), "");
}

TEST_F(DeadLetters, replace_what_an_earlier_failure_added_and_keep_the_records_own_headers) {
    world.start();
    world.transport.append({"tasks", {1}}, bad({{"trace", "7"}, {"trace", "8"}}));
    world.run();
    const auto first = world.transport.all_of("tasks-dlq").at(0);
    world.transport.append({"tasks", {2}}, first);
    world.run();
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_EQ(letters.size(), 2U);
    EXPECT_EQ(letters[1].headers.size(), first.headers.size());
    EXPECT_EQ(letters[1].header("millrace-partition"), "2");
    EXPECT_EQ(letters[1].header("__connect.errors.partition"), "2");
    EXPECT_EQ(count(letters[1], "kafka_dlt-original-offset"), 1U);
    EXPECT_EQ(count(letters[1], "trace"), 2U);
    EXPECT_EQ(letters[1].value, first.value);
}

TEST_F(DeadLetters, say_how_often_the_record_was_given_back_before) {
    const auto letter = letter_of(bad({{"millrace-redrives", "not ours"}}));
    EXPECT_EQ(letter.header("millrace-redrives"), "0");
    world.supervisor->redrive(
        "model", {{"tasks", {1}}, Offset{0}, {}, letter.key, letter.value, {{"trace", "7"}}, 3},
        [](const Result<void>& taken) { EXPECT_TRUE(taken); });
    world.run();
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_EQ(letters.size(), 2U);
    EXPECT_EQ(letters[1].header("millrace-redrives"), "3");
    EXPECT_EQ(letters[1].header("millrace-partition"), "1");
    EXPECT_EQ(letters[1].header("millrace-offset"), "0");
    EXPECT_EQ(letters[1].value, letters[0].value);
}

TEST_F(DeadLetters, are_taken_back_one_after_the_other) {
    world.start();
    for (int i = 0; i < 3; ++i) {
        const std::string task = std::to_string(i);
        world.supervisor->redrive(
            "model", {{"tasks", {1}}, Offset{i}, {}, "k", world.event("a", task), {}, 1},
            [](const Result<void>& taken) { EXPECT_TRUE(taken); });
        world.run();
    }
    EXPECT_EQ(world.rows(), "a:0;a:1;a:2;");
}

TEST_F(DeadLetters, cut_a_long_message_between_characters) {
    reason = "x";
    for (int i = 0; i < 600; ++i) reason += "é";
    const auto letter = letter_of(bad());
    EXPECT_EQ(letter.header("millrace-error-message").size(), 999U);
}

TEST_F(DeadLetters, lose_the_message_and_the_other_tools_names_first_when_they_do_not_fit) {
    reason.assign(900, 'm');
    auto record = bad({{"trace", "7"}});
    world.transport.max_bytes["tasks-dlq"] = record.value->size() + 800;
    const auto letter = letter_of(record);
    EXPECT_EQ(letter.header("millrace-error-class"), "handler");
    EXPECT_EQ(letter.header("millrace-error-message").size(), 100U);
    EXPECT_EQ(letter.header("kafka_dlt-original-topic"), "");
    EXPECT_EQ(letter.header("trace"), "7");
    EXPECT_EQ(letter.key, record.key);
    EXPECT_EQ(letter.value, record.value);
}

TEST_F(DeadLetters, become_a_pointer_to_a_record_that_is_too_large) {
    auto record = bad({{"trace", "7"}});
    record.value->insert(record.value->size() - 1, std::string(5'000, ' '));
    world.transport.max_bytes["tasks-dlq"] = 2'000;
    const auto letter = letter_of(record);
    EXPECT_EQ(letter.header("millrace-error-class"), "too-large");
    EXPECT_THAT(letter.header("millrace-error-message"), HasSubstr("handler: no"));
    EXPECT_EQ(letter.header("millrace-value-bytes"), std::to_string(record.value->size()));
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    EXPECT_EQ(letter.header("trace"), "7");
    EXPECT_EQ(letter.key, record.key);
    EXPECT_EQ(letter.value, std::nullopt);
    EXPECT_EQ(world.committed(1), Offset{1});
    EXPECT_THAT(world.metrics->text(), HasSubstr(R"(class="too-large")"));
}

TEST_F(DeadLetters, become_a_bare_pointer_when_key_or_headers_are_what_is_large) {
    auto record = bad({{"trace", std::string(5'000, 't')}});
    record.key = std::string(3'000, 'k');
    world.transport.max_bytes["tasks-dlq"] = 2'000;
    const auto letter = letter_of(record);
    EXPECT_EQ(letter.header("millrace-error-class"), "too-large");
    EXPECT_EQ(letter.header("millrace-key-bytes"), "3000");
    EXPECT_EQ(letter.key, std::nullopt);
    EXPECT_EQ(count(letter, "trace"), 0U);
    EXPECT_EQ(world.committed(1), Offset{1});
}

TEST_F(DeadLetters, hold_their_key_while_their_topic_is_missing_and_go_on_by_themselves) {
    world.transport.remove_topic("tasks-dlq");
    world.start();
    world.send(1, "a", "bad");
    world.send(1, "a", "after");
    world.run();
    EXPECT_EQ(world.rows(), "");
    EXPECT_EQ(world.committed(1), Offset{0});
    EXPECT_THAT(world.metrics->text(), HasSubstr(R"(reason="dead-letter")"));
    EXPECT_THAT(world.metrics->text(), HasSubstr("millrace_dead_letter_write_failures_total"));
    world.transport.make_topic("tasks-dlq", 1);
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(world.rows(), "a:after;");
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_THAT(world.metrics->text(), ::testing::Not(HasSubstr(R"(reason="dead-letter")")));
}

TEST_F(DeadLetters, of_a_timer_say_which_one_and_which_record_it_goes_back_to) {
    const Timestamp due = world.runtime.clock().now() + milliseconds(1'000);
    world.model->on_message = [due](ShardServices& services, const MessageInput&) {
        (void)services.set_timer("ring", "a", due, "payload");
        return Outcome{};
    };
    world.model->on_timer = [](auto&, auto&) { return dead_letter("broken"); };
    world.start();
    world.send(1, "a", "1");
    world.runtime.advance(milliseconds(2'000));
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    const auto letter = world.transport.all_of("tasks-dlq")[0];
    EXPECT_EQ(letter.header("millrace-timer"), "ring");
    EXPECT_THAT(world.supervisor->status(), HasSubstr(R"("dead_lettered":1)"));
    EXPECT_EQ(letter.header("millrace-topic"), "tasks");
    EXPECT_EQ(letter.header("millrace-timestamp"), std::to_string(to_epoch_ms(due)));
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    EXPECT_EQ(letter.key, "a");
    EXPECT_EQ(letter.value, "payload");
}

TEST_F(DeadLetters, of_a_response_say_which_call_of_which_record) {
    world.model->on_message = [](ShardServices& services, const MessageInput&) {
        CallRequest request;
        request.id = "order";
        request.key = "a";
        request.method = "POST";
        request.url = "http://example.com/";
        request.payload = "payload";
        (void)services.call(request);
        return Outcome{};
    };
    world.model->on_response = [](auto&, auto&) { return dead_letter("broken"); };
    world.start();
    world.send(1, "a", "1");
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    const auto letter = world.transport.all_of("tasks-dlq")[0];
    EXPECT_EQ(letter.header("millrace-call"), "order");
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    EXPECT_EQ(letter.value, "payload");
    // The call has left the outbox.
    EXPECT_NE(world.supervisor->status().find(R"("outbox":0)"), std::string::npos);
}

TEST_F(DeadLetters, of_an_event_that_its_topic_refuses_say_which_record_it_came_from) {
    world.model->on_message = [](ShardServices& services, const MessageInput&) {
        (void)services.publish({"out", "k", R"({"n":1})"});
        return Outcome{};
    };
    world.transport.refusing.insert("out");
    world.start();
    world.send(1, "a", "1");
    world.runtime.advance(milliseconds(5'000));
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    const auto letter = world.transport.all_of("tasks-dlq")[0];
    EXPECT_EQ(letter.header("millrace-error-class"), "outbox");
    EXPECT_EQ(letter.header("millrace-target"), "out");
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    EXPECT_THAT(letter.value.value_or(""), HasSubstr(R"("n":1)"));
}

TEST_F(DeadLetters, of_an_event_that_fits_nowhere_become_a_pointer_and_hold_nothing) {
    world.model->on_message = [](ShardServices& services, const MessageInput&) {
        const std::string event = R"({"n":")" + std::string(5'000, 'x') + "\"}";
        (void)services.publish({"out", "k", event});
        return Outcome{};
    };
    world.transport.max_bytes = {{"out", 2'000}, {"tasks-dlq", 2'000}};
    world.start();
    world.send(1, "a", "1");
    world.runtime.advance(milliseconds(60'000));
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "too-large");
    EXPECT_EQ(world.committed(1), Offset{1});
}

}  // namespace
}  // namespace millrace::engine
