// TopicLog: one topic of the embedded log: its segments from the oldest to the one being written,
// and the next offset of each partition.
//
// Thread rule: belongs to the log's strand; calls may block on the disk. Ownership: by the
// LogStore, which outlives it together with the Catalog. Errors: a failed append leaves nothing
// behind and may be tried again; a failed sync leaves the outcome unknown, so the file is closed
// and the ends are read again from it (`recover`) before the next append. Missing or damaged
// segments are kCorrupt.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "events/record.hpp"
#include "transport/embedded/catalog.hpp"
#include "transport/embedded/segment.hpp"
#include "transport/transport.hpp"

namespace millrace::embedded {

struct TopicOptions {
    std::string name;
    std::string directory;  // of this topic
    std::string vfs;
    int partitions = 1;
    std::optional<milliseconds> retention;  // nullopt: kept for ever
    milliseconds segment_age{0};
    std::uint64_t segment_bytes = 0;
};

struct PartitionChunk {
    Partition partition;
    Chunk chunk;
};

// A record on its way into the log; `outcome` is set by the append.
struct AppendItem {
    std::uint32_t topic = 0;  // index in the log
    Partition partition;
    Origin origin = Origin::kInternal;
    Timestamp timestamp;
    OutgoingRecord record;
    Result<Offset> outcome = Offset{};
};

class TopicLog {
public:
    [[nodiscard]] static Result<std::unique_ptr<TopicLog>> open(Catalog& catalog,
                                                                TopicOptions options);

    const TopicOptions& options() const { return options_; }
    // By partition.
    std::vector<Watermarks> ends() const;
    // Segments that the catalog knows and the disk does not.
    const std::vector<std::string>& missing() const { return missing_; }

    // Writes the items in order, sets their offsets and returns the chunks. Durable after `sync`.
    [[nodiscard]] Result<std::vector<PartitionChunk>> append(const std::vector<AppendItem*>& items,
                                                             Timestamp now);
    [[nodiscard]] Result<void> sync();
    // True between a failed sync and a successful `recover`.
    bool broken() const { return broken_; }
    [[nodiscard]] Result<void> recover();

    // `from` lies below the end. At least one chunk, up to the end of a segment.
    [[nodiscard]] Result<std::vector<Chunk>> read(Partition partition, Offset from,
                                                  ReadLimit limit);
    // The first record at or after `time` (ms); the end if there is none.
    [[nodiscard]] Result<Offset> find_time(Partition partition, std::int64_t time);

    // Begins a new segment when the current one is old enough, and unlinks those past retention.
    // True: low watermarks have moved.
    [[nodiscard]] Result<bool> enforce_retention(Timestamp now);

private:
    struct Entry {
        CatalogSegment about;
        std::unique_ptr<Segment> segment;  // open
        std::uint64_t used = 0;
    };

    TopicLog(Catalog& catalog, TopicOptions options);
    std::string path(std::int64_t started) const;
    Result<void> load();
    Result<void> check_files();
    Result<void> check_orphan(std::int64_t started);
    Result<void> read_ends();
    Result<Segment*> open_segment(Entry& entry);
    void close_idle_segments();
    bool roll_due(Timestamp now) const;
    Result<void> roll_if_due(Timestamp now);
    Result<void> roll(Timestamp now);
    milliseconds segment_age() const;
    std::vector<PartitionChunk> encode(const std::vector<AppendItem*>& items,
                                       std::vector<Offset>& next) const;
    Result<void> unlink_oldest();
    Error gap(Partition partition, Offset from) const;

    Catalog& catalog_;
    TopicOptions options_;
    std::vector<Entry> segments_;
    std::vector<Offset> next_;  // by partition
    std::vector<std::string> missing_;
    std::uint64_t active_bytes_ = 0;
    std::uint64_t uses_ = 0;
    bool broken_ = false;
};

}  // namespace millrace::embedded
