// ForeignClient: what another program does to a cluster that the transport cannot do itself:
// transactions, deleting records.
//
// Blocks; for tests.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace millrace::test {

class ForeignClient {
public:
    ForeignClient(const std::string& brokers, const std::string& transactional_id) {
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", brokers);
        set(conf, "transactional.id", transactional_id);
        std::array<char, 256> reason{};
        client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason.data(), reason.size());
        if (client_ == nullptr) throw std::runtime_error(reason.data());
        check(rd_kafka_init_transactions(client_, kTimeoutMs));
    }
    ~ForeignClient() { rd_kafka_destroy(client_); }
    ForeignClient(const ForeignClient&) = delete;
    ForeignClient& operator=(const ForeignClient&) = delete;

    // One transaction with these values on partition 0.
    void transact(const std::string& topic, const std::vector<std::string>& values, bool commit) {
        check(rd_kafka_begin_transaction(client_));
        for (const auto& value : values) {
            std::array<rd_kafka_vu_t, 3> arguments{};
            arguments[0].vtype = RD_KAFKA_VTYPE_TOPIC;
            arguments[0].u.cstr = topic.c_str();
            arguments[1].vtype = RD_KAFKA_VTYPE_PARTITION;
            arguments[1].u.i32 = 0;
            arguments[2].vtype = RD_KAFKA_VTYPE_VALUE;
            arguments[2].u.mem.ptr = const_cast<char*>(value.data());
            arguments[2].u.mem.size = value.size();
            check(rd_kafka_produceva(client_, arguments.data(), arguments.size()));
        }
        rd_kafka_flush(client_, kTimeoutMs);
        check(commit ? rd_kafka_commit_transaction(client_, kTimeoutMs)
                     : rd_kafka_abort_transaction(client_, kTimeoutMs));
    }

    // The log of partition 0 begins at `offset` afterwards.
    void delete_records_before(const std::string& topic, std::int64_t offset) {
        rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic.c_str(), 0)->offset = offset;
        rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list);
        rd_kafka_queue_t* queue = rd_kafka_queue_new(client_);
        rd_kafka_DeleteRecords(client_, &request, 1, nullptr, queue);
        rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
        const bool deleted =
            event != nullptr && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_event_destroy(event);
        rd_kafka_queue_destroy(queue);
        rd_kafka_DeleteRecords_destroy(request);
        rd_kafka_topic_partition_list_destroy(list);
        if (!deleted) throw std::runtime_error("records could not be deleted");
    }

private:
    static constexpr int kTimeoutMs = 15'000;
    static void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
        std::array<char, 256> reason{};
        if (rd_kafka_conf_set(conf, name, value.c_str(), reason.data(), reason.size()) !=
            RD_KAFKA_CONF_OK)
            throw std::runtime_error(reason.data());
    }
    static void check(rd_kafka_error_t* error) {
        if (error == nullptr) return;
        const std::string text = rd_kafka_error_string(error);
        rd_kafka_error_destroy(error);
        throw std::runtime_error(text);
    }
    rd_kafka_t* client_ = nullptr;
};

}  // namespace millrace::test
