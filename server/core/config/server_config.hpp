// ServerConfig: config/millrace.yaml, read, checked and typed; every floor takes its own part of it.
//
// Plain data, immutable after start. The YAML file is the reference for what each value means; the defaults here are the ones
// it shows (a test compares them).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/node.hpp"
#include "core/log.hpp"
#include "core/types.hpp"

namespace millrace {

struct ListenAddress {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
};

struct HttpLimits {
    std::uint64_t max_body_bytes = 8ULL << 20;
    std::uint64_t max_pending_body_bytes = 256ULL << 20;  // of all requests at a time
    std::uint32_t max_header_bytes = 16U << 10;
    std::uint32_t max_batch_events = 10'000;
    std::uint32_t max_connections = 4'096;
    // Of a handler's answer to a question, per shard and merged.
    std::uint64_t max_answer_bytes = 64ULL << 20;
    std::uint32_t max_calls = 64;  // requests of handlers on their way, over all of them
    std::uint32_t max_waiting_calls = 10'000;  // behind these
    milliseconds request_timeout{30'000};
    milliseconds idle_timeout{60'000};
};

struct ServerSection {
    ListenAddress http{"127.0.0.1", 8080};
    ListenAddress admin{"127.0.0.1", 8081};
    std::string admin_token;  // empty: generated into data_dir/admin-token
    std::string data_dir = "./data";
    std::vector<std::string> plugin_dirs;  // empty: `plugins` beside the executable
    std::string schema_dir;                // found when not given: `schemas` in the configuration's folder or beside it
    std::vector<std::string> hosts;        // Host names accepted besides the listen address and localhost
    bool allow_open = false;               // open ingest or auth none on an address that is not loopback
    milliseconds drain_timeout{20'000};
    HttpLimits limits;
};

struct LogSection {
    log::Level level = log::Level::kInfo;
    log::Format format = log::Format::kText;
};

struct EmbeddedSection {
    milliseconds segment_age{24LL * 3600 * 1000};
    std::uint64_t segment_bytes = 256ULL << 20;
    std::uint64_t disk_reserve_bytes = 64ULL << 20;  // outside ingest is refused when less is free
    std::uint64_t tail_cache_bytes = 16ULL << 20;    // per partition, recent records kept in memory
    std::uint32_t max_pending_records = 100'000;     // appends that wait for the disk
    std::uint64_t max_pending_bytes = 64ULL << 20;
    // Key, value and headers; dead letters have 64 KiB more for their headers.
    std::uint64_t max_record_bytes = 1ULL << 20;
};

struct KafkaSection {
    std::string brokers;
    std::string group_prefix = "millrace";
    enum class CreateTopics { kDeadLetters, kAll, kNone } create_topics = CreateTopics::kDeadLetters;
    std::vector<std::pair<std::string, std::string>> properties;  // librdkafka's own, in file order
    ConfigNode properties_node;                                   // where they stand, for messages
    std::uint32_t max_pending_records = 100'000;  // that wait behind librdkafka's own queue
    std::uint64_t max_pending_bytes = 128ULL << 20;
    std::uint64_t prefetch_bytes = 64ULL << 20;                   // of one consumer, over all its partitions
    milliseconds drain_timeout{20'000};
};

struct TopicSection {
    std::string name;
    int partitions = 3;
    std::optional<milliseconds> retention;
    std::string schema;       // "task-event"; empty: none
    bool strict = false;
    std::string dead_letter;  // default "<name>-dlq"
    std::string origin;       // file:line
};

struct RetrySection {
    milliseconds budget{20'000};
    milliseconds initial{100};
    milliseconds maximum{5'000};
    double multiplier = 2.0;
};

// Stops a partition whose records the handler keeps failing; see engine/breaker.hpp.
struct BreakerSection {
    std::uint32_t streak = 50;  // distinct records in a row
    double ratio = 0.5;         // of the last `window`
    std::uint32_t window = 200;
    milliseconds initial{1'000};  // until the first probe; doubles with each that fails
    milliseconds maximum{60'000};
};

// Of the copies of records that failed for good; the same for all handlers.
struct DeadLetterSection {
    bool connect_headers = true;       // also Kafka Connect's `__connect.errors.*`
    bool spring_headers = true;        // also Spring's `kafka_dlt-*`
    std::uint32_t redrive_rate = 100;  // letters a second that one redrive gives back, at most
};

struct HandlerSection {
    std::string name;
    std::string plugin;
    std::vector<std::string> topics;
    struct Start {
        enum class Kind { kEarliest, kLatest, kAgo } kind = Kind::kEarliest;
        milliseconds ago{0};
    } start;
    int threads = 0;  // 0: auto = min(shards, cores)
    int shards = 4;   // per_user only; fixed in the state at first start
    milliseconds timeout{5'000};
    milliseconds pending_timeout{15'000};
    RetrySection retry;
    BreakerSection breaker;
    std::uint32_t dedupe = 10'000;       // identities remembered per shard and topic
    std::uint32_t max_in_flight = 1'000;
    std::uint32_t max_buffered = 10'000;
    std::uint64_t max_buffered_bytes = 64ULL << 20;
    std::uint32_t max_intervals = 10'000;  // resolved above the position, per partition
    // Records from the position to what was read last, per partition.
    std::uint64_t max_ahead = 10'000'000;
    std::uint32_t max_hops = 16;
    std::uint32_t max_batch = 500;       // inputs that share one commit
    std::uint32_t max_calls = 16;        // HTTP requests on their way, per shard
    milliseconds progress_timeout{30'000};  // a partition with lag that does not move for this long is not ready
    // What to do where the log no longer has the position, or the state no longer has what the group has: hold the partition with an
    // alarm, restart from `start`, or accept what is there and go on.
    enum class LostPosition { kHold, kRestart, kAccept } lost_position = LostPosition::kHold;
    // Crashes at one position: a dead letter; at so many positions: quarantine.
    std::uint32_t crash_limit = 3;
    // Within which crashes at different positions count together.
    milliseconds crash_window{3'600'000};
    // Starts in a row that fail, the disk or the transport not to blame.
    std::uint32_t quarantine_after = 10;
    // All threads in calls that do not return for so long: the process exits.
    milliseconds stuck_exit{300'000};
    std::uint32_t max_outbox = 100'000;  // rows waiting to be sent, per shard; intake pauses above
    milliseconds call_timeout{10'000};   // of one HTTP request of the outbox
    milliseconds call_retry_for{3'600'000};
    DeadLetterSection dead_letters;      // the configuration's `dead_letters`
    ConfigNode config;                   // the plugin's own options; checked by its table
    std::string origin;                  // file:line
    std::string text;                    // as it stands there, as JSON: whether a reload changes it
};

struct GatewaySection {
    enum class Auth { kNone } auth = Auth::kNone;
    std::vector<std::string> origins;    // allowed Origin values; empty: same host only
    milliseconds resume_age{3'600'000};
    std::uint32_t resume_events = 1'000;  // per user
    std::uint64_t resume_bytes = 1ULL << 20;
    std::uint64_t resume_total_bytes = 256ULL << 20;
    std::uint32_t max_sessions = 10'000;
    std::uint32_t max_sessions_per_user = 16;
    std::uint64_t max_session_queue_bytes = 1ULL << 20;
    std::uint64_t max_message_bytes = 64ULL << 10;  // from a client
    std::uint64_t max_user_bytes = 1ULL << 10;      // of a user's id
    milliseconds auth_timeout{10'000};
    milliseconds ping_interval{25'000};
};

struct IngestSection {
    std::vector<std::string> tokens;  // empty: open (loopback only)
};

enum class TransportKind { kEmbedded = 1, kKafka };

// Several servers in one group: refused, or each with the state of what it happened to process.
enum class ClusterKind { kSingle = 1, kAcceptUnmovedState };

struct ServerConfig {
    std::string file;
    ServerSection server;
    LogSection log;
    TransportKind transport = TransportKind::kEmbedded;
    ClusterKind cluster = ClusterKind::kSingle;
    EmbeddedSection embedded;
    KafkaSection kafka;
    std::vector<TopicSection> topics;
    DeadLetterSection dead_letters;
    std::vector<HandlerSection> handlers;
    GatewaySection gateway;
    IngestSection ingest;
    // By top-level key, as it stands there, as JSON: whether a reload changes it.
    std::map<std::string, std::string> texts;
};

struct ConfigSource {
    std::string file;                                           // empty: searched for
    std::vector<std::pair<std::string, std::string>> settings;  // --set, in order
    std::optional<std::string> data_dir;                        // --data-dir
    std::vector<std::string> plugin_dirs;                       // --plugin-dir
};

// Finds, reads and checks. Throws ConfigError with every fault found, one a line. Precedence: settings, environment, file,
// default.
ServerConfig load_server_config(const ConfigSource& source);

}  // namespace millrace
