#include "events/siphash.hpp"

#include <bit>
#include <cstring>

namespace millrace {
namespace {

std::uint64_t read_little_endian(const char* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
}

void write_little_endian(std::uint64_t word, std::byte* out) {
    for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::byte>(word >> (8 * i));
}

}  // namespace

void SipHash128::Words::round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
}

void SipHash128::Words::absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
}

std::uint64_t SipHash128::Words::fold() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
}

SipHash128::SipHash128(std::uint64_t key_low, std::uint64_t key_high)
    : words_{key_low ^ 0x736f6d6570736575U, key_high ^ 0x646f72616e646f6dU ^ 0xeeU,
             key_low ^ 0x6c7967656e657261U, key_high ^ 0x7465646279746573U} {}

void SipHash128::add_byte(char byte) {
    tail_ |= std::uint64_t{static_cast<unsigned char>(byte)} << (8 * (length_ % 8));
    if (++length_ % 8 != 0) return;
    words_.absorb(tail_);
    tail_ = 0;
}

void SipHash128::update(std::string_view bytes) {
    while (!bytes.empty() && length_ % 8 != 0) {
        add_byte(bytes.front());
        bytes.remove_prefix(1);
    }
    for (; bytes.size() >= 8; bytes.remove_prefix(8), length_ += 8) {
        words_.absorb(read_little_endian(bytes.data()));
    }
    for (const char byte : bytes) add_byte(byte);
}

std::array<std::byte, 16> SipHash128::finish() const {
    Words words = words_;
    words.absorb(tail_ | (length_ << 56));
    std::array<std::byte, 16> result;
    words.v2 ^= 0xeeU;
    write_little_endian(words.fold(), result.data());
    words.v1 ^= 0xddU;
    write_little_endian(words.fold(), result.data() + 8);
    return result;
}

}  // namespace millrace
