// LogStore: the whole embedded log on disk: the catalog and every topic.
//
//     <directory>/catalog.db
//     <directory>/<topic>/<start in ms>.seg
//
// Thread rule: belongs to the log's strand; calls block on the disk. Ownership: by the StoreStrand.
// Errors: kNotFound and kInvalid never come from here (the loop side has checked); a topic whose
// disk fails does not hold up the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/result.hpp"
#include "transport/embedded/catalog.hpp"
#include "transport/embedded/topic_log.hpp"
#include "transport/transport.hpp"

namespace millrace::embedded {

// A dead letter is its record and the error's headers: more than embedded.max_record_bytes. Not for
// the configuration: how long those headers can become is our own doing.
inline constexpr std::uint64_t kDeadLetterHeadroom = 64ULL << 10;

struct StoreOptions {
    std::string directory;
    std::string vfs;  // empty: the operating system's
    EmbeddedSection limits;
    // Bytes that may still be written to the directory's disk; empty: ask the operating system.
    std::function<std::uint64_t()> free_bytes;
    std::string new_cluster_id;  // for a log that has none yet
};

// A topic as the loop side sees it; its index is the same on both sides for the life of the log.
struct TopicState {
    std::string name;
    std::uint64_t max_record_bytes = EmbeddedSection().max_record_bytes;
    std::vector<Watermarks> partitions;
};

struct OpenedLog {
    std::string cluster_id;
    std::vector<TopicState> topics;
    std::vector<CommittedOffset> offsets;
    std::vector<std::string> missing;  // segment files
};

// The ends of a topic's partitions after something other than an append has moved them.
struct MovedEnds {
    std::uint32_t topic = 0;
    std::vector<Watermarks> partitions;
};

struct AppendedChunk {
    std::uint32_t topic = 0;
    PartitionChunk chunk;
};

struct AppendRound {
    std::vector<AppendItem> items;     // with their outcomes
    std::vector<MovedEnds> recovered;  // apply these first
    std::vector<AppendedChunk> appended;
    std::vector<std::string> troubles;  // why the disk refused; empty: it did not
};

class LogStore {
public:
    explicit LogStore(StoreOptions options);

    // May be called again, with other topics too. Topics that are no longer named stay readable and
    // keep what they hold.
    [[nodiscard]] Result<OpenedLog> open(const std::vector<TopicSpec>& topics);
    // One transaction and one sync for each topic.
    AppendRound append(std::vector<AppendItem> items, Timestamp now);
    [[nodiscard]] Result<std::vector<Chunk>> read(std::uint32_t topic, Partition partition,
                                                  Offset from, ReadLimit limit);
    [[nodiscard]] Result<Offset> find_time(std::uint32_t topic, Partition partition,
                                           std::int64_t time);
    [[nodiscard]] Result<void> commit(const std::vector<CommittedOffset>& offsets);
    std::vector<MovedEnds> enforce_retention(Timestamp now);
    void close();

private:
    Result<void> open_catalog();
    Result<void> declare(const std::vector<TopicSpec>& topics);
    Result<void> open_topics(const std::vector<TopicSpec>& topics);
    TopicOptions topic_options(const CatalogTopic& topic, const TopicSpec* spec) const;
    Result<OpenedLog> describe(const std::vector<TopicSpec>& topics);
    bool refuse_ingest(AppendItem& item, std::uint64_t free) const;
    void append_topic(AppendRound& round, std::uint32_t index,
                      const std::vector<AppendItem*>& items, Timestamp now);

    StoreOptions options_;
    std::unique_ptr<Catalog> catalog_;
    std::vector<std::unique_ptr<TopicLog>> topics_;  // by index
};

}  // namespace millrace::embedded
