// SimConsumer: one membership in a simulated group.
//
// Thread rule: its process's loop, but for what the Cluster calls.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "simulation/sim_cluster.hpp"

namespace millrace::simulation {

// The records of a partition from an offset on, at most so many.
RecordBatchPtr make_batch(const TopicPartition& origin, const PartitionLog& log, Offset from,
                          std::size_t limit, Epoch epoch);

class SimConsumer final : public Consumer {
public:
    SimConsumer(SimTransport& transport, const Subscription& subscription,
                ConsumerListener& listener);
    ~SimConsumer() override;

    void start(const TopicPartition& origin, StartPosition from) override;
    void stop_draining(const TopicPartition& origin) override;
    void resume_draining(const TopicPartition& origin) override;
    void commit(const TopicPartition& origin, Offset position) override;
    std::optional<Offset> committed(const TopicPartition& origin) const override;
    std::optional<Watermarks> watermarks(const TopicPartition& origin) const override;
    void close(std::function<void()> done) override;

private:
    friend class Cluster;
    struct Reading {
        Offset next{0};
        bool started = false;
        bool stopped = false;
        bool scheduled = false;
        bool end_told = false;
    };

    // From the broker; the listener hears of it on the loop.
    void assigned(Epoch epoch, std::vector<Assigned> partitions);
    void revoke(std::function<void()> released);
    void lose();
    void feed(const TopicPartition& origin);
    void deliver(const TopicPartition& origin, Epoch epoch);
    void take(const std::pair<Epoch, std::vector<Assigned>>& assignment);
    void send_commits();
    void gone(const std::vector<TopicPartition>& partitions, bool was_asked);
    Offset resolve(const TopicPartition& origin, StartPosition from) const;
    template <class Call>
    void on_loop(Call call, nanoseconds delay = nanoseconds(0)) {
        loop_.later(delay, [alive = std::weak_ptr(alive_), call = std::move(call)] {
            if (alive.lock()) call();
        });
    }

    Cluster& cluster_;
    SimStrand& loop_;
    const std::string process_;
    const Subscription subscription_;
    ConsumerListener& listener_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    Epoch epoch_;
    std::map<TopicPartition, Reading> reading_;  // what is assigned
    std::map<TopicPartition, Offset> to_commit_;
    bool commit_scheduled_ = false;
    // It has lost its partitions and does not know yet; what it was given since waits.
    bool losing_ = false;
    std::optional<std::pair<Epoch, std::vector<Assigned>>> given_;
    bool closed_ = false;
};

}  // namespace millrace::simulation
