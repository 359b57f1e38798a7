// FieldState: whether an event says something of a field. For most the text is enough; that a rule
// was taken away is told only by a field that is there and says nothing.
//
// Any thread. Errors: none.
#pragma once

#include <string_view>

namespace millrace {

struct DecodedEvent;

enum class FieldState {
    kAbsent = 1,  // not there, or nothing that can be read
    kNothing,     // there, and null, empty, or a word for nothing ("none")
    kText,        // EnvelopeReader::field has it
};

// kAbsent too if the kind of the event's topic has no such field.
FieldState field_state(const DecodedEvent& event, std::string_view name);

}  // namespace millrace
