// Dead letters: the copy of an input that failed for good, key and value byte for byte, with its
// context in headers (INTERFACE.md).
//
// Pure functions; any thread.
#pragma once

#include <string>

#include "engine/input.hpp"
#include "events/record.hpp"

namespace millrace::engine {

struct DeadLetterContext {
    std::string topic;  // the dead-letter topic
    std::string handler;
    std::string group;
};

OutgoingRecord make_dead_letter(const Input& input, const DeadLetterContext& context);
// An event of the outbox that its topic refuses for good.
OutgoingRecord make_dead_letter(const OutboxEvent& event, const std::string& fault, Timestamp now,
                                const DeadLetterContext& context);

}  // namespace millrace::engine
