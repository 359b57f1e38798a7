// What nobody should send, by the log: each has its fate, its bytes are kept, its neighbours do not
// notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/bad_inputs.hpp"
#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::BadInput;
using testing::EngineWorld;
using testing::Fate;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kLarge = 20U << 20;

struct BadInputs : ::testing::Test {
    // Between a good record before it and one behind it, of the same key.
    void send_between(const BadInput& input) {
        const std::string key = "key\xff";
        world.send(0, "good", std::string("before ") + input.name, key);
        world.transport.append({"tasks", {0}}, {{}, key, input.value, input.headers});
        world.send(0, "good", std::string("after ") + input.name, key);
    }
    void expect_neighbours(const BadInput& input) {
        for (const char* place : {"before ", "after "})
            EXPECT_THAT(rows, HasSubstr(std::string("good:") + place + input.name + ";"));
    }
    static bool is_dead_lettered(Fate fate) {
        return fate == Fate::kUndecodable || fate == Fate::kSchemaFault;
    }
    static std::string class_of(Fate fate) {
        return fate == Fate::kSchemaFault ? "schema" : "undecodable";
    }
    std::map<std::string, testing::StoredRecord> letters_by_offset() {
        std::map<std::string, testing::StoredRecord> letters;
        for (const auto& letter : world.transport.all_of("tasks-dlq"))
            EXPECT_TRUE(letters.try_emplace(letter.header("millrace-offset"), letter).second);
        return letters;
    }

    EngineWorld world;
    std::string rows;
};

TEST_F(BadInputs, each_is_dead_lettered_skipped_or_handled_and_its_neighbours_do_not_notice) {
    const auto inputs = testing::bad_inputs();
    world.start();
    for (const BadInput& input : inputs) send_between(input);
    world.run();
    rows = world.rows();
    auto letters = letters_by_offset();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const BadInput& input = inputs[i];
        expect_neighbours(input);
        const auto letter = letters.extract(std::to_string(3 * i + 1));
        ASSERT_NE(letter.empty(), is_dead_lettered(input.fate)) << input.name;
        if (letter.empty()) continue;
        EXPECT_EQ(letter.mapped().value, input.value) << input.name;
        EXPECT_EQ(letter.mapped().key, "key\xff") << input.name;
        EXPECT_EQ(letter.mapped().header("millrace-error-class"), class_of(input.fate));
        EXPECT_FALSE(letter.mapped().header("millrace-error-message").empty()) << input.name;
    }
    EXPECT_TRUE(letters.empty());
    EXPECT_EQ(world.committed(0), Offset{static_cast<std::int64_t>(3 * inputs.size())});
}

TEST_F(BadInputs, what_is_strange_but_readable_is_handled_as_what_it_says) {
    world.start();
    for (const BadInput& input : testing::bad_inputs()) send_between(input);
    world.run();
    rows = world.rows();
    EXPECT_THAT(rows, HasSubstr("last:twice;"));
    EXPECT_THAT(rows, HasSubstr("bom:mark;"));
    EXPECT_THAT(rows, HasSubstr(std::string("b\0d:nul;", 8)));
    EXPECT_THAT(rows, Not(HasSubstr("bad:")));
}

TEST_F(BadInputs, none_is_looked_at_again_after_a_crash) {
    const auto inputs = testing::bad_inputs();
    world.start();
    for (const BadInput& input : inputs) send_between(input);
    world.run();
    rows = world.rows();
    const std::size_t letters = world.transport.all_of("tasks-dlq").size();
    world.kill();
    world.transport.committed.clear();
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), rows);
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), letters);
}

TEST_F(BadInputs, a_record_of_twenty_megabytes_is_handled_or_dead_lettered_whole) {
    const std::string good =
        R"({"user_id":"large","task_id":"1","title":")" + std::string(kLarge, 'x') + "\"}";
    const std::string broken = good.substr(0, good.size() - 1);
    world.start();
    send_between({"large", good, Fate::kHandled, 413});
    send_between({"broken", broken, Fate::kUndecodable, 413});
    world.run();
    rows = world.rows();
    EXPECT_THAT(rows, HasSubstr("large:1;"));
    expect_neighbours({"large", {}, Fate::kHandled, 0});
    expect_neighbours({"broken", {}, Fate::kHandled, 0});
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_EQ(letters.size(), 1U);
    EXPECT_TRUE(letters[0].value == broken);
    EXPECT_EQ(world.committed(0), Offset{6});
}

// Ids of several public producers are the task's: they tell its events apart only with what else
// the event says.
TEST_F(BadInputs, an_event_id_that_is_the_task_id_does_not_make_two_events_one) {
    const auto event = [](const char* type) {
        return std::string(R"({"event_id":"31","task_id":"31","user_id":"u","event_type":")") +
               type + "\"}";
    };
    world.start();
    for (const char* type : {"created", "updated", "created", "completed"})
        world.transport.append({"tasks", {0}}, std::nullopt, event(type));
    world.run();
    EXPECT_EQ(world.rows(), "u:31;u:31;u:31;");
    EXPECT_EQ(world.committed(0), Offset{4});
}

}  // namespace
}  // namespace millrace::engine
