#include "core/crc32.hpp"

#include <array>
#include <cstddef>

namespace millrace {
namespace {

using Table = std::array<std::uint32_t, 256>;

// tables[k][b]: what byte b contributes k bytes later.
constexpr std::array<Table, 8> make_tables() {
    std::array<Table, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1U) != 0 ? 0xedb88320U ^ (value >> 1U) : value >> 1U;
        tables[0][byte] = value;
    }
    for (std::size_t k = 1; k < tables.size(); ++k) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[k - 1][byte];
            tables[k][byte] = tables[0][before & 0xffU] ^ (before >> 8U);
        }
    }
    return tables;
}

constexpr std::array<Table, 8> kTables = make_tables();

// The order of the bytes in memory does not matter here: they are put together by hand.
std::uint32_t little_endian(const char* at) {
    const auto byte = [at](int i) { return std::uint32_t{static_cast<unsigned char>(at[i])}; };
    return byte(0) | byte(1) << 8U | byte(2) << 16U | byte(3) << 24U;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t before) {
    std::uint32_t value = ~before;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint32_t low = little_endian(at) ^ value;
        const std::uint32_t high = little_endian(at + 4);
        value = kTables[7][low & 0xffU] ^ kTables[6][(low >> 8U) & 0xffU] ^
                kTables[5][(low >> 16U) & 0xffU] ^ kTables[4][low >> 24U] ^
                kTables[3][high & 0xffU] ^ kTables[2][(high >> 8U) & 0xffU] ^
                kTables[1][(high >> 16U) & 0xffU] ^ kTables[0][high >> 24U];
    }
    for (; left > 0; --left, ++at)
        value = kTables[0][(value ^ static_cast<unsigned char>(*at)) & 0xffU] ^ (value >> 8U);
    return ~value;
}

}  // namespace millrace
