// LetterScan: reads a dead-letter topic from its oldest record on, a page at a time.
//
// A page ends when it is full or enough was read; its cursor says where the next one begins, and
// where the topic ended when the first began: what is written while someone pages is not seen, so
// a redrive that fails again does not go on for ever.
//
// Thread rule: the loop thread, the callback too; records are read on `strand`, on which the ledger
// lives. Ownership: keeps itself alive until it has called back; what it is given outlives it.
// Errors: the transport's and the ledger's; kInvalid for a cursor that is none.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/runtime.hpp"
#include "engine/letter_ledger.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

struct LetterQuery {
    std::string topic;  // the dead-letter topic
    LetterFilter filter;
    std::size_t limit = 100;  // letters of a page
    std::string cursor;       // of the page before; empty: the first one
};

struct LetterPage {
    std::vector<Letter> letters;      // the first of each id
    std::string begin;                // the cursor of this page
    std::optional<std::string> next;  // nullopt: this was the last page
};

struct LetterScanParts {
    Runtime& runtime;
    Transport& transport;
    const EnvelopeReader& reader;
    std::shared_ptr<Strand> strand;
    // On the strand.
    std::function<Result<LetterLedger*>()> ledger;
};

class LetterScan final : public std::enable_shared_from_this<LetterScan> {
public:
    LetterScan(LetterScanParts parts, LetterQuery query, Callback<Result<LetterPage>> done);
    void start();
    // The cursor that leads back to a letter of the page which began at `begin`.
    static std::string cursor_at(const std::string& begin, const RecordPosition& letter);

private:
    struct Range {
        Partition partition;
        Offset next;
        Offset end;
    };
    static std::optional<std::vector<Range>> parse(const std::string& cursor);
    static std::string to_text(const std::vector<Range>& ranges);
    void found_topics(const Result<std::vector<TopicInfo>>& topics);
    void ask_ends(int partitions);
    void found_ends(std::size_t index, const Result<Watermarks>& ends);
    void begin();
    void step();
    void read(Range& range);
    void take(Range& range, const RecordBatchPtr& batch);
    bool is_full() const;
    void finish();
    void fail_with(const Error& error);

    LetterScanParts parts_;
    LetterQuery query_;
    Callback<Result<LetterPage>> done_;
    std::vector<Range> ranges_;
    std::size_t asked_ = 0;
    std::size_t scanned_ = 0;
    std::size_t bytes_ = 0;
    std::set<std::string> seen_;
    std::optional<Error> error_;
    LetterPage page_;
};

}  // namespace millrace::engine
