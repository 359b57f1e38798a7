// CRC-32 against the check values of the catalogue (reveng.sourceforge.io/crc-catalogue,
// CRC-32/ISO-HDLC) and itself bytewise.
#include "core/crc32.hpp"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

// One bit at a time, as the polynomial says.
std::uint32_t by_definition(std::string_view bytes) {
    std::uint32_t value = 0xffffffffU;
    for (const char byte : bytes) {
        value ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1U) != 0 ? 0xedb88320U ^ (value >> 1U) : value >> 1U;
    }
    return ~value;
}

TEST(Crc32, agrees_with_the_catalogue) {
    EXPECT_EQ(crc32("123456789"), 0xcbf43926U);
    EXPECT_EQ(crc32(""), 0U);
}

TEST(Crc32, agrees_with_its_definition_at_every_length) {
    std::string bytes;
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(crc32(bytes), by_definition(bytes)) << bytes.size();
        bytes += static_cast<char>(i * 37 + 200);
    }
}

}  // namespace
}  // namespace millrace
