// Catalog: what the embedded log consists of: its id, its topics, the segments of each with the
// offsets at which they begin, and the positions that groups have committed. One small SQLite file.
//
// Thread rule: belongs to the log's strand. Ownership: by the LogStore. Every change is durable
// when the call returns, except as said. Errors: kConflict when another process has the log open.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "core/types.hpp"

namespace millrace::embedded {

struct CatalogTopic {
    std::string name;
    int partitions = 0;
};

struct CatalogSegment {
    std::int64_t started = 0;  // ms; also its file's name
    std::optional<std::int64_t>
        last_time;              // highest record timestamp (ms); known once it is sealed
    std::vector<Offset> bases;  // by partition: the first offset that may lie in it

    // Partitions added since begin at 0.
    Offset base(Partition partition) const {
        const auto index = static_cast<std::size_t>(partition.value);
        return index < bases.size() ? bases[index] : Offset{0};
    }
};

struct CommittedOffset {
    std::string group;
    TopicPartition origin;
    Offset position;
};

class Catalog {
public:
    [[nodiscard]] static Result<std::unique_ptr<Catalog>> open(const std::string& path,
                                                               const std::string& vfs);

    // The log's id for life; `proposed` becomes it where there is none yet.
    [[nodiscard]] Result<std::string> cluster_id(const std::string& proposed);

    // In the order in which they were created.
    [[nodiscard]] Result<std::vector<CatalogTopic>> topics();
    [[nodiscard]] Result<void> put_topic(const CatalogTopic& topic);

    // Oldest first.
    [[nodiscard]] Result<std::vector<CatalogSegment>> segments(const std::string& topic);
    // Adds `segment` and notes of the one before it, now sealed, its last time.
    [[nodiscard]] Result<void> add_segment(const std::string& topic, const CatalogSegment& segment,
                                           const CatalogSegment* sealed);
    [[nodiscard]] Result<void> remove_segment(const std::string& topic, std::int64_t started);

    [[nodiscard]] Result<std::vector<CommittedOffset>> offsets();
    [[nodiscard]] Result<void> put_offsets(const std::vector<CommittedOffset>& offsets);

private:
    explicit Catalog(std::unique_ptr<sqlite::Database> database) : database_(std::move(database)) {}
    // Runs `changes` in a transaction and makes it durable.
    template <class Changes>
    Result<void> transact(Changes changes);
    Result<void> read_bases(const std::string& topic, std::vector<CatalogSegment>& segments);
    Result<void> insert_segment(const std::string& topic, const CatalogSegment& segment);

    std::unique_ptr<sqlite::Database> database_;
    sqlite::Statement put_offset_;
};

}  // namespace millrace::embedded
