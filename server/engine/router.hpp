// Router: which shard a record goes to, and which lane inside it.
//
// Lane: the envelope's user, else the record's key, else the partition; of raw input the key, else
// the partition. Shard of a handler with state per user: murmur2(lane) mod N, whatever topic and
// partition the record came from. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "events/envelope.hpp"

namespace millrace::engine {

// What a handler reads of a batch: envelopes, or (raw) only positions.
DecodedBatchPtr decode(const EnvelopeReader& reader, bool raw, RecordBatchPtr batch);

// `partition_lane` is what records without user and key share; see partition_lane().
std::string_view lane_of(const DecodedEvent& event, bool raw, std::string_view partition_lane);
std::string partition_lane(const TopicPartition& origin);

struct Part {
    std::size_t shard = 0;
    std::vector<std::uint32_t> events;  // indexes into DecodedBatch::events, ascending
};

// The parts of a batch, one for each of `shards` that gets something.
std::vector<Part> split_by_lane(const DecodedBatch& batch, std::size_t shards, bool raw);
// All of it to one shard.
Part whole(const DecodedBatch& batch, std::size_t shard);

}  // namespace millrace::engine
