// The tables of a handler's own file (handler.db), by version. Append a step; never change one that
// was released.
#pragma once

#include <array>

namespace millrace::engine {

inline constexpr std::array<const char*, 2> kPositionSteps = {
    // 1
    "CREATE TABLE _positions(topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT "
    "NULL, PRIMARY KEY(topic, partition)) WITHOUT ROWID;",
    // 2: which log the position is one of, the last record below it, and how far the group may be
    // ahead after a replay
    "ALTER TABLE _positions ADD COLUMN cluster TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE _positions ADD COLUMN record_offset INTEGER;"
    "ALTER TABLE _positions ADD COLUMN record_timestamp INTEGER;"
    "ALTER TABLE _positions ADD COLUMN record_crc INTEGER;"
    "ALTER TABLE _positions ADD COLUMN published INTEGER NOT NULL DEFAULT -1;"
    "CREATE TABLE _topics(topic TEXT PRIMARY KEY, first_partitions INTEGER NOT NULL, partitions "
    "INTEGER NOT NULL) WITHOUT ROWID;",
};

}  // namespace millrace::engine
