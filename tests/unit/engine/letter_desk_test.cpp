// What people do with dead letters: list, give back, put aside.
#include "engine/letter_desk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::StoredRecord;

// A handler that dead-letters every record, and a desk over its letters.
struct Desk : ::testing::Test {
    Desk() {
        world.model->on_message = [](auto&, const MessageInput& input) {
            return Outcome{
                OutcomeKind::kDeadLetter, "no " + std::string(*input.event.envelope.task_id), {}};
        };
        open();
    }
    ~Desk() override {
        desk.reset();
        world.runtime.settle();
    }
    void open() {
        desk = std::make_unique<LetterDesk>(LetterDeskSetup{
            world.runtime, world.transport, world.reader, world.directory.path(), "", section,
            [this](const std::string& handler, RedriveRecord record, Callback<Result<void>> done) {
                handlers.push_back(handler);
                given.push_back(std::move(record));
                Result<void> answer;
                if (!answers.empty()) {
                    answer = answers.front();
                    answers.erase(answers.begin());
                }
                world.runtime.loop().post([done, answer] { done(answer); });
            }});
    }
    void fail_records(int count) {
        if (!world.supervisor) world.start();
        for (int i = 0; i < count; ++i) world.send(0, "a", std::to_string(sent++));
        world.run();
    }
    LetterPage list(LetterFilter filter = {}, std::size_t limit = 100, std::string cursor = "") {
        LetterPage page;
        desk->list({"tasks-dlq", std::move(filter), limit, std::move(cursor)},
                   [&](Result<LetterPage> got) {
                       ASSERT_TRUE(got) << got.error().message;
                       page = std::move(*got);
                   });
        world.runtime.settle();
        return page;
    }
    LetterResults redrive(LetterFilter filter = {}, std::uint32_t rate = 100) {
        LetterResults results;
        bool done = false;
        desk->redrive({"tasks-dlq", std::move(filter), 100, ""}, rate,
                      [&](Result<LetterResults> got) {
                          ASSERT_TRUE(got) << got.error().message;
                          results = std::move(*got);
                          done = true;
                      });
        EXPECT_TRUE(world.runtime.advance_until([&] { return done; }));
        return results;
    }
    template <class Member, class Value>
    static LetterFilter with(Member member, Value value) {
        LetterFilter filter;
        filter.*member = std::move(value);
        return filter;
    }
    static std::vector<std::string> messages(const LetterPage& page) {
        std::vector<std::string> all;
        for (const auto& letter : page.letters) all.push_back(letter.message);
        return all;
    }

    EngineWorld world;
    DeadLetterSection section;
    std::vector<std::string> handlers;
    std::vector<RedriveRecord> given;
    std::vector<Result<void>> answers;
    std::unique_ptr<LetterDesk> desk;
    int sent = 0;
};

TEST_F(Desk, lists_what_failed_with_where_it_came_from) {
    fail_records(2);
    const auto page = list();
    ASSERT_THAT(messages(page), ElementsAre("no 0", "no 1"));
    EXPECT_EQ(page.next, std::nullopt);
    const Letter& letter = page.letters[1];
    EXPECT_EQ(letter.error_class, "handler");
    EXPECT_EQ(letter.handler, "model");
    EXPECT_EQ(letter.origin, (TopicPartition{"tasks", {0}}));
    EXPECT_EQ(letter.offset, Offset{1});
    EXPECT_EQ(letter.timestamp, world.transport.log[letter.origin][1].timestamp);
    EXPECT_EQ(letter.user, "a");
    EXPECT_EQ(letter.value, world.transport.log[letter.origin][1].value);
    EXPECT_TRUE(letter.headers.empty()) << "only the record's own";
}

TEST_F(Desk, shows_the_copies_that_a_crash_left_once) {
    fail_records(1);
    world.transport.append({"tasks-dlq", {0}}, world.transport.all_of("tasks-dlq")[0]);
    EXPECT_EQ(list().letters.size(), 1U);
    redrive();
    EXPECT_EQ(given.size(), 1U);
    EXPECT_TRUE(list().letters.empty()) << "the other copy is closed with it";
}

TEST_F(Desk, chooses_by_class_handler_user_id_position_and_time) {
    fail_records(2);
    world.transport.append({"tasks", {0}}, std::nullopt, "not json");
    world.run();
    EXPECT_EQ(list(with(&LetterFilter::error_class, "undecodable")).letters.size(), 1U);
    EXPECT_EQ(list(with(&LetterFilter::handler, "other")).letters.size(), 0U);
    EXPECT_EQ(list(with(&LetterFilter::user, "a")).letters.size(), 2U);
    EXPECT_THAT(messages(list(with(&LetterFilter::id, list().letters[1].id))), ElementsAre("no 1"));
    EXPECT_THAT(messages(list(with(&LetterFilter::at, std::pair{Partition{0}, Offset{0}}))),
                ElementsAre("no 0"));
    const Timestamp now = world.runtime.clock().now();
    EXPECT_EQ(list(with(&LetterFilter::from, now + milliseconds(1))).letters.size(), 0U);
    EXPECT_EQ(list(with(&LetterFilter::to, now + milliseconds(1))).letters.size(), 3U);
}

TEST_F(Desk, lists_page_by_page_and_not_what_comes_meanwhile) {
    fail_records(5);
    const auto first = list({}, 2);
    ASSERT_THAT(messages(first), ElementsAre("no 0", "no 1"));
    fail_records(1);
    const auto second = list({}, 2, first.next.value());
    ASSERT_THAT(messages(second), ElementsAre("no 2", "no 3"));
    const auto third = list({}, 2, second.next.value());
    EXPECT_THAT(messages(third), ElementsAre("no 4"));
    EXPECT_EQ(third.next, std::nullopt);
}

TEST_F(Desk, gives_a_record_back_to_the_handler_that_failed_as_it_came) {
    world.start();
    const std::string value = world.event("a", "0");
    world.transport.append({"tasks", {2}}, {{}, "key", value, {{"trace", "7"}}});
    world.run();
    const auto results = redrive();
    ASSERT_EQ(results.letters.size(), 1U);
    EXPECT_FALSE(results.letters[0].error);
    EXPECT_THAT(handlers, ElementsAre("model"));
    EXPECT_EQ(given[0].origin, (TopicPartition{"tasks", {2}}));
    EXPECT_EQ(given[0].offset, Offset{0});
    EXPECT_EQ(given[0].timestamp, world.transport.log[given[0].origin][0].timestamp);
    EXPECT_EQ(given[0].key, "key");
    EXPECT_EQ(given[0].value, value);
    EXPECT_EQ(given[0].redrives, 1);
    EXPECT_THAT(given[0].headers, ElementsAre(std::pair("trace", "7")));
}

TEST_F(Desk, remembers_what_was_given_back_or_put_aside_over_a_restart) {
    fail_records(2);
    redrive(with(&LetterFilter::id, list().letters[0].id));
    bool done = false;
    desk->discard({"tasks-dlq", {}, 100, ""}, [&](const Result<LetterResults>& results) {
        EXPECT_EQ(results->letters.size(), 1U);
        done = true;
    });
    world.runtime.settle();
    ASSERT_TRUE(done);
    open();
    EXPECT_TRUE(list().letters.empty());
    const auto all = list(with(&LetterFilter::closed, true)).letters;
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].state, Letter::State::kRedriven);
    EXPECT_EQ(all[1].state, Letter::State::kDiscarded);
    EXPECT_EQ(redrive().letters.size(), 0U);
}

TEST_F(Desk, a_handler_that_is_away_stops_the_redrive_and_leaves_the_rest_open) {
    fail_records(3);
    answers = {Result<void>(), fail(ErrorCode::kUnavailable, "restarting")};
    const auto results = redrive();
    EXPECT_EQ(results.letters.size(), 2U);
    ASSERT_TRUE(results.stopped);
    EXPECT_EQ(results.stopped->message, "restarting");
    ASSERT_TRUE(results.next);
    EXPECT_THAT(messages(list({}, 100, *results.next)), ElementsAre("no 1", "no 2"));
}

TEST_F(Desk, a_handler_that_is_gone_leaves_its_letters_open_and_the_others_go_on) {
    fail_records(2);
    answers = {fail(ErrorCode::kNotFound, "there is no handler")};
    const auto results = redrive();
    ASSERT_EQ(results.letters.size(), 2U);
    EXPECT_TRUE(results.letters[0].error);
    EXPECT_FALSE(results.letters[1].error);
    EXPECT_THAT(messages(list()), ElementsAre("no 0"));
}

TEST_F(Desk, gives_back_no_faster_than_asked) {
    fail_records(4);
    const auto before = world.runtime.clock().monotonic();
    redrive({}, 2);
    EXPECT_EQ(given.size(), 4U);
    const auto took = world.runtime.clock().monotonic() - before;
    EXPECT_GE(took, std::chrono::milliseconds(1'500));
    EXPECT_LE(took, std::chrono::milliseconds(2'000));
}

TEST_F(Desk, answers_after_ten_seconds_and_goes_on_where_it_was) {
    world.model->on_message = [](auto&, const MessageInput&) {
        return Outcome{OutcomeKind::kDeadLetter, "no", {}};
    };
    fail_records(15);
    answers.assign(15, fail(ErrorCode::kNotFound, "gone"));
    const auto first = redrive({}, 1);
    ASSERT_TRUE(first.next);
    EXPECT_FALSE(first.stopped);
    EXPECT_LT(first.letters.size(), 13U);
    const auto rest = list({}, 100, *first.next);
    EXPECT_EQ(first.letters.size() + rest.letters.size(), 15U) << "no letter twice, none left out";
}

TEST_F(Desk, gives_the_original_back_where_only_a_pointer_was_left) {
    world.start();
    std::string value = world.event("a", "0");
    value.insert(value.size() - 1, std::string(5'000, ' '));
    world.transport.max_bytes["tasks-dlq"] = 2'000;
    world.transport.append({"tasks", {1}}, {{}, "key", value, {{"trace", "7"}}});
    world.run();
    ASSERT_EQ(list().letters.at(0).value_bytes, value.size());
    redrive();
    ASSERT_EQ(given.size(), 1U);
    EXPECT_EQ(given[0].value, value);
    EXPECT_THAT(given[0].headers, ElementsAre(std::pair("trace", "7")));
}

TEST_F(Desk, says_that_a_pointers_record_is_gone) {
    world.start();
    world.transport.max_bytes["tasks-dlq"] = 1'200;
    std::string value = world.event("a", "0");
    value.insert(value.size() - 1, std::string(5'000, ' '));
    world.transport.append({"tasks", {1}}, std::nullopt, value);
    world.run();
    world.transport.log[{"tasks", {1}}].clear();
    const auto results = redrive();
    ASSERT_EQ(results.letters.size(), 1U);
    EXPECT_THAT(results.letters[0].error.value_or(Error{}).message, HasSubstr("no longer"));
    EXPECT_TRUE(given.empty());
}

TEST_F(Desk, does_not_give_back_what_is_no_record_or_not_ours) {
    world.transport.append({"tasks-dlq", {0}}, "k", "from another tool");
    world.transport.append({"tasks-dlq", {0}}, {{},
                                                "k",
                                                "payload",
                                                {{"millrace-error-class", "handler"},
                                                 {"millrace-handler", "model"},
                                                 {"millrace-topic", "tasks"},
                                                 {"millrace-timer", "ring"}}});
    const auto results = redrive();
    ASSERT_EQ(results.letters.size(), 2U);
    EXPECT_THAT(results.letters[0].error.value_or(Error{}).message, HasSubstr("not written by"));
    EXPECT_THAT(results.letters[1].error.value_or(Error{}).message, HasSubstr("not of a record"));
    EXPECT_TRUE(given.empty());
    EXPECT_EQ(list().letters.size(), 2U);
}

TEST_F(Desk, refuses_a_cursor_that_is_none_and_a_topic_that_is_not_there) {
    std::vector<ErrorCode> codes;
    const auto note = [&](const Result<LetterPage>& got) {
        codes.push_back(got ? ErrorCode::kInternal : got.error().code);
    };
    desk->list({"tasks-dlq", {}, 100, "0:x-1"}, note);
    desk->list({"nowhere", {}, 100, ""}, note);
    world.runtime.settle();
    EXPECT_THAT(codes, ElementsAre(ErrorCode::kInvalid, ErrorCode::kNotFound));
}

}  // namespace
}  // namespace millrace::engine
