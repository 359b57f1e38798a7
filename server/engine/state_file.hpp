// StateFile: the SQLite file of one shard: the plugin's tables, and the host's own, which begin
// with `_` and have a version.
//
//   _meta       key -> value: host_version, plugin_version, shards
//   _origins    watermark of each origin partition, and how many of its records came to which end
//   _intervals  resolved offsets above the watermark
//   _rings      the dedupe rings: id, topic, capacity, next; _ring: slot -> identity
//   _events     the outbox: events to publish; _calls: HTTP requests to make
//   _timers     durable timers
//   _attempts   inputs that failed and are tried again: how often, since when, next when
//   _inbox      inputs that do not come from the log: redriven dead letters
//
// Everything of one input happens inside a savepoint, everything of one batch inside a transaction;
// what is committed is durable once Database::sync_log has run. Thread rule: the shard's strand.
// Errors: kFull, kIo, kCorrupt are the disk's; the shard closes then as a crash would.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"
#include "engine/dedupe_ring.hpp"
#include "engine/handler.hpp"
#include "engine/inbox.hpp"
#include "engine/offset_tracker.hpp"

namespace millrace::engine {

// Which record (or timer's topic) an effect came from.
struct EffectOrigin {
    TopicPartition origin;
    Offset offset{-1};  // -1: not from a record
};

struct OutboxEvent {
    std::int64_t sequence = 0;
    std::string topic;
    std::string key;
    std::string value;
    std::string event_id;
    std::int64_t hops = 0;
    std::string traceparent;
    Timestamp created;
    EffectOrigin from;
};

struct OutboxCall {
    std::int64_t sequence = 0;
    std::string id;
    std::string key;
    std::string method;
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string payload;
    std::string idempotency_key;
    Timestamp created;
    std::uint32_t tries = 0;
    EffectOrigin from;
};

// One origin partition in this shard.
struct OriginState {
    OffsetTracker tracker;
    OriginCounts counts;
};

struct TimerRow {
    std::string id;
    std::string key;
    Timestamp due;
    std::string payload;
    std::int64_t firing = 0;  // unique per setting, so that ids derived from a firing are too
    EffectOrigin from;        // of the input that set it: whose dead-letter topic takes it
};

// An input that failed and is tried again; wall clock, so that it holds over restarts.
struct AttemptRow {
    std::uint32_t attempt = 0;
    Timestamp first_failure;
    Timestamp last_failure;
    Timestamp next;
    std::string error_class;
    std::string message;
    Timestamp::duration spent{0};  // of its budget, when `next` has come
};

struct InboxRow {
    std::int64_t sequence = 0;
    RedriveRecord record;
};

class StateFile {
public:
    // Creates or upgrades the host's tables. kConflict: made by a newer Millrace.
    [[nodiscard]] static Result<std::unique_ptr<StateFile>> open(const std::string& path,
                                                                 const std::string& vfs);

    sqlite::Database& database() { return *database_; }

    [[nodiscard]] Result<void> begin() { return begin_.run(); }
    [[nodiscard]] Result<void> commit() { return commit_.run(); }
    // False: SQLite has taken the transaction away.
    bool in_transaction() const { return !database_->autocommit(); }
    void roll_back();
    [[nodiscard]] Result<void> savepoint() { return savepoint_.run(); }
    [[nodiscard]] Result<void> release() { return release_.run(); }
    [[nodiscard]] Result<void> roll_back_to();

    [[nodiscard]] Result<std::optional<std::string>> meta(std::string_view key);
    [[nodiscard]] Result<void> set_meta(std::string_view key, std::string_view value);
    // Tables of the plugin without PRIMARY KEY.
    [[nodiscard]] Result<std::vector<std::string>> tables_without_primary_key();
    // Whether a table has AUTOINCREMENT.
    [[nodiscard]] Result<bool> counts_rowids();

    [[nodiscard]] Result<std::map<TopicPartition, OriginState>> load_origins();
    [[nodiscard]] Result<void> save_origin(OriginState& state);
    [[nodiscard]] Result<void> remove_origin(const TopicPartition& origin);

    // Loads the topic's ring, or makes one; a changed capacity keeps the newest identities.
    [[nodiscard]] Result<std::unique_ptr<DedupeRing>> load_ring(const std::string& topic,
                                                                std::uint32_t capacity);
    // Forgets every identity of the topic's.
    [[nodiscard]] Result<void> clear_ring(const std::string& topic);
    // Writes what was inserted; the caller tells the ring after the COMMIT.
    [[nodiscard]] Result<void> save_ring(const std::string& topic, const DedupeRing& ring);

    [[nodiscard]] Result<std::int64_t> add_event(const OutboxEvent& event);
    [[nodiscard]] Result<std::vector<OutboxEvent>> events_after(std::int64_t sequence,
                                                                std::int64_t up_to,
                                                                std::size_t limit);
    [[nodiscard]] Result<void> remove_event(std::int64_t sequence);
    // Origin of every event that waits.
    [[nodiscard]] Result<std::vector<EffectOrigin>> waiting_event_origins();

    [[nodiscard]] Result<std::int64_t> add_call(const OutboxCall& call);
    [[nodiscard]] Result<std::vector<OutboxCall>> calls_after(std::int64_t sequence,
                                                              std::int64_t up_to,
                                                              std::size_t limit);
    [[nodiscard]] Result<void> save_call_tries(std::int64_t sequence, std::uint32_t tries);
    [[nodiscard]] Result<void> remove_call(std::int64_t sequence);
    std::int64_t last_sequence() const { return last_sequence_; }
    struct Outbox {
        std::int64_t rows = 0;
        std::int64_t oldest_us = 0;  // since when the first one waits; 0: empty
    };
    [[nodiscard]] Result<Outbox> outbox();
    [[nodiscard]] Result<void> note_last_sequence();

    [[nodiscard]] Result<void> set_timer(const TimerRow& timer);
    // False: there was none.
    [[nodiscard]] Result<bool> remove_timer(std::string_view id);
    [[nodiscard]] Result<bool> remove_timer_firing(std::string_view id, std::int64_t firing);
    [[nodiscard]] Result<std::optional<Timestamp>> next_timer_due();
    [[nodiscard]] Result<std::vector<TimerRow>> timers_due(Timestamp now, std::size_t limit);
    [[nodiscard]] Result<std::int64_t> timer_count();

    // By the name of the input (input_name).
    [[nodiscard]] Result<std::map<std::string, AttemptRow>> load_attempts();
    [[nodiscard]] Result<void> save_attempt(const std::string& input, const AttemptRow& row);
    [[nodiscard]] Result<void> remove_attempt(const std::string& input);

    [[nodiscard]] Result<void> add_inbox(const RedriveRecord& record);
    [[nodiscard]] Result<std::vector<InboxRow>> inbox_after(std::int64_t sequence,
                                                            std::size_t limit);
    [[nodiscard]] Result<void> remove_inbox(std::int64_t sequence);
    [[nodiscard]] Result<std::int64_t> inbox_count();

private:
    explicit StateFile(std::unique_ptr<sqlite::Database> database);
    Result<void> prepare_all();
    Result<void> load_sequences();
    Result<std::map<TopicPartition, std::vector<OffsetInterval>>> load_intervals();
    Result<void> save_counts(const OriginState& state);
    Result<void> rewrite_ring(const std::string& topic, std::int64_t stored, std::uint32_t capacity,
                              const DedupeRing& ring);
    Result<void> change_interval(const char* sql, const TopicPartition& origin,
                                 const OffsetInterval& interval);
    Result<sqlite::Statement*> statement(const char* sql);  // cached by the literal's address

    std::unique_ptr<sqlite::Database> database_;
    std::map<const char*, sqlite::Statement> statements_;
    sqlite::Statement begin_, commit_, rollback_, savepoint_, release_, rollback_to_;
    std::map<std::string, std::int64_t> ring_ids_;
    std::int64_t last_sequence_ = 0;   // of events and calls together
    std::int64_t noted_sequence_ = 0;  // in _meta: a number is never used again
    std::int64_t last_firing_ = 0;
    std::int64_t last_inbox_ = 0;
};

}  // namespace millrace::engine
