// From librdkafka's error codes to ours, and lists of partitions there and back.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "transport/kafka/handles.hpp"

namespace millrace::kafka {

ErrorCode error_code_of(rd_kafka_resp_err_t code);

// "kafka: <what>: <librdkafka's sentence>".
Error error_of(rd_kafka_resp_err_t code, std::string_view what);

// The configuration or the rights must be changed by a person; waiting does not help.
bool needs_a_person(rd_kafka_resp_err_t code);

TopicPartition origin_of(const rd_kafka_topic_partition_t& entry);
std::vector<TopicPartition> origins_of(const rd_kafka_topic_partition_list_t& list);
PartitionListPtr list_of(const std::vector<TopicPartition>& origins, std::int64_t offset);

}  // namespace millrace::kafka
