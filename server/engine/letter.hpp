// Letter: a record of a dead-letter topic as it is read back, and the filter that chooses among
// them.
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "events/envelope.hpp"
#include "events/record.hpp"

namespace millrace::engine {

struct Letter {
    // Equal for the copies that a crash may leave, different when the record fails again after a
    // redrive.
    std::string id;
    RecordPosition position;  // in the dead-letter topic
    Timestamp written;
    std::string error_class;  // empty: not written by Millrace
    std::string message;
    std::string handler;
    std::string group;
    TopicPartition origin{"", {-1}};
    Offset offset{-1};    // -1: not of a record
    Timestamp timestamp;  // of the record; of a timer: when it was due
    std::uint32_t attempts = 0;
    std::string first_failure;
    std::string last_failure;
    std::string event_id;
    std::uint32_t redrives = 0;
    std::string timer;   // of a timer: its id
    std::string call;    // of the response to a call: its id
    std::string target;  // of an event: the topic that refused it
    std::optional<std::string> user;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::optional<std::uint64_t> value_bytes;  // of a pointer: of the value that did not fit
    std::vector<std::pair<std::string, std::string>> headers;  // the record's own

    enum class State { kOpen = 1, kRedriven, kDiscarded } state = State::kOpen;
    std::optional<Timestamp> closed;

    bool is_record() const { return timer.empty() && call.empty() && target.empty(); }
};

const char* to_string(Letter::State state);

// The event is a record of a dead-letter topic; its envelope says whose it is.
Letter read_letter(const DecodedEvent& event, const TopicPartition& origin);

struct LetterFilter {
    std::string error_class;  // empty: any; so the others
    std::string handler;
    std::string user;
    std::optional<std::string> key;
    std::string id;
    std::optional<std::pair<Partition, Offset>> at;  // in the dead-letter topic
    std::optional<Timestamp> from;                   // written at or after
    std::optional<Timestamp> to;                     // written before
    bool closed = false;                             // also those that were redriven or discarded

    bool matches(const Letter& letter) const;
};

}  // namespace millrace::engine
