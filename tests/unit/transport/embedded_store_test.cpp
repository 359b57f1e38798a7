#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "unit/transport/embedded_fixture.hpp"

namespace millrace::embedded {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using EmbeddedStore = EmbeddedStoreTest;

std::string slurp(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
}

void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << bytes;
}

TEST_F(EmbeddedStore, outside_ingest_is_refused_below_the_disk_reserve_and_handlers_are_not) {
    open({topic_spec("t")});
    free_bytes_ = limits_.disk_reserve_bytes - 1;
    const auto refused = append("from outside", kStart, Origin::kIngest);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kFull);
    EXPECT_THAT(refused.error().message, HasSubstr(directory_.log()));
    EXPECT_EQ(append("dead letter", kStart, Origin::kInternal).value(), Offset{0});
    free_bytes_ = limits_.disk_reserve_bytes;
    EXPECT_EQ(append("from outside", kStart, Origin::kIngest).value(), Offset{1});
}

TEST_F(EmbeddedStore, a_topic_grows_and_its_new_partitions_begin_at_zero) {
    open({topic_spec("t", 1)});
    ASSERT_TRUE(append("a", kStart));
    open({topic_spec("t", 3)});
    ASSERT_EQ(opened_.topics[0].partitions.size(), 3U);
    EXPECT_EQ(opened_.topics[0].partitions[0].high, Offset{1});
    EXPECT_EQ(opened_.topics[0].partitions[2].high, Offset{0});
    std::vector<AppendItem> items;
    items.push_back(item("b", kStart));
    items.back().partition = Partition{2};
    EXPECT_EQ(store_->append(std::move(items), kStart).items[0].outcome.value(), Offset{0});
    EXPECT_EQ(store_->read(0, Partition{2}, Offset{0}, {}).value().size(), 1U);
}

TEST_F(EmbeddedStore, a_topic_does_not_shrink) {
    open({topic_spec("t", 3)});
    const auto opened = reopen({topic_spec("t", 2)});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(opened.error().message, HasSubstr("topic t"));
    EXPECT_THAT(opened.error().message, HasSubstr("partitions: 3"));
}

TEST_F(EmbeddedStore, a_topic_that_is_no_longer_named_keeps_what_it_holds) {
    open({topic_spec("t"), topic_spec("u")});
    ASSERT_TRUE(append("kept", kStart));
    open({topic_spec("u")});
    ASSERT_EQ(opened_.topics.size(), 2U);
    EXPECT_THAT(values(Offset{0}, Offset{1}).value(), ElementsAre("kept"));
}

TEST_F(EmbeddedStore, a_name_that_would_leave_the_directory_is_refused) {
    for (const char* name : {"../t", "a/b", "..", "", "a\nb"}) {
        const auto opened = reopen({topic_spec(name)});
        ASSERT_FALSE(opened) << name;
        EXPECT_EQ(opened.error().code, ErrorCode::kInvalid);
    }
}

TEST_F(EmbeddedStore, a_second_process_is_told_that_the_log_is_in_use) {
    open({topic_spec("t")});
    auto other = make_store();
    const auto opened = other->open({topic_spec("t")});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kConflict);
    EXPECT_THAT(opened.error().message, HasSubstr("another process"));
    EXPECT_TRUE(append("still works", kStart));
}

TEST_F(EmbeddedStore, a_changed_byte_is_reported_with_file_and_offsets_and_not_skipped) {
    open({topic_spec("t")});
    ASSERT_TRUE(append("first", kStart));
    ASSERT_TRUE(append("unmistakable", kStart));
    ASSERT_TRUE(append("third", kStart));
    store_.reset();
    const auto file = directory_.segments("t").at(0);
    std::string bytes = slurp(file);
    bytes.at(bytes.find("unmistakable")) = 'U';
    write(file, bytes);
    open({topic_spec("t")});
    const auto read = store_->read(0, Partition{0}, Offset{1}, {});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(read.error().message, HasSubstr(file.string()));
    EXPECT_THAT(read.error().message, HasSubstr("1 to 1"));
    EXPECT_TRUE(store_->read(0, Partition{0}, Offset{2}, {}));
}

TEST_F(EmbeddedStore, a_torn_current_segment_stops_the_start_and_says_so) {
    open({topic_spec("t")});
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(std::string(10'000, 'x'), kStart));
    store_.reset();
    const auto file = directory_.segments("t").at(0);
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    const auto opened = reopen({topic_spec("t")});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr(file.filename().string()));
}

TEST_F(EmbeddedStore, a_missing_sealed_segment_is_named_and_the_others_stay_readable) {
    limits_.segment_bytes = 1;
    open({topic_spec("t")});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(append(std::to_string(i), kStart));
    store_.reset();
    const auto files = directory_.segments("t");
    ASSERT_EQ(files.size(), 3U);
    std::filesystem::remove(files[1]);
    open({topic_spec("t")});
    EXPECT_THAT(opened_.missing, ElementsAre(files[1].string()));
    EXPECT_TRUE(store_->read(0, Partition{0}, Offset{0}, {}));
    EXPECT_EQ(store_->read(0, Partition{0}, Offset{1}, {}).error().code, ErrorCode::kCorrupt);
    EXPECT_TRUE(store_->read(0, Partition{0}, Offset{2}, {}));
    EXPECT_EQ(append("3", kStart).value(), Offset{3});
}

TEST_F(EmbeddedStore, segments_without_their_catalog_are_refused_rather_than_thrown_away) {
    open({topic_spec("t")});
    ASSERT_TRUE(append("precious", kStart));
    store_.reset();
    std::filesystem::remove(directory_.log() + "/catalog.db");
    const auto opened = reopen({topic_spec("t")});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(opened.error().message, HasSubstr("catalog"));
    EXPECT_EQ(directory_.segments("t").size(), 1U);
}

TEST_F(EmbeddedStore, an_empty_segment_that_a_crash_left_before_its_catalog_row_is_removed) {
    open({topic_spec("t")});
    ASSERT_TRUE(append("a", kStart));
    store_.reset();
    const std::string orphan = directory_.log() + "/t/9999999999999.seg";
    ASSERT_TRUE(Segment::create(orphan, "t", ""));
    write(directory_.log() + "/t/9999999999998.seg", "");
    open({topic_spec("t")});
    EXPECT_EQ(directory_.segments("t").size(), 1U);
    EXPECT_EQ(append("b", kStart).value(), Offset{1});
}

TEST_F(EmbeddedStore, a_segment_of_another_topic_is_refused) {
    open({topic_spec("t"), topic_spec("u")});
    ASSERT_TRUE(append("a", kStart));
    store_.reset();
    const auto file = directory_.segments("t").at(0);
    const auto opened = Segment::open(file.string(), "u", "");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

TEST_F(EmbeddedStore, committed_offsets_are_kept_apart_by_group_and_partition) {
    open({topic_spec("t", 2)});
    const TopicPartition zero{"t", Partition{0}};
    const TopicPartition one{"t", Partition{1}};
    ASSERT_TRUE(
        store_->commit({{"a", zero, Offset{1}}, {"b", zero, Offset{2}}, {"a", one, Offset{3}}}));
    ASSERT_TRUE(store_->commit({{"a", zero, Offset{9}}}));
    open({topic_spec("t", 2)});
    std::map<std::string, std::int64_t> found;
    for (const auto& offset : opened_.offsets)
        found[offset.group + " " + to_string(offset.origin)] = offset.position.value;
    EXPECT_THAT(found, ElementsAre(::testing::Pair("a t/0", 9), ::testing::Pair("a t/1", 3),
                                   ::testing::Pair("b t/0", 2)));
}

// The file may not grow: the write fails as on a disk that gives up, and works again afterwards.
TEST_F(EmbeddedStore, a_write_that_fails_leaves_nothing_and_the_log_goes_on_where_it_was) {
    open({topic_spec("t"), topic_spec("u")});
    ASSERT_TRUE(append("before", kStart));
    rlimit unlimited{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
    rlimit small = unlimited;
    small.rlim_cur = 100'000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    std::vector<AppendItem> items;
    for (int i = 0; i < 100; ++i) items.push_back(item(std::string(10'000, 'x'), kStart));
    const AppendRound failed = store_->append(std::move(items), kStart);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    ::signal(SIGXFSZ, ignored);

    for (const AppendItem& refused : failed.items) ASSERT_FALSE(refused.outcome);
    ASSERT_EQ(failed.troubles.size(), 1U);
    EXPECT_THAT(failed.troubles[0], HasSubstr("topic t"));
    EXPECT_TRUE(failed.appended.empty());
    EXPECT_EQ(append("after", kStart).value(), Offset{1});
    EXPECT_THAT(values(Offset{0}, Offset{2}).value(), ElementsAre("before", "after"));
}

// Writes rounds of three and tells of each that is confirmed, until it is killed.
[[noreturn]] void append_for_ever(LogStore& store, int confirmed) {
    for (std::int64_t round = 0;; ++round) {
        std::vector<AppendItem> items(3);
        for (std::size_t i = 0; i < items.size(); ++i)
            items[i].record.value = std::to_string(round * 3 + static_cast<std::int64_t>(i));
        if (!store.append(std::move(items), Timestamp(milliseconds(round))).items[2].outcome)
            ::_exit(1);
        if (::write(confirmed, &round, sizeof round) != sizeof round) ::_exit(2);
    }
}

TEST_F(EmbeddedStore, what_was_confirmed_before_kill_9_is_there_and_complete) {
    limits_.segment_bytes = 30'000;
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        auto store = make_store();
        if (!store->open({topic_spec("t")})) ::_exit(3);
        append_for_ever(*store, pipe[1]);
    }
    ::close(pipe[1]);
    std::int64_t round = -1;
    while (round < 400 && ::read(pipe[0], &round, sizeof round) == sizeof round) continue;
    ::kill(child, SIGKILL);
    while (::read(pipe[0], &round, sizeof round) == sizeof round) continue;
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    open({topic_spec("t")});
    const Offset high = opened_.topics[0].partitions[0].high;
    EXPECT_GE(high.value, (round + 1) * 3);
    EXPECT_EQ(high.value % 3, 0) << "half a round is there";
    const auto found = values(Offset{0}, high);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), static_cast<std::size_t>(high.value));
    for (std::size_t i = 0; i < found->size(); ++i) ASSERT_EQ((*found)[i], std::to_string(i));
}

}  // namespace
}  // namespace millrace::embedded
