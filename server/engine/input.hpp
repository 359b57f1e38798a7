// Input: one thing a shard's handler is called for (a record of the log or of the inbox, a timer,
// the response to a call) with what has become of it so far.
//
// Thread rule: the shard's strand. Ownership: its lane, then the batch in which it is resolved.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/runtime.hpp"
#include "engine/outside.hpp"
#include "engine/state_file.hpp"
#include "events/envelope.hpp"

namespace millrace::engine {

enum class InputState {
    kReady = 1,     // to be run
    kWaiting,       // failed; run again when its time has come
    kBlocked,       // held by the open breaker of its partition
    kPending,       // the handler will complete it
    kCompleted,     // the handler has; to be run through on_complete
    kFailed,        // its dead letter is on the way
    kDeadLettered,  // its dead letter is confirmed; to be resolved
};

// Why the last attempt failed; the class is one of INTERFACE's `millrace-error-class`.
struct Failure {
    std::string error_class;
    std::string message;
};

struct CallResponse {
    OutboxCall call;
    HttpAnswer answer;
};

struct Lane;

struct Input {
    std::uint64_t id = 0;
    InputState state = InputState::kReady;
    Lane* lane = nullptr;
    std::unique_ptr<Input> behind;  // the next one of the lane

    // Exactly one of the three.
    const DecodedEvent* event = nullptr;
    std::optional<TimerRow> timer;
    std::optional<CallResponse> response;

    DecodedBatchPtr batch;   // what `event` lives in
    std::int64_t inbox = 0;  // of an event that is a row of the inbox: its sequence
    int redrives = 0;        // how often a dead letter of it was sent back
    std::size_t bytes = 0;

    std::uint32_t attempt = 0;                 // of the current or last run
    std::chrono::nanoseconds budget_since{0};  // monotonic; later by what does not count
    Timestamp first_failure;
    Timestamp last_failure;
    std::optional<Failure> failure;
    bool attempt_kept = false;     // there is a row of it in the state file
    bool failure_counted = false;  // for the breaker, in this life
    bool probe = false;            // let through an open breaker, to see
    std::optional<std::string> completion;
    std::uint32_t dead_letter_tries = 0;
    std::unique_ptr<Timer> wait;

    const TopicPartition& origin() const { return batch->batch->origin; }
    // A record of the log: its offset is to be resolved.
    bool from_log() const { return event != nullptr && inbox == 0; }
    bool runnable() const {
        return state == InputState::kReady || state == InputState::kCompleted ||
               state == InputState::kDeadLettered;
    }
};

using InputPtr = std::unique_ptr<Input>;

// Its key and value: what the bounds of memory count.
std::size_t bytes_of(const Record& record);

// What stands for the input in the state file, the same after a restart: "record tasks 0 17".
std::string input_name(const Input& input);
// What the names of a partition's records begin with.
std::string input_prefix(const TopicPartition& origin);

// What the effects of an input derive their ids from, so that a replay makes the same ones: handler
// and the record's origin topic and identity, or the timer's id, due time and firing, or the call's
// key.
IdentityBuilder effect_identity(std::string_view handler, const Input& input);
// Of a record that record; of a timer or a response only its topic: no offset waits for them.
EffectOrigin effect_origin(const Input& input);
// The record that it goes back to, over timers and calls.
EffectOrigin source_of(const Input& input);
// How often the record was published by handlers on its way here.
std::int64_t hops_of(const Input& input);
std::string_view traceparent_of(const Input& input);

}  // namespace millrace::engine
