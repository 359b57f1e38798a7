// Cursor: the place up to which a client has seen everything, as one opaque text.
//
// It is made of positions (the next offset per partition), each with the timestamp and CRC of the
// last record that was seen below it: a topic that was deleted and made anew has the same offsets
// but not the same records. base64url of a compact form with a checksum of its own, so that a
// damaged or made-up cursor is refused rather than misread.
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace millrace::gateway {

// What a record is recognised by.
struct Fingerprint {
    Offset offset;
    std::int64_t timestamp_ms = 0;
    std::uint32_t crc = 0;
    bool operator==(const Fingerprint&) const = default;
};

struct CursorPosition {
    Offset next;
    std::optional<Fingerprint> last;  // nullopt: nothing was seen on this partition yet
    bool operator==(const CursorPosition&) const = default;
};

using Cursor = std::map<TopicPartition, CursorPosition>;

constexpr std::size_t kMaxCursorText = 16U << 10;

std::string encode_cursor(const Cursor& cursor);
// nullopt: not a cursor of ours.
std::optional<Cursor> decode_cursor(std::string_view text);

}  // namespace millrace::gateway
