// Provisioning: checks that every declared topic is there, and creates what the configuration lets
// it create.
//
// A dead-letter topic gets as many partitions as its source and room for 64 KiB more than the
// largest record there: the context in its headers. Thread rule: a helper thread. Fails with
// kNotFound naming every topic that is missing and the command that makes it, or with what the
// broker said.
#pragma once

#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/result.hpp"
#include "transport/kafka/queries.hpp"
#include "transport/transport.hpp"

namespace millrace::kafka {

Result<PartitionCounts> provision(rd_kafka_t* client, const std::vector<TopicSpec>& topics,
                                  const KafkaSection& section);

}  // namespace millrace::kafka
