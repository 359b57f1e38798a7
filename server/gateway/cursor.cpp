#include "gateway/cursor.hpp"

#include "core/crc32.hpp"
#include "gateway/encoding.hpp"

namespace millrace::gateway {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kChecksumBytes = 4;

// Base-128 integers, least significant group first; signed ones in zigzag form (Protocol Buffers'
// wire format).
class Writer {
public:
    void number(std::uint64_t value) {
        for (; value >= 128; value >>= 7U) bytes_ += static_cast<char>((value & 127U) | 128U);
        bytes_ += static_cast<char>(value);
    }
    void signed_number(std::int64_t value) {
        const auto bits = static_cast<std::uint64_t>(value);
        number((bits << 1U) ^ (value < 0 ? ~std::uint64_t{0} : 0));
    }
    void text(std::string_view value) {
        number(value.size());
        bytes_ += value;
    }
    void fixed(std::uint32_t value) {
        for (unsigned shift = 0; shift < 32; shift += 8)
            bytes_ += static_cast<char>((value >> shift) & 0xffU);
    }
    std::string& bytes() { return bytes_; }

private:
    std::string bytes_ = std::string(1, kVersion);
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    std::uint64_t number() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) return fail();
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 127U) << shift;
            if (byte < 128) return value;
        }
        return fail();
    }
    std::int64_t signed_number() {
        const std::uint64_t bits = number();
        return static_cast<std::int64_t>((bits >> 1U) ^ (~(bits & 1U) + 1));
    }
    std::string text() {
        const std::uint64_t size = number();
        if (size > rest_.size()) {
            fail();
            return {};
        }
        std::string value(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return value;
    }
    std::uint32_t fixed() {
        if (rest_.size() < 4) return static_cast<std::uint32_t>(fail());
        std::uint32_t value = 0;
        for (unsigned i = 0; i < 4; ++i)
            value |= static_cast<std::uint32_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
        rest_.remove_prefix(4);
        return value;
    }
    bool failed() const { return failed_; }
    bool at_end() const { return rest_.empty(); }

private:
    std::uint64_t fail() {
        failed_ = true;
        rest_ = {};
        return 0;
    }
    std::string_view rest_;
    bool failed_ = false;
};

CursorPosition read_position(Reader& reader) {
    CursorPosition position{Offset{reader.signed_number()}, std::nullopt};
    if (reader.number() == 0) return position;
    Fingerprint last;
    last.offset = Offset{reader.signed_number()};
    last.timestamp_ms = reader.signed_number();
    last.crc = reader.fixed();
    position.last = last;
    return position;
}

std::uint32_t checksum_at(std::string_view bytes) { return Reader(bytes).fixed(); }

}  // namespace

std::string encode_cursor(const Cursor& cursor) {
    Writer writer;
    writer.number(cursor.size());
    std::string_view topic;
    for (const auto& [origin, position] : cursor) {
        // An empty name repeats the one before: topics have several partitions, and the map is
        // sorted by topic.
        writer.text(origin.topic == topic ? std::string_view() : std::string_view(origin.topic));
        topic = origin.topic;
        writer.signed_number(origin.partition.value);
        writer.signed_number(position.next.value);
        writer.number(position.last ? 1 : 0);
        if (!position.last) continue;
        writer.signed_number(position.last->offset.value);
        writer.signed_number(position.last->timestamp_ms);
        writer.fixed(position.last->crc);
    }
    const std::uint32_t checksum = crc32(writer.bytes());
    writer.fixed(checksum);
    return base64url(writer.bytes());
}

std::optional<Cursor> decode_cursor(std::string_view text) {
    if (text.size() > kMaxCursorText) return std::nullopt;
    const auto decoded = from_base64url(text);
    if (!decoded || decoded->size() < 2 + kChecksumBytes || decoded->front() != kVersion)
        return std::nullopt;
    const std::string_view bytes =
        std::string_view(*decoded).substr(0, decoded->size() - kChecksumBytes);
    if (crc32(bytes) != checksum_at(std::string_view(*decoded).substr(bytes.size())))
        return std::nullopt;

    Reader reader(bytes.substr(1));
    Cursor cursor;
    std::string topic;
    for (std::uint64_t count = reader.number(); count > 0 && !reader.failed(); --count) {
        std::string name = reader.text();
        if (!name.empty()) topic = std::move(name);
        const Partition partition{static_cast<std::int32_t>(reader.signed_number())};
        cursor[TopicPartition{topic, partition}] = read_position(reader);
    }
    if (reader.failed() || !reader.at_end()) return std::nullopt;
    return cursor;
}

}  // namespace millrace::gateway
