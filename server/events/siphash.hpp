// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein), fed in pieces.
//
// A plain value; one thread. The result depends on the bytes alone, not on how they were cut or on
// the machine's byte order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace {

class SipHash128 {
public:
    SipHash128(std::uint64_t key_low, std::uint64_t key_high);
    void update(std::string_view bytes);
    std::array<std::byte, 16> finish() const;

private:
    struct Words {
        std::uint64_t v0, v1, v2, v3;
        void round();
        void absorb(std::uint64_t word);
        std::uint64_t fold();
    };

    void add_byte(char byte);

    Words words_;
    std::uint64_t tail_ = 0;  // bytes that do not fill a word yet, little endian
    std::uint64_t length_ = 0;
};

}  // namespace millrace
