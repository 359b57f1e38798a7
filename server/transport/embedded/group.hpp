// Groups: divides the partitions of a topic among the consumers of one group in this process, as
// Kafka's range assignor does.
//
// Thread rule: loop thread. Ownership: by the EmbeddedTransport; keeps its members alive until they
// leave. A member whose share changes gives up all it has, and gets its new share after everybody
// has let go and the commits made meanwhile are durable; the others are not disturbed.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "transport/embedded/subscriber.hpp"

namespace millrace::embedded {

class Groups {
public:
    explicit Groups(SubscriberContext& context) : context_(context) {}

    void join(std::shared_ptr<Subscriber> member);
    void leave(const Subscriber* member);
    // Topics have grown.
    void rebalance_all();

private:
    using Share = std::set<TopicPartition>;
    struct Group {
        std::vector<std::shared_ptr<Subscriber>> members;  // in the order in which they joined
        bool requested = false;                            // a task for it is posted
        bool running = false;
        std::size_t holding = 0;  // members that have not let go yet
        std::vector<std::weak_ptr<Subscriber>> changing;
    };

    void request(const std::string& name);
    void rebalance(const std::string& name);
    void let_go(const std::string& name);
    void hand_out(const std::string& name);
    std::map<const Subscriber*, Share> divide(const Group& group) const;

    SubscriberContext& context_;
    std::map<std::string, Group> groups_;
};

}  // namespace millrace::embedded
