// The `kafka` section, and which of librdkafka's properties are not for a user to set.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/config/load.hpp"
#include "core/config/units.hpp"

namespace millrace::config {
namespace {

using namespace std::chrono_literals;

struct Reserved {
    std::string_view name;
    std::string_view why;
};

constexpr std::string_view kAfterProcessing =
    "offsets are committed after processing, never by itself";
constexpr std::string_view kAllReplicas = "a record counts as written when all replicas have it";
constexpr std::string_view kInProcess = "it is a hook into the process";

// The guarantees stand on these (docs/ARCHITECTURE.md, sections 2 and 4).
constexpr std::array<Reserved, 27> kReserved{{
    {"bootstrap.servers", "set kafka.brokers"},
    {"metadata.broker.list", "set kafka.brokers"},
    {"group.id", "set kafka.group_prefix"},
    {"group.instance.id", "it is made from the data directory's installation id"},
    {"group.protocol", "the rebalance protocol is fixed"},
    {"group.remote.assignor", "the rebalance protocol is fixed"},
    {"partition.assignment.strategy", "range is the safe assignor"},
    {"enable.auto.commit", kAfterProcessing},
    {"auto.commit.enable", kAfterProcessing},
    {"auto.commit.interval.ms", kAfterProcessing},
    {"enable.auto.offset.store", kAfterProcessing},
    {"offset.store.method", kAfterProcessing},
    {"auto.offset.reset",
     "a lost position is held with an alarm; set the handler's start and lost_position"},
    {"enable.partition.eof", "lag is computed from it"},
    {"log.queue", "librdkafka's log goes through the server's"},
    {"acks", kAllReplicas},
    {"request.required.acks", kAllReplicas},
    {"enable.idempotence", "a retried write must not appear twice"},
    {"transactional.id", "the server does not write in Kafka transactions"},
    {"partitioner", "keys go where Kafka's Java client puts them"},
    {"queued.max.messages.kbytes", "set kafka.prefetch_bytes"},
    {"allow.auto.create.topics", "set kafka.create_topics"},
    {"queue.buffering.max.ms", "set kafka.properties.linger.ms"},
    {"opaque", kInProcess},
    {"enabled_events", kInProcess},
    {"interceptors", kInProcess},
    {"plugin.library.paths", "code comes in as a handler's plugin only"},
}};

void check_property(const ConfigNode& node, const std::string& name) {
    const auto found = std::ranges::find(kReserved, name, &Reserved::name);
    if (found != kReserved.end())
        node.error(fmt::format("is not for you to set: {}; remove it", found->why));
    if (name.ends_with("_cb")) node.error(fmt::format("is not for you to set: {}", kInProcess));
    const bool well_formed = !name.empty() && std::ranges::all_of(name, [](char character) {
        return (character >= 'a' && character <= 'z') || character == '.' || character == '_' ||
               (character >= '0' && character <= '9');
    });
    if (!well_formed) node.error("expected the name of a librdkafka property, such as linger.ms");
    if (node.kind() == ConfigNode::Kind::kMapping)
        node.error(
            "is a mapping, expected one value; write the property's whole name with its dots");
}

void read_properties(const ConfigNode& node, KafkaSection& kafka, Faults& faults) {
    kafka.properties_node = node;
    for (const auto& [key, value] : node.members()) {
        faults.attempt([&, &name = key, &given = value] {
            check_property(given, name);
            if (!given.is_null()) kafka.properties.emplace_back(name, given.as_string());
        });
    }
    if (node.find("sasl.mechanism") && node.find("sasl.mechanisms"))
        node.error("has sasl.mechanism and sasl.mechanisms, which are one property; keep one");
}

void check_broker(const ConfigNode& node, std::string_view broker) {
    const std::size_t scheme = broker.find("://");
    const std::string_view address =
        scheme == std::string_view::npos ? broker : broker.substr(scheme + 3);
    const std::size_t colon = address.rfind(':');
    const std::string_view host = address.substr(0, colon);
    const std::int64_t port =
        colon == std::string_view::npos ? 0 : parse_integer(address.substr(colon + 1)).value_or(0);
    if (host.empty() || host.find_first_of(" \t/") != std::string_view::npos || port < 1 ||
        port > 65'535)
        node.error(
            fmt::format("has the broker '{}', expected host:port, or several separated by "
                        "commas",
                        broker));
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string read_brokers(const ConfigNode& node) {
    std::vector<std::string> given;
    if (node.kind() == ConfigNode::Kind::kSequence) {
        for (const ConfigNode& item : node.items()) given.push_back(item.as_string());
    } else {
        given.push_back(node.as_string());
    }
    const std::string all = fmt::format("{}", fmt::join(given, ","));
    std::vector<std::string> brokers;
    for (std::string_view rest = all; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view broker = trimmed(rest.substr(0, comma));
        check_broker(node, broker);
        brokers.emplace_back(broker);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return fmt::format("{}", fmt::join(brokers, ","));
}

}  // namespace

void read_kafka(MappingReader reader, KafkaSection& kafka) {
    using Create = KafkaSection::CreateTopics;
    reader.read("brokers", [&](const ConfigNode& node) { kafka.brokers = read_brokers(node); });
    reader.read("group_prefix", [&](const ConfigNode& node) {
        kafka.group_prefix = node.as_string();
        check_name(node, kafka.group_prefix, "._-", 128);
    });
    reader.choice(
        "create_topics", kafka.create_topics,
        {{"dead_letters", Create::kDeadLetters}, {"all", Create::kAll}, {"none", Create::kNone}});
    reader.read("properties",
                [&](const ConfigNode& node) { read_properties(node, kafka, reader.faults()); });
    reader.bytes("prefetch_bytes", kafka.prefetch_bytes, 1ULL << 20, 64ULL << 30);
    reader.integer("max_pending_records", kafka.max_pending_records, 1, 100'000'000);
    reader.bytes("max_pending_bytes", kafka.max_pending_bytes, 64ULL << 10, 64ULL << 30);
    reader.duration("drain_timeout", kafka.drain_timeout, 0ms, 10min);
    reader.finish();
}

}  // namespace millrace::config
