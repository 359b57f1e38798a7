// Segment: one SQLite file with the chunks of one topic from one span of time, all its partitions.
//
// Thread rule: belongs to the log's strand; every call may block on the disk. Ownership: by the
// TopicLog. Errors: kFull, kIo, and kCorrupt for a file that does not read back (wrong topic, bad
// checksum, torn by a disk), always naming the file. Nothing is repaired here and nothing skipped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"
#include "transport/embedded/chunk.hpp"

namespace millrace::embedded {

class Segment {
public:
    // Creates the file, durably: it is found again after a crash, empty.
    [[nodiscard]] static Result<std::unique_ptr<Segment>> create(const std::string& path,
                                                                 const std::string& topic,
                                                                 const std::string& vfs);
    // `topic` is checked against what the file says.
    [[nodiscard]] static Result<std::unique_ptr<Segment>> open(const std::string& path,
                                                               const std::string& topic,
                                                               const std::string& vfs);

    // True: a crash came before the first record of the file, or before its tables.
    [[nodiscard]] static Result<bool> is_empty(const std::string& path, const std::string& vfs);

    // All chunks or none. Durable after `sync` only.
    [[nodiscard]] Result<void> append(
        const std::vector<std::pair<Partition, const Chunk*>>& chunks);
    [[nodiscard]] Result<void> sync() { return database_->sync_log(); }

    // Whole chunks from the one that holds `from` on; empty if the file has nothing there.
    [[nodiscard]] Result<std::vector<Chunk>> read(Partition partition, Offset from,
                                                  ReadLimit limit);
    // One past the partition's last record, its chunk verified; nullopt if it has none here.
    [[nodiscard]] Result<std::optional<Offset>> end(Partition partition);
    // The first record at or after `time` (ms), if there is one here.
    [[nodiscard]] Result<std::optional<Offset>> find_time(Partition partition, std::int64_t time);
    // The highest record timestamp of the file (ms); nullopt if it is empty.
    [[nodiscard]] Result<std::optional<std::int64_t>> last_time();
    // What the file holds, pages not yet moved out of the write-ahead log included.
    [[nodiscard]] Result<std::uint64_t> bytes();

private:
    explicit Segment(std::unique_ptr<sqlite::Database> database) : database_(std::move(database)) {}
    Result<void> check(const std::string& topic);
    Result<void> prepare();
    Result<void> insert(const std::vector<std::pair<Partition, const Chunk*>>& chunks);
    Result<Chunk> current_chunk(sqlite::Statement& statement) const;

    std::unique_ptr<sqlite::Database> database_;
    sqlite::Statement insert_;
    sqlite::Statement read_;
};

}  // namespace millrace::embedded
