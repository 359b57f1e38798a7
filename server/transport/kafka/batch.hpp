// From librdkafka's messages to a RecordBatch that points into their memory.
//
// Any thread. The batch keeps the messages, and the client they belong to, alive.
#pragma once

#include <vector>

#include "events/record.hpp"
#include "transport/kafka/client.hpp"

namespace millrace::kafka {

// `messages`: of one partition, in order, without errors among them.
RecordBatchPtr make_batch(ClientPtr client, const TopicPartition& origin, Epoch epoch,
                          std::vector<MessagePtr> messages);

}  // namespace millrace::kafka
