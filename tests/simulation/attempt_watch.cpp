#include "simulation/attempt_watch.hpp"

#include <fmt/format.h>

#include <cmath>

namespace millrace::simulation {
namespace {

// Each wait at its shortest.
std::uint32_t most_attempts(const RetrySection& retry) {
    std::uint32_t attempts = 1;
    double spent = 0;
    for (;; ++attempts) {
        const double full = static_cast<double>(retry.initial.count()) *
                            std::pow(retry.multiplier, static_cast<double>(attempts - 1));
        spent += 0.5 * std::min(full, static_cast<double>(retry.maximum.count()));
        if (spent > static_cast<double>(retry.budget.count())) return attempts;
    }
}

}  // namespace

// What stretches or restarts the budget is left out: a wall clock that jumps, an open breaker.
void AttemptWatch::check_bound(const CallNote& note, const HandlerSection& section) {
    if (scenario_.faults.clock_jump.count() > 0 || scenario_.breakers_open) return;
    const std::uint32_t most = most_attempts(section.retry);
    if (note.attempt <= most) return;
    complain_(fmt::format("{}: attempt {} of {} in {}: the retry budget has room for {}",
                          note.handler, note.attempt, note.serial, note.process, most));
}

std::string AttemptWatch::fault_of(const CallNote& note, const Seen& seen, nanoseconds now) const {
    if (seen.exactly) {
        return note.attempt == *seen.exactly
                   ? std::string()
                   : fmt::format("the disk has kept {} of them", *seen.exactly - 1);
    }
    if (seen.attempt > 0 && !disturbances_.any_between(seen.at, now)) {
        // A batch that was undone is run again.
        const bool again = seen.succeeded && note.attempt == seen.attempt;
        return again || note.attempt == seen.attempt + 1
                   ? std::string()
                   : fmt::format("the one before was {}", seen.attempt);
    }
    return note.attempt >= seen.least
               ? std::string()
               : fmt::format("before a restart it had come to {}", seen.least);
}

void AttemptWatch::called(const CallNote& note, nanoseconds now) {
    const CopyKey copy{note.origin, note.offset};
    const HandlerPlan* plan = scenario_.plan_of(note.handler);
    if (redriven_.contains(copy) || plan == nullptr) return;
    check_bound(note, plan->section);
    Seen& seen = seen_[{note.process, {note.handler, copy}}];
    if (!note.completion) {
        const std::string fault = fault_of(note, seen, now);
        if (!fault.empty())
            complain_(fmt::format("{}: attempt {} of {} ({} offset {}) in {}: {}", note.handler,
                                  note.attempt, note.serial, to_string(note.origin),
                                  note.offset.value, note.process, fault));
    }
    seen.earlier_is_written =
        note.attempt == 1 || (seen.attempt > 0 && !scenario_.undoes_batches() &&
                              !disturbances_.disk_between(seen.at, now));
    seen.attempt = note.attempt;
    seen.succeeded = !note.failed() && note.kind != engine::OutcomeKind::kPending;
    seen.at = now;
    seen.exactly.reset();
}

// SIGKILL leaves what was written; of what the power took with it the disk tells.
void AttemptWatch::crashed(const std::string& process, CrashKind kind, const SavedAttempts& saved,
                           nanoseconds now) {
    if (scenario_.processes > 1) return;
    for (auto& [key, seen] : seen_) {
        if (key.first != process) continue;
        const HandlerPlan* plan = scenario_.plan_of(key.second.first);
        if (plan->state == engine::StateKind::kNone) {
            seen.least = 1;
        } else if (kind == CrashKind::kProcess) {
            const bool sure = seen.earlier_is_written && !disturbances_.disk_between(seen.at, now);
            seen.least = sure ? std::max(seen.least, seen.attempt) : 1;
        } else {
            const auto row = saved.find(key.second);
            seen.exactly = row == saved.end() ? 1 : row->second + 1;
            seen.least = 1;
        }
    }
}

}  // namespace millrace::simulation
