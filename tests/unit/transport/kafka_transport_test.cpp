#include "transport/kafka/kafka_transport.hpp"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>

#include "support/mock_kafka.hpp"

namespace millrace {
namespace {

constexpr std::int16_t kProduce = 0;
constexpr std::int16_t kOffsetFetch = 9;

class KafkaTransportTest : public ::testing::Test {
protected:
    ~KafkaTransportTest() override {
        if (transport_) close();
    }

    bool run_until(const std::function<bool()>& happened) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!happened() && std::chrono::steady_clock::now() < deadline)
            runtime_.context().run_one_until(deadline);
        return happened();
    }
    void make(const KafkaSection& section) {
        transport_ = std::make_unique<KafkaTransport>(runtime_, section, "");
    }
    Result<void> open(const std::vector<std::string>& topics) {
        std::vector<TopicSpec> specs;
        for (const auto& name : topics) {
            specs.emplace_back();
            specs.back().name = name;
            specs.back().dead_letter = name.ends_with("-dlq");
        }
        std::optional<Result<void>> opened;
        transport_->open(specs, [&](Result<void> result) { opened = std::move(result); });
        EXPECT_TRUE(run_until([&] { return opened.has_value(); }));
        return opened.value_or(fail(ErrorCode::kTimeout, "open did not call back"));
    }
    std::vector<Result<RecordPosition>> publish(const std::string& topic, int count) {
        std::vector<OutgoingRecord> records(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            auto& record = records[static_cast<std::size_t>(i)];
            record.topic = topic;
            record.partition = Partition{0};
            record.value = std::to_string(i);
        }
        std::optional<std::vector<Result<RecordPosition>>> answer;
        transport_->publish(
            std::move(records), Origin::kInternal,
            [&](std::vector<Result<RecordPosition>> results) { answer = std::move(results); });
        EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
        return answer.value_or(std::vector<Result<RecordPosition>>{});
    }
    void close() {
        bool closed = false;
        transport_->close([&] { closed = true; });
        EXPECT_TRUE(run_until([&] { return closed; }));
        transport_.reset();
    }

    test::MockKafka mock_;
    AsioRuntime runtime_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
        boost::asio::make_work_guard(runtime_.context());
    std::unique_ptr<KafkaTransport> transport_;
};

TEST_F(KafkaTransportTest, a_missing_topic_is_named_with_the_command_that_makes_it) {
    mock_.create_topic("there", 1);
    make(mock_.section());
    const auto opened = open({"there", "absent", "absent-dlq"});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
    const std::string& text = opened.error().message;
    EXPECT_NE(text.find("--create --topic absent "), std::string::npos) << text;
    EXPECT_NE(text.find("--create --topic absent-dlq "), std::string::npos) << text;
    EXPECT_EQ(text.find("--topic there"), std::string::npos) << text;
    ASSERT_TRUE(transport_->trouble());
    mock_.create_topic("absent", 1);
    mock_.create_topic("absent-dlq", 1);
    EXPECT_TRUE(open({"there", "absent", "absent-dlq"})) << "opening again works";
    EXPECT_EQ(transport_->trouble(), std::nullopt);
}

TEST_F(KafkaTransportTest, a_broker_that_is_not_there_is_named_and_nothing_hangs) {
    KafkaSection section;
    section.brokers = "127.0.0.1:1";
    make(section);
    const auto opened = open({"t"});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kUnavailable) << opened.error().message;
    EXPECT_NE(opened.error().message.find("127.0.0.1:1"), std::string::npos)
        << opened.error().message;
    ASSERT_TRUE(transport_->trouble());
    EXPECT_NE(transport_->trouble()->find("127.0.0.1:1"), std::string::npos);
    const auto results = publish("t", 2);
    ASSERT_EQ(results.size(), 2U);
    EXPECT_EQ(results[0].error().code, ErrorCode::kUnavailable);
}

TEST_F(KafkaTransportTest, trouble_is_told_while_brokers_are_away_and_ends_when_they_are_back) {
    mock_.create_topic("t", 1);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    ASSERT_TRUE(publish("t", 1).at(0));
    EXPECT_EQ(transport_->trouble(), std::nullopt);
    constexpr std::int32_t kBroker = 1;
    rd_kafka_mock_broker_set_down(mock_.cluster(), kBroker);
    EXPECT_TRUE(run_until([&] { return transport_->trouble().has_value(); }));
    rd_kafka_mock_broker_set_up(mock_.cluster(), kBroker);
    EXPECT_TRUE(run_until([&] { return !transport_->trouble().has_value(); }))
        << *transport_->trouble();
    EXPECT_TRUE(publish("t", 1).at(0));
}

TEST_F(KafkaTransportTest, a_record_is_written_once_and_in_order_when_the_broker_makes_it_retry) {
    mock_.create_topic("t", 1);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    rd_kafka_mock_push_request_errors(
        mock_.cluster(), kProduce, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    const auto results = publish("t", 100);
    ASSERT_EQ(results.size(), 100U);
    for (std::size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->offset.value, static_cast<std::int64_t>(i));
    }
}

TEST_F(KafkaTransportTest, what_the_broker_refuses_for_good_is_invalid) {
    mock_.create_topic("t", 1);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    rd_kafka_mock_push_request_errors(mock_.cluster(), kProduce, 2,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    const auto results = publish("t", 1);
    ASSERT_FALSE(results.at(0));
    EXPECT_EQ(results[0].error().code, ErrorCode::kTooLarge);
    EXPECT_NE(results[0].error().message.find("max.message.bytes"), std::string::npos);
    EXPECT_TRUE(publish("t", 1).at(0)) << "the producer goes on";
}

TEST_F(KafkaTransportTest, records_of_a_batch_that_was_too_large_are_written_one_by_one) {
    mock_.create_topic("t", 1);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    rd_kafka_mock_push_request_errors(mock_.cluster(), kProduce, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    const auto results = publish("t", 20);
    ASSERT_EQ(results.size(), 20U);
    for (std::size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->offset.value, static_cast<std::int64_t>(i));
    }
}

TEST_F(KafkaTransportTest, a_record_that_nobody_confirms_ends_as_timeout) {
    mock_.create_topic("t", 1);
    KafkaSection section = mock_.section();
    section.properties.emplace_back("message.timeout.ms", "1000");
    make(section);
    ASSERT_TRUE(open({"t"}));
    constexpr std::int32_t kBroker = 1;
    rd_kafka_mock_broker_set_down(mock_.cluster(), kBroker);
    const auto results = publish("t", 1);
    ASSERT_FALSE(results.at(0));
    EXPECT_EQ(results[0].error().code, ErrorCode::kTimeout) << results[0].error().message;
    rd_kafka_mock_broker_set_up(mock_.cluster(), kBroker);
}

TEST_F(KafkaTransportTest, more_records_than_the_clients_queue_holds_wait_their_turn) {
    mock_.create_topic("t", 1);
    KafkaSection section = mock_.section();
    section.properties.emplace_back("queue.buffering.max.messages", "50");
    make(section);
    ASSERT_TRUE(open({"t"}));
    const auto results = publish("t", 1'000);
    ASSERT_EQ(results.size(), 1'000U);
    for (std::size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->offset.value, static_cast<std::int64_t>(i));
    }
}

TEST_F(KafkaTransportTest, closing_decides_every_record_that_is_still_on_its_way) {
    mock_.create_topic("t", 1);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    std::size_t decided = 0;
    std::vector<OutgoingRecord> records(10);
    for (auto& record : records) record.topic = "t";
    transport_->publish(std::move(records), Origin::kInternal,
                        [&](const auto& results) { decided = results.size(); });
    close();
    EXPECT_EQ(decided, 10U);
}

class NotingListener final : public ConsumerListener {
public:
    void on_assigned(Epoch, const std::vector<Assigned>& partitions) override {
        assigned = partitions;
    }
    void on_revoked(Epoch, const std::vector<TopicPartition>&,
                    std::function<void()> done) override {
        done();
    }
    void on_lost(Epoch, const std::vector<TopicPartition>&) override {}
    void on_batch(RecordBatchPtr) override {}
    void on_end(const TopicPartition&, Epoch, Offset) override {}
    void on_out_of_range(const TopicPartition&, Epoch, Offset, Watermarks) override {}
    void on_failed(const Error&) override {}
    std::vector<Assigned> assigned;
};

TEST_F(KafkaTransportTest, an_assignment_waits_until_the_committed_offsets_are_known) {
    mock_.create_topic("t", 2);
    make(mock_.section());
    ASSERT_TRUE(open({"t"}));
    rd_kafka_mock_push_request_errors(mock_.cluster(), kOffsetFetch, 2,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    NotingListener listener;
    Subscription subscription;
    subscription.group = "g";
    subscription.topics = {"t"};
    auto consumer = transport_->subscribe(subscription, listener);
    ASSERT_TRUE(consumer);
    EXPECT_TRUE(run_until([&] { return listener.assigned.size() == 2; }));
    bool closed = false;
    (*consumer)->close([&] { closed = true; });
    EXPECT_TRUE(run_until([&] { return closed; }));
}

}  // namespace
}  // namespace millrace
