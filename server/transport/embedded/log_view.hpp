// LogView: what the loop knows of the log: topics, the ends of every partition, and the memory tail
// that readers are served from.
//
// Thread rule: loop thread. Ownership: by the EmbeddedTransport. Only confirmed records are in it.
// The tail is bounded (embedded.tail_cache_bytes for each partition); what it no longer holds is
// read from the segments.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/types.hpp"
#include "transport/embedded/chunk.hpp"
#include "transport/embedded/log_store.hpp"
#include "transport/transport.hpp"

namespace millrace::embedded {

class PartitionView {
public:
    explicit PartitionView(Watermarks ends) : ends_(ends) {}

    Watermarks ends() const { return ends_; }
    // True: the record at `from` can be read from memory.
    bool holds(Offset from) const { return !tail_.empty() && from >= tail_.front().base; }
    // Adds the tail's records from `from` on. Only where it `holds` them.
    [[nodiscard]] Result<void> read(Offset from, BatchBuilder& batch) const;

    void append(Chunk chunk, std::size_t max_tail_bytes);
    // After something other than an append: the tail may no longer fit and is dropped.
    void reset(Watermarks ends);
    void set_low(Offset low) { ends_.low = low; }

private:
    Watermarks ends_;
    std::deque<Chunk> tail_;
    std::size_t tail_bytes_ = 0;
};

struct TopicView {
    std::string name;
    std::uint64_t max_record_bytes = 0;
    std::vector<PartitionView> partitions;
    std::uint32_t next_keyless = 0;  // round robin
};

class LogView {
public:
    explicit LogView(std::size_t max_tail_bytes) : max_tail_bytes_(max_tail_bytes) {}

    void reset(const std::vector<TopicState>& topics);
    void append(AppendedChunk appended);
    void recover(const MovedEnds& ends);
    void move_low(const MovedEnds& ends);

    std::size_t size() const { return topics_.size(); }
    TopicView& at(std::uint32_t index) { return topics_[index]; }
    std::optional<std::uint32_t> index_of(std::string_view topic) const;
    // Null: there is no such topic or partition.
    PartitionView* find(const TopicPartition& origin);

private:
    struct StringHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    std::size_t max_tail_bytes_;
    std::vector<TopicView> topics_;
    std::unordered_map<std::string, std::uint32_t, StringHash, std::equal_to<>> index_;
};

}  // namespace millrace::embedded
