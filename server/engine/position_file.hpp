// PositionFile: how far one handler has durably come on each partition, and what its state was made
// with. The authority on where reading begins after a restart; the group's offset is a published
// copy.
//
//   _positions  the next record of each partition, the log it lies in, and the fingerprint of a
//               record below it
//   _topics     how many partitions each topic had at first, and when it was last looked at
//   _meta       host_version, shards
//
// Written behind the shards' commits (reading a little again is harmless), and made durable before
// the group's offset is. Thread rule: one strand. Errors: the disk's.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"
#include "engine/fingerprint.hpp"

namespace millrace::engine {

struct SavedPosition {
    Offset position;
    std::string cluster;                     // empty: not known
    std::optional<Fingerprint> fingerprint;  // of a record that is done, below the position
    // Set by a replay: the group's offset may still lie as far above the position as this.
    Offset published{-1};
};
using SavedPositions = std::map<TopicPartition, SavedPosition>;

struct SavedTopic {
    int first_partitions = 0;  // those above were added later
    int partitions = 0;
};
using SavedTopics = std::map<std::string, SavedTopic>;

class PositionFile {
public:
    [[nodiscard]] static Result<std::unique_ptr<PositionFile>> open(const std::string& path,
                                                                    const std::string& vfs);

    [[nodiscard]] Result<SavedPositions> positions();
    [[nodiscard]] Result<SavedTopics> topics();
    // Durable when it returns; all of it or nothing.
    [[nodiscard]] Result<void> save(const SavedPositions& positions, const SavedTopics& topics);

    // The number of shards the state was made with; fixed by the first call.
    [[nodiscard]] Result<int> shards(int configured);

private:
    explicit PositionFile(std::unique_ptr<sqlite::Database> database)
        : database_(std::move(database)) {}
    Result<void> write(const SavedPositions& positions);
    Result<void> write(const SavedTopics& topics);

    std::unique_ptr<sqlite::Database> database_;
};

}  // namespace millrace::engine
