#include "transport/kafka/broadcast_consumer.hpp"

#include <utility>

#include "core/log.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kDiscoveryInterval{10'000};
constexpr milliseconds kRetryInterval{500};
constexpr milliseconds kQueryTimeout{5'000};

}  // namespace

BroadcastConsumer::BroadcastConsumer(const ConsumerContext& context,
                                     const Subscription& subscription, ConsumerListener& listener,
                                     ClientPtr fetch_client)
    : FetchingConsumer(context, subscription, listener, std::move(fetch_client)) {
    discover();
}

void BroadcastConsumer::discover() {
    auto work = [client = fetch_client()] {
        return query_partition_counts(client->handle(), kQueryTimeout);
    };
    ask(std::move(work), [this](const Result<PartitionCounts>& counts) {
        if (closing()) return;
        const bool complete = counts && take(*counts);
        timer_ = context().runtime.loop().after(complete ? kDiscoveryInterval : kRetryInterval,
                                                [this] { discover(); });
    });
}

bool BroadcastConsumer::take(const PartitionCounts& counts) {
    bool complete = true;
    std::vector<TopicPartition> discovered;
    for (const auto& topic : subscription().topics) {
        const auto found = counts.find(topic);
        if (found == counts.end()) {
            complete = false;
            report(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "topic " + topic, "it does not exist");
            continue;
        }
        for (int partition = 0; partition < found->second; ++partition) {
            const TopicPartition origin{topic, Partition{partition}};
            if (!holds(origin)) discovered.push_back(origin);
        }
    }
    if (discovered.empty()) return complete;
    const Epoch epoch = hold(discovered);
    std::vector<Assigned> assigned;
    for (const auto& origin : discovered) assigned.push_back(Assigned{origin, std::nullopt});
    listener().on_assigned(epoch, assigned);
    return complete;
}

void BroadcastConsumer::leave(std::function<void()> done) {
    timer_.reset();
    context().runtime.loop().post(std::move(done));
}

}  // namespace millrace::kafka
