// Handler: what the engine asks of the code that handles events, and what it offers to it. The
// plugin host implements the first over the C ABI; simulations and tests implement it directly.
//
// Thread rule: an instance belongs to one shard; its calls never overlap and come on the shard's
// strand. ShardServices may be used during a call into the instance and only then, `complete`
// excepted (any thread, any time). Ownership: views are valid during the call. Errors: an instance
// must not throw.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.hpp"
#include "core/log.hpp"
#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"
#include "events/envelope.hpp"

namespace millrace::engine {

enum class OutcomeKind {
    kAck = 1,     // done; effects commit
    kIgnore,      // nothing to do for this one (a field it needs is not there); acked, counted as
                  // skipped
    kRetry,       // failed, may succeed later; effects roll back
    kDeadLetter,  // failed for good; effects roll back
    kPending,     // completed later through ShardServices::complete; effects made before roll back
};

struct Outcome {
    OutcomeKind kind = OutcomeKind::kAck;
    std::string reason;                       // for log, header and console
    std::optional<milliseconds> retry_after;  // kRetry: not before; else the policy's backoff
};

// A token says which input (and which attempt of it) a completion belongs to.
struct CompletionToken {
    std::uint64_t input = 0;
    std::uint32_t attempt = 0;
};

struct MessageInput {
    const TopicPartition& origin;
    const DecodedEvent& event;
    const EnvelopeReader& reader;  // for fields by name
    std::uint32_t attempt;         // 1, 2, ...
    CompletionToken token;
};

struct TimerInput {
    std::string_view id;
    std::string_view key;  // the lane: whose timer it is
    std::string_view payload;
    Timestamp due;
    std::uint32_t attempt;
};

struct ResponseInput {
    std::string_view call_id;  // as given to `call`
    std::string_view key;
    std::string_view payload;  // the context given to `call`
    int status;                // HTTP status; 0: no answer
    std::string_view body;     // cut at max_response_bytes; for status 0 what went wrong
    std::uint32_t tries;
};

// What `publish` takes. The event id, topic's partition and timestamps are the engine's.
struct PublishRequest {
    std::string_view topic;
    std::string_view key;
    std::string_view
        event;  // a JSON object without event_id and timestamp, or with `{}` for them to be set
};

struct CallRequest {
    std::string_view id;      // the handler's name for it; comes back with the response
    std::string_view key;     // lane of the response
    std::string_view method;  // "POST"
    std::string_view url;
    std::span<const std::pair<std::string_view, std::string_view>> headers;
    std::string_view body;
    std::string_view payload;  // comes back with the response
};

// For the screens of a user; broadcast handlers only.
struct PushRequest {
    std::string_view user;
    const TopicPartition& origin;
    Offset offset;
    Timestamp record_timestamp;
    std::string_view event_id;
    std::optional<Timestamp> event_time;
    std::string_view event_type;
    std::string_view data;  // the event as published: JSON bytes
};

// What became of the records of one partition that a shard has seen.
struct OriginCounts {
    TopicPartition origin;
    Offset first{-1};  // lowest offset seen, -1: none yet
    Offset last{-1};   // highest offset that has an outcome, -1: none yet
    std::int64_t acked = 0;
    std::int64_t skipped = 0;
    std::int64_t duplicates = 0;
    std::int64_t dead_lettered = 0;
};

using RowCallback = std::function<bool(const sqlite::Statement& row)>;  // false: enough

class ShardServices {
public:
    virtual ~ShardServices() = default;
    virtual Timestamp now() const = 0;
    virtual void log(log::Level level, std::string_view message) = 0;
    virtual void count(std::string_view metric,
                       double amount) = 0;  // millrace_plugin_<metric>_total{handler}

    // SQL in the shard's transaction; positional parameters. Statements are cached. A statement
    // that fails is the plugin's to handle; if SQLite takes the transaction away the input is
    // failed whatever the plugin returns.
    virtual Result<std::int64_t> exec(std::string_view sql,
                                      std::span<const sqlite::Value> parameters,
                                      const RowCallback& row) = 0;
    // Durable through the outbox: sent after the commit, acks=all, with an id derived from the
    // input. Returns that id.
    virtual Result<std::string> publish(const PublishRequest& request) = 0;
    virtual Result<void> call(const CallRequest& request) = 0;
    // Replaces a timer of the same id. Fires in the lane of `key`.
    virtual Result<void> set_timer(std::string_view id, std::string_view key, Timestamp due,
                                   std::string_view payload) = 0;
    virtual Result<bool> cancel_timer(std::string_view id) = 0;
    virtual Result<void> push(const PushRequest& request) = 0;
    virtual void complete(CompletionToken token, std::string payload) = 0;
    // Each origin partition of the shard, with how many of its records came to which end.
    virtual Result<void> origins(const std::function<void(const OriginCounts&)>& each) = 0;
};

class HandlerInstance {
public:
    virtual ~HandlerInstance() = default;
    virtual Outcome on_message(const MessageInput& input) = 0;
    virtual Outcome on_timer(const TimerInput& input) = 0;
    virtual Outcome on_response(const ResponseInput& input) = 0;
    virtual Outcome on_complete(const MessageInput& input, std::string_view payload) = 0;
    // The effects of the last input (or of the whole batch) were undone: forget what was derived
    // from them. False: cannot; the engine makes a new instance.
    enum class RollbackScope { kInput = 1, kBatch };
    virtual bool on_rollback(RollbackScope scope) = 0;
    // A read-only question from the HTTP API, answered for this shard as a JSON object. kNotFound:
    // no such question.
    virtual Result<std::string> on_query(
        std::string_view question,
        std::span<const std::pair<std::string, std::string>> parameters) = 0;
};

enum class StateKind { kPerUser = 1, kPerPartition, kNone };

struct HandlerTraits {
    StateKind state = StateKind::kPerUser;
    bool broadcast = false;
    bool raw = false;
    std::uint32_t state_version = 0;  // the plugin's own schema of its tables
    std::string plugin;               // name and version, for /v1/handlers
    std::string version;
    std::vector<std::string> questions;
    // By question; one that is not here takes any.
    std::map<std::string, std::vector<std::string>, std::less<>> parameters = {};
    std::vector<std::string> topics = {};  // read by a handler that nobody configured
};

struct ShardIdentity {
    std::string handler;
    std::string shard;  // "0".."3", or "task-events-2"
};

class HandlerFactory {
public:
    virtual ~HandlerFactory() = default;
    virtual const HandlerTraits& traits() const = 0;
    // Calls migrate (inside a transaction of the engine's) when the state's version is older, then
    // create.
    virtual Result<void> migrate(ShardServices& services, std::uint32_t from_version) = 0;
    virtual Result<std::unique_ptr<HandlerInstance>> create(const ShardIdentity& shard,
                                                            ShardServices& services) = 0;
    // Merges the shards' answers to a question into one JSON text.
    virtual Result<std::string> merge(
        std::string_view question, std::span<const std::pair<std::string, std::string>> parameters,
        std::span<const std::string> answers) = 0;
};

}  // namespace millrace::engine
