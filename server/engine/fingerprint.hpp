// Fingerprint: what tells a record from another one at the same offset, so that a topic that was
// made anew is noticed; and FingerprintTrail: which one belongs to a position.
//
// Plain values. The trail lives on the loop thread; fingerprints are taken on decode strands, one a
// batch.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/types.hpp"
#include "events/record.hpp"

namespace millrace::engine {

struct Fingerprint {
    Offset offset;
    Timestamp timestamp;
    std::uint32_t crc = 0;  // CRC-32 of key and value
    bool operator==(const Fingerprint&) const = default;
};

Fingerprint fingerprint_of(const Record& record);

class FingerprintTrail {
public:
    // A batch was handed out whose last record is this one.
    void passed(const Fingerprint& last) { ahead_.push_back(last); }
    // The newest that lies below `position`, if there is a newer one than at the last call; what is
    // older is forgotten.
    std::optional<Fingerprint> advance(Offset position);

private:
    std::deque<Fingerprint> ahead_;
};

}  // namespace millrace::engine
