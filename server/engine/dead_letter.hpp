// Dead letters: the copy of an input that failed for good, key and value byte for byte, with its
// context in headers: our own as text, Kafka Connect's and Spring's in their encodings
// (docs/OPERATING.md).
//
// A letter that its topic finds too large is written again in a smaller form; the last one is a
// pointer to the record. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/config/server_config.hpp"
#include "engine/input.hpp"
#include "events/record.hpp"

namespace millrace::engine {

struct DeadLetterContext {
    std::string topic;  // the dead-letter topic
    std::string handler;
    std::string group;
    DeadLetterSection section;
};

OutgoingRecord make_dead_letter(const Input& input, const DeadLetterContext& context);
// An event of the outbox that its topic refuses for good.
OutgoingRecord make_dead_letter(const OutboxEvent& event, const std::string& fault, Timestamp now,
                                const DeadLetterContext& context);

enum class LetterForm {
    kWhole = 1,
    kTrimmed,      // a short message, and our own headers only besides the record's
    kPointer,      // class `too-large`: no value, its size instead
    kBarePointer,  // neither key nor headers of the record
};
std::optional<LetterForm> smaller(LetterForm form);
OutgoingRecord reduced(OutgoingRecord letter, LetterForm form);
bool is_pointer(LetterForm form);

// Headers that a failure adds, of any of the three families. A record that failed before carries
// them already.
bool is_failure_header(std::string_view name);

}  // namespace millrace::engine
