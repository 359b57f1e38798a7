// What a shard and its handler's run say to each other: what a shard is made of, what it tells its
// owner, and the numbers that anyone may read.
//
// Thread rule: the owner is called on the loop thread; gauges are read from any thread. Ownership:
// everything a ShardSetup refers to outlives the shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/runtime.hpp"
#include "engine/breaker.hpp"
#include "engine/crash_journal.hpp"
#include "engine/handler.hpp"
#include "engine/log_syncer.hpp"
#include "engine/partition_progress.hpp"
#include "engine/shard_metrics.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

// What became durable, or was let go.
struct ShardRelease {
    std::vector<std::pair<TopicPartition, ShardReport>> reports;
    std::size_t records = 0;
    std::size_t bytes = 0;
    std::vector<Timestamp> record_times;
};

// Numbers for status and metrics, kept by the shard, read by anyone.
struct ShardGauges {
    std::atomic<std::int64_t> outbox{0};
    std::atomic<std::int64_t> outbox_oldest_us{0};  // since when its first row waits; 0: empty
    std::atomic<std::int64_t> timers{0};
    std::atomic<std::int64_t> waiting{0};  // inputs that are held: retry, pending, dead letter
    std::atomic<std::int64_t> inbox{0};
    std::atomic<std::int64_t> sync_started_ns{0};  // 0: nothing is being made durable
};

struct ErrorNote {
    Timestamp time;
    std::string error_class;
    std::string message;
    TopicPartition origin;
    Offset offset{-1};
};

// Called on the loop thread.
class ShardOwner {
public:
    virtual ~ShardOwner() = default;
    virtual void on_shard_released(std::size_t shard, const ShardRelease& release) = 0;
    virtual void on_shard_failed(std::size_t shard, const Error& error) = 0;
    // Whether what was read of the partition in that assignment is still this server's to decide
    // on; if not, its shards were told to forget it.
    virtual bool holds(const TopicPartition& origin, Epoch epoch) const = 0;
    virtual void on_retry() = 0;
    virtual void on_verdicts(const std::map<Verdict, std::size_t>& counts) = 0;
    virtual void on_error(const ErrorNote& note) = 0;
    // What became of records by the handler's doing, for the breaker of their partition.
    virtual void on_handled(const std::map<TopicPartition, HandledCounts>& counts) = 0;
    virtual void on_probed(const TopicPartition& origin, ProbeResult result) = 0;
    // One more input of the handler may be pending again.
    virtual void on_room() = 0;
    // Something is held, or (empty reason) no longer.
    virtual void on_held(std::size_t shard, const std::string& what, const std::string& reason) = 0;
};

struct ShardSetup {
    std::size_t index = 0;
    ShardIdentity identity;
    std::string path;  // of the state file; empty: no state
    std::string vfs;
    const HandlerSection& section;
    const std::map<std::string, std::string>& dead_letters;
    std::string group;
    std::shared_ptr<HandlerFactory> factory;
    Runtime& runtime;
    Transport& transport;
    const EnvelopeReader& reader;
    PushSink& push;
    HttpCaller& http;
    Metrics& registry;
    ShardMetrics& metrics;
    LogSyncer& syncer;
    std::function<Result<void>(std::string_view topic, std::string_view event)> check_event;
    std::shared_ptr<Strand> strand;
    std::atomic<std::uint32_t>& in_flight;  // pending inputs of all the handler's shards
    ShardOwner& owner;
    CrashJournal* crashes = nullptr;
    std::vector<CondemnedInput> condemned;  // what is not run any more: it crashed the process
};

}  // namespace millrace::engine
