// Queries: questions to the brokers whose librdkafka calls block.
//
// Thread rule: helper threads only. Every one ends after its timeout.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "transport/kafka/handles.hpp"
#include "transport/transport.hpp"

namespace millrace::kafka {

using PartitionCounts = std::map<std::string, int>;

// The id that the cluster was given when it was formatted; empty: its brokers tell none.
Result<std::string> query_cluster_id(rd_kafka_t* client, milliseconds timeout);

// Every topic of the cluster; asking creates none.
Result<PartitionCounts> query_partition_counts(rd_kafka_t* client, milliseconds timeout);

// Partitions that cannot be asked for are left out.
Result<std::map<TopicPartition, Watermarks>> query_watermarks(
    rd_kafka_t* client, const std::vector<TopicPartition>& origins, milliseconds timeout);

// Of one partition; kNotFound when the cluster does not have it.
Result<Watermarks> query_ends(rd_kafka_t* client, const TopicPartition& origin,
                              milliseconds timeout);

// The first offset at or after `time`, else the end as it was when the question began.
Result<Offset> query_offset_at(rd_kafka_t* client, const TopicPartition& origin, Timestamp time,
                               milliseconds timeout);

// What the client's group committed; a partition without a commit is left out.
Result<std::map<TopicPartition, Offset>> query_committed(rd_kafka_t* client,
                                                         const std::vector<TopicPartition>& origins,
                                                         milliseconds timeout);

}  // namespace millrace::kafka
