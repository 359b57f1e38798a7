// CRC-32 (IEEE 802.3, reflected, as zlib's and Boost's crc_32_type), eight bytes a step.
//
// Pure; any thread. Source: "slicing by 8", M. Kounavis and F. Berry, A Systematic Approach to
// Building High Performance Software-based CRC Generators, 2005.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// `before`: the checksum of what stands before the bytes.
std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0);

}  // namespace millrace
