#include "engine/lost_position.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "events/time.hpp"

namespace millrace::engine {
namespace {

StartPosition at(Offset offset) { return {StartPosition::Kind::kOffset, offset, {}}; }

}  // namespace

const char* to_string(LostReason reason) {
    switch (reason) {
        case LostReason::kTopicRecreated:
            return "topic_recreated";
        case LostReason::kRetentionPassed:
            return "retention_passed";
        case LostReason::kStateBehind:
            return "state_behind";
    }
    return "unknown";
}

std::string describe(const StartPosition& from) {
    switch (from.kind) {
        case StartPosition::Kind::kOffset:
            return fmt::format("at offset {}", from.offset.value);
        case StartPosition::Kind::kEarliest:
            return "at the log's beginning";
        case StartPosition::Kind::kLatest:
            return "at the log's end";
        case StartPosition::Kind::kTime:
            return fmt::format("at the first record of {}", format_time(from.time));
    }
    return "";
}

std::optional<LostPosition> check_cluster(const SavedPosition& saved, const LogSurvey& log) {
    if (saved.cluster.empty() || log.cluster.empty() || saved.cluster == log.cluster)
        return std::nullopt;
    return LostPosition{LostReason::kTopicRecreated,
                        fmt::format("the state was made from the cluster {}, this one is {}: its "
                                    "offsets are others",
                                    saved.cluster, log.cluster),
                        at(saved.position)};
}

std::optional<LostPosition> check_partition_count(const std::string& topic,
                                                  const SavedTopics& saved, const LogSurvey& log,
                                                  Offset position) {
    const auto before = saved.find(topic);
    const auto now = log.partitions.find(topic);
    if (before == saved.end() || now == log.partitions.end() ||
        now->second >= before->second.partitions)
        return std::nullopt;
    return LostPosition{LostReason::kTopicRecreated,
                        fmt::format("topic {} had {} partitions and now has {}: it was made anew",
                                    topic, before->second.partitions, now->second),
                        at(position)};
}

std::optional<LostPosition> check_group(std::optional<Offset> committed, const SavedPosition& own,
                                        const std::string& group, const std::string& directory) {
    if (!committed || *committed <= std::max(own.position, own.published)) return std::nullopt;
    return LostPosition{LostReason::kStateBehind,
                        fmt::format("the group {} has committed offset {}, the state in {} only "
                                    "knows {}: is this the right data_dir?",
                                    group, committed->value, directory, own.position.value),
                        at(*committed)};
}

LostPosition out_of_range(Offset asked, Watermarks log) {
    if (asked < log.low) {
        return {LostReason::kRetentionPassed,
                fmt::format("the log begins at offset {}, the state is at {}: retention has "
                            "removed what lies between",
                            log.low.value, asked.value),
                {StartPosition::Kind::kEarliest, {}, {}}};
    }
    return {LostReason::kTopicRecreated,
            fmt::format("the log ends at offset {}, the state is at {}: the topic was made anew or "
                        "its end was lost",
                        log.high.value, asked.value),
            {StartPosition::Kind::kLatest, {}, {}}};
}

RecordCheck check_record(const Fingerprint& expected, const RecordBatch& there) {
    if (there.records.empty() || there.records.front().offset != expected.offset)
        return RecordCheck::kGone;
    return fingerprint_of(there.records.front()) == expected ? RecordCheck::kSame
                                                             : RecordCheck::kDifferent;
}

LostPosition other_record(const Fingerprint& expected, const Record& there, Offset position) {
    const auto found = fingerprint_of(there);
    return {LostReason::kTopicRecreated,
            fmt::format("the record at offset {} is another one than was processed (of {}, CRC "
                        "{:08x}; then of {}, CRC {:08x}): the topic was made anew",
                        expected.offset.value, format_time(found.timestamp), found.crc,
                        format_time(expected.timestamp), expected.crc),
            at(position)};
}

}  // namespace millrace::engine
