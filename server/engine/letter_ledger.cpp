#include "engine/letter_ledger.hpp"

#include <utility>

namespace millrace::engine {

LetterLedger::LetterLedger(std::unique_ptr<sqlite::Database> database)
    : database_(std::move(database)) {}

Result<std::unique_ptr<LetterLedger>> LetterLedger::open(const std::string& path,
                                                         const std::string& vfs) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    options.synchronous = sqlite::OpenOptions::Synchronous::kFull;
    auto database = sqlite::Database::open(path, options);
    if (!database) return database.error();
    auto made = (*database)->execute(
        "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "INSERT OR IGNORE INTO _meta VALUES('host_version', '1');"
        "CREATE TABLE IF NOT EXISTS _closed(id TEXT PRIMARY KEY, state INTEGER NOT NULL, time "
        "INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT "
        "NULL) WITHOUT ROWID;");
    if (!made) return made.error();
    std::unique_ptr<LetterLedger> ledger(new LetterLedger(std::move(*database)));
    auto ready = ledger->prepare();
    if (!ready) return ready.error();
    return ledger;
}

Result<void> LetterLedger::prepare() {
    const auto ready = [this](sqlite::Statement& statement, const char* sql) -> Result<void> {
        auto prepared = database_->prepare(sql);
        if (!prepared) return prepared.error();
        statement = std::move(*prepared);
        return {};
    };
    auto done = ready(find_, "SELECT state, time FROM _closed WHERE id = ?1");
    if (done)
        done = ready(insert_, "INSERT OR REPLACE INTO _closed VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
    if (done)
        done = ready(forget_,
                     "DELETE FROM _closed WHERE topic = ?1 AND partition = ?2 AND offset < ?3");
    return done;
}

Result<void> LetterLedger::look_up(Letter& letter) {
    find_.bind(1, letter.id);
    auto row = find_.step();
    if (!row) return row.error();
    if (*row) {
        letter.state = static_cast<Letter::State>(find_.integer(0));
        letter.closed = Timestamp(std::chrono::microseconds(find_.integer(1)));
    }
    find_.reset();
    return {};
}

Result<void> LetterLedger::close(const Letter& letter, Letter::State state, Timestamp now) {
    insert_.bind(1, letter.id);
    insert_.bind(2, static_cast<std::int64_t>(state));
    insert_.bind(3, now.time_since_epoch().count());
    insert_.bind(4, letter.position.origin.topic);
    insert_.bind(5, std::int64_t{letter.position.origin.partition.value});
    insert_.bind(6, letter.position.offset.value);
    return insert_.run();
}

Result<void> LetterLedger::forget(const TopicPartition& origin, Offset below) {
    forget_.bind(1, origin.topic);
    forget_.bind(2, std::int64_t{origin.partition.value});
    forget_.bind(3, below.value);
    return forget_.run();
}

}  // namespace millrace::engine
