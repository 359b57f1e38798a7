// KafkaTransport: the Transport over a Kafka cluster, by librdkafka.
//
// Clients: one producer (also asked for metadata, watermarks and administration), and for each
// group subscription one that is the member and one that fetches. What blocks runs on helper
// threads; everything else, and every callback, on the loop thread. Ownership: outlives its
// consumers and the batches that came from them. Construction throws ErrorException for a
// configuration that cannot work; brokers need not be reachable. Broker trouble is retried inside
// and told by `trouble`.
#pragma once

#include <memory>
#include <string>

#include "core/asio_runtime.hpp"
#include "core/config/server_config.hpp"
#include "transport/transport.hpp"

namespace millrace {

class KafkaTransport final : public Transport {
public:
    // `installation_id` names this installation's static members in its groups; empty: members are
    // dynamic.
    KafkaTransport(AsioRuntime& runtime, KafkaSection section, std::string installation_id);
    ~KafkaTransport() override;

    std::string name() const override { return "kafka"; }
    void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) override;
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                ConsumerListener& listener) override;
    void publish(std::vector<OutgoingRecord> records, Origin origin,
                 Callback<std::vector<Result<RecordPosition>>> done) override;
    void cluster_id(Callback<Result<std::string>> done) override;
    void topics(Callback<Result<std::vector<TopicInfo>>> done) override;
    void watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) override;
    void offset_at(const TopicPartition& origin, Timestamp time,
                   Callback<Result<Offset>> done) override;
    void read(const TopicPartition& origin, Offset offset, std::size_t limit,
              Callback<Result<RecordBatchPtr>> done) override;
    std::optional<std::string> trouble() const override;
    void close(std::function<void()> done) override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
