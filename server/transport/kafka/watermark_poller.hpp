// WatermarkPoller: asks every second for the ends of the partitions that someone watches, on a
// helper thread.
//
// librdkafka's own cache goes stale on partitions that are not fetched, exactly under
// back-pressure, when lag matters. The answer is also the proof that brokers are back. Thread rule:
// the loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/runtime.hpp"
#include "transport/kafka/client.hpp"
#include "transport/kafka/helpers.hpp"
#include "transport/kafka/queries.hpp"
#include "transport/kafka/trouble.hpp"

namespace millrace::kafka {

class WatermarkPoller {
public:
    WatermarkPoller(Runtime& runtime, Helpers& helpers, std::function<ClientPtr()> client,
                    Trouble& trouble);
    ~WatermarkPoller() { *alive_ = false; }

    // Counted: several consumers may watch one partition.
    void watch(const TopicPartition& origin);
    void unwatch(const TopicPartition& origin);
    std::optional<Watermarks> get(const TopicPartition& origin) const;
    void stop();

private:
    struct Watched {
        int watchers = 0;
        std::optional<Watermarks> watermarks;
    };
    using Answer = Result<std::map<TopicPartition, Watermarks>>;

    void schedule(milliseconds delay);
    void poll();
    void take(const Answer& answer);

    Runtime& runtime_;
    Helpers& helpers_;
    std::shared_ptr<Strand> lane_;
    std::function<ClientPtr()> client_;
    Trouble& trouble_;
    std::map<TopicPartition, Watched> watched_;
    std::unique_ptr<Timer> timer_;
    bool asking_ = false;
    bool stopped_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::kafka
