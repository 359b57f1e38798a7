// The strong types that every floor shares: partition, offset, epoch, topic-partition, timestamp.
//
// Plain values; any thread.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace millrace {

struct Partition {
    std::int32_t value = 0;
    auto operator<=>(const Partition&) const = default;
};

// A position in a partition's log. As a *position* (watermark, committed offset) it names the next record to read.
struct Offset {
    std::int64_t value = 0;
    auto operator<=>(const Offset&) const = default;
    Offset next() const { return Offset{value + 1}; }
};

// Number of a partition's assignment to this process; work of an older epoch is dropped whole.
struct Epoch {
    std::uint64_t value = 0;
    auto operator<=>(const Epoch&) const = default;
};

struct TopicPartition {
    std::string topic;
    Partition partition;
    auto operator<=>(const TopicPartition&) const = default;
};

// "topic/3": how positions are written in logs and messages.
inline std::string to_string(const TopicPartition& origin) {
    return origin.topic + "/" + std::to_string(origin.partition.value);
}

// Wall-clock time, UTC. Microseconds because producers send them; record timestamps have milliseconds.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

using std::chrono::milliseconds;

}  // namespace millrace

template <>
struct std::hash<millrace::TopicPartition> {
    std::size_t operator()(const millrace::TopicPartition& origin) const noexcept {
        return std::hash<std::string>{}(origin.topic) * 31U + static_cast<std::size_t>(origin.partition.value);
    }
};
