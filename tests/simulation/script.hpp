// Script: what an event asks the model handler to do with it, written into the event's title, and
// what must become of it.
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::simulation {

enum class Act {
    kAck = 1,
    kIgnore,
    kFlaky,              // fails `times` times
    kDie,                // fails for good
    kExhaust,            // fails until the budget is spent
    kPending,            // completed after `delay`
    kPendingLate,        // completed after pending_timeout the first `times` times
    kPendingTwice,       // completed two times
    kPendingNever,       // never completed
    kPendingFlaky,       // on_complete fails `times` times
    kPendingAfterWrite,  // pending is not allowed then
    kSlow,               // takes `delay`, within the timeout
    kHang,               // takes longer than the timeout, the first `times` times
    kHangInSql,          // the same, inside a statement
    kOrRollback,         // takes the whole transaction away
    kRaiseRollback,
    kPublish,         // `count` events
    kPublishRefused,  // an event that its topic refuses for good
    kTimer,           // sets or replaces the user's timer, due in `delay`
    kTimerCancel,
    kTimerFlaky,  // a timer of its own that fails `times` times and publishes
    kTimerDie,    // a timer of its own that fails for good
    kCall,        // `count` HTTP calls
    kCallDie,     // a call whose response fails for good
    kLast = kCallDie,
    kNeedsOutside,   // fails while the outside is away
    kDieUntilCured,  // fails for good, but not for ever
};

// What must become of a record.
enum class Fate {
    kEffect = 1,  // its effect, exactly once
    kDead,        // a dead letter, and no effect
    kEither,      // one of the two: how long things take decides
    kSkipped,     // neither
};

struct Script {
    Act act = Act::kAck;
    int times = 0;
    int count = 0;
    int delay = 0;  // ms

    std::string to_text() const;
    static Script from_text(std::string_view text);
    Fate fate() const;
    bool needs_state() const;
};

const char* to_string(Act act);
const char* to_string(Fate fate);

}  // namespace millrace::simulation
