#include <gmock/gmock.h>

#include "conformance/suite/transport_conformance.hpp"

namespace millrace::conformance {
namespace {

std::function<StartPosition(const Assigned&)> from(StartPosition position) {
    return [position](const Assigned&) { return position; };
}

constexpr Timestamp kNoon{milliseconds(1'700'000'000'000)};

TEST_P(TransportConformance,
       records_of_a_partition_come_in_the_order_in_which_they_were_published) {
    open({topic("ordered", 3)});
    for (int round = 0; round < 4; ++round) {
        std::vector<OutgoingRecord> records;
        for (int i = 0; i < 300; ++i)
            records.push_back(record("ordered", i % 3, std::to_string(round * 100 + i / 3)));
        for (const auto& result : publish(std::move(records)))
            ASSERT_TRUE(result) << result.error().message;
    }
    auto reader = read_all("g", "ordered");
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() >= 1'200; }));
    for (int partition = 0; partition < 3; ++partition) {
        const auto records = reader->listener.of(at("ordered", partition));
        ASSERT_EQ(records.size(), 400U);
        for (std::size_t i = 0; i < records.size(); ++i) {
            ASSERT_EQ(records[i].value, std::to_string(i));
            ASSERT_EQ(records[i].offset.value, static_cast<std::int64_t>(i));
        }
    }
    close(*reader);
}

TEST_P(TransportConformance, batches_keep_to_their_bounds_but_hold_at_least_one_record) {
    open({topic("bounded")});
    std::vector<OutgoingRecord> records;
    for (int i = 0; i < 60; ++i)
        records.push_back(record("bounded", 0, std::string(i < 40 ? 10 : 5'000, 'x')));
    for (const auto& result : publish(std::move(records)))
        ASSERT_TRUE(result) << result.error().message;
    auto reader = prepare();
    Subscription bounded = subscription("g", "bounded");
    bounded.max_batch_records = 7;
    bounded.max_batch_bytes = 4'000;
    subscribe(*reader, bounded);
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 60; }));
    for (const auto& batch : reader->listener.batches) {
        EXPECT_GE(batch->records.size(), 1U);
        EXPECT_LE(batch->records.size(), 7U);
    }
    close(*reader);
}

TEST_P(TransportConformance, latest_begins_with_what_is_published_afterwards) {
    open({topic("late")});
    publish_numbered("late", 0, 5, "old");
    auto reader = prepare();
    reader->listener.start_at = from({StartPosition::Kind::kLatest, {}, {}});
    subscribe(*reader, subscription("g", "late"));
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("late", 0), Offset{5}); }));
    publish_numbered("late", 0, 3, "new");
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 3; }));
    EXPECT_EQ(reader->listener.records[0].value, "new0");
    EXPECT_EQ(reader->listener.records[0].offset, Offset{5});
    close(*reader);
}

TEST_P(TransportConformance, an_offset_begins_exactly_there) {
    open({topic("exact")});
    publish_numbered("exact", 0, 1'000);
    auto reader = prepare();
    reader->listener.start_at = from({StartPosition::Kind::kOffset, Offset{613}, {}});
    subscribe(*reader, subscription("g", "exact"));
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("exact", 0), Offset{1'000}); }));
    ASSERT_EQ(reader->listener.records.size(), 387U);
    EXPECT_EQ(reader->listener.records[0].offset, Offset{613});
    close(*reader);
}

TEST_P(TransportConformance, a_time_begins_with_the_first_record_at_or_after_it) {
    if (!capabilities().start_at_time) GTEST_SKIP() << "this log keeps no index by time";
    open({topic("timed")});
    std::vector<OutgoingRecord> records;
    for (int i = 0; i < 10; ++i) {
        records.push_back(record("timed", 0, std::to_string(i)));
        records.back().timestamp = kNoon + std::chrono::seconds(i);
    }
    for (const auto& result : publish(std::move(records)))
        ASSERT_TRUE(result) << result.error().message;
    auto reader = prepare();
    reader->listener.start_at = from({StartPosition::Kind::kTime, {}, kNoon + milliseconds(5'500)});
    subscribe(*reader, subscription("g", "timed"));
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("timed", 0), Offset{10}); }));
    ASSERT_EQ(reader->listener.records.size(), 4U);
    EXPECT_EQ(reader->listener.records[0].value, "6");
    close(*reader);
}

TEST_P(TransportConformance, a_time_after_the_last_record_begins_at_the_end) {
    open({topic("future")});
    OutgoingRecord old = record("future", 0, "old");
    old.timestamp = kNoon;
    ASSERT_TRUE(publish({old}).at(0));
    auto reader = prepare();
    reader->listener.start_at =
        from({StartPosition::Kind::kTime, {}, kNoon + std::chrono::hours(1)});
    subscribe(*reader, subscription("g", "future"));
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("future", 0), Offset{1}); }));
    EXPECT_TRUE(reader->listener.records.empty());
    close(*reader);
}

TEST_P(TransportConformance, the_end_is_told_each_time_it_is_reached) {
    open({topic("ending")});
    auto reader = read_all("g", "ending");
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("ending", 0), Offset{0}); }));
    publish_numbered("ending", 0, 4);
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("ending", 0), Offset{4}); }));
    EXPECT_EQ(reader->listener.records.size(), 4U)
        << "the end was told before what lies below it was delivered";
    publish_numbered("ending", 0, 1);
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("ending", 0), Offset{5}); }));
    const auto& ends = reader->listener.ends[at("ending", 0)];
    EXPECT_TRUE(std::ranges::adjacent_find(ends) == ends.end()) << "the same end was told twice";
    close(*reader);
}

TEST_P(TransportConformance, an_offset_that_the_log_does_not_have_is_reported_and_can_be_answered) {
    open({topic("ranged")});
    publish_numbered("ranged", 0, 3);
    auto reader = prepare();
    reader->listener.start_at = from({StartPosition::Kind::kOffset, Offset{50}, {}});
    subscribe(*reader, subscription("g", "ranged"));
    ASSERT_TRUE(run_until([&] { return !reader->listener.out_of_range.empty(); }));
    EXPECT_EQ(reader->listener.out_of_range[0], std::pair(at("ranged", 0), Offset{50}));
    EXPECT_EQ(reader->listener.out_of_range_log.high, Offset{3});
    EXPECT_TRUE(reader->listener.records.empty());
    reader->consumer->start(at("ranged", 0), {StartPosition::Kind::kEarliest, {}, {}});
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 3; }));
    EXPECT_EQ(reader->listener.out_of_range.size(), 1U);
    close(*reader);
}

TEST_P(TransportConformance, not_draining_stops_one_partition_and_loses_or_repeats_nothing) {
    open({topic("held", 2)});
    publish_numbered("held", 0, 2'000);
    publish_numbered("held", 1, 10);
    auto reader = prepare();
    bool stopped = false;
    reader->listener.when_batch = [&](const RecordBatch& batch) {
        if (batch.origin != at("held", 0) || stopped) return;
        stopped = true;
        reader->consumer->stop_draining(batch.origin);
    };
    Subscription small = subscription("g", "held");
    small.max_batch_records = 50;
    subscribe(*reader, small);
    ASSERT_TRUE(
        run_until([&] { return stopped && reader->listener.at_end(at("held", 1), Offset{10}); }));
    driver_.run_for(std::chrono::milliseconds(200));
    const std::size_t held = reader->listener.of(at("held", 0)).size();
    EXPECT_LT(held, 2'000U) << "it went on although it was told to stop";
    driver_.run_for(std::chrono::milliseconds(200));
    EXPECT_EQ(reader->listener.of(at("held", 0)).size(), held);
    reader->consumer->resume_draining(at("held", 0));
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("held", 0), Offset{2'000}); }));
    const auto records = reader->listener.of(at("held", 0));
    ASSERT_EQ(records.size(), 2'000U);
    for (std::size_t i = 0; i < records.size(); ++i)
        ASSERT_EQ(records[i].offset.value, static_cast<std::int64_t>(i));
    close(*reader);
}

TEST_P(TransportConformance, a_batch_can_be_read_after_its_consumer_is_gone) {
    open({topic("kept")});
    OutgoingRecord with_header = record("kept", 0, std::string(1'000, 'v'));
    with_header.headers = {{"name", "value"}};
    ASSERT_TRUE(publish({with_header}).at(0));
    auto reader = read_all("g", "kept");
    ASSERT_TRUE(run_until([&] { return reader->listener.batches.size() == 1; }));
    const RecordBatchPtr batch = reader->listener.batches[0];
    close(*reader);
    reader.reset();
    EXPECT_EQ(batch->records.at(0).value, std::string(1'000, 'v'));
    EXPECT_EQ(batch->records[0].header("name"), "value");
}

TEST_P(TransportConformance, after_close_has_called_back_nothing_comes_any_more) {
    open({topic("closing")});
    publish_numbered("closing", 0, 5'000);
    auto reader = prepare();
    Subscription small = subscription("g", "closing");
    small.max_batch_records = 10;
    subscribe(*reader, small);
    ASSERT_TRUE(run_until([&] { return !reader->listener.batches.empty(); }));
    close(*reader);
    const std::size_t callbacks = reader->listener.callbacks;
    publish_numbered("closing", 0, 10);
    driver_.run_for(std::chrono::milliseconds(100));
    EXPECT_EQ(reader->listener.callbacks, callbacks);
}

TEST_P(TransportConformance, starting_a_partition_that_is_not_assigned_is_ignored) {
    open({topic("mine", 1), topic("theirs", 1)});
    publish_numbered("theirs", 0, 3);
    publish_numbered("mine", 0, 1);
    auto reader = read_all("g", "mine");
    ASSERT_TRUE(run_until([&] { return !reader->listener.assigned.empty(); }));
    reader->consumer->start(at("theirs", 0), {});
    reader->consumer->start(at("mine", 7), {});
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(at("mine", 0), Offset{1}); }));
    EXPECT_EQ(reader->listener.records.size(), 1U);
    close(*reader);
}

TEST_P(TransportConformance, the_consumer_knows_the_ends_of_its_partitions) {
    open({topic("known")});
    publish_numbered("known", 0, 6);
    auto reader = read_all("g", "known");
    ASSERT_TRUE(run_until([&] {
        const auto ends = reader->consumer->watermarks(at("known", 0));
        return ends && ends->high == Offset{6};
    }));
    publish_numbered("known", 0, 2);
    EXPECT_TRUE(run_until([&] {
        const auto ends = reader->consumer->watermarks(at("known", 0));
        return ends && ends->high == Offset{8};
    }));
    close(*reader);
}

}  // namespace

}  // namespace millrace::conformance
