// LetterDesk: what people do with dead letters: look at them, give them back to the handler that
// failed, put them aside.
//
// A letter is given back with its record's own key, value and headers, as an inbox row of the shard
// that failed; that is committed before the letter counts as redriven. A crash between the two
// leaves it open, and giving it back again is harmless: the handler knows the event then.
//
// Thread rule: the loop thread, the callbacks too; records and the ledger are read on a thread of
// its own. Ownership: what it is given outlives it; it outlives the loop's run. Errors: the
// transport's, the disk's; of a single letter in its result.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "engine/inbox.hpp"
#include "engine/letter_scan.hpp"

namespace millrace::engine {

// To the shard that failed; calls back when that has committed it.
using Redriver =
    std::function<void(const std::string& handler, RedriveRecord record, Callback<Result<void>>)>;

struct LetterDeskSetup {
    Runtime& runtime;
    Transport& transport;
    const EnvelopeReader& reader;
    std::string data_dir;
    std::string vfs;
    DeadLetterSection section;
    Redriver redrive;
};

struct LetterResult {
    std::string id;
    RecordPosition position;
    std::string handler;
    std::optional<Error> error;  // it is open still, and why
};

struct LetterResults {
    std::vector<LetterResult> letters;
    std::optional<std::string> next;  // as of LetterPage
    std::optional<Error> stopped;     // what the rest waits for; `next` leads back to it
};

class LetterDesk {
public:
    explicit LetterDesk(LetterDeskSetup setup);
    ~LetterDesk();

    void list(LetterQuery query, Callback<Result<LetterPage>> done);
    // One page, or what of it ten seconds allow. At most `rate` letters a second, and never more
    // than the configuration allows; in the order of the topic.
    void redrive(LetterQuery query, std::uint32_t rate, Callback<Result<LetterResults>> done);
    void discard(LetterQuery query, Callback<Result<LetterResults>> done);

private:
    struct Redriving;

    Result<LetterLedger*> ledger();
    void next(const std::shared_ptr<Redriving>& redriving);
    void give_back(const std::shared_ptr<Redriving>& redriving);
    void give_back_original(const std::shared_ptr<Redriving>& redriving);
    void hand_over(const std::shared_ptr<Redriving>& redriving, RedriveRecord record);
    void given_back(const std::shared_ptr<Redriving>& redriving, const Result<void>& result);
    void close(Letter letter, Letter::State state, Callback<Result<void>> done);

    LetterDeskSetup setup_;
    std::unique_ptr<WorkerPool> pool_;
    std::shared_ptr<Strand> strand_;
    std::unique_ptr<LetterLedger> ledger_;
    std::map<std::uint64_t, std::unique_ptr<Timer>> paces_;
    std::uint64_t next_pace_ = 0;
};

}  // namespace millrace::engine
