#include <gtest/gtest.h>

#include "support/manual_runtime.hpp"
#include "transport/kafka/committer.hpp"

namespace millrace::kafka {
namespace {

const TopicPartition kZero{"t", Partition{0}};
const TopicPartition kOne{"t", Partition{1}};

class KafkaCommitter : public ::testing::Test {
protected:
    void answer_last(rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            committer_.answered(sent_.back(), {}, code);
        else
            committer_.answered({}, sent_.back(), code);
    }

    millrace::testing::ManualRuntime runtime_;
    std::vector<Positions> sent_;
    bool reachable_ = true;
    Committer committer_{runtime_.loop(), [this](const Positions& positions) {
                             sent_.push_back(positions);
                             return reachable_;
                         }};
};

TEST_F(KafkaCommitter, a_first_position_goes_at_once_with_those_of_the_same_turn) {
    committer_.set(kZero, Offset{1});
    committer_.set(kOne, Offset{7});
    runtime_.advance(milliseconds{0});
    ASSERT_EQ(sent_.size(), 1U);
    EXPECT_EQ(sent_[0], (Positions{{kZero, Offset{1}}, {kOne, Offset{7}}}));
}

TEST_F(KafkaCommitter, positions_of_fifty_milliseconds_share_one_request_and_the_last_wins) {
    committer_.set(kZero, Offset{1});
    runtime_.advance(milliseconds{0});
    answer_last();
    for (int i = 2; i <= 100; ++i) committer_.set(kZero, Offset{i});
    runtime_.advance(milliseconds{49});
    EXPECT_EQ(sent_.size(), 1U);
    runtime_.advance(milliseconds{1});
    ASSERT_EQ(sent_.size(), 2U);
    EXPECT_EQ(sent_[1], (Positions{{kZero, Offset{100}}}));
    answer_last();
    runtime_.advance(milliseconds{500});
    EXPECT_EQ(sent_.size(), 2U);
}

TEST_F(KafkaCommitter, a_position_counts_as_committed_only_when_it_is_acknowledged) {
    committer_.set(kZero, Offset{3});
    runtime_.advance(milliseconds{50});
    EXPECT_EQ(committer_.committed(kZero), std::nullopt);
    answer_last();
    EXPECT_EQ(committer_.committed(kZero), Offset{3});
}

TEST_F(KafkaCommitter, one_request_is_out_at_a_time) {
    committer_.set(kZero, Offset{1});
    runtime_.advance(milliseconds{50});
    committer_.set(kZero, Offset{2});
    runtime_.advance(milliseconds{500});
    EXPECT_EQ(sent_.size(), 1U);
    answer_last();
    runtime_.advance(milliseconds{50});
    ASSERT_EQ(sent_.size(), 2U);
    EXPECT_EQ(sent_[1].at(kZero), Offset{2});
}

TEST_F(KafkaCommitter, what_is_refused_for_a_passing_reason_is_sent_again_unless_there_is_newer) {
    committer_.set(kZero, Offset{1});
    committer_.set(kOne, Offset{1});
    runtime_.advance(milliseconds{50});
    committer_.set(kZero, Offset{9});
    answer_last(RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    runtime_.advance(milliseconds{1'000});
    ASSERT_EQ(sent_.size(), 2U);
    EXPECT_EQ(sent_[1], (Positions{{kZero, Offset{9}}, {kOne, Offset{1}}}));
}

TEST_F(KafkaCommitter, what_is_refused_because_another_member_owns_it_is_dropped) {
    committer_.set(kZero, Offset{1});
    runtime_.advance(milliseconds{50});
    answer_last(RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    runtime_.advance(milliseconds{1'000});
    EXPECT_EQ(sent_.size(), 1U);
    EXPECT_EQ(committer_.committed(kZero), std::nullopt);
}

TEST_F(KafkaCommitter, flushing_waits_for_the_answer_and_for_what_came_meanwhile) {
    bool flushed = false;
    committer_.set(kZero, Offset{1});
    runtime_.advance(milliseconds{50});
    committer_.set(kZero, Offset{2});
    committer_.flush([&] { flushed = true; });
    runtime_.settle();
    EXPECT_EQ(sent_.size(), 1U);
    answer_last();
    ASSERT_EQ(sent_.size(), 2U) << "the rest is not delayed";
    EXPECT_FALSE(flushed);
    answer_last();
    runtime_.settle();
    EXPECT_TRUE(flushed);
}

TEST_F(KafkaCommitter, flushing_gives_up_after_three_seconds) {
    bool flushed = false;
    reachable_ = false;
    committer_.set(kZero, Offset{1});
    committer_.flush([&] { flushed = true; });
    runtime_.advance(milliseconds{2'900});
    EXPECT_FALSE(flushed);
    runtime_.advance(milliseconds{100});
    EXPECT_TRUE(flushed);
}

TEST_F(KafkaCommitter, what_was_forgotten_is_not_sent) {
    committer_.set(kZero, Offset{1});
    committer_.set(kOne, Offset{2});
    committer_.forget({kZero});
    runtime_.advance(milliseconds{50});
    ASSERT_EQ(sent_.size(), 1U);
    EXPECT_EQ(sent_[0], (Positions{{kOne, Offset{2}}}));
}

TEST_F(KafkaCommitter, what_was_lost_while_its_commit_was_on_the_way_is_not_tried_again) {
    committer_.set(kZero, Offset{100});
    runtime_.advance(milliseconds{0});
    ASSERT_EQ(sent_.size(), 1U);
    committer_.forget({kZero});
    answer_last(RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    runtime_.advance(milliseconds{5'000});
    EXPECT_EQ(sent_.size(), 1U);
}

}  // namespace
}  // namespace millrace::kafka
