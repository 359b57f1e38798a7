#include "engine/fingerprint.hpp"

#include "core/crc32.hpp"

namespace millrace::engine {

Fingerprint fingerprint_of(const Record& record) {
    const std::uint32_t key = crc32(record.key.value_or(""));
    return {record.offset, record.timestamp, crc32(record.value.value_or(""), key)};
}

std::optional<Fingerprint> FingerprintTrail::advance(Offset position) {
    std::optional<Fingerprint> newest;
    while (!ahead_.empty() && ahead_.front().offset < position) {
        newest = ahead_.front();
        ahead_.pop_front();
    }
    return newest;
}

}  // namespace millrace::engine
