// PositionFile: how far one handler has durably come on each partition, and what its state was made
// with. The authority on where reading begins after a restart; the group's offset is a published
// copy.
//
// Written behind the shards' commits (reading a little again is harmless), and made durable before
// the group's offset is. Thread rule: one strand. Errors: the disk's.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"

namespace millrace::engine {

class PositionFile {
public:
    [[nodiscard]] static Result<std::unique_ptr<PositionFile>> open(const std::string& path,
                                                                    const std::string& vfs);

    [[nodiscard]] Result<std::map<TopicPartition, Offset>> positions();
    [[nodiscard]] Result<void> save(const std::map<TopicPartition, Offset>& positions);

    // The number of shards the state was made with; fixed by the first call.
    [[nodiscard]] Result<int> shards(int configured);

private:
    explicit PositionFile(std::unique_ptr<sqlite::Database> database)
        : database_(std::move(database)) {}
    std::unique_ptr<sqlite::Database> database_;
};

}  // namespace millrace::engine
