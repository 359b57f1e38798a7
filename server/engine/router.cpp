#include "engine/router.hpp"

#include <numeric>

#include "events/ids.hpp"

namespace millrace::engine {
namespace {

DecodedBatchPtr undecoded(RecordBatchPtr batch) {
    auto decoded = std::make_shared<DecodedBatch>(std::move(batch));
    const RecordBatch& records = *decoded->batch;
    for (const Record& record : records.records) {
        DecodedEvent event;
        event.record = &record;
        event.identity = IdentityBuilder("millrace.position")
                             .add(records.origin.topic)
                             .add(records.origin.partition.value)
                             .add(record.offset.value)
                             .add(record.timestamp.time_since_epoch().count())
                             .finish();
        event.effective_id = decoded->keep(to_uuid(event.identity));
        decoded->events.push_back(event);
    }
    return decoded;
}

}  // namespace

DecodedBatchPtr decode(const EnvelopeReader& reader, bool raw, RecordBatchPtr batch) {
    return raw ? undecoded(std::move(batch)) : reader.decode(std::move(batch));
}

std::string_view lane_of(const DecodedEvent& event, bool raw, std::string_view partition_lane) {
    if (!raw && event.envelope.user_id) return *event.envelope.user_id;
    if (event.record->key && !event.record->key->empty()) return *event.record->key;
    return partition_lane;
}

std::string partition_lane(const TopicPartition& origin) {
    return "partition " + to_string(origin);
}

std::vector<Part> split_by_lane(const DecodedBatch& batch, std::size_t shards, bool raw) {
    const std::string fallback = partition_lane(batch.batch->origin);
    std::vector<Part> parts(shards);
    for (std::size_t i = 0; i < batch.events.size(); ++i) {
        const auto lane = lane_of(batch.events[i], raw, fallback);
        const std::size_t shard = to_positive(murmur2(lane)) % shards;
        parts[shard].events.push_back(static_cast<std::uint32_t>(i));
    }
    std::vector<Part> used;
    for (std::size_t shard = 0; shard < shards; ++shard) {
        if (parts[shard].events.empty()) continue;
        parts[shard].shard = shard;
        used.push_back(std::move(parts[shard]));
    }
    return used;
}

Part whole(const DecodedBatch& batch, std::size_t shard) {
    Part part{shard, std::vector<std::uint32_t>(batch.events.size())};
    std::iota(part.events.begin(), part.events.end(), 0U);
    return part;
}

}  // namespace millrace::engine
