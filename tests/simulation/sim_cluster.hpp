// Cluster: the topics, consumer groups and clients of a simulated broker, and SimTransport: how one
// life of a process sees it.
//
// Records lie in partitions with gaps between their offsets, as control records leave them. A group
// gives each partition to one member under an epoch; a rebalance asks for everything back, waits
// for the members (not for ever) and gives it out anew; a member can also lose its partitions
// unasked. A process that crashed stays a member until it is back or its session has expired.
// Publishing may fail, or succeed without the answer getting through; what was on its way at a
// crash may arrive.
//
// One thread. Ownership: the Cluster outlives the transports.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "simulation/sim_runtime.hpp"
#include "transport/transport.hpp"

namespace millrace::simulation {

struct Stored {
    Offset offset;
    Timestamp timestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;
    // Of what a process sent: when, and whether it was told that it is there.
    std::string asked_by;
    nanoseconds asked_at{0};
    bool answered = true;

    std::string header(std::string_view name) const;
    std::size_t header_count(std::string_view name) const;
};
using StoredPtr = std::shared_ptr<const Stored>;

struct PartitionLog {
    std::vector<StoredPtr> records;
    Offset end{0};
};

// One time that a process had a partition, from when it knew of it.
struct Tenure {
    std::string group;
    TopicPartition origin;
    std::string process;
    Epoch epoch;
    std::optional<Offset> committed;  // when it began
    nanoseconds since{0};
};

struct ClusterFaults {
    double publish_fails = 0;        // nothing was written
    double question_fails = 0;       // of cluster_id, topics, read
    double answer_lost = 0;          // written, but the producer is told kTimeout
    double arrives_anyway = 0.5;     // what a crashed process had sent
    std::set<std::string> away;      // topics that cannot be written to
    double gap = 0;                  // a control record after a record
    nanoseconds latency{5'000'000};  // at most
    std::size_t max_batch = 20;
};

class SimConsumer;
class SimTransport;

// Told of what happens, as it happens.
class ClusterWatch {
public:
    virtual ~ClusterWatch() = default;
    virtual void on_commit(const std::string& process, const std::string& group,
                           const TopicPartition& origin, Offset position) = 0;
    virtual void on_moved(const std::string& group) = 0;
    // A member has heard that it has a partition; that it no longer has it, or, asked for it, has
    // let go.
    virtual void on_given(const std::string& process, const std::string& group,
                          const TopicPartition& origin) = 0;
    virtual void on_gone(const std::string& process, const std::string& group,
                         const TopicPartition& origin, bool was_asked) = 0;
};

class Cluster {
public:
    Cluster(Scheduler& scheduler, SimClock& clock, Rng random, ClusterWatch& watch);
    ~Cluster();

    void make_topic(const std::string& name, int partitions, bool refuses = false);
    Offset append(const TopicPartition& origin, Stored record);
    void rebalance(const std::string& group);
    // Takes everything from one member without asking.
    void lose(const std::string& group);
    // Its sessions go on until `session` has passed.
    void crashed(const std::string& process, nanoseconds session);

    const std::map<TopicPartition, PartitionLog>& logs() const { return logs_; }
    std::vector<StoredPtr> all_of(const std::string& topic) const;
    std::optional<Offset> committed(const std::string& group, const TopicPartition& origin) const;
    std::vector<std::string> groups() const;
    const std::vector<Tenure>& tenures() const { return tenures_; }
    int partitions(const std::string& topic) const;

    ClusterFaults faults;

private:
    friend class SimConsumer;
    friend class SimTransport;
    struct Member {
        std::string process;
        SimConsumer* consumer = nullptr;  // nullptr: crashed, its session goes on
        std::uint64_t number = 0;
        std::set<TopicPartition> partitions;
        Epoch epoch;
    };
    struct Group {
        std::vector<std::string> topics;
        std::map<TopicPartition, Offset> committed;
        std::vector<Member> members;
        bool rebalancing = false;
        bool again = false;
        std::size_t waiting_for = 0;
        std::uint64_t round = 0;
    };
    void join(SimConsumer& consumer);
    void leave(SimConsumer& consumer, bool crashed);
    void released(const std::string& group, std::uint64_t round);
    void assign(const std::string& group);
    void give(const std::string& name, Member& member);
    std::vector<TopicPartition> partitions_of(const Group& group) const;
    Member* member_of(const SimConsumer& consumer);
    void feed(const TopicPartition& origin);
    Offset first_at(const TopicPartition& origin, Timestamp time) const;
    struct Sender {
        std::string process;
        nanoseconds at;
    };
    Result<RecordPosition> store(OutgoingRecord& record, const Sender& sender);

    Scheduler& scheduler_;
    SimClock& clock_;
    Rng random_;
    ClusterWatch& watch_;
    SimStrand broker_;
    std::map<TopicPartition, PartitionLog> logs_;
    std::map<std::string, int> counts_;
    std::set<std::string> refusing_;
    std::map<std::string, Group> groups_;
    std::vector<Tenure> tenures_;
    std::uint64_t next_epoch_ = 0;
    std::uint64_t next_member_ = 0;
};

class SimTransport final : public Transport {
public:
    SimTransport(Cluster& cluster, Scheduler& scheduler, SimRuntime& runtime);

    std::string name() const override { return "simulated"; }
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
    std::optional<std::string> trouble() const override { return std::nullopt; }
    void close(std::function<void()> done) override;

private:
    friend class SimConsumer;
    Cluster& cluster_;
    Scheduler& scheduler_;
    SimRuntime& runtime_;
    SimStrand wire_;  // to the broker; keeps what was sent when the process ends
};

}  // namespace millrace::simulation
