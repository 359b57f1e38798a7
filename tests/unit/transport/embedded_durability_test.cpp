#include <gmock/gmock.h>

#include "support/watched_vfs.hpp"
#include "unit/transport/embedded_fixture.hpp"

namespace millrace::embedded {
namespace {

using millrace::testing::WatchedVfs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EmbeddedDurability : public EmbeddedStoreTest {
protected:
    EmbeddedDurability() {
        vfs_ = WatchedVfs::kName;
        disk_.unsynced.clear();
    }
    ~EmbeddedDurability() override { disk_.failing.clear(); }

    WatchedVfs& disk_ = WatchedVfs::instance();
};

TEST_F(EmbeddedDurability, nothing_that_was_confirmed_would_be_lost_in_a_power_cut) {
    limits_.segment_bytes = 30'000;
    open({topic_spec("t")});
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(append(std::string(2'000, 'x'), kStart));
        EXPECT_THAT(disk_.unsynced, IsEmpty()) << "after record " << i;
    }
    ASSERT_TRUE(store_->commit({{"g", {"t", Partition{0}}, Offset{7}}}));
    EXPECT_THAT(disk_.unsynced, IsEmpty());
}

TEST_F(EmbeddedDurability, a_round_of_many_records_costs_one_sync) {
    open({topic_spec("t")});
    ASSERT_TRUE(append("opens the segment", kStart));
    const int before = disk_.syncs;
    std::vector<AppendItem> items;
    for (int i = 0; i < 1'000; ++i) items.push_back(item("x", kStart));
    ASSERT_TRUE(store_->append(std::move(items), kStart).items.back().outcome);
    EXPECT_EQ(disk_.syncs, before + 1);
}

// Whether the record is on the disk is not known: it may be there, but nothing is written over it.
TEST_F(EmbeddedDurability, a_sync_that_fails_confirms_nothing_and_the_ends_are_read_again) {
    open({topic_spec("t"), topic_spec("u")});
    ASSERT_TRUE(append("before", kStart));
    disk_.failing = "/t/";
    const auto failed = append("unknown", kStart);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
    disk_.failing.clear();

    std::vector<AppendItem> items;
    items.push_back(item("after", kStart));
    const AppendRound round = store_->append(std::move(items), kStart);
    ASSERT_TRUE(round.items[0].outcome) << round.items[0].outcome.error().message;
    ASSERT_EQ(round.recovered.size(), 1U);
    const Offset after = *round.items[0].outcome;
    EXPECT_EQ(round.recovered[0].partitions[0].high, after);
    const auto found = values(Offset{0}, after.next()).value();
    EXPECT_EQ(found.front(), "before");
    EXPECT_EQ(found.back(), "after");
    open({topic_spec("t"), topic_spec("u")});
    EXPECT_EQ(opened_.topics[0].partitions[0].high, after.next());
    EXPECT_EQ(values(Offset{0}, after.next()).value(), found);
}

TEST_F(EmbeddedDurability, a_commit_whose_sync_fails_is_an_error) {
    open({topic_spec("t")});
    disk_.failing = "catalog";
    EXPECT_FALSE(store_->commit({{"g", {"t", Partition{0}}, Offset{7}}}));
    disk_.failing.clear();
    EXPECT_TRUE(store_->commit({{"g", {"t", Partition{0}}, Offset{7}}}));
}

TEST_F(EmbeddedDurability, a_topic_whose_disk_fails_does_not_hold_up_another) {
    open({topic_spec("t"), topic_spec("u")});
    ASSERT_TRUE(append("opens the segment", kStart));
    disk_.failing = "/t/";
    std::vector<AppendItem> items;
    items.push_back(item("lost", kStart));
    items.push_back(item("kept", kStart));
    items[1].topic = 1;
    const AppendRound round = store_->append(std::move(items), kStart);
    EXPECT_FALSE(round.items[0].outcome);
    EXPECT_TRUE(round.items[1].outcome);
    ASSERT_EQ(round.appended.size(), 1U);
    EXPECT_EQ(round.appended[0].topic, 1U);
}

}  // namespace
}  // namespace millrace::embedded
