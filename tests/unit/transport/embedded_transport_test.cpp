#include "transport/embedded/embedded_transport.hpp"

#include <gmock/gmock.h>

#include <boost/asio/executor_work_guard.hpp>

#include "core/asio_runtime.hpp"
#include "unit/transport/embedded_fixture.hpp"

namespace millrace {
namespace {

using ::testing::HasSubstr;

using Results = std::vector<Result<RecordPosition>>;

// Reads one partition from the start and keeps the offsets.
class OffsetListener final : public ConsumerListener {
public:
    void on_assigned(Epoch, const std::vector<Assigned>& partitions) override {
        for (const Assigned& partition : partitions) consumer->start(partition.origin, {});
        assigned += partitions.size();
    }
    void on_revoked(Epoch, const std::vector<TopicPartition>& partitions,
                    std::function<void()> done) override {
        assigned -= partitions.size();
        let_go = std::move(done);
        if (!holds_on) let_go();
    }
    void on_lost(Epoch, const std::vector<TopicPartition>&) override {}
    void on_batch(RecordBatchPtr batch) override {
        for (const Record& record : batch->records) offsets.push_back(record.offset.value);
    }
    void on_end(const TopicPartition&, Epoch, Offset) override {}
    void on_out_of_range(const TopicPartition&, Epoch, Offset, Watermarks) override {}
    void on_failed(const Error&) override {}

    Consumer* consumer = nullptr;
    std::vector<std::int64_t> offsets;
    std::size_t assigned = 0;
    bool holds_on = false;
    std::function<void()> let_go;
};

class EmbeddedTransportTest : public ::testing::Test {
protected:
    ~EmbeddedTransportTest() override {
        consumers_.clear();
        transport_.reset();
    }

    bool run_until(const std::function<bool()>& happened) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
        while (!happened()) {
            if (runtime_.context().run_one_until(deadline) == 0) return happened();
        }
        return true;
    }
    Result<void> open(const std::vector<TopicSpec>& topics) {
        if (!transport_) {
            transport_ = std::make_unique<EmbeddedTransport>(
                runtime_, limits_, directory_.log(), "", [this] { return free_bytes_.load(); });
        }
        std::optional<Result<void>> opened;
        transport_->open(topics, [&](Result<void> result) { opened = std::move(result); });
        EXPECT_TRUE(run_until([&] { return opened.has_value(); }));
        return *opened;
    }
    void close() {
        bool closed = false;
        transport_->close([&] { closed = true; });
        ASSERT_TRUE(run_until([&] { return closed; }));
        transport_.reset();
    }
    std::vector<OutgoingRecord> records(int count, std::size_t bytes = 10) const {
        std::vector<OutgoingRecord> records(static_cast<std::size_t>(count));
        for (OutgoingRecord& record : records) {
            record.topic = "t";
            record.partition = Partition{0};
            record.value = std::string(bytes, 'x');
        }
        return records;
    }
    Results publish(std::vector<OutgoingRecord> outgoing, Origin origin = Origin::kInternal) {
        std::optional<Results> answer;
        transport_->publish(std::move(outgoing), origin,
                            [&](Results results) { answer = std::move(results); });
        EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
        return answer.value_or(Results{});
    }
    void subscribe(OffsetListener& listener) {
        Subscription subscription;
        subscription.group = "g";
        subscription.topics = {"t"};
        auto consumer = transport_->subscribe(subscription, listener);
        ASSERT_TRUE(consumer) << consumer.error().message;
        listener.consumer = consumer->get();
        consumers_.push_back(std::move(*consumer));
    }

    AsioRuntime runtime_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
        boost::asio::make_work_guard(runtime_.context());
    embedded::LogDirectory directory_;
    EmbeddedSection limits_;
    std::atomic<std::uint64_t> free_bytes_{1ULL << 40};
    std::unique_ptr<EmbeddedTransport> transport_;
    std::vector<std::unique_ptr<Consumer>> consumers_;
};

TEST_F(EmbeddedTransportTest, records_above_the_bound_of_pending_appends_are_refused_at_once) {
    limits_.max_pending_records = 10;
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    const Results results = publish(records(25));
    ASSERT_EQ(results.size(), 25U);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_TRUE(results[i]) << i;
    for (std::size_t i = 10; i < 25; ++i) {
        ASSERT_FALSE(results[i]) << i;
        EXPECT_EQ(results[i].error().code, ErrorCode::kFull);
        EXPECT_THAT(results[i].error().message, HasSubstr("embedded.max_pending"));
    }
    EXPECT_EQ(publish(records(1)).at(0).value().offset, Offset{10});
}

TEST_F(EmbeddedTransportTest, pending_appends_are_bounded_in_bytes_too) {
    limits_.max_pending_bytes = 100'000;
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    const Results results = publish(records(10, 30'000));
    EXPECT_TRUE(results.at(2));
    ASSERT_FALSE(results.at(3));
    EXPECT_EQ(results[3].error().code, ErrorCode::kFull);
    EXPECT_TRUE(publish(records(1, 30'000)).at(0));
}

TEST_F(EmbeddedTransportTest,
       a_disk_that_runs_short_shows_as_trouble_until_ingest_is_accepted_again) {
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    EXPECT_EQ(transport_->trouble(), std::nullopt);
    free_bytes_ = 1;
    EXPECT_EQ(publish(records(1), Origin::kIngest).at(0).error().code, ErrorCode::kFull);
    ASSERT_TRUE(transport_->trouble().has_value());
    EXPECT_THAT(*transport_->trouble(), HasSubstr("disk_reserve"));
    EXPECT_TRUE(publish(records(1), Origin::kInternal).at(0));
    free_bytes_ = 1ULL << 40;
    EXPECT_TRUE(publish(records(1), Origin::kIngest).at(0));
    EXPECT_EQ(transport_->trouble(), std::nullopt);
}

TEST_F(EmbeddedTransportTest, a_reader_that_lags_behind_the_tail_catches_up_without_gap_or_repeat) {
    limits_.tail_cache_bytes = 20'000;
    limits_.segment_bytes = 200'000;
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(publish(records(100, 200)).at(99));
    OffsetListener listener;
    subscribe(listener);
    std::size_t confirmed = 0;
    for (int i = 0; i < 30; ++i) {
        transport_->publish(records(100, 200), Origin::kInternal,
                            [&](const Results& results) { confirmed += results.size(); });
    }
    ASSERT_TRUE(run_until([&] { return confirmed == 3'000 && listener.offsets.size() >= 6'000; }));
    ASSERT_EQ(listener.offsets.size(), 6'000U);
    for (std::size_t i = 0; i < 6'000; ++i)
        ASSERT_EQ(listener.offsets[i], static_cast<std::int64_t>(i));
}

TEST_F(EmbeddedTransportTest, a_damaged_segment_holds_its_partition_until_it_is_put_right) {
    limits_.segment_bytes = 1;
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(publish(records(1)).at(0));
    close();
    const auto damaged = directory_.segments("t").at(1);
    std::filesystem::copy_file(damaged, damaged.string() + ".copy");
    std::filesystem::resize_file(damaged, 1'000);
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    OffsetListener listener;
    subscribe(listener);
    ASSERT_TRUE(run_until([&] { return transport_->trouble().has_value(); }));
    EXPECT_THAT(*transport_->trouble(), HasSubstr("t/0 is held"));
    EXPECT_THAT(*transport_->trouble(), HasSubstr(damaged.filename().string()));
    EXPECT_EQ(listener.offsets, (std::vector<std::int64_t>{0}));
    std::filesystem::copy_file(damaged.string() + ".copy", damaged,
                               std::filesystem::copy_options::overwrite_existing);
    ASSERT_TRUE(run_until([&] { return listener.offsets.size() == 3; }));
    EXPECT_EQ(listener.offsets, (std::vector<std::int64_t>{0, 1, 2}));
    EXPECT_EQ(transport_->trouble(), std::nullopt);
}

TEST_F(EmbeddedTransportTest, partitions_are_handed_over_only_after_their_reader_has_let_go) {
    ASSERT_TRUE(open({embedded::topic_spec("t", 2)}));
    OffsetListener first;
    first.holds_on = true;
    OffsetListener second;
    subscribe(first);
    ASSERT_TRUE(run_until([&] { return first.assigned == 2; }));
    subscribe(second);
    ASSERT_TRUE(run_until([&] { return first.let_go != nullptr; }));
    publish(records(1));
    EXPECT_EQ(first.assigned + second.assigned, 0U);
    first.let_go();
    first.let_go();
    EXPECT_TRUE(run_until([&] { return first.assigned == 1 && second.assigned == 1; }));
}

TEST_F(EmbeddedTransportTest, a_reader_that_closes_while_it_is_asked_to_let_go_holds_nobody_up) {
    ASSERT_TRUE(open({embedded::topic_spec("t", 2)}));
    OffsetListener first;
    first.holds_on = true;
    OffsetListener second;
    subscribe(first);
    ASSERT_TRUE(run_until([&] { return first.assigned == 2; }));
    subscribe(second);
    ASSERT_TRUE(run_until([&] { return first.let_go != nullptr; }));
    bool closed = false;
    first.consumer->close([&] { closed = true; });
    EXPECT_TRUE(run_until([&] { return closed && second.assigned == 2; }));
    first.let_go();
}

TEST_F(EmbeddedTransportTest, readers_are_given_the_partitions_that_a_topic_has_grown_by) {
    ASSERT_TRUE(open({embedded::topic_spec("t", 1)}));
    OffsetListener listener;
    subscribe(listener);
    ASSERT_TRUE(run_until([&] { return listener.assigned == 1; }));
    ASSERT_TRUE(open({embedded::topic_spec("t", 3)}));
    EXPECT_TRUE(run_until([&] { return listener.assigned == 3; }));
}

TEST_F(EmbeddedTransportTest, a_log_that_cannot_be_opened_says_why_and_can_be_tried_again) {
    ASSERT_TRUE(open({embedded::topic_spec("t", 2)}));
    close();
    const auto shrunk = open({embedded::topic_spec("t", 1)});
    ASSERT_FALSE(shrunk);
    ASSERT_TRUE(transport_->trouble().has_value());
    EXPECT_THAT(*transport_->trouble(), HasSubstr("cannot shrink"));
    EXPECT_EQ(publish(records(1)).at(0).error().code, ErrorCode::kUnavailable);
    ASSERT_TRUE(open({embedded::topic_spec("t", 2)}));
    EXPECT_EQ(transport_->trouble(), std::nullopt);
    EXPECT_TRUE(publish(records(1)).at(0));
}

TEST_F(EmbeddedTransportTest,
       close_confirms_what_was_published_before_and_refuses_what_comes_after) {
    ASSERT_TRUE(open({embedded::topic_spec("t")}));
    Results before;
    Results after;
    bool closed = false;
    transport_->publish(records(1'000), Origin::kInternal,
                        [&](Results results) { before = std::move(results); });
    transport_->close([&] {
        EXPECT_EQ(before.size(), 1'000U);
        closed = true;
    });
    transport_->publish(records(1), Origin::kInternal,
                        [&](Results results) { after = std::move(results); });
    ASSERT_TRUE(run_until([&] { return closed && !after.empty(); }));
    for (const auto& result : before) ASSERT_TRUE(result);
    EXPECT_EQ(after.at(0).error().code, ErrorCode::kCancelled);
}

TEST_F(EmbeddedTransportTest, the_limit_of_a_record_is_its_topics) {
    TopicSpec small = embedded::topic_spec("t");
    small.max_record_bytes = 100;
    TopicSpec letters = embedded::topic_spec("t-dlq");
    letters.dead_letter = true;
    ASSERT_TRUE(open({small, letters}));
    EXPECT_TRUE(publish(records(1, 100)).at(0));
    EXPECT_EQ(publish(records(1, 101)).at(0).error().code, ErrorCode::kTooLarge);
    auto letter = records(1, (1U << 20) + 1'000);
    letter[0].topic = "t-dlq";
    EXPECT_TRUE(publish(letter).at(0)) << "a dead letter is its record and more";
}

}  // namespace
}  // namespace millrace
