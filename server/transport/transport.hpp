// Transport: the log that records come from and go to. Kafka, or the embedded log; one conformance
// suite for all.
//
// Thread rule: every method is called on the loop thread, every callback arrives on the loop
// thread, never from inside the call that asked for it. Nothing blocks. Ownership: the Transport
// outlives its Consumers; a Consumer outlives nothing: after `close` called back it may be
// destroyed. Errors: kUnavailable (retry later), kNotFound (topic), kFull (no space), kTooLarge
// (the topic's limit of a record), kInvalid (the record can never be written: unknown partition).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "events/record.hpp"

namespace millrace {

// Where reading of a partition begins.
struct StartPosition {
    enum class Kind { kOffset, kEarliest, kLatest, kTime } kind = Kind::kEarliest;
    Offset offset;   // kOffset
    Timestamp time;  // kTime: the first record at or after it; none: the end
};

struct Watermarks {
    Offset low;   // first record still there
    Offset high;  // one past the last
};

// What the group knows of a partition at assignment.
struct Assigned {
    TopicPartition origin;
    std::optional<Offset> committed;  // next record to read, as the group published it
};

// The consumer's side of a subscription; implemented by the engine.
class ConsumerListener {
public:
    virtual ~ConsumerListener() = default;
    // Reading of a partition begins when the listener calls Consumer::start for it.
    virtual void on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) = 0;
    // No more batches of these come. The listener drains, commits, then calls `done` (once, on the loop thread); the transport
    // gives the partitions up then, or by itself shortly before the session would expire.
    virtual void on_revoked(Epoch epoch, const std::vector<TopicPartition>& partitions, std::function<void()> done) = 0;
    // Taken away without asking: another member may be reading already. Commit nothing.
    virtual void on_lost(Epoch epoch, const std::vector<TopicPartition>& partitions) = 0;
    virtual void on_batch(RecordBatchPtr batch) = 0;
    // Everything below `end` was delivered, and nothing is there yet: also past control records and compacted tails.
    virtual void on_end(const TopicPartition& origin, Epoch epoch, Offset end) = 0;
    // `start` asked for an offset the log does not have (retention passed it, or the topic was recreated). Start again elsewhere.
    virtual void on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked, Watermarks log) = 0;
    // The subscription has failed for good and will deliver nothing more. Transient trouble is logged and retried inside.
    virtual void on_failed(const Error& error) = 0;
};

struct Subscription {
    std::string group;               // also the prefix of the member's static id
    std::vector<std::string> topics;
    bool broadcast = false;          // every partition, no group, nothing committed; on_assigned comes once per discovery
    // Joins only when no other installation is in the group: its state is not here.
    bool exclusive = false;
    std::size_t max_batch_records = 500;
    std::size_t max_batch_bytes = 1 << 20;
};

class Consumer {
public:
    virtual ~Consumer() = default;
    // After on_assigned. Unknown or stale partitions are ignored. An offset outside the log is reported by
    // on_out_of_range and nothing is read until `start` is called again.
    virtual void start(const TopicPartition& origin, StartPosition from) = 0;
    // Back-pressure: batches of this partition stop coming soon after / come again. Records are neither lost nor skipped.
    virtual void stop_draining(const TopicPartition& origin) = 0;
    virtual void resume_draining(const TopicPartition& origin) = 0;
    // Publishes the position (next record to read). Coalesced: at most one request each 50 ms; the last one wins.
    virtual void commit(const TopicPartition& origin, Offset position) = 0;
    // What the group has acknowledged last, and the log's ends as of about a second ago; nullopt until known.
    virtual std::optional<Offset> committed(const TopicPartition& origin) const = 0;
    virtual std::optional<Watermarks> watermarks(const TopicPartition& origin) const = 0;
    // Why nothing is assigned, where it waits for something outside; else empty.
    virtual std::string waits_for() const { return {}; }
    // Sends what is still uncommitted, leaves the group, calls back. No other callback comes after that.
    virtual void close(std::function<void()> done) = 0;
};

struct TopicSpec {
    std::string name;
    int partitions = 1;
    std::optional<milliseconds> retention;
    std::optional<std::uint64_t> max_record_bytes;
    bool dead_letter = false;
    std::string source;  // of a dead-letter topic: where its records come from
};

struct TopicInfo {
    std::string name;
    int partitions = 0;
};

// Who writes: the embedded log's disk reserve refuses outside ingest only.
enum class Origin { kIngest, kInternal };

template <class T>
using Callback = std::function<void(T)>;

class Transport {
public:
    virtual ~Transport() = default;
    virtual std::string name() const = 0;  // "embedded", "kafka"

    // Connects, checks and creates topics as configured; calls back when usable or with what stands in the way. May be called
    // again after a failure.
    virtual void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) = 0;
    virtual Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription, ConsumerListener& listener) = 0;

    // Calls back once all are decided, with one result a record in the order given, each confirmed durable (acks=all) or failed.
    virtual void publish(std::vector<OutgoingRecord> records, Origin origin,
                         Callback<std::vector<Result<RecordPosition>>> done) = 0;

    // Which log this is: an id that it was given when it was made, so that another one at the same
    // address is noticed. Empty: it has none.
    virtual void cluster_id(Callback<Result<std::string>> done) = 0;
    virtual void topics(Callback<Result<std::vector<TopicInfo>>> done) = 0;
    virtual void watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) = 0;
    // The first record at or after `time`; none: the end.
    virtual void offset_at(const TopicPartition& origin, Timestamp time,
                           Callback<Result<Offset>> done) = 0;
    // Up to `limit` records from `offset` on, from the log's beginning when `offset` lies below it;
    // an empty batch at the end.
    virtual void read(const TopicPartition& origin, Offset offset, std::size_t limit,
                      Callback<Result<RecordBatchPtr>> done) = 0;

    // What keeps it from being ready ("broker 127.0.0.1:9092 refused the connection"), or nothing.
    virtual std::optional<std::string> trouble() const = 0;
    virtual void close(std::function<void()> done) = 0;
};

}  // namespace millrace
