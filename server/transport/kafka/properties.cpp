#include "transport/kafka/properties.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/config/mapping_reader.hpp"
#include "transport/kafka/settings.hpp"

namespace millrace {
namespace {

using kafka::ConfPtr;

constexpr std::size_t kReasonBytes = 512;
// librdkafka takes any text for it, and refuses it only when a client is made.
constexpr std::array<std::string_view, 5> kMechanisms{"GSSAPI", "PLAIN", "SCRAM-SHA-256",
                                                      "SCRAM-SHA-512", "OAUTHBEARER"};

// librdkafka's own reference: a table with name, side, range, default, importance, description.
std::string reference() {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* file = open_memstream(&text, &size);
    if (file == nullptr) return {};
    rd_kafka_conf_properties_show(file);
    std::fclose(file);
    std::string table(text, size);
    std::free(text);
    return table;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// "0 .. 900000", "plaintext, ssl, ..."; empty: librdkafka names none.
std::string range_of(std::string_view name) {
    const std::string table = reference();
    for (std::string_view rest = table; !rest.empty();) {
        const std::string_view row = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(row.size() + 1, rest.size()));
        std::array<std::string_view, 3> cells;
        std::string_view left = row;
        for (std::string_view& cell : cells) {
            cell = trimmed(left.substr(0, left.find('|')));
            left.remove_prefix(std::min(left.find('|'), left.size() - 1) + 1);
            if (left.empty()) break;
        }
        if (cells[0] == name) return std::string(cells[2]);
    }
    return {};
}

void refuse_value(const ConfigNode& node, const std::string& name, const char* reason) {
    const std::string range = range_of(name);
    node.refuse(range.empty() ? fmt::format("what librdkafka takes ({})", reason) : range);
}

void check_property(const ConfigNode& node, const std::string& name, const std::string& value) {
    const ConfPtr conf(rd_kafka_conf_new());
    std::array<char, kReasonBytes> reason{};
    switch (
        rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason.data(), reason.size())) {
        case RD_KAFKA_CONF_OK:
            break;
        case RD_KAFKA_CONF_UNKNOWN:
            node.error(
                fmt::format("librdkafka {} has no such property, expected one of its "
                            "CONFIGURATION.md",
                            rd_kafka_version_str()));
        case RD_KAFKA_CONF_INVALID:
            refuse_value(node, name, reason.data());
    }
    const bool is_mechanism = name == "sasl.mechanism" || name == "sasl.mechanisms";
    if (is_mechanism && std::ranges::find(kMechanisms, value) == kMechanisms.end())
        node.refuse(fmt::format("one of {}", fmt::join(kMechanisms, ", ")));
}

// The property that librdkafka's message names, else all of them.
ConfigNode culprit(const ConfigNode& properties, std::string_view reason) {
    for (const auto& [name, node] : properties.members()) {
        if (!node.is_null() && reason.find(name) != std::string_view::npos) return node;
    }
    return properties;
}

// Makes a client without brokers, so that it connects to nothing.
void try_client(rd_kafka_type_t type, ConfPtr conf, const ConfigNode& properties) {
    rd_kafka_conf_set(conf.get(), "bootstrap.servers", nullptr, nullptr, 0);
    rd_kafka_conf_set(conf.get(), "log.queue", "false", nullptr, 0);
    rd_kafka_conf_set_log_cb(conf.get(), nullptr);
    std::array<char, kReasonBytes> reason{};
    rd_kafka_t* client = rd_kafka_new(type, conf.get(), reason.data(), reason.size());
    if (client == nullptr) {
        culprit(properties, reason.data())
            .error(fmt::format("librdkafka makes no client of this, expected properties that go "
                               "together: {}",
                               reason.data()));
    }
    static_cast<void>(conf.release());
    rd_kafka_destroy(client);
}

}  // namespace

void check_kafka_properties(const KafkaSection& section) {
    Faults faults;
    for (const auto& [name, value] : section.properties) {
        faults.attempt([&, &property = name, &given = value] {
            const auto node = section.properties_node.find(property);
            check_property(node.value_or(section.properties_node), property, given);
        });
    }
    faults.raise();
    const kafka::Settings settings(section, "check");
    try_client(RD_KAFKA_PRODUCER, settings.producer(), section.properties_node);
    try_client(RD_KAFKA_CONSUMER, settings.member("check", 1), section.properties_node);
}

}  // namespace millrace
