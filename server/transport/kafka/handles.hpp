// RAII names for librdkafka's C objects.
//
// Ownership: one owner each. Every queue and message must be gone before its client is destroyed,
// or the destruction waits for ever: an owner of both declares the client first.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

namespace millrace::kafka {

template <auto Function>
struct Release {
    template <class T>
    void operator()(T* object) const {
        Function(object);
    }
};

using ConfPtr = std::unique_ptr<rd_kafka_conf_t, Release<rd_kafka_conf_destroy>>;
using QueuePtr = std::unique_ptr<rd_kafka_queue_t, Release<rd_kafka_queue_destroy>>;
using MessagePtr = std::unique_ptr<rd_kafka_message_t, Release<rd_kafka_message_destroy>>;
using PartitionListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                         Release<rd_kafka_topic_partition_list_destroy>>;
using ErrorPtr = std::unique_ptr<rd_kafka_error_t, Release<rd_kafka_error_destroy>>;
using EventPtr = std::unique_ptr<rd_kafka_event_t, Release<rd_kafka_event_destroy>>;
using HeadersPtr = std::unique_ptr<rd_kafka_headers_t, Release<rd_kafka_headers_destroy>>;
using NewTopicPtr = std::unique_ptr<rd_kafka_NewTopic_t, Release<rd_kafka_NewTopic_destroy>>;
using ConfigResourcePtr =
    std::unique_ptr<rd_kafka_ConfigResource_t, Release<rd_kafka_ConfigResource_destroy>>;
using AdminOptionsPtr =
    std::unique_ptr<rd_kafka_AdminOptions_t, Release<rd_kafka_AdminOptions_destroy>>;
using MetadataPtr = std::unique_ptr<const rd_kafka_metadata_t, Release<rd_kafka_metadata_destroy>>;

}  // namespace millrace::kafka
