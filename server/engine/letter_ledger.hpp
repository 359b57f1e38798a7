// LetterLedger: which dead letters were given back to their handler or put aside, so that they are
// no longer shown as open. The letters themselves stay in their topic until its retention.
//
// One SQLite file, <data_dir>/dead-letters.db, durable after each `close`. Thread rule: one strand.
// Errors: the disk's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"
#include "engine/letter.hpp"

namespace millrace::engine {

class LetterLedger {
public:
    [[nodiscard]] static Result<std::unique_ptr<LetterLedger>> open(const std::string& path,
                                                                    const std::string& vfs);

    // Sets the letter's state.
    [[nodiscard]] Result<void> look_up(Letter& letter);
    [[nodiscard]] Result<void> close(const Letter& letter, Letter::State state, Timestamp now);
    // What the topic's retention has removed need not be remembered.
    [[nodiscard]] Result<void> forget(const TopicPartition& origin, Offset below);

private:
    explicit LetterLedger(std::unique_ptr<sqlite::Database> database);
    Result<void> prepare();

    std::unique_ptr<sqlite::Database> database_;
    sqlite::Statement find_;
    sqlite::Statement insert_;
    sqlite::Statement forget_;
};

}  // namespace millrace::engine
