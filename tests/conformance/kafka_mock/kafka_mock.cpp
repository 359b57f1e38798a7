// The conformance suite over librdkafka's mock broker: no Java, no network.
#include "conformance/suite/transport_conformance.hpp"
#include "support/mock_kafka.hpp"
#include "transport/kafka/kafka_transport.hpp"

namespace millrace::conformance {
namespace {

// Creates the topics in the mock, which has no admin calls, and passes everything on.
class OnMock final : public Transport {
public:
    OnMock(test::MockKafka& mock, std::unique_ptr<Transport> transport)
        : mock_(mock), transport_(std::move(transport)) {}

    std::string name() const override { return transport_->name(); }
    void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) override {
        for (const auto& topic : topics) mock_.create_topic(topic.name, topic.partitions);
        transport_->open(topics, std::move(done));
    }
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                ConsumerListener& listener) override {
        return transport_->subscribe(subscription, listener);
    }
    void publish(std::vector<OutgoingRecord> records, Origin origin,
                 Callback<std::vector<Result<RecordPosition>>> done) override {
        transport_->publish(std::move(records), origin, std::move(done));
    }
    void cluster_id(Callback<Result<std::string>> done) override {
        transport_->cluster_id(std::move(done));
    }
    void topics(Callback<Result<std::vector<TopicInfo>>> done) override {
        transport_->topics(std::move(done));
    }
    void watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) override {
        transport_->watermarks(origin, std::move(done));
    }
    void offset_at(const TopicPartition& origin, Timestamp time,
                   Callback<Result<Offset>> done) override {
        transport_->offset_at(origin, time, std::move(done));
    }
    void read(const TopicPartition& origin, Offset offset, std::size_t limit,
              Callback<Result<RecordBatchPtr>> done) override {
        transport_->read(origin, offset, limit, std::move(done));
    }
    std::optional<std::string> trouble() const override { return transport_->trouble(); }
    void close(std::function<void()> done) override { transport_->close(std::move(done)); }

private:
    test::MockKafka& mock_;
    std::unique_ptr<Transport> transport_;
};

class MockFixture final : public TransportFixture {
public:
    explicit MockFixture(AsioRuntime& runtime) : runtime_(runtime) {}

    Capabilities capabilities() const override {
        Capabilities limited;
        limited.refuses_large_records = false;
        limited.start_at_time = false;
        limited.commits_while_revoking = false;
        return limited;
    }
    std::unique_ptr<Transport> make(int) override {
        // Members are dynamic: the mock does not know static ones.
        return std::make_unique<OnMock>(
            mock_, std::make_unique<KafkaTransport>(runtime_, mock_.section(), ""));
    }

private:
    AsioRuntime& runtime_;
    test::MockKafka mock_;
};

INSTANTIATE_TEST_SUITE_P(
    kafka_mock, TransportConformance,
    testing::Values(Candidate{
        "mock", [](AsioRuntime& runtime) { return std::make_unique<MockFixture>(runtime); }}),
    candidate_name);

}  // namespace
}  // namespace millrace::conformance
