// MockKafka: librdkafka's own mock cluster, in this process, on a free loopback port.
//
// It knows no admin calls, no record size limit and no offsets by time, so topics are made here,
// and a transport over it runs with create_topics none. It waits three seconds for the first
// members of a group, as a broker's default is.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <stdexcept>
#include <string>

#include "core/config/server_config.hpp"

namespace millrace::test {

class MockKafka {
public:
    explicit MockKafka(int brokers = 1) {
        std::array<char, 256> reason{};
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set(conf, "log_level", "0", reason.data(), reason.size());
        client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason.data(), reason.size());
        if (client_ == nullptr) throw std::runtime_error(reason.data());
        cluster_ = rd_kafka_mock_cluster_new(client_, brokers);
        if (cluster_ == nullptr) throw std::runtime_error("no mock cluster");
    }
    ~MockKafka() {
        rd_kafka_mock_cluster_destroy(cluster_);
        rd_kafka_destroy(client_);
    }
    MockKafka(const MockKafka&) = delete;
    MockKafka& operator=(const MockKafka&) = delete;

    std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
    rd_kafka_mock_cluster_t* cluster() const { return cluster_; }
    void create_topic(const std::string& name, int partitions) {
        constexpr int kReplicas = 1;
        rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, kReplicas);
    }
    KafkaSection section() const {
        KafkaSection section;
        section.brokers = brokers();
        section.create_topics = KafkaSection::CreateTopics::kNone;
        section.properties = {{"session.timeout.ms", "6000"}, {"heartbeat.interval.ms", "100"}};
        return section;
    }

private:
    rd_kafka_t* client_ = nullptr;
    rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace millrace::test
