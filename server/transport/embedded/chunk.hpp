// Chunk: records of one partition that were appended together, in the bytes in which they lie on
// disk and in the memory tail alike; and the way from OutgoingRecord to chunk to RecordBatch.
//
// Thread rule: a Chunk is immutable once taken and may be read by any thread; builders belong to
// one. Ownership: chunk bytes are shared, a batch keeps those it points into. A chunk that does not
// read back is kCorrupt.
//
// Bytes of a record, little-endian: u32 length of what follows, i64 time in ms, i32 key length (-1:
// null), i32 value length (-1: null), u32 number of headers, key, value, then for each header u32
// name length, u32 value length, name, value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "events/record.hpp"

namespace millrace::embedded {

// A chunk is closed at either bound, so that a reader never loads much more than it asked for.
inline constexpr std::int32_t kMaxChunkRecords = 512;
inline constexpr std::size_t kMaxChunkBytes = 256U << 10;

struct Chunk {
    Offset base;
    std::int32_t count = 0;
    std::int64_t last_time = 0;  // the highest record timestamp, ms
    std::shared_ptr<const std::string> data;

    Offset end() const { return Offset{base.value + count}; }
};

// At least one record is read, however large.
struct ReadLimit {
    std::size_t records = 500;
    std::size_t bytes = 1U << 20;
};

// The size that `max.message.bytes` bounds: key, value and headers.
std::size_t payload_bytes(const OutgoingRecord& record);

class ChunkBuilder {
public:
    explicit ChunkBuilder(Offset base) : next_(base) {}

    // Returns the record's offset.
    Offset add(const OutgoingRecord& record, Timestamp timestamp);
    bool empty() const { return count_ == 0; }
    bool full() const { return count_ >= kMaxChunkRecords || data_.size() >= kMaxChunkBytes; }
    // The records added since the last one.
    Chunk take();

private:
    Offset next_;
    std::int32_t count_ = 0;
    std::int64_t last_time_ = 0;
    std::string data_;
};

class BatchBuilder {
public:
    BatchBuilder(TopicPartition origin, Epoch epoch, Offset from, ReadLimit limit);

    // Takes the chunk's records from `from` on until the limit; chunks come in ascending order.
    [[nodiscard]] Result<void> add(const Chunk& chunk);
    bool full() const;
    // An empty batch if nothing was added.
    RecordBatchPtr finish();

private:
    struct HeaderRange {
        std::size_t first = 0;
        std::size_t count = 0;
    };
    std::shared_ptr<RecordBatch> batch_;
    Offset from_;
    ReadLimit limit_;
    std::vector<HeaderRange> header_ranges_;
    std::vector<std::shared_ptr<const std::string>> memory_;
};

// The first record of the chunk at or after `time` (ms); the chunk's end if there is none.
[[nodiscard]] Result<Offset> first_at(const Chunk& chunk, std::int64_t time);

}  // namespace millrace::embedded
