// A handler that crashes the process or keeps failing: when it is not started any more, and how it
// is let go.
#include <fmt/format.h>

#include <utility>

#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

// Disk, locks and brokers pass, however long they take.
bool is_its_own(const Error& error) {
    switch (error.code) {
        case ErrorCode::kInvalid:
        case ErrorCode::kNotFound:
        case ErrorCode::kDenied:
        case ErrorCode::kInternal:
        case ErrorCode::kTooLarge:
            return true;
        case ErrorCode::kConflict:
        case ErrorCode::kUnavailable:
        case ErrorCode::kTimeout:
        case ErrorCode::kFull:
        case ErrorCode::kIo:
        case ErrorCode::kCorrupt:
        case ErrorCode::kCancelled:
            return false;
    }
    return false;
}

}  // namespace

// True: it is not to be started.
bool HandlerRun::judge_crashes() {
    if (surroundings_.crashes == nullptr) return false;
    crashes_ = surroundings_.crashes->load(name());
    if (crashes_.quarantine) {
        quarantine(crashes_.quarantine->reason);
        return true;
    }
    auto reason = quarantine_reason(crashes_, section().crash_limit, section().crash_window);
    if (!reason) return false;
    crashes_.quarantine = Quarantine{surroundings_.runtime.clock().now(), *reason};
    save_crashes([] {});
    quarantine(std::move(*reason));
    return true;
}

void HandlerRun::fail_shard(const Error& error) {
    const bool is_first = state_ == RunState::kStarting || state_ == RunState::kRunning;
    if (is_first && is_its_own(error)) ++own_failures_;
    fail_run(error);
}

void HandlerRun::quarantine(std::string reason) {
    log::error("engine", "{} is quarantined: {}. `millrace handlers resume {}` starts it again",
               name(), reason, name());
    set_state(RunState::kQuarantined, std::move(reason));
    tell_started(fail(ErrorCode::kConflict, "it is quarantined: " + reason_));
}

void HandlerRun::release_quarantine(const CommandAnswerPtr& answer) {
    log::info("engine", "{} is let out of quarantine", name());
    crashes_ = {};
    set_state(RunState::kStarting, "");
    save_crashes([this, answer] {
        if (state_ == RunState::kStarting) start_again(answer);
    });
}

// Its offsets mean something else from now on, or are to be tried anew.
void HandlerRun::forget_crashes(const TopicPartition& origin) {
    const auto forgotten = std::erase_if(
        crashes_.marks, [&](const auto& mark) { return is_record_of(mark.place, origin); });
    if (forgotten > 0) save_crashes([] {});
}

void HandlerRun::save_crashes(std::function<void()> done) {
    files_->post([this, crashes = crashes_, done = std::move(done)] {
        if (surroundings_.crashes != nullptr) {
            auto saved = surroundings_.crashes->save(name(), crashes);
            if (!saved) log::error("engine", "{}: {}", name(), saved.error().message);
        }
        surroundings_.runtime.loop().post(done);
    });
}

}  // namespace millrace::engine
