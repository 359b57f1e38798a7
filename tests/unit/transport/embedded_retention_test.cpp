#include <gmock/gmock.h>

#include "unit/transport/embedded_fixture.hpp"

namespace millrace::embedded {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;

class EmbeddedRetention : public EmbeddedStoreTest {
protected:
    static std::vector<TopicSpec> kept_for(milliseconds retention) {
        TopicSpec spec = topic_spec("t");
        spec.retention = retention;
        return {spec};
    }
};

TEST_F(EmbeddedRetention, whole_segments_are_unlinked_and_the_low_watermark_moves) {
    open(kept_for(hours(4)));
    for (int hour = 0; hour < 4; ++hour)
        ASSERT_TRUE(append(std::to_string(hour), kStart + hours(hour)));
    ASSERT_EQ(directory_.segments("t").size(), 4U);
    EXPECT_TRUE(store_->enforce_retention(kStart + hours(4)).empty());

    const auto moved = store_->enforce_retention(kStart + hours(5));
    ASSERT_EQ(moved.size(), 1U);
    EXPECT_EQ(moved[0].partitions[0].low, Offset{1});
    EXPECT_EQ(moved[0].partitions[0].high, Offset{4});
    EXPECT_THAT(values(Offset{1}, Offset{4}).value(), ElementsAre("1", "2", "3"));
    EXPECT_FALSE(values(Offset{0}, Offset{4}));
}

TEST_F(EmbeddedRetention, a_record_is_kept_for_its_whole_retention) {
    open(kept_for(hours(4)));
    ASSERT_TRUE(append("first", kStart));
    ASSERT_TRUE(append("second", kStart + minutes(59)));
    ASSERT_TRUE(store_->enforce_retention(kStart + hours(1)).empty());
    EXPECT_TRUE(store_->enforce_retention(kStart + hours(4) + minutes(58)).empty());
    EXPECT_EQ(store_->enforce_retention(kStart + hours(5)).size(), 1U);
}

TEST_F(EmbeddedRetention, the_last_records_of_an_idle_topic_go_too_and_offsets_go_on) {
    open(kept_for(hours(4)));
    ASSERT_TRUE(append("only", kStart));
    store_->enforce_retention(kStart + hours(2));
    const auto moved = store_->enforce_retention(kStart + hours(7));
    ASSERT_EQ(moved.size(), 1U);
    EXPECT_EQ(moved[0].partitions[0].low, Offset{1});
    EXPECT_EQ(moved[0].partitions[0].high, Offset{1});
    open(kept_for(hours(4)));
    EXPECT_EQ(opened_.topics[0].partitions[0].low, Offset{1});
    EXPECT_EQ(append("next", kStart + hours(8)).value(), Offset{1});
}

TEST_F(EmbeddedRetention, an_empty_segment_is_not_replaced_for_ever) {
    open(kept_for(hours(4)));
    ASSERT_TRUE(append("only", kStart));
    for (int hour = 2; hour < 20; ++hour) store_->enforce_retention(kStart + hours(hour));
    EXPECT_EQ(directory_.segments("t").size(), 1U);
}

TEST_F(EmbeddedRetention, without_a_retention_nothing_is_unlinked) {
    open({topic_spec("t")});
    ASSERT_TRUE(append("old", kStart));
    EXPECT_TRUE(store_->enforce_retention(kStart + hours(24 * 3650)).empty());
    EXPECT_THAT(values(Offset{0}, Offset{1}).value(), ElementsAre("old"));
}

TEST_F(EmbeddedRetention, a_segment_ends_at_its_size_and_reading_crosses_over) {
    limits_.segment_bytes = 20'000;
    open({topic_spec("t")});
    std::vector<std::string> expected;
    for (int i = 0; i < 40; ++i) {
        expected.push_back(std::to_string(i) + std::string(2'000, 'x'));
        ASSERT_TRUE(append(expected.back(), kStart + minutes(i)));
    }
    EXPECT_GE(directory_.segments("t").size(), 4U);
    EXPECT_EQ(values(Offset{0}, Offset{40}).value(), expected);
    EXPECT_EQ(store_
                  ->find_time(0, Partition{0},
                              (kStart + minutes(17)).time_since_epoch() / milliseconds(1))
                  .value(),
              Offset{17});
}

TEST_F(EmbeddedRetention, a_clock_that_falls_back_does_not_disturb_the_order_of_segments) {
    limits_.segment_bytes = 1;
    open({topic_spec("t")});
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(std::to_string(i), kStart - hours(i)));
    open({topic_spec("t")});
    EXPECT_THAT(values(Offset{0}, Offset{5}).value(), ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(EmbeddedRetention, a_file_whose_removal_a_crash_interrupted_is_removed_at_the_next_start) {
    open(kept_for(hours(4)));
    for (int hour = 0; hour < 3; ++hour)
        ASSERT_TRUE(append(std::to_string(hour), kStart + hours(hour)));
    store_.reset();
    const auto oldest = directory_.segments("t").front();
    std::filesystem::copy_file(oldest, oldest.string() + ".copy");
    open(kept_for(hours(4)));
    ASSERT_EQ(store_->enforce_retention(kStart + hours(5)).size(), 1U);
    store_.reset();
    std::filesystem::rename(oldest.string() + ".copy", oldest);
    open(kept_for(hours(4)));
    EXPECT_FALSE(std::filesystem::exists(oldest));
    EXPECT_EQ(opened_.topics[0].partitions[0].low, Offset{1});
}

}  // namespace
}  // namespace millrace::embedded
