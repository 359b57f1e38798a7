#include "events/ids.hpp"

#include <cstring>

namespace millrace {
namespace {

// Fixed for ever: state files hold what is made with it. It keeps nothing secret.
constexpr std::uint64_t kKeyLow = 0x6d696c6c72616365U;
constexpr std::uint64_t kKeyHigh = 0x6964656e74697479U;

std::string_view bytes_of(const std::array<char, 8>& bytes) { return {bytes.data(), bytes.size()}; }

std::array<char, 8> little_endian(std::uint64_t word) {
    std::array<char, 8> bytes;
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(word >> (8 * i));
    return bytes;
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::uint32_t byte_at(std::string_view text, std::size_t index) {
    return static_cast<unsigned char>(text[index]);
}

constexpr std::uint32_t kMurmurMultiplier = 0x5bd1e995U;

std::uint32_t murmur_mix(std::uint32_t word) {
    word *= kMurmurMultiplier;
    word ^= word >> 24;
    return word * kMurmurMultiplier;
}

std::uint32_t murmur_tail(std::string_view tail, std::uint32_t hash) {
    if (tail.empty()) return hash;
    for (std::size_t i = tail.size(); i-- > 0;) hash ^= byte_at(tail, i) << (8 * i);
    return hash * kMurmurMultiplier;
}

}  // namespace

IdentityBuilder::IdentityBuilder(std::string_view domain) : hash_(kKeyLow, kKeyHigh) {
    add(domain);
}

IdentityBuilder& IdentityBuilder::add(std::string_view part) {
    hash_.update(bytes_of(little_endian(part.size())));
    hash_.update(part);
    return *this;
}

IdentityBuilder& IdentityBuilder::add(std::int64_t part) {
    return add(bytes_of(little_endian(static_cast<std::uint64_t>(part))));
}

Identity IdentityBuilder::finish() const { return Identity{hash_.finish()}; }

std::string to_uuid(const Identity& identity) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < identity.bytes.size(); ++i) {
        auto byte = std::to_integer<unsigned>(identity.bytes[i]);
        if (i == 6) byte = (byte & 0x0fU) | 0x40U;
        if (i == 8) byte = (byte & 0x3fU) | 0x80U;
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0x0fU];
    }
    return text;
}

std::string random_uuid(Random& random) {
    Identity bits;
    const std::uint64_t words[2] = {random.next(), random.next()};
    std::memcpy(bits.bytes.data(), words, sizeof words);
    return to_uuid(bits);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
    }
    return true;
}

std::uint32_t murmur2(std::string_view key) {
    std::uint32_t hash = 0x9747b28cU ^ static_cast<std::uint32_t>(key.size());
    for (; key.size() >= 4; key.remove_prefix(4)) {
        const std::uint32_t word =
            byte_at(key, 0) | byte_at(key, 1) << 8 | byte_at(key, 2) << 16 | byte_at(key, 3) << 24;
        hash = (hash * kMurmurMultiplier) ^ murmur_mix(word);
    }
    hash = murmur_tail(key, hash);
    hash ^= hash >> 13;
    hash *= kMurmurMultiplier;
    return hash ^ (hash >> 15);
}

}  // namespace millrace
