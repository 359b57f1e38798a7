#include "blocks.hpp"

#include <algorithm>
#include <limits>

namespace audit {
namespace {

// FNV-1a, 64 bits, finished as MurmurHash3 does. Stored filters rest on it: it must not change.
std::uint64_t hash(std::uint8_t kind, std::string_view id) {
    std::uint64_t value = 14695981039346656037U;
    const auto mix = [&value](std::uint8_t byte) { value = (value ^ byte) * 1099511628211U; };
    mix(kind);
    for (const char c : id) mix(static_cast<std::uint8_t>(c));
    value = (value ^ (value >> 33U)) * 0xff51afd7ed558ccdU;
    value = (value ^ (value >> 33U)) * 0xc4ceb9fe1a85ec53U;
    return value ^ (value >> 33U);
}

// The two halves of one hash make as many as are wanted (Kirsch and Mitzenmacher, 2006).
std::size_t probe(std::uint64_t hash, int index, std::size_t bits) {
    const std::uint64_t step = (hash >> 32U) | 1U;
    return static_cast<std::size_t>((hash + static_cast<std::uint64_t>(index) * step) % bits);
}

char mask(std::size_t bit) { return static_cast<char>(1U << (bit % 8)); }

}  // namespace

BlockFilter::BlockFilter(std::string_view bytes) : bytes_(bytes) { bytes_.resize(kBits / 8, '\0'); }

void BlockFilter::add(Kind kind, std::string_view id) {
    const std::uint64_t hashed = hash(static_cast<std::uint8_t>(kind), id);
    for (int i = 0; i < kProbes; ++i) {
        const std::size_t bit = probe(hashed, i, kBits);
        bytes_[bit / 8] = static_cast<char>(bytes_[bit / 8] | mask(bit));
    }
}

bool BlockFilter::may_have(Kind kind, std::string_view id) const {
    const std::uint64_t hashed = hash(static_cast<std::uint8_t>(kind), id);
    for (int i = 0; i < kProbes; ++i) {
        const std::size_t bit = probe(hashed, i, kBits);
        if ((bytes_[bit / 8] & mask(bit)) == 0) return false;
    }
    return true;
}

void create_blocks(millrace::Context& context) {
    context.exec(
        "CREATE TABLE blocks(last INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER "
        "NOT NULL,"
        " filter BLOB NOT NULL) STRICT");
    context.exec("CREATE INDEX blocks_by_latest ON blocks(latest)");
}

void close_block(millrace::Context& context, std::int64_t last_sequence) {
    BlockFilter filter;
    std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
    std::int64_t latest = std::numeric_limits<std::int64_t>::min();
    context.query(
        "SELECT time, user_id, task_id FROM events WHERE sequence > ?1 AND sequence <= ?2",
        [&](const millrace::Row& row) {
            earliest = std::min(earliest, row.integer(0));
            latest = std::max(latest, row.integer(0));
            if (!row.is_null(1)) filter.add(BlockFilter::Kind::kUser, row.text(1));
            if (!row.is_null(2)) filter.add(BlockFilter::Kind::kTask, row.text(2));
        },
        last_sequence - kBlockRows, last_sequence);
    context.exec("INSERT INTO blocks VALUES(?1, ?2, ?3, ?4)", last_sequence, earliest, latest,
                 millrace::blob(filter.bytes()));
}

}  // namespace audit
