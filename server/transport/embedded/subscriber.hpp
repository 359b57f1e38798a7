// Subscriber: one consumer of the embedded log: reads its partitions, from the memory tail or the
// segments, and hands the batches to its listener.
//
// Thread rule: loop thread; every listener callback comes from a task of its own, one batch of a
// partition at a time, so that partitions and consumers take turns. Ownership: shared by the
// Consumer handle and its group; after `detach` the listener is never called again. A segment that
// cannot be read holds its partition: logged, shown as trouble, tried again every second, never
// skipped.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/runtime.hpp"
#include "transport/embedded/commit_table.hpp"
#include "transport/embedded/log_view.hpp"
#include "transport/embedded/store_strand.hpp"
#include "transport/transport.hpp"

namespace millrace::embedded {

// What the subscribers of one transport share; outlives them.
struct SubscriberContext {
    StoreStrand& store;
    LogView& view;
    CommitTable& commits;
    Epoch last_epoch;
    std::map<std::string, std::string> troubles;  // "group: topic/partition" -> why it is held
};

class Subscriber : public std::enable_shared_from_this<Subscriber> {
public:
    Subscriber(SubscriberContext& context, Subscription subscription, ConsumerListener& listener);

    const Subscription& subscription() const { return subscription_; }
    const std::set<TopicPartition>& assigned() const { return assigned_; }

    // From a task of the loop: these call the listener.
    void assign(const std::vector<TopicPartition>& partitions);
    // Takes all partitions away; `done` is called when the listener has let go, or on `detach`.
    void revoke(std::function<void()> done);

    void start(const TopicPartition& origin, StartPosition from);
    void set_draining(const TopicPartition& origin, bool draining);
    void commit(const TopicPartition& origin, Offset position);
    std::optional<Offset> committed(const TopicPartition& origin) const;
    // The log has grown, or lost its beginning.
    void wake();
    void detach();
    bool detached() const { return listener_ == nullptr; }

private:
    struct Reading {
        Epoch epoch;
        std::uint64_t generation = 0;  // of the start; answers to an older one are dropped
        Offset position;
        std::optional<Offset> end_reported;
        bool started = false;
        bool draining = true;
        bool loading = false;
        bool pump_posted = false;
        std::unique_ptr<Timer> retry;
    };

    void begin(const TopicPartition& origin, Reading& reading, Offset position);
    void find_time(const TopicPartition& origin, Reading& reading, Timestamp time);
    void post_pump(const TopicPartition& origin, Reading& reading);
    void pump(const TopicPartition& origin);
    void report_end(const TopicPartition& origin, Reading& reading);
    void report_out_of_range(const TopicPartition& origin, Reading& reading, Watermarks ends);
    void load(const TopicPartition& origin, Reading& reading);
    void loaded(const TopicPartition& origin, std::uint64_t generation,
                Result<std::vector<Chunk>> chunks);
    void deliver(const TopicPartition& origin, Reading& reading, Result<void> read,
                 BatchBuilder& builder);
    void read_again(const TopicPartition& origin);
    void hold(const TopicPartition& origin, const Error& error);
    void release_hold(const TopicPartition& origin);
    ReadLimit limit() const;
    // The answer of the strand for the reading that asked, if it still reads from there.
    Reading* find_loading(const TopicPartition& origin, std::uint64_t generation);

    SubscriberContext& context_;
    Subscription subscription_;
    ConsumerListener* listener_;
    std::map<TopicPartition, Reading> readings_;
    std::set<TopicPartition> assigned_;  // also while they are being revoked
    std::function<void()> revoked_;
    std::uint64_t last_generation_ = 0;
};

}  // namespace millrace::embedded
