// Membership: the process as a member of a consumer group: what it is given, what is taken, what it
// committed.
//
// The client behind it fetches nothing (Fetcher does): it acknowledges every assignment with an
// empty one, and so takes part in the eager protocol while partitions start one by one. It is
// polled twice a second or the broker would expel it. Thread rule: the loop thread, sink included.
// Ownership: `close` must have called back before it is destroyed, or the broker learns of the
// departure only by the session's timeout.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/asio_runtime.hpp"
#include "core/result.hpp"
#include "transport/kafka/client.hpp"
#include "transport/kafka/queue_event.hpp"

namespace millrace::kafka {

class MembershipSink {
public:
    virtual ~MembershipSink() = default;
    virtual void on_given(std::vector<TopicPartition> partitions) = 0;
    // Answer with `Membership::release`, at once when the partitions are `lost`.
    virtual void on_taken(std::vector<TopicPartition> partitions, bool lost) = 0;
    virtual void on_commit_answered(const std::map<TopicPartition, Offset>& acknowledged,
                                    const std::map<TopicPartition, Offset>& refused,
                                    rd_kafka_resp_err_t code) = 0;
    virtual void on_membership_error(rd_kafka_resp_err_t code, const std::string& reason) = 0;
    virtual void on_membership_failed(const Error& error) = 0;
};

class Membership {
public:
    static Result<std::unique_ptr<Membership>> join(AsioRuntime& runtime, ConfPtr conf,
                                                    const std::vector<std::string>& topics,
                                                    const std::shared_ptr<Reaper>& reaper,
                                                    MembershipSink& sink);
    ~Membership();

    // The partitions that were taken may go to another member now.
    void release();
    // One request; the answer comes to the sink. False: it could not be sent.
    bool commit(const std::map<TopicPartition, Offset>& positions);
    // Leaves; nothing comes to the sink any more. Gives up after five seconds.
    void close(std::function<void()> done);
    ClientPtr client() const { return client_; }

private:
    Membership(AsioRuntime& runtime, MembershipSink& sink);
    Result<void> connect(ConfPtr conf, const std::vector<std::string>& topics,
                         const std::shared_ptr<Reaper>& reaper);
    void serve();
    void serve_queue(rd_kafka_queue_t* queue);
    void on_rebalance(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* partitions);
    void on_committed(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* offsets);
    void finish_close();

    AsioRuntime& runtime_;
    MembershipSink& sink_;
    ClientPtr client_;
    QueueEvent event_;
    WatchedQueue queue_;
    WatchedQueue closing_queue_;
    std::unique_ptr<Timer> tick_;
    std::unique_ptr<Timer> give_up_;
    std::function<void()> on_closed_;
    bool closing_ = false;
};

}  // namespace millrace::kafka
