// LostPosition: why a partition cannot simply be read from where the handler's state says, found by
// comparing the state with the log and the group before anything is read.
//
// Pure functions over what was asked from the transport; any thread. A partition that has one is
// held with an alarm until the configuration (`lost_position`) or a person (`handlers resume`)
// decides.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/position_file.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

enum class LostReason {
    kTopicRecreated = 1,  // the log holds other records than those the state knows
    kRetentionPassed,     // the log begins above the position
    kStateBehind,         // the group has committed what the state does not know
};

const char* to_string(LostReason reason);

struct LostPosition {
    LostReason reason;
    std::string what;        // for a person: what is where
    StartPosition accepted;  // where reading goes on if the log is taken as it is

    // The shards' watermarks speak of offsets that mean something else now.
    bool offsets_changed() const { return reason == LostReason::kTopicRecreated; }
};

// What was asked of the transport at an assignment.
struct LogSurvey {
    std::string cluster;  // empty: not known
    std::map<std::string, int> partitions;
};

std::optional<LostPosition> check_cluster(const SavedPosition& saved, const LogSurvey& log);
std::optional<LostPosition> check_partition_count(const std::string& topic,
                                                  const SavedTopics& saved, const LogSurvey& log,
                                                  Offset position);
// `own` is 0 where the state has none.
std::optional<LostPosition> check_group(std::optional<Offset> committed, const SavedPosition& own,
                                        const std::string& group, const std::string& directory);
// The log's answer to an offset that it does not have.
LostPosition out_of_range(Offset asked, Watermarks log);

// "at offset 7", "at the end": after "reading goes on".
std::string describe(const StartPosition& from);

enum class RecordCheck {
    kSame = 1,
    kGone,  // removed by retention or compaction: cannot be told
    kDifferent,
};
// `there`: what the log has from the fingerprint's offset on.
RecordCheck check_record(const Fingerprint& expected, const RecordBatch& there);
LostPosition other_record(const Fingerprint& expected, const Record& there, Offset position);

}  // namespace millrace::engine
