// BroadcastConsumer: every partition of the topics, without a group; nothing is committed. New
// partitions are discovered by asking for the topics now and then.
//
// Everything is on the loop thread.
#pragma once

#include <memory>

#include "transport/kafka/consumer.hpp"
#include "transport/kafka/queries.hpp"

namespace millrace::kafka {

class BroadcastConsumer final : public FetchingConsumer {
public:
    BroadcastConsumer(const ConsumerContext& context, const Subscription& subscription,
                      ConsumerListener& listener, ClientPtr fetch_client);

    void commit(const TopicPartition&, Offset) override {}
    std::optional<Offset> committed(const TopicPartition&) const override { return std::nullopt; }

private:
    void discover();
    // True when every topic was there.
    bool take(const PartitionCounts& counts);
    void leave(std::function<void()> done) override;

    std::unique_ptr<Timer> timer_;
};

}  // namespace millrace::kafka
