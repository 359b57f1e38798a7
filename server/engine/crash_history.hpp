// CrashHistory: where handlers brought the process down, and what follows from it: a position that
// does so `crash_limit` times is given up, a handler that does so at as many different positions
// within `crash_window` is quarantined.
//
// Plain values and pure functions; any thread. Bounded: the newest marks are kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "engine/call_slot.hpp"

namespace millrace::engine {

bool is_record_of(const CallPlace& place, const TopicPartition& origin);

struct CrashMark {
    Timestamp time;
    int signal = 0;
    std::string shard;
    CallPlace place;
    bool operator==(const CrashMark&) const = default;
};

struct Quarantine {
    Timestamp since;
    std::string reason;
};

struct HandlerCrashes {
    std::vector<CrashMark> marks;  // oldest first
    std::optional<Quarantine> quarantine;
};

using CrashHistory = std::map<std::string, HandlerCrashes>;  // by handler

// An input that is not run any more.
struct CondemnedInput {
    CallPlace place;
    std::string shard;
    std::uint32_t crashes = 0;
    int signal = 0;  // of the last
    Timestamp first;

    bool is_at(const CallView& position, std::string_view of_shard) const;
    bool is_of(const TopicPartition& origin) const { return is_record_of(place, origin); }
};

// What is there already is not added again.
void add_mark(HandlerCrashes& crashes, CrashMark mark);
std::vector<CondemnedInput> condemned_inputs(const HandlerCrashes& crashes, std::uint32_t limit);
// Why the handler is to be quarantined; nothing: it may run.
std::optional<std::string> quarantine_reason(const HandlerCrashes& crashes, std::uint32_t limit,
                                             milliseconds window);
// "SIGSEGV".
std::string signal_name(int signal);

std::string to_json(const CrashHistory& history);
Result<CrashHistory> parse_crash_history(std::string_view json);

}  // namespace millrace::engine
