#include "transport/kafka/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace millrace::kafka {
namespace {

constexpr std::uint64_t kMinimumPrefetchBytes = 64 << 10;  // of one partition
constexpr std::uint64_t kMaximumFetchBytes = 1 << 20;      // of one partition in one response
// The topic's own limit is the broker's to enforce: dead letters may exceed the client's default.
constexpr auto kLargestMessageBytes = "67108864";

// The guarantees stand on these (docs/ARCHITECTURE.md, sections 2 and 4).
constexpr std::array<std::pair<std::string_view, std::string_view>, 19> kReserved{{
    {"bootstrap.servers", "set kafka.brokers"},
    {"metadata.broker.list", "set kafka.brokers"},
    {"group.id", "set kafka.group_prefix"},
    {"group.instance.id", "it is made from the data directory's installation id"},
    {"group.protocol", "the rebalance protocol is fixed"},
    {"enable.auto.commit", "offsets are committed after processing"},
    {"enable.auto.offset.store", "offsets are committed after processing"},
    {"auto.commit.enable", "offsets are committed after processing"},
    {"auto.offset.reset", "a lost position is held with an alarm; set the handler's start"},
    {"log.queue", "logs go through the server's log"},
    {"enable.partition.eof", "lag is computed from it"},
    {"partition.assignment.strategy", "range is the safe assignor"},
    {"partitioner", "keys go where Kafka's Java client puts them"},
    {"acks", "a record counts as written when all replicas have it"},
    {"request.required.acks", "a record counts as written when all replicas have it"},
    {"enable.idempotence", "a retried write must not appear twice"},
    {"queued.max.messages.kbytes", "set kafka.prefetch_bytes"},
    {"queue.buffering.max.ms", "set kafka.properties.linger.ms"},
    {"allow.auto.create.topics", "set kafka.create_topics"},
}};

void set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> reason{};
    const auto result =
        rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason.data(), reason.size());
    if (result == RD_KAFKA_CONF_OK) return;
    throw ErrorException(
        fail(ErrorCode::kInvalid, fmt::format("kafka.properties.{}: {}; the names are those "
                                              "of librdkafka's CONFIGURATION.md",
                                              name, reason.data())));
}

// For what only newer libraries know.
void set_if_known(rd_kafka_conf_t* conf, const char* name, const char* value) {
    std::array<char, 512> reason{};
    rd_kafka_conf_set(conf, name, value, reason.data(), reason.size());
}

void refuse_reserved(const KafkaSection& section) {
    for (const auto& [name, value] : section.properties) {
        const auto* found = std::find_if(kReserved.begin(), kReserved.end(),
                                         [&](const auto& entry) { return entry.first == name; });
        if (found == kReserved.end()) continue;
        throw ErrorException(fail(
            ErrorCode::kInvalid,
            fmt::format("kafka.properties.{} cannot be set: {}; remove it", name, found->second)));
    }
}

}  // namespace

Settings::Settings(KafkaSection section, std::string installation_id)
    : section_(std::move(section)), installation_id_(std::move(installation_id)) {
    if (section_.brokers.empty())
        throw ErrorException(
            fail(ErrorCode::kInvalid,
                 "kafka.brokers is not set: name at least one broker as host:port"));
    refuse_reserved(section_);
    producer();
    fetcher(section_.group_prefix, 1);
}

ConfPtr Settings::base() const {
    ConfPtr conf(rd_kafka_conf_new());
    set(conf.get(), "bootstrap.servers", section_.brokers);
    set(conf.get(), "client.id", "millrace");
    set(conf.get(), "log.queue", "true");
    set(conf.get(), "log.connection.close", "false");
    set(conf.get(), "socket.nagle.disable", "true");
    set(conf.get(), "socket.keepalive.enable", "true");
    set(conf.get(), "reconnect.backoff.max.ms", "2000");
    set(conf.get(), "topic.metadata.refresh.interval.ms", "30000");
    set(conf.get(), "message.max.bytes", kLargestMessageBytes);
    set(conf.get(), "receive.message.max.bytes", "100000000");
    return conf;
}

ConfPtr Settings::producer() const {
    ConfPtr conf = base();
    set(conf.get(), "linger.ms", "2");
    // Dead letters have 30 seconds in all, of which the retries before take 20.
    set(conf.get(), "message.timeout.ms", "8000");
    set(conf.get(), "queue.buffering.max.messages", "100000");
    set(conf.get(), "queue.buffering.max.kbytes", "131072");
    for (const auto& [name, value] : section_.properties) set(conf.get(), name, value);
    set(conf.get(), "acks", "all");
    set(conf.get(), "enable.idempotence", "true");
    set(conf.get(), "partitioner", "murmur2_random");
    // It is also asked for log ends: lag counts what a transaction has not decided yet, as Kafka's
    // own tools do.
    set(conf.get(), "isolation.level", "read_uncommitted");
    return conf;
}

ConfPtr Settings::consumer(std::string_view group) const {
    ConfPtr conf = base();
    set(conf.get(), "fetch.wait.max.ms", "100");
    set_if_known(conf.get(), "fetch.queue.backoff.ms", "20");
    for (const auto& [name, value] : section_.properties) set(conf.get(), name, value);
    set(conf.get(), "group.id", std::string(group));
    set(conf.get(), "enable.auto.commit", "false");
    set(conf.get(), "enable.auto.offset.store", "false");
    set(conf.get(), "auto.offset.reset", "error");
    set(conf.get(), "enable.partition.eof", "true");
    set(conf.get(), "allow.auto.create.topics", "false");
    set(conf.get(), "partition.assignment.strategy", "range");
    return conf;
}

std::string Settings::instance_id(std::string_view group) const {
    return installation_id_.empty() ? "" : fmt::format("{}.{}", group, installation_id_);
}

ConfPtr Settings::member(std::string_view group, int member) const {
    ConfPtr conf = consumer(group);
    std::string id = instance_id(group);
    if (id.empty()) return conf;
    if (member > 1) id += fmt::format(".{}", member);
    set(conf.get(), "group.instance.id", id);
    return conf;
}

ConfPtr Settings::fetcher(std::string_view group, std::size_t partitions) const {
    ConfPtr conf = consumer(group);
    const std::uint64_t share = std::max(
        section_.prefetch_bytes / std::max<std::uint64_t>(partitions, 1), kMinimumPrefetchBytes);
    set(conf.get(), "queued.max.messages.kbytes", std::to_string(share >> 10));
    const bool chosen = std::any_of(section_.properties.begin(), section_.properties.end(),
                                    [](const auto& property) {
                                        return property.first == "fetch.message.max.bytes" ||
                                               property.first == "max.partition.fetch.bytes";
                                    });
    if (!chosen)
        set(conf.get(), "fetch.message.max.bytes",
            std::to_string(std::clamp(share / 2, kMinimumPrefetchBytes, kMaximumFetchBytes)));
    return conf;
}

}  // namespace millrace::kafka
