#include "engine/position_file.hpp"

namespace millrace::engine {

Result<std::unique_ptr<PositionFile>> PositionFile::open(const std::string& path,
                                                         const std::string& vfs) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    auto database = sqlite::Database::open(path, options);
    if (!database) return database.error();
    auto made = (*database)->execute(
        "CREATE TABLE IF NOT EXISTS _positions(topic TEXT NOT NULL, partition INTEGER NOT NULL, "
        "position INTEGER NOT NULL,"
        " PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "INSERT OR IGNORE INTO _meta VALUES('host_version', '1');");
    if (!made) return made.error();
    return std::unique_ptr<PositionFile>(new PositionFile(std::move(*database)));
}

Result<std::map<TopicPartition, Offset>> PositionFile::positions() {
    auto query = database_->prepare("SELECT topic, partition, position FROM _positions");
    if (!query) return query.error();
    std::map<TopicPartition, Offset> positions;
    for (;;) {
        auto row = query->step();
        if (!row) return row.error();
        if (!*row) return positions;
        positions[{std::string(query->text(0)), {static_cast<std::int32_t>(query->integer(1))}}] =
            Offset{query->integer(2)};
    }
}

Result<void> PositionFile::save(const std::map<TopicPartition, Offset>& positions) {
    auto insert = database_->prepare("INSERT OR REPLACE INTO _positions VALUES(?1, ?2, ?3)");
    if (!insert) return insert.error();
    auto done = database_->execute("BEGIN IMMEDIATE");
    for (const auto& [origin, position] : positions) {
        if (!done) break;
        insert->bind(1, origin.topic);
        insert->bind(2, std::int64_t{origin.partition.value});
        insert->bind(3, position.value);
        done = insert->run();
    }
    if (done) done = database_->execute("COMMIT");
    if (!done && !database_->autocommit()) (void)database_->execute("ROLLBACK");
    return done ? database_->sync_log() : done;
}

Result<int> PositionFile::shards(int configured) {
    auto insert = database_->prepare("INSERT OR IGNORE INTO _meta VALUES('shards', ?1)");
    if (!insert) return insert.error();
    const std::string text = std::to_string(configured);
    insert->bind(1, text);
    auto done = insert->run();
    if (!done) return done.error();
    auto query = database_->prepare("SELECT value FROM _meta WHERE key = 'shards'");
    if (!query) return query.error();
    auto row = query->step();
    if (!row) return row.error();
    return static_cast<int>(query->integer(0));
}

}  // namespace millrace::engine
