#include "engine/letter_desk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::engine {
namespace {

RedriveRecord record_of(const Letter& letter) {
    return {letter.origin,
            letter.offset,
            letter.timestamp,
            letter.key,
            letter.value,
            letter.headers,
            static_cast<int>(letter.redrives) + 1};
}

// nullopt: it can be given back.
std::optional<Error> obstacle(const Letter& letter) {
    if (letter.error_class.empty())
        return fail(ErrorCode::kInvalid, "it was not written by Millrace");
    if (!letter.is_record() || letter.offset.value < 0) {
        return fail(ErrorCode::kInvalid,
                    "it is of a timer, a response or an event, not of a record: only a record can "
                    "be given back");
    }
    return std::nullopt;
}

constexpr std::chrono::seconds kLongestRun{10};  // of one page: whoever asked waits for the answer

// The handler may come back; the letters behind wait, for the sake of their order.
bool may_pass(const Error& error) {
    return error.code != ErrorCode::kInvalid && error.code != ErrorCode::kNotFound &&
           error.code != ErrorCode::kTooLarge;
}

}  // namespace

struct LetterDesk::Redriving {
    LetterPage page;
    std::chrono::nanoseconds interval;
    std::chrono::nanoseconds due;
    std::chrono::nanoseconds deadline;
    LetterResults results;
    Callback<Result<LetterResults>> done;

    const Letter& letter() const { return page.letters[results.letters.size()]; }
    // The rest is for the next page.
    void end_at(const Letter& rest) {
        results.next = LetterScan::cursor_at(page.begin, rest.position);
        done(std::move(results));
    }
};

LetterDesk::LetterDesk(LetterDeskSetup setup)
    : setup_(std::move(setup)),
      pool_(setup_.runtime.make_pool("letters", 1)),
      strand_(pool_->make_strand()) {}

LetterDesk::~LetterDesk() = default;

// On the strand.
Result<LetterLedger*> LetterDesk::ledger() {
    if (!ledger_) {
        auto opened = LetterLedger::open(setup_.data_dir + "/dead-letters.db", setup_.vfs);
        if (!opened) return opened.error();
        ledger_ = std::move(*opened);
    }
    return ledger_.get();
}

void LetterDesk::list(LetterQuery query, Callback<Result<LetterPage>> done) {
    LetterScanParts parts{setup_.runtime, setup_.transport, setup_.reader, strand_,
                          [this] { return ledger(); }};
    std::make_shared<LetterScan>(std::move(parts), std::move(query), std::move(done))->start();
}

void LetterDesk::redrive(LetterQuery query, std::uint32_t rate,
                         Callback<Result<LetterResults>> done) {
    const std::uint32_t allowed = std::clamp(rate, 1U, setup_.section.redrive_rate);
    list(std::move(query),
         [this, allowed, done = std::move(done)](Result<LetterPage> page) mutable {
             if (!page) return done(page.error());
             auto redriving = std::make_shared<Redriving>(
                 Redriving{std::move(*page),
                           std::chrono::nanoseconds(std::chrono::seconds(1)) / allowed,
                           setup_.runtime.clock().monotonic(),
                           setup_.runtime.clock().monotonic() + kLongestRun,
                           {},
                           std::move(done)});
             redriving->results.next = redriving->page.next;
             next(redriving);
         });
}

void LetterDesk::next(const std::shared_ptr<Redriving>& redriving) {
    if (redriving->results.letters.size() == redriving->page.letters.size())
        return redriving->done(std::move(redriving->results));
    const auto now = setup_.runtime.clock().monotonic();
    if (now > redriving->deadline) return redriving->end_at(redriving->letter());
    const auto wait = std::chrono::floor<milliseconds>(redriving->due - now);
    redriving->due = std::max(redriving->due, now - std::chrono::seconds(1)) + redriving->interval;
    if (wait <= milliseconds(0)) return give_back(redriving);
    const std::uint64_t id = next_pace_++;
    paces_[id] = setup_.runtime.loop().after(wait, [this, id, redriving] {
        paces_.erase(id);
        give_back(redriving);
    });
}

void LetterDesk::give_back(const std::shared_ptr<Redriving>& redriving) {
    const Letter& letter = redriving->letter();
    if (const auto why_not = obstacle(letter)) return given_back(redriving, *why_not);
    if (letter.value_bytes) return give_back_original(redriving);
    hand_over(redriving, record_of(letter));
}

// A pointer has no value: the record is where it came from, unless retention has removed it.
void LetterDesk::give_back_original(const std::shared_ptr<Redriving>& redriving) {
    const Letter& letter = redriving->letter();
    setup_.transport.read(
        letter.origin, letter.offset, 1, [this, redriving](const Result<RecordBatchPtr>& batch) {
            const Letter& pointer = redriving->letter();
            if (!batch) return given_back(redriving, batch.error());
            const bool is_there = !(*batch)->records.empty() &&
                                  (*batch)->records[0].offset == pointer.offset &&
                                  (*batch)->records[0].timestamp == pointer.timestamp;
            if (!is_there) {
                return given_back(
                    redriving, fail(ErrorCode::kNotFound,
                                    fmt::format("its record is no longer at {} offset {}",
                                                to_string(pointer.origin), pointer.offset.value)));
            }
            const Record& original = (*batch)->records[0];
            RedriveRecord record = record_of(pointer);
            record.headers.clear();
            if (original.key) record.key = std::string(*original.key);
            if (original.value) record.value = std::string(*original.value);
            for (const Header& header : original.headers)
                record.headers.emplace_back(header.name, header.value);
            hand_over(redriving, std::move(record));
        });
}

void LetterDesk::hand_over(const std::shared_ptr<Redriving>& redriving, RedriveRecord record) {
    const Letter& letter = redriving->letter();
    setup_.redrive(
        letter.handler, std::move(record), [this, redriving](const Result<void>& committed) {
            if (!committed) return given_back(redriving, committed);
            close(redriving->letter(), Letter::State::kRedriven,
                  [this, redriving](const Result<void>& noted) { given_back(redriving, noted); });
        });
}

void LetterDesk::given_back(const std::shared_ptr<Redriving>& redriving,
                            const Result<void>& result) {
    const Letter& letter = redriving->letter();
    LetterResult entry{letter.id, letter.position, letter.handler, std::nullopt};
    if (!result) entry.error = result.error();
    redriving->results.letters.push_back(std::move(entry));
    if (!result && may_pass(result.error())) {
        redriving->results.stopped = result.error();
        return redriving->end_at(letter);
    }
    next(redriving);
}

void LetterDesk::close(Letter letter, Letter::State state, Callback<Result<void>> done) {
    strand_->post([this, letter = std::move(letter), state, done = std::move(done)] {
        auto opened = ledger();
        auto closed = opened ? (*opened)->close(letter, state, setup_.runtime.clock().now())
                             : Result<void>(opened.error());
        setup_.runtime.loop().post([done, closed] { done(closed); });
    });
}

void LetterDesk::discard(LetterQuery query, Callback<Result<LetterResults>> done) {
    list(std::move(query), [this, done = std::move(done)](Result<LetterPage> page) {
        if (!page) return done(page.error());
        strand_->post([this, done, page = std::move(*page)] {
            LetterResults results{{}, page.next, std::nullopt};
            auto opened = ledger();
            for (const Letter& letter : page.letters) {
                auto closed = opened ? (*opened)->close(letter, Letter::State::kDiscarded,
                                                        setup_.runtime.clock().now())
                                     : Result<void>(opened.error());
                LetterResult entry{letter.id, letter.position, letter.handler, std::nullopt};
                if (!closed) entry.error = closed.error();
                results.letters.push_back(std::move(entry));
            }
            setup_.runtime.loop().post([done, results = std::move(results)] { done(results); });
        });
    });
}

}  // namespace millrace::engine
