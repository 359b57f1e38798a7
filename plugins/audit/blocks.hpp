// Blocks: how the log is searched without an index on it.
//
// An index over random ids costs three quarters of the insert rate, so there is none. Every
// kBlockRows rows are summed up in one row of the table `blocks`: their earliest and latest time,
// and a Bloom filter of their users and tasks. A search walks the blocks from the latest, skips
// those that cannot hold what is looked for, and reads the rows of the others. Rows after the last
// whole block are always read. https://doi.org/10.1145/362686.362692 (Bloom, 1970)
//
// Thread rule and errors: as the callbacks that use it.
#pragma once

#include <cstdint>
#include <millrace/plugin.hpp>
#include <string>
#include <string_view>

namespace audit {

inline constexpr std::int64_t kBlockRows = 1'024;

// Which users and tasks a block may hold: never wrong about one that it has, in 2 of 100 cases
// about one that it has not.
class BlockFilter {
public:
    // Empty, or one that was stored.
    explicit BlockFilter(std::string_view bytes = {});

    enum class Kind : std::uint8_t { kUser = 1, kTask };
    void add(Kind kind, std::string_view id);
    bool may_have(Kind kind, std::string_view id) const;
    const std::string& bytes() const { return bytes_; }

private:
    static constexpr std::size_t kBits = 16 * static_cast<std::size_t>(kBlockRows);
    static constexpr int kProbes = 4;

    std::string bytes_;
};

void create_blocks(millrace::Context& context);
// Sums up the rows up to `last_sequence`, a multiple of kBlockRows.
void close_block(millrace::Context& context, std::int64_t last_sequence);

}  // namespace audit
