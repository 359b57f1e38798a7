#include "simulation/script.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace millrace::simulation {

std::string Script::to_text() const {
    return fmt::format("{} {} {} {}", static_cast<int>(act), times, count, delay);
}

Script Script::from_text(std::string_view text) {
    Script script;
    int act = 0;
    std::sscanf(std::string(text).c_str(), "%d %d %d %d", &act, &script.times, &script.count,
                &script.delay);
    script.act = static_cast<Act>(act);
    return script;
}

Fate Script::fate() const {
    switch (act) {
        case Act::kAck:
        case Act::kPublish:
        case Act::kPublishRefused:
        case Act::kTimer:
        case Act::kTimerCancel:
        case Act::kTimerFlaky:
        case Act::kTimerDie:
        case Act::kCall:
        case Act::kCallDie:
            return Fate::kEffect;
        case Act::kIgnore:
            return Fate::kSkipped;
        case Act::kDie:
        case Act::kDieUntilCured:
        case Act::kExhaust:
        case Act::kPendingNever:
        case Act::kPendingAfterWrite:
        case Act::kOrRollback:
        case Act::kRaiseRollback:
            return Fate::kDead;
        case Act::kFlaky:
        case Act::kPending:
        case Act::kPendingLate:
        case Act::kPendingTwice:
        case Act::kPendingFlaky:
        case Act::kSlow:
        case Act::kHang:
        case Act::kHangInSql:
        case Act::kNeedsOutside:
            return Fate::kEither;
    }
    return Fate::kEither;
}

bool Script::needs_state() const {
    switch (act) {
        case Act::kPendingAfterWrite:
        case Act::kHangInSql:
        case Act::kOrRollback:
        case Act::kRaiseRollback:
        case Act::kPublish:
        case Act::kPublishRefused:
        case Act::kTimer:
        case Act::kTimerCancel:
        case Act::kTimerFlaky:
        case Act::kTimerDie:
        case Act::kCall:
        case Act::kCallDie:
            return true;
        default:
            return false;
    }
}

const char* to_string(Act act) {
    static constexpr const char* kNames[] = {
        "nothing",
        "ack",
        "ignore",
        "flaky",
        "die",
        "exhaust",
        "pending",
        "pending late",
        "pending twice",
        "pending never",
        "pending flaky",
        "pending after a write",
        "slow",
        "hang",
        "hang in SQL",
        "OR ROLLBACK",
        "RAISE(ROLLBACK)",
        "publish",
        "publish refused",
        "timer",
        "timer cancel",
        "timer flaky",
        "timer die",
        "call",
        "call die",
        "needs the outside",
        "die until cured",
    };
    return kNames[static_cast<int>(act)];
}

const char* to_string(Fate fate) {
    switch (fate) {
        case Fate::kEffect:
            return "an effect";
        case Fate::kDead:
            return "a dead letter";
        case Fate::kEither:
            return "an effect or a dead letter";
        case Fate::kSkipped:
            return "skipped";
    }
    return "unknown";
}

}  // namespace millrace::simulation
