// write_dead_letter: puts a letter into its topic, in the largest form that the topic takes.
//
// Thread rule: the loop thread, the callback too. Errors: what the transport says of the last
// attempt; the letter is not written then, and whoever waits for it goes on waiting.
#pragma once

#include "engine/dead_letter.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

struct WrittenLetter {
    RecordPosition position;
    LetterForm form = LetterForm::kWhole;
};

void write_dead_letter(Transport& transport, OutgoingRecord letter,
                       Callback<Result<WrittenLetter>> done);

}  // namespace millrace::engine
