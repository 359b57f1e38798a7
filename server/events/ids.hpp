// Ids and hashes: event identity, derived event ids, UUID form, murmur2.
//
// Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/types.hpp"
#include "events/siphash.hpp"

namespace millrace {

// What makes two records the same event; 128 bits of a hash over what the identity rule names.
struct Identity {
    std::array<std::byte, 16> bytes{};
    auto operator<=>(const Identity&) const = default;
    std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

// Its bits are evenly spread already.
struct IdentityHash {
    std::size_t operator()(const Identity& identity) const noexcept {
        std::size_t hash = 0;
        std::memcpy(&hash, identity.bytes.data(), sizeof hash);
        return hash;
    }
};

// The 128-bit hash that identities and derived ids are made of: stable for ever, since state files hold its results.
// The parts are length-prefixed, so ("ab","c") and ("a","bc") differ.
class IdentityBuilder {
public:
    explicit IdentityBuilder(std::string_view domain);
    IdentityBuilder& add(std::string_view part);
    IdentityBuilder& add(std::int64_t part);
    Identity finish() const;

private:
    SipHash128 hash_;
};

// The hash's bits with version 4 and variant 10 set: has the form of a UUID4 (RFC 9562 section 5.4).
std::string to_uuid(const Identity& identity);
std::string random_uuid(Random& random);
// 8-4-4-4-12 hexadecimal digits, any version, either case.
bool is_uuid(std::string_view text);

// Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2), and the partition its Java client picks for a key.
std::uint32_t murmur2(std::string_view key);
inline std::uint32_t to_positive(std::uint32_t hash) { return hash & 0x7fffffffU; }
inline Partition partition_for_key(std::string_view key, int partitions) {
    return Partition{static_cast<std::int32_t>(to_positive(murmur2(key)) % static_cast<std::uint32_t>(partitions))};
}

}  // namespace millrace
