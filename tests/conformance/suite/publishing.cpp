#include <gmock/gmock.h>

#include <algorithm>

#include "conformance/suite/transport_conformance.hpp"

namespace millrace::conformance {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST_P(TransportConformance, each_published_record_is_confirmed_with_its_position) {
    open({topic("orders", 2)});
    const auto results =
        publish({record("orders", 0, "a"), record("orders", 1, "b"), record("orders", 0, "c")});
    ASSERT_EQ(results.size(), 3U);
    for (const auto& result : results) ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*results[0], (RecordPosition{at("orders", 0), Offset{0}}));
    EXPECT_EQ(*results[1], (RecordPosition{at("orders", 1), Offset{0}}));
    EXPECT_EQ(*results[2], (RecordPosition{at("orders", 0), Offset{1}}));
}

TEST_P(TransportConformance, publishing_nothing_is_confirmed_too) {
    open({topic("orders")});
    EXPECT_TRUE(publish({}).empty());
}

TEST_P(TransportConformance, bytes_null_and_headers_come_back_as_they_were_sent) {
    open({topic("bytes")});
    const std::string binary("\0\xff\r\n\x80", 5);
    OutgoingRecord full = record("bytes", 0, binary);
    full.key = binary + "key";
    full.headers = {{"trace", "1"}, {"trace", "2"}, {"empty", ""}, {"binary", binary}};
    full.timestamp = Timestamp(milliseconds(1'700'000'000'123));
    OutgoingRecord empty = record("bytes", 0, "");
    empty.key = "";
    OutgoingRecord tombstone = record("bytes", 0, "");
    tombstone.value = std::nullopt;
    for (const auto& result : publish({full, empty, tombstone}))
        ASSERT_TRUE(result) << result.error().message;

    auto reader = read_all("g", "bytes");
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 3; }));
    const auto& records = reader->listener.records;
    EXPECT_EQ(records[0].key, binary + "key");
    EXPECT_EQ(records[0].value, binary);
    EXPECT_THAT(records[0].headers, ElementsAre(Pair("trace", "1"), Pair("trace", "2"),
                                                Pair("empty", ""), Pair("binary", binary)));
    EXPECT_EQ(records[0].timestamp, Timestamp(milliseconds(1'700'000'000'123)));
    EXPECT_EQ(records[1].key, "");
    EXPECT_EQ(records[1].value, "");
    EXPECT_EQ(records[2].key, std::nullopt);
    EXPECT_EQ(records[2].value, std::nullopt);
    EXPECT_TRUE(records[2].headers.empty());
    close(*reader);
}

TEST_P(TransportConformance, a_record_without_a_timestamp_gets_the_present) {
    open({topic("times")});
    const auto before = std::chrono::floor<milliseconds>(driver_.runtime().clock().now());
    publish_numbered("times", 0, 1);
    const auto batch = read_page(at("times", 0), Offset{0}, 1);
    ASSERT_TRUE(batch) << batch.error().message;
    ASSERT_EQ((*batch)->records.size(), 1U);
    EXPECT_GE((*batch)->records[0].timestamp, before);
    EXPECT_LE((*batch)->records[0].timestamp, driver_.runtime().clock().now());
}

// Hashes as org.apache.kafka.common.utils.UtilsTest.testMurmur2 gives them.
TEST_P(TransportConformance, a_key_goes_to_the_partition_that_kafkas_java_client_picks) {
    const std::vector<std::pair<std::string, std::int32_t>> hashes = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107}};
    open({topic("keyed", 5)});
    std::vector<OutgoingRecord> records;
    for (const auto& [key, hash] : hashes) {
        records.push_back(record("keyed", 0, "v"));
        records.back().partition = std::nullopt;
        records.back().key = key;
    }
    const auto results = publish(std::move(records));
    ASSERT_EQ(results.size(), hashes.size());
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->origin.partition.value, (hashes[i].second & 0x7fffffff) % 5)
            << hashes[i].first;
    }
}

TEST_P(TransportConformance, records_without_a_key_do_not_all_go_to_one_partition) {
    open({topic("keyless", 3)});
    std::set<std::int32_t> partitions;
    for (int i = 0; i < 500 && partitions.size() < 2; ++i) {
        OutgoingRecord keyless = record("keyless", 0, "v");
        keyless.partition = std::nullopt;
        const auto results = publish({keyless});
        ASSERT_TRUE(results.at(0)) << results[0].error().message;
        partitions.insert(results[0]->origin.partition.value);
    }
    EXPECT_GE(partitions.size(), 2U);
}

TEST_P(TransportConformance, a_topic_that_does_not_exist_is_named_in_the_error) {
    open({topic("known")});
    OutgoingRecord stray = record("nowhere", 0, "v");
    stray.partition = std::nullopt;
    const auto results = publish({stray, record("known", 0, "v")});
    ASSERT_EQ(results.size(), 2U);
    ASSERT_FALSE(results[0]);
    EXPECT_EQ(results[0].error().code, ErrorCode::kNotFound);
    EXPECT_NE(results[0].error().message.find(unique("nowhere")), std::string::npos)
        << results[0].error().message;
    EXPECT_TRUE(results[1]) << "one bad record failed its neighbour";
}

TEST_P(TransportConformance, a_partition_that_does_not_exist_is_refused_for_good) {
    open({topic("small", 2)});
    const auto results = publish({record("small", 2, "v"), record("small", 1, "v")});
    ASSERT_EQ(results.size(), 2U);
    ASSERT_FALSE(results[0]);
    EXPECT_EQ(results[0].error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(results[1]);
}

TEST_P(TransportConformance, a_record_above_the_topics_limit_is_refused_for_good) {
    if (!capabilities().refuses_large_records)
        GTEST_SKIP() << "this log has no limit of a record's size";
    open({topic("large")});
    const auto results =
        publish({record("large", 0, std::string(3U << 20, 'x')), record("large", 0, "small")});
    ASSERT_EQ(results.size(), 2U);
    ASSERT_FALSE(results[0]);
    EXPECT_EQ(results[0].error().code, ErrorCode::kTooLarge) << results[0].error().message;
    EXPECT_TRUE(results[1]);
}

TEST_P(TransportConformance, twenty_megabytes_come_back_whole_between_their_neighbours) {
    if (!capabilities().refuses_large_records)
        GTEST_SKIP() << "this log has no limit of a record's size, and keeps less than that";
    TopicSpec spec = topic("large");
    spec.max_record_bytes = 32U << 20;
    open({spec});
    const std::string large(20U << 20, 'x');
    for (const auto& result : publish({record("large", 0, "before"), record("large", 0, large),
                                       record("large", 0, "after")}))
        ASSERT_TRUE(result) << result.error().message;

    auto reader = read_all("g", "large");
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 3; }));
    EXPECT_EQ(reader->listener.records[0].value, "before");
    EXPECT_TRUE(reader->listener.records[1].value == large);
    EXPECT_EQ(reader->listener.records[2].value, "after");
    close(*reader);
}

TEST_P(TransportConformance, ten_thousand_records_in_one_call_are_all_confirmed_in_order) {
    open({topic("bulk")});
    std::vector<OutgoingRecord> records;
    for (int i = 0; i < 10'000; ++i) records.push_back(record("bulk", 0, std::to_string(i)));
    const auto results = publish(std::move(records));
    ASSERT_EQ(results.size(), 10'000U);
    for (std::size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        ASSERT_EQ(results[i]->offset.value, static_cast<std::int64_t>(i));
    }
    auto reader = read_all("g", "bulk");
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() >= 10'000; }));
    for (std::size_t i = 0; i < 10'000; ++i)
        ASSERT_EQ(reader->listener.records[i].value, std::to_string(i));
    close(*reader);
}

TEST_P(TransportConformance, watermarks_tell_where_a_partition_begins_and_ends) {
    open({topic("ends", 2)});
    publish_numbered("ends", 1, 7);
    EXPECT_EQ(watermarks(at("ends", 1)).low, Offset{0});
    EXPECT_EQ(watermarks(at("ends", 1)).high, Offset{7});
    EXPECT_EQ(watermarks(at("ends", 0)).high, Offset{0});
}

TEST_P(TransportConformance, declared_topics_are_listed_with_their_partitions) {
    open({topic("listed", 4)});
    std::optional<Result<std::vector<TopicInfo>>> answer;
    transport_->topics([&](Result<std::vector<TopicInfo>> topics) { answer = std::move(topics); });
    ASSERT_TRUE(run_until([&] { return answer.has_value(); }));
    ASSERT_TRUE(*answer) << answer->error().message;
    const auto found = std::ranges::find(**answer, unique("listed"), &TopicInfo::name);
    ASSERT_NE(found, (*answer)->end());
    EXPECT_EQ(found->partitions, 4);
}

TEST_P(TransportConformance, a_log_has_one_id_and_keeps_it) {
    open({topic("known")});
    const auto id = cluster_id();
    EXPECT_NE(id, "");
    EXPECT_EQ(cluster_id(), id);
    if (!capabilities().restart) return;
    close(transport_);
    transport_ = make_open(0);
    EXPECT_EQ(cluster_id(), id);
}

TEST_P(TransportConformance, the_offset_of_a_time_is_that_of_the_first_record_at_or_after_it) {
    if (!capabilities().start_at_time) GTEST_SKIP() << "this log keeps no index by time";
    open({topic("timed")});
    std::vector<OutgoingRecord> records;
    for (int i = 0; i < 3; ++i) {
        records.push_back(record("timed", 0, "x"));
        records.back().timestamp = Timestamp(std::chrono::seconds(1'700'000'000 + i));
    }
    publish(std::move(records));
    const auto offset_at = [&](std::int64_t time_ms) {
        std::optional<Result<Offset>> answer;
        transport_->offset_at(at("timed", 0), Timestamp(milliseconds(time_ms)),
                              [&](Result<Offset> offset) { answer = std::move(offset); });
        EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
        return answer && *answer ? (*answer)->value : -1;
    };
    EXPECT_EQ(offset_at(0), 0);
    EXPECT_EQ(offset_at(1'700'000'000'500), 1);
    EXPECT_EQ(offset_at(1'800'000'000'000), 3);
}

TEST_P(TransportConformance, reading_by_pages_sees_every_record_once_and_then_an_empty_page) {
    open({topic("pages")});
    publish_numbered("pages", 0, 25);
    std::vector<std::string> values;
    for (Offset next{0};;) {
        const auto page = read_page(at("pages", 0), next, 10);
        ASSERT_TRUE(page) << page.error().message;
        if ((*page)->records.empty()) break;
        ASSERT_LE((*page)->records.size(), 10U);
        for (const Received& copy : copy_records(**page)) values.push_back(*copy.value);
        next = (*page)->records.back().offset.next();
        ASSERT_LE(next.value, 25);
    }
    ASSERT_EQ(values.size(), 25U);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], std::to_string(i));
}

TEST_P(TransportConformance, confirmed_records_are_there_after_a_restart_and_offsets_go_on) {
    if (!capabilities().restart) GTEST_SKIP() << "this log lives only as long as its transport";
    open({topic("durable")});
    publish_numbered("durable", 0, 10);
    close(transport_);
    transport_ = make_open(0);
    const auto results = publish({record("durable", 0, "after")});
    ASSERT_TRUE(results.at(0)) << results[0].error().message;
    EXPECT_EQ(results[0]->offset, Offset{10});
    const auto page = read_page(at("durable", 0), Offset{0}, 100);
    ASSERT_TRUE(page) << page.error().message;
    ASSERT_FALSE((*page)->records.empty());
    EXPECT_EQ((*page)->records.front().value, "0");
}

TEST_P(TransportConformance, confirmed_records_are_there_when_the_process_was_killed) {
    if (!capabilities().restart) GTEST_SKIP() << "this log lives only as long as its transport";
    open({topic("killed")});
    publish_numbered("killed", 0, 10);
    transport_.reset();
    transport_ = make_open(0);
    EXPECT_EQ(watermarks(at("killed", 0)).high, Offset{10});
}

}  // namespace
}  // namespace millrace::conformance
