// The `handlers` section. A handler's `config` stays as it is: its plugin knows what belongs there.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/config/load.hpp"
#include "core/config/suggestion.hpp"
#include "core/config/units.hpp"

namespace millrace::config {
namespace {

using namespace std::chrono_literals;

constexpr int kMostThreads = 256;
constexpr int kMostShards = 1'024;
constexpr std::size_t kLongestHandlerName = 64;

HandlerSection::Start read_start(const ConfigNode& node) {
    using Kind = HandlerSection::Start::Kind;
    const std::string given = node.as_string();
    if (given == "earliest") return {Kind::kEarliest, 0ms};
    if (given == "latest") return {Kind::kLatest, 0ms};
    if (const auto ago = parse_duration(given)) return {Kind::kAgo, *ago};
    node.error(fmt::format("is '{}', expected earliest, latest, or how long ago as a duration: 2h",
                           given));
}

void read_threads(MappingReader& reader, HandlerSection& handler) {
    reader.read("threads", [&](const ConfigNode& node) {
        const bool is_scalar = node.kind() == ConfigNode::Kind::kScalar;
        const bool is_auto = is_scalar && node.as_string() == "auto";
        const auto count = is_scalar ? parse_integer(node.as_string()) : std::nullopt;
        if (!is_auto && (!count || *count < 1 || *count > kMostThreads))
            node.refuse(fmt::format("auto or a whole number from 1 to {}", kMostThreads));
        handler.threads = is_auto ? 0 : static_cast<int>(*count);
    });
}

void read_retry(MappingReader reader, RetrySection& retry) {
    reader.duration("budget", retry.budget, 0ms, 24h);
    reader.duration("initial", retry.initial, 1ms, 1h);
    reader.duration("maximum", retry.maximum, 1ms, 1h);
    reader.number("multiplier", retry.multiplier, 1, 100);
    reader.finish();
    if (retry.initial > retry.maximum)
        reader.faults().attempt([&] {
            reader.node().error(fmt::format("initial {} is above maximum {}",
                                            format_duration(retry.initial),
                                            format_duration(retry.maximum)));
        });
}

void read_breaker(MappingReader reader, BreakerSection& breaker) {
    reader.integer("streak", breaker.streak, 1, 1'000'000);
    reader.number("ratio", breaker.ratio, 0.01, 1);
    reader.integer("window", breaker.window, 1, 1'000'000);
    reader.duration("initial", breaker.initial, 1ms, 1h);
    reader.duration("maximum", breaker.maximum, 1ms, 24h);
    reader.finish();
    if (breaker.initial > breaker.maximum)
        reader.faults().attempt([&] {
            reader.node().error(fmt::format("initial {} is above maximum {}",
                                            format_duration(breaker.initial),
                                            format_duration(breaker.maximum)));
        });
}

void add_topic(const ConfigNode& node, const ServerConfig& config, HandlerSection& handler) {
    const std::string topic = node.as_string();
    std::vector<std::string> known;
    for (const TopicSection& section : config.topics) known.push_back(section.name);
    if (std::ranges::find(known, topic) == known.end())
        node.error(
            fmt::format("'{}' is not declared under topics, {}", topic, suggestion(topic, known)));
    if (std::ranges::find(handler.topics, topic) != handler.topics.end())
        node.error(fmt::format("'{}' is named twice", topic));
    handler.topics.push_back(topic);
}

void read_handler_topics(MappingReader& reader, const ServerConfig& config,
                         HandlerSection& handler) {
    const auto topics = reader.take("topics");
    reader.faults().attempt([&] {
        if (!topics || topics->items().empty())
            reader.node().error("has no topics, expected a list such as [task-events]");
        for (const ConfigNode& item : topics->items())
            reader.faults().attempt([&] { add_topic(item, config, handler); });
    });
}

void read_limits(MappingReader& reader, HandlerSection& handler) {
    reader.integer("dedupe", handler.dedupe, 1, 10'000'000);
    reader.integer("max_in_flight", handler.max_in_flight, 1, 1'000'000);
    reader.integer("max_buffered", handler.max_buffered, 1, 10'000'000);
    reader.bytes("max_buffered_bytes", handler.max_buffered_bytes, 64ULL << 10, 64ULL << 30);
    reader.integer("max_intervals", handler.max_intervals, 1, 10'000'000);
    reader.integer("max_ahead", handler.max_ahead, 1, 1'000'000'000'000);
    reader.integer("max_hops", handler.max_hops, 1, 1'000);
    reader.integer("max_batch", handler.max_batch, 1, 100'000);
    reader.integer("max_calls", handler.max_calls, 1, 10'000);
    reader.integer("max_outbox", handler.max_outbox, 1, 100'000'000);
    if (handler.max_in_flight > handler.max_buffered)
        reader.faults().attempt([&] {
            reader.node().error(fmt::format("max_in_flight {} is above max_buffered {}",
                                            handler.max_in_flight, handler.max_buffered));
        });
}

void read_supervision(MappingReader& reader, HandlerSection& handler) {
    reader.integer("crash_limit", handler.crash_limit, 1, 100);
    reader.duration("crash_window", handler.crash_window, 1s, 30 * 24h);
    reader.integer("quarantine_after", handler.quarantine_after, 1, 1'000'000);
    reader.duration("stuck_exit", handler.stuck_exit, 1ms, 24h);
}

void read_times(MappingReader& reader, HandlerSection& handler) {
    reader.duration("timeout", handler.timeout, 1ms, 1h);
    reader.duration("pending_timeout", handler.pending_timeout, 1ms, 24h);
    reader.duration("progress_timeout", handler.progress_timeout, 1s, 24h);
    reader.duration("call_timeout", handler.call_timeout, 1ms, 1h);
    reader.duration("call_retry_for", handler.call_retry_for, 0ms, 30 * 24h);
}

HandlerSection read_handler(const std::string& name, const ConfigNode& node,
                            const ServerConfig& config, Faults& faults) {
    using Lost = HandlerSection::LostPosition;
    HandlerSection handler;
    handler.name = name;
    handler.plugin = name;
    handler.dead_letters = config.dead_letters;
    handler.origin = node.where();
    handler.text = node.to_json();
    faults.attempt([&] { check_name(node, name, "_-", kLongestHandlerName); });
    MappingReader reader(node, faults);
    reader.read("plugin", [&](const ConfigNode& plugin) {
        handler.plugin = plugin.as_string();
        check_name(plugin, handler.plugin, "_-", kLongestHandlerName);
    });
    read_handler_topics(reader, config, handler);
    reader.read("start", [&](const ConfigNode& start) { handler.start = read_start(start); });
    read_threads(reader, handler);
    reader.integer("shards", handler.shards, 1, kMostShards);
    read_times(reader, handler);
    read_retry(reader.section("retry"), handler.retry);
    read_breaker(reader.section("breaker"), handler.breaker);
    read_limits(reader, handler);
    read_supervision(reader, handler);
    reader.choice("lost_position", handler.lost_position,
                  {{"hold", Lost::kHold}, {"restart", Lost::kRestart}, {"accept", Lost::kAccept}});
    if (const auto options = reader.take("config")) {
        faults.attempt([&] { options->members(); });
        handler.config = *options;
    }
    reader.finish();
    return handler;
}

}  // namespace

void read_handlers(MappingReader& root, ServerConfig& config) {
    MappingReader handlers = root.section("handlers");
    for (const auto& [name, node] : handlers.node().members())
        config.handlers.push_back(read_handler(name, node, config, root.faults()));
}

}  // namespace millrace::config
