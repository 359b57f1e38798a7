// Record and RecordBatch: what a transport hands over, and OutgoingRecord: what it is given to write.
//
// A Record is a view into the memory its batch keeps alive: nothing is copied between the wire and the handler. Any
// thread may read; nobody writes after the batch was handed over.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.hpp"

namespace millrace {

struct Header {
    std::string_view name;
    std::string_view value;  // bytes
};

enum class TimestampType {
    kCreate = 1,  // the producer's
    kLogAppend,   // the broker's, when it appended the record
};

struct Record {
    Offset offset;
    Timestamp timestamp;                  // the log's record timestamp, milliseconds
    std::optional<std::string_view> key;  // bytes
    std::optional<std::string_view> value;  // bytes; nullopt: a tombstone
    std::span<const Header> headers;      // in order, names may repeat
    TimestampType timestamp_type = TimestampType::kCreate;

    std::string_view header(std::string_view name) const;  // the last of that name; empty if there is none
};

// Records of one partition in ascending offset order (gaps are normal: compaction, transactions).
struct RecordBatch {
    TopicPartition origin;
    Epoch epoch;
    std::vector<Record> records;
    std::size_t bytes = 0;                // keys, values and headers together
    std::vector<Header> headers;          // storage that `Record::headers` may point into
    std::shared_ptr<const void> memory;   // whatever the transport needs to keep alive
};

using RecordBatchPtr = std::shared_ptr<const RecordBatch>;

struct OutgoingRecord {
    std::string topic;
    std::optional<Partition> partition;  // nullopt: murmur2 of the key as Kafka's Java client does, without a key any
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<Timestamp> timestamp;  // nullopt: now
};

// Where a confirmed record lies.
struct RecordPosition {
    TopicPartition origin;
    Offset offset;
    auto operator<=>(const RecordPosition&) const = default;
};

}  // namespace millrace
