#include "transport/kafka/errors.hpp"

#include <fmt/format.h>

#include <span>

namespace millrace::kafka {

ErrorCode error_code_of(rd_kafka_resp_err_t code) {
    switch (static_cast<int>(code)) {
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
            return ErrorCode::kNotFound;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
            return ErrorCode::kTooLarge;
        case RD_KAFKA_RESP_ERR_INVALID_MSG:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
        case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        case RD_KAFKA_RESP_ERR__INVALID_ARG:
            return ErrorCode::kInvalid;
        case RD_KAFKA_RESP_ERR__QUEUE_FULL:
            return ErrorCode::kFull;
        case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        case RD_KAFKA_RESP_ERR__TIMED_OUT:
        case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
            return ErrorCode::kTimeout;
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
            return ErrorCode::kDenied;
        case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
        case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        case RD_KAFKA_RESP_ERR__DESTROY:
            return ErrorCode::kCancelled;
        case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
        case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
            return ErrorCode::kConflict;
        default:
            return ErrorCode::kUnavailable;
    }
}

Error error_of(rd_kafka_resp_err_t code, std::string_view what) {
    return fail(error_code_of(code), fmt::format("kafka: {}: {} ({})", what, rd_kafka_err2str(code),
                                                 rd_kafka_err2name(code)));
}

bool needs_a_person(rd_kafka_resp_err_t code) {
    const ErrorCode ours = error_code_of(code);
    return ours == ErrorCode::kDenied || ours == ErrorCode::kNotFound ||
           code == RD_KAFKA_RESP_ERR__SSL;
}

TopicPartition origin_of(const rd_kafka_topic_partition_t& entry) {
    return TopicPartition{entry.topic, Partition{entry.partition}};
}

std::vector<TopicPartition> origins_of(const rd_kafka_topic_partition_list_t& list) {
    std::vector<TopicPartition> origins;
    for (const auto& entry : std::span(list.elems, static_cast<std::size_t>(list.cnt)))
        origins.push_back(origin_of(entry));
    return origins;
}

PartitionListPtr list_of(const std::vector<TopicPartition>& origins, std::int64_t offset) {
    PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(origins.size())));
    for (const auto& origin : origins)
        rd_kafka_topic_partition_list_add(list.get(), origin.topic.c_str(), origin.partition.value)
            ->offset = offset;
    return list;
}

}  // namespace millrace::kafka
