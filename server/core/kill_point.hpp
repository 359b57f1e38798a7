// Kill points: named places in the server where a test lets it die as by `kill -9`.
//
// A testing aid: MILLRACE_KILL_AT=name:count in the environment of `millrace serve` raises SIGKILL
// at the count-th passing of that place. Unarmed, passing one costs a relaxed load. Any thread;
// `arm_kill_point` before threads start. tests/kill kills at each of them and checks that nothing
// is lost and nothing is done twice.
#pragma once

#include <array>
#include <atomic>
#include <string_view>

#include "core/result.hpp"

namespace millrace {

inline constexpr std::array<std::string_view, 7> kKillPoints{
    "after_fetch",              // a batch came from the transport
    "after_claim",              // a shard has taken its part of a batch
    "in_handler",               // the handler has returned, its effects are in an open transaction
    "in_commit",                // the transaction is half written to the write-ahead log
    "after_effects_commit",     // the transaction is committed, its sync has not begun
    "after_dead_letter_write",  // the dead letter is confirmed, its record not resolved yet
    "before_offset_commit",     // the position is saved, the group does not know it yet
};

// `spec` is name:count, count from 1. kInvalid: no such place, or no such count.
[[nodiscard]] Result<void> arm_kill_point(std::string_view spec);
bool kill_point_is_armed(std::string_view name);

namespace kill_point_detail {
extern std::atomic<bool> armed;
void pass(std::string_view name);
}  // namespace kill_point_detail

inline void kill_point(std::string_view name) {
    if (kill_point_detail::armed.load(std::memory_order_relaxed)) kill_point_detail::pass(name);
}

}  // namespace millrace
