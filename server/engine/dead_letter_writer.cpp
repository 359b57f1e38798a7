#include "engine/dead_letter_writer.hpp"

#include <memory>
#include <utility>

#include "core/log.hpp"

namespace millrace::engine {
namespace {

struct Writing {
    Transport& transport;
    OutgoingRecord letter;
    LetterForm form;
    Callback<Result<WrittenLetter>> done;
};

void write(const std::shared_ptr<Writing>& writing);

void answered(const std::shared_ptr<Writing>& writing, const Result<RecordPosition>& result) {
    if (result) return writing->done(WrittenLetter{*result, writing->form});
    const auto next = smaller(writing->form);
    if (result.error().code != ErrorCode::kTooLarge || !next) return writing->done(result.error());
    writing->form = *next;
    if (*next == LetterForm::kPointer) {
        log::warn("engine", "{}: only a pointer to the record is left there: {}",
                  writing->letter.topic, result.error().message);
    }
    write(writing);
}

void write(const std::shared_ptr<Writing>& writing) {
    std::vector<OutgoingRecord> records;
    records.push_back(reduced(writing->letter, writing->form));
    writing->transport.publish(std::move(records), Origin::kInternal,
                               [writing](const std::vector<Result<RecordPosition>>& results) {
                                   answered(writing, results.front());
                               });
}

}  // namespace

void write_dead_letter(Transport& transport, OutgoingRecord letter,
                       Callback<Result<WrittenLetter>> done) {
    write(std::make_shared<Writing>(
        Writing{transport, std::move(letter), LetterForm::kWhole, std::move(done)}));
}

}  // namespace millrace::engine
