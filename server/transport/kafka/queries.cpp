#include "transport/kafka/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>

#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kClusterIdTimeout{500};

int raw_ms(milliseconds timeout) { return static_cast<int>(timeout.count()); }

std::span<const rd_kafka_topic_partition_t> entries_of(const PartitionListPtr& list) {
    return {list->elems, static_cast<std::size_t>(list->cnt)};
}

// One round trip to each broker for all partitions; the logical offsets are what ListOffsets asks
// for.
Result<PartitionListPtr> list_offsets(rd_kafka_t* client,
                                      const std::vector<TopicPartition>& origins, std::int64_t time,
                                      milliseconds timeout) {
    auto list = list_of(origins, time);
    const auto code = rd_kafka_offsets_for_times(client, list.get(), raw_ms(timeout));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "asking for offsets");
    return list;
}

bool answered(const rd_kafka_topic_partition_t& entry) {
    return entry.err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace

Result<PartitionCounts> query_partition_counts(rd_kafka_t* client, milliseconds timeout) {
    const rd_kafka_metadata_t* raw = nullptr;
    constexpr int kAllTopics = 1;
    const auto code = rd_kafka_metadata(client, kAllTopics, nullptr, &raw, raw_ms(timeout));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "asking for the topics");
    const MetadataPtr metadata(raw);
    PartitionCounts counts;
    for (const auto& topic :
         std::span(metadata->topics, static_cast<std::size_t>(metadata->topic_cnt)))
        if (topic.err == RD_KAFKA_RESP_ERR_NO_ERROR && topic.partition_cnt > 0)
            counts[topic.topic] = topic.partition_cnt;
    return counts;
}

Result<std::string> query_cluster_id(rd_kafka_t* client, milliseconds timeout) {
    // An answer to this carries the id; without one there would be no telling "none" from "away".
    const auto counts = query_partition_counts(client, timeout);
    if (!counts) return counts.error();
    const std::unique_ptr<char, void (*)(char*)> id(
        rd_kafka_clusterid(client, raw_ms(kClusterIdTimeout)),
        [](char* text) { rd_kafka_mem_free(nullptr, text); });
    return id ? std::string(id.get()) : std::string();
}

Result<std::map<TopicPartition, Watermarks>> query_watermarks(
    rd_kafka_t* client, const std::vector<TopicPartition>& origins, milliseconds timeout) {
    const auto low = list_offsets(client, origins, RD_KAFKA_OFFSET_BEGINNING, timeout);
    if (!low) return low.error();
    const auto high = list_offsets(client, origins, RD_KAFKA_OFFSET_END, timeout);
    if (!high) return high.error();
    std::map<TopicPartition, Watermarks> watermarks;
    for (const auto& entry : entries_of(*low))
        if (answered(entry)) watermarks[origin_of(entry)].low = Offset{entry.offset};
    for (const auto& entry : entries_of(*high)) {
        if (answered(entry) && watermarks.contains(origin_of(entry)))
            watermarks[origin_of(entry)].high = Offset{entry.offset};
        else
            watermarks.erase(origin_of(entry));
    }
    return watermarks;
}

Result<Watermarks> query_ends(rd_kafka_t* client, const TopicPartition& origin,
                              milliseconds timeout) {
    const auto counts = query_partition_counts(client, timeout);
    if (!counts) return counts.error();
    const auto topic = counts->find(origin.topic);
    if (topic == counts->end() || origin.partition.value < 0 ||
        origin.partition.value >= topic->second)
        return fail(
            ErrorCode::kNotFound,
            fmt::format("kafka: there is no partition {} on the broker", to_string(origin)));
    const auto watermarks = query_watermarks(client, {origin}, timeout);
    if (!watermarks) return watermarks.error();
    const auto found = watermarks->find(origin);
    if (found == watermarks->end())
        return fail(ErrorCode::kUnavailable,
                    fmt::format("kafka: {} has no leader at present; retry", to_string(origin)));
    return found->second;
}

Result<Offset> query_offset_at(rd_kafka_t* client, const TopicPartition& origin, Timestamp time,
                               milliseconds timeout) {
    // The end first: what is appended between the two questions must not be passed over.
    const auto end = list_offsets(client, {origin}, RD_KAFKA_OFFSET_END, timeout);
    if (!end) return end.error();
    const auto& last = (*end)->elems[0];
    if (!answered(last)) return error_of(last.err, "asking for the end of " + to_string(origin));
    const auto since = std::chrono::ceil<milliseconds>(time).time_since_epoch().count();
    const auto list = list_offsets(client, {origin}, std::max<std::int64_t>(since, 0), timeout);
    if (!list) return list.error();
    const auto& entry = (*list)->elems[0];
    if (!answered(entry))
        return error_of(entry.err, "asking for an offset of " + to_string(origin));
    return Offset{entry.offset >= 0 ? entry.offset : last.offset};
}

Result<std::map<TopicPartition, Offset>> query_committed(rd_kafka_t* client,
                                                         const std::vector<TopicPartition>& origins,
                                                         milliseconds timeout) {
    const auto list = list_of(origins, RD_KAFKA_OFFSET_INVALID);
    const auto code = rd_kafka_committed(client, list.get(), raw_ms(timeout));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "asking for committed offsets");
    std::map<TopicPartition, Offset> committed;
    for (const auto& entry : entries_of(list)) {
        if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_of(entry.err, "the committed offset of " + to_string(origin_of(entry)));
        if (entry.offset >= 0) committed[origin_of(entry)] = Offset{entry.offset};
    }
    return committed;
}

}  // namespace millrace::kafka
