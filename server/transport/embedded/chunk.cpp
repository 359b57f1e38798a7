#include "transport/embedded/chunk.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

namespace millrace::embedded {
namespace {

static_assert(std::endian::native == std::endian::little, "segments are little-endian");

constexpr std::int32_t kNull = -1;
constexpr std::size_t kHeadBytes = 8 + 4 + 4 + 4;

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::int32_t length_of(const std::optional<std::string>& bytes) {
    return bytes ? static_cast<std::int32_t>(bytes->size()) : kNull;
}

// Reads forward over bytes that may lie; after a step beyond the end everything is empty and `good`
// is false.
class Cursor {
public:
    explicit Cursor(std::string_view bytes) : rest_(bytes) {}

    template <class T>
    T get() {
        T value{};
        const std::string_view bytes = take(sizeof(T));
        if (good_) std::memcpy(&value, bytes.data(), sizeof(T));
        return value;
    }
    std::string_view take(std::size_t count) {
        if (count > rest_.size()) {
            good_ = false;
            rest_ = {};
            return {};
        }
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    std::optional<std::string_view> take_nullable(std::int32_t length) {
        if (length == kNull) return std::nullopt;
        return take(static_cast<std::uint32_t>(length));
    }
    bool good() const { return good_; }
    bool at_end() const { return rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

struct Head {
    std::int64_t time = 0;
    std::int32_t key_length = 0;
    std::int32_t value_length = 0;
    std::uint32_t headers = 0;
};

Head read_head(Cursor& cursor) {
    Head head;
    head.time = cursor.get<std::int64_t>();
    head.key_length = cursor.get<std::int32_t>();
    head.value_length = cursor.get<std::int32_t>();
    head.headers = cursor.get<std::uint32_t>();
    return head;
}

Error malformed(const Chunk& chunk) {
    return fail(ErrorCode::kCorrupt, "the chunk at offset " + std::to_string(chunk.base.value) +
                                         " does not hold the records it claims");
}

std::size_t size_of(const Record& record) {
    std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
    for (const Header& header : record.headers) bytes += header.name.size() + header.value.size();
    return bytes;
}

}  // namespace

std::size_t payload_bytes(const OutgoingRecord& record) {
    std::size_t bytes = (record.key ? record.key->size() : 0);
    bytes += record.value ? record.value->size() : 0;
    for (const auto& [name, value] : record.headers) bytes += name.size() + value.size();
    return bytes;
}

Offset ChunkBuilder::add(const OutgoingRecord& record, Timestamp timestamp) {
    const auto time =
        std::chrono::floor<std::chrono::milliseconds>(timestamp.time_since_epoch()).count();
    const std::size_t length = kHeadBytes + payload_bytes(record) + record.headers.size() * 8;
    put(data_, static_cast<std::uint32_t>(length));
    put(data_, std::int64_t{time});
    put(data_, length_of(record.key));
    put(data_, length_of(record.value));
    put(data_, static_cast<std::uint32_t>(record.headers.size()));
    if (record.key) data_ += *record.key;
    if (record.value) data_ += *record.value;
    for (const auto& [name, value] : record.headers) {
        put(data_, static_cast<std::uint32_t>(name.size()));
        put(data_, static_cast<std::uint32_t>(value.size()));
        data_ += name;
        data_ += value;
    }
    last_time_ = count_ == 0 ? time : std::max<std::int64_t>(last_time_, time);
    return Offset{next_.value + count_++};
}

Chunk ChunkBuilder::take() {
    Chunk chunk{next_, std::exchange(count_, 0), std::exchange(last_time_, 0), nullptr};
    data_.shrink_to_fit();
    chunk.data = std::make_shared<const std::string>(std::exchange(data_, {}));
    next_ = chunk.end();
    return chunk;
}

BatchBuilder::BatchBuilder(TopicPartition origin, Epoch epoch, Offset from, ReadLimit limit)
    : batch_(std::make_shared<RecordBatch>()), from_(from), limit_(limit) {
    batch_->origin = std::move(origin);
    batch_->epoch = epoch;
}

bool BatchBuilder::full() const {
    return batch_->records.size() >= limit_.records || batch_->bytes >= limit_.bytes;
}

Result<void> BatchBuilder::add(const Chunk& chunk) {
    Cursor chunk_cursor(*chunk.data);
    for (Offset at = chunk.base; at < chunk.end() && !full(); at = at.next()) {
        Cursor cursor(chunk_cursor.take(chunk_cursor.get<std::uint32_t>()));
        if (!chunk_cursor.good()) return malformed(chunk);
        if (at < from_) continue;
        const Head head = read_head(cursor);
        Record record;
        record.offset = at;
        record.timestamp = Timestamp(milliseconds(head.time));
        record.key = cursor.take_nullable(head.key_length);
        record.value = cursor.take_nullable(head.value_length);
        const HeaderRange range{batch_->headers.size(), head.headers};
        for (std::uint32_t i = 0; i < head.headers && cursor.good(); ++i) {
            const auto name_length = cursor.get<std::uint32_t>();
            const auto value_length = cursor.get<std::uint32_t>();
            const std::string_view name = cursor.take(name_length);
            batch_->headers.push_back(Header{name, cursor.take(value_length)});
        }
        if (!cursor.good() || !cursor.at_end()) return malformed(chunk);
        const std::span<const Header> headers(batch_->headers);
        record.headers = headers.subspan(range.first, range.count);
        batch_->bytes += size_of(record);
        batch_->records.push_back(record);
        header_ranges_.push_back(range);
    }
    memory_.push_back(chunk.data);
    return {};
}

// The vector of headers has moved while it grew, so the records' views are set last.
RecordBatchPtr BatchBuilder::finish() {
    const std::span<const Header> headers(batch_->headers);
    for (std::size_t i = 0; i < header_ranges_.size(); ++i) {
        const auto [first, count] = header_ranges_[i];
        batch_->records[i].headers = headers.subspan(first, count);
    }
    batch_->memory =
        std::make_shared<const std::vector<std::shared_ptr<const std::string>>>(std::move(memory_));
    return std::move(batch_);
}

Result<Offset> first_at(const Chunk& chunk, std::int64_t time) {
    Cursor chunk_cursor(*chunk.data);
    for (Offset at = chunk.base; at < chunk.end(); at = at.next()) {
        Cursor cursor(chunk_cursor.take(chunk_cursor.get<std::uint32_t>()));
        const Head head = read_head(cursor);
        if (!cursor.good()) return malformed(chunk);
        if (head.time >= time) return at;
    }
    return chunk.end();
}

}  // namespace millrace::embedded
