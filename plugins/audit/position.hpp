// Position: where an event stands in the audit log's order, newest first, over all shards; and the
// cursor that says so.
//
// The order is (time, topic, partition, sequence): `time` is the event's own time, or when the log
// took it if it has none. It is total, so that pages neither overlap nor leave a gap. Plain values;
// any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <millrace/plugin.hpp>
#include <string>
#include <string_view>

namespace audit {

// A shard of this handler holds one partition, and is named "<topic>-<partition>".
struct Partition {
    std::string topic;
    std::int64_t number = 0;
    auto operator<=>(const Partition&) const = default;

    static Partition of_shard(std::string_view shard);
};

struct Position {
    std::int64_t time = 0;
    Partition partition;
    std::int64_t sequence = 0;
    auto operator<=>(const Position&) const = default;

    std::string to_cursor() const;
    // Throws BadParameter.
    static Position from_cursor(std::string_view cursor);
    // Of a row as the question `events` answers it.
    static Position of_item(const millrace::Json& item);
};

}  // namespace audit
