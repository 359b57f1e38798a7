// The sections of the server itself; topics.cpp, handlers.cpp and kafka_section.cpp have the
// others.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "core/config/load.hpp"
#include "core/config/units.hpp"

namespace millrace::config {
namespace {

using namespace std::chrono_literals;

constexpr milliseconds kDay = 24h;
constexpr std::uint64_t kKiB = 1ULL << 10;
constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kTiB = 1ULL << 40;
constexpr std::size_t kShortestToken = 8;
constexpr std::uint64_t kLargestRecord = 64 * kMiB;  // larger ones belong into a file store

void check_token(const ConfigNode& node, const std::string& token) {
    const bool printable = std::ranges::all_of(
        token, [](char character) { return character > ' ' && character < 0x7F; });
    if (!printable || token.size() < kShortestToken)
        node.error(fmt::format("expected at least {} printable ASCII characters without spaces",
                               kShortestToken));
}

void read_http_limits(MappingReader reader, HttpLimits& limits) {
    reader.bytes("max_body_bytes", limits.max_body_bytes, kKiB, kGiB);
    reader.bytes("max_pending_body_bytes", limits.max_pending_body_bytes, kKiB, 64 * kGiB);
    reader.read("max_header_bytes", [&](const ConfigNode& node) {
        const std::uint64_t given = node.as_bytes();
        if (given < kKiB || given > kMiB) node.error("is out of range, expected 1KiB to 1MiB");
        limits.max_header_bytes = static_cast<std::uint32_t>(given);
    });
    reader.integer("max_batch_events", limits.max_batch_events, 1, 1'000'000);
    reader.integer("max_connections", limits.max_connections, 1, 1'000'000);
    reader.bytes("max_answer_bytes", limits.max_answer_bytes, kKiB, kGiB);
    reader.integer("max_calls", limits.max_calls, 1, 100'000);
    reader.integer("max_waiting_calls", limits.max_waiting_calls, 0, 100'000'000);
    reader.duration("request_timeout", limits.request_timeout, 100ms, 1h);
    reader.duration("idle_timeout", limits.idle_timeout, 1s, kDay);
    reader.finish();
}

void read_plugin_dirs(MappingReader& reader, ServerSection& server) {
    reader.read("plugin_dirs", [&](const ConfigNode& node) {
        for (const ConfigNode& item : node.items()) {
            server.plugin_dirs.push_back(item.as_string());
            if (!std::filesystem::is_directory(server.plugin_dirs.back()))
                item.error(fmt::format("'{}' is not a directory", server.plugin_dirs.back()));
        }
    });
}

void read_server(MappingReader reader, ServerSection& server) {
    reader.read("http", [&](const ConfigNode& node) { server.http = read_address(node); });
    reader.read("admin", [&](const ConfigNode& node) { server.admin = read_address(node); });
    reader.read("admin_token", [&](const ConfigNode& node) {
        server.admin_token = node.as_string();
        if (!server.admin_token.empty()) check_token(node, server.admin_token);
    });
    reader.read("data_dir", [&](const ConfigNode& node) {
        server.data_dir = node.as_string();
        if (server.data_dir.empty()) node.error("is empty, expected a directory");
    });
    read_plugin_dirs(reader, server);
    reader.text("schema_dir", server.schema_dir);
    reader.texts("hosts", server.hosts);
    reader.flag("allow_open", server.allow_open);
    reader.duration("drain_timeout", server.drain_timeout, 0ms, 1h);
    read_http_limits(reader.section("limits"), server.limits);
    reader.finish();
}

void read_log(MappingReader reader, LogSection& section) {
    using log::Level;
    reader.choice("level", section.level,
                  {{"trace", Level::kTrace},
                   {"debug", Level::kDebug},
                   {"info", Level::kInfo},
                   {"warn", Level::kWarn},
                   {"error", Level::kError},
                   {"off", Level::kOff}});
    reader.choice("format", section.format,
                  {{"text", log::Format::kText}, {"json", log::Format::kJson}});
    reader.finish();
}

void read_embedded(MappingReader reader, EmbeddedSection& embedded) {
    reader.duration("segment_age", embedded.segment_age, 1s, 365 * kDay);
    reader.bytes("segment_bytes", embedded.segment_bytes, 64 * kKiB, kTiB);
    reader.bytes("disk_reserve_bytes", embedded.disk_reserve_bytes, 0, kTiB);
    reader.bytes("tail_cache_bytes", embedded.tail_cache_bytes, 64 * kKiB, 64 * kGiB);
    reader.integer("max_pending_records", embedded.max_pending_records, 1, 100'000'000);
    reader.bytes("max_pending_bytes", embedded.max_pending_bytes, 64 * kKiB, 64 * kGiB);
    reader.bytes("max_record_bytes", embedded.max_record_bytes, kKiB, kLargestRecord);
    reader.finish();
    if (embedded.max_record_bytes + kKiB > embedded.max_pending_bytes)
        reader.faults().attempt([&] {
            reader.node().error(fmt::format(
                "max_record_bytes {} does not fit into max_pending_bytes {}",
                format_bytes(embedded.max_record_bytes), format_bytes(embedded.max_pending_bytes)));
        });
}

void read_dead_letters(MappingReader reader, DeadLetterSection& letters) {
    reader.flag("connect_headers", letters.connect_headers);
    reader.flag("spring_headers", letters.spring_headers);
    reader.integer("redrive_rate", letters.redrive_rate, 1, 1'000'000);
    reader.finish();
}

void read_auth(MappingReader reader, GatewaySection& gateway) {
    reader.choice("mode", gateway.auth, {{"none", GatewaySection::Auth::kNone}});
    reader.duration("timeout", gateway.auth_timeout, 100ms, 10min);
    reader.finish();
}

void read_resume(MappingReader reader, GatewaySection& gateway) {
    reader.duration("age", gateway.resume_age, 0ms, 30 * kDay);
    reader.integer("events", gateway.resume_events, 0, 1'000'000);
    reader.bytes("bytes", gateway.resume_bytes, 0, 64 * kGiB);
    reader.bytes("total_bytes", gateway.resume_total_bytes, 0, kTiB);
    reader.finish();
}

void read_gateway_limits(MappingReader reader, GatewaySection& gateway) {
    reader.integer("max_sessions", gateway.max_sessions, 1, 10'000'000);
    reader.integer("max_sessions_per_user", gateway.max_sessions_per_user, 1, 10'000'000);
    reader.bytes("max_session_queue_bytes", gateway.max_session_queue_bytes, kKiB, kGiB);
    reader.bytes("max_message_bytes", gateway.max_message_bytes, kKiB, 64 * kMiB);
    reader.bytes("max_user_bytes", gateway.max_user_bytes, 1, 16 * kKiB);
    reader.finish();
}

void read_origins(MappingReader& reader, GatewaySection& gateway) {
    reader.read("origins", [&](const ConfigNode& node) {
        for (const ConfigNode& item : node.items()) {
            const std::string origin = item.as_string();
            const std::size_t scheme = origin.find("://");
            if (scheme == std::string::npos || origin.find('/', scheme + 3) != std::string::npos)
                item.error(
                    fmt::format("is '{}', expected scheme://host or scheme://host:port "
                                "without a path",
                                origin));
            gateway.origins.push_back(origin);
        }
    });
}

void read_gateway(MappingReader reader, GatewaySection& gateway) {
    read_auth(reader.section("auth"), gateway);
    read_origins(reader, gateway);
    read_resume(reader.section("resume"), gateway);
    read_gateway_limits(reader.section("limits"), gateway);
    reader.duration("ping_interval", gateway.ping_interval, 1s, 1h);
    reader.finish();
}

void read_ingest(MappingReader reader, IngestSection& ingest) {
    reader.read("tokens", [&](const ConfigNode& node) {
        for (const ConfigNode& item : node.items()) {
            check_token(item, item.as_string());
            ingest.tokens.push_back(item.as_string());
        }
    });
    reader.finish();
}

}  // namespace

void read_sections(const Gathered& gathered, ServerConfig& config, Faults& faults) {
    MappingReader root(gathered.root, faults);
    config.file = gathered.file;
    read_server(root.section("server"), config.server);
    read_log(root.section("log"), config.log);
    root.choice("transport", config.transport,
                {{"embedded", TransportKind::kEmbedded}, {"kafka", TransportKind::kKafka}});
    root.choice("cluster", config.cluster,
                {{"single", ClusterKind::kSingle},
                 {"accept_unmoved_state", ClusterKind::kAcceptUnmovedState}});
    read_embedded(root.section("embedded"), config.embedded);
    read_kafka(root.section("kafka"), config.kafka);
    read_topics(root, config);
    read_dead_letters(root.section("dead_letters"), config.dead_letters);
    read_handlers(root, config);
    read_gateway(root.section("gateway"), config.gateway);
    read_ingest(root.section("ingest"), config.ingest);
    root.finish();
    for (const auto& [key, node] : gathered.root.members()) config.texts[key] = node.to_json();
}

}  // namespace millrace::config
