// Inbox: inputs of a shard that do not come from the log. A redriven dead letter is one: it is
// committed to the state file of the shard that failed before whoever asked is answered, and then
// runs in its key's lane like any other input, as the record that it was.
//
// Plain data; any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "events/record.hpp"

namespace millrace::engine {

// The record as it was when it failed; position and timestamp are the original's, so that identity
// and the ids of its effects are too.
struct RedriveRecord {
    TopicPartition origin;
    Offset offset;
    Timestamp timestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;  // values are bytes
    int redrives = 1;  // this one included; a new dead letter says it
};

// A batch of this one record, which keeps a copy of it alive.
RecordBatchPtr batch_of(RedriveRecord record);

}  // namespace millrace::engine
