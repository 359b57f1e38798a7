#include "engine/position_file.hpp"

#include "engine/position_schema.hpp"
#include "engine/schema_upgrade.hpp"

namespace millrace::engine {
namespace {

SavedPosition read_position(const sqlite::Statement& row) {
    SavedPosition saved;
    saved.position = Offset{row.integer(2)};
    saved.cluster = row.text(3);
    if (!row.is_null(4)) {
        saved.fingerprint = Fingerprint{Offset{row.integer(4)},
                                        Timestamp(std::chrono::microseconds(row.integer(5))),
                                        static_cast<std::uint32_t>(row.integer(6))};
    }
    saved.published = Offset{row.integer(7)};
    return saved;
}

void bind_fingerprint(sqlite::Statement& row, const std::optional<Fingerprint>& fingerprint) {
    if (!fingerprint) {
        for (const int column : {5, 6, 7}) row.bind_null(column);
        return;
    }
    row.bind(5, fingerprint->offset.value);
    row.bind(6, std::int64_t{fingerprint->timestamp.time_since_epoch().count()});
    row.bind(7, std::int64_t{fingerprint->crc});
}

}  // namespace

Result<std::unique_ptr<PositionFile>> PositionFile::open(const std::string& path,
                                                         const std::string& vfs) {
    auto database = open_state(path, vfs, kPositionSteps);
    if (!database) return database.error();
    return std::unique_ptr<PositionFile>(new PositionFile(std::move(*database)));
}

Result<SavedPositions> PositionFile::positions() {
    auto query = database_->prepare(
        "SELECT topic, partition, position, cluster, record_offset, record_timestamp, record_crc, "
        "published FROM _positions");
    if (!query) return query.error();
    SavedPositions positions;
    for (;;) {
        auto row = query->step();
        if (!row) return row.error();
        if (!*row) return positions;
        positions[{std::string(query->text(0)), {static_cast<std::int32_t>(query->integer(1))}}] =
            read_position(*query);
    }
}

Result<SavedTopics> PositionFile::topics() {
    auto query = database_->prepare("SELECT topic, first_partitions, partitions FROM _topics");
    if (!query) return query.error();
    SavedTopics topics;
    for (;;) {
        auto row = query->step();
        if (!row) return row.error();
        if (!*row) return topics;
        topics[std::string(query->text(0))] = {static_cast<int>(query->integer(1)),
                                               static_cast<int>(query->integer(2))};
    }
}

Result<void> PositionFile::save(const SavedPositions& positions, const SavedTopics& topics) {
    auto done = database_->execute("BEGIN IMMEDIATE");
    if (done) done = write(positions);
    if (done) done = write(topics);
    if (done) done = database_->execute("COMMIT");
    if (!done && !database_->autocommit()) (void)database_->execute("ROLLBACK");
    if (done) done = database_->sync_log();
    if (!done) return with_remedy(done.error(), database_->path());
    return done;
}

Result<void> PositionFile::write(const SavedPositions& positions) {
    auto insert = database_->prepare(
        "INSERT OR REPLACE INTO _positions(topic, partition, position, cluster, record_offset, "
        "record_timestamp, record_crc, published) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    if (!insert) return insert.error();
    for (const auto& [origin, saved] : positions) {
        insert->bind(1, origin.topic);
        insert->bind(2, std::int64_t{origin.partition.value});
        insert->bind(3, saved.position.value);
        insert->bind(4, saved.cluster);
        bind_fingerprint(*insert, saved.fingerprint);
        insert->bind(8, saved.published.value);
        auto done = insert->run();
        if (!done) return done;
    }
    return {};
}

Result<void> PositionFile::write(const SavedTopics& topics) {
    auto insert = database_->prepare("INSERT OR REPLACE INTO _topics VALUES(?1, ?2, ?3)");
    if (!insert) return insert.error();
    for (const auto& [topic, saved] : topics) {
        insert->bind(1, topic);
        insert->bind(2, std::int64_t{saved.first_partitions});
        insert->bind(3, std::int64_t{saved.partitions});
        auto done = insert->run();
        if (!done) return done;
    }
    return {};
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
