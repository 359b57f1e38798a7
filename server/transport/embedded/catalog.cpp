#include "transport/embedded/catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace millrace::embedded {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS _topics(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _segments(
  topic TEXT NOT NULL, started INTEGER NOT NULL, last_time INTEGER,
  PRIMARY KEY(topic, started)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _segment_bases(
  topic TEXT NOT NULL, started INTEGER NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL,
  PRIMARY KEY(topic, started, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _offsets(
  grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(grp, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version=1;
)";

constexpr std::int64_t kFormat = 1;

// Steps through every row; stops at the first error.
template <class Visit>
Result<void> for_each_row(sqlite::Statement& statement, Visit visit) {
    for (;;) {
        auto row = statement.step();
        if (!row) return row.error();
        if (!*row) return {};
        visit(statement);
    }
}

Result<void> check_format(sqlite::Database& database) {
    auto statement = database.prepare("PRAGMA user_version");
    if (!statement) return statement.error();
    auto row = statement->step();
    if (!row) return row.error();
    const std::int64_t found = statement->integer(0);
    if (found == 0 || found == kFormat) return {};
    return fail(ErrorCode::kConflict,
                fmt::format("{}: written in format {} by a newer server; this one knows {}",
                            database.path(), found, kFormat));
}

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::open(const std::string& path, const std::string& vfs) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    auto database = sqlite::Database::open(path, options);
    if (!database) {
        if (database.error().code != ErrorCode::kConflict) return database.error();
        return fail(ErrorCode::kConflict,
                    fmt::format("{}: another process has this log open; stop it, or choose another "
                                "data_dir",
                                path));
    }
    if (auto known = check_format(**database); !known) return known.error();
    std::unique_ptr<Catalog> catalog(new Catalog(std::move(*database)));
    auto done = catalog->transact([&] { return catalog->database_->execute(kSchema); });
    if (!done) return done.error();
    auto put = catalog->database_->prepare(
        "INSERT INTO _offsets(grp, topic, partition, position) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT DO UPDATE SET position=excluded.position");
    if (!put) return put.error();
    catalog->put_offset_ = std::move(*put);
    return catalog;
}

template <class Changes>
Result<void> Catalog::transact(Changes changes) {
    Result<void> done = database_->execute("BEGIN IMMEDIATE");
    if (!done) return done;
    done = changes();
    if (done) done = database_->execute("COMMIT");
    if (done) return database_->sync_log();
    if (!database_->autocommit()) {
        if (auto undone = database_->execute("ROLLBACK"); !undone) return undone;
    }
    return done;
}

Result<std::string> Catalog::cluster_id(const std::string& proposed) {
    auto done = transact([&]() -> Result<void> {
        auto put = database_->prepare("INSERT OR IGNORE INTO _meta VALUES('cluster_id', ?1)");
        if (!put) return put.error();
        put->bind(1, std::string_view(proposed));
        return put->run();
    });
    if (!done) return done.error();
    auto select = database_->prepare("SELECT value FROM _meta WHERE key='cluster_id'");
    if (!select) return select.error();
    auto row = select->step();
    if (!row) return row.error();
    return std::string(select->text(0));
}

Result<std::vector<CatalogTopic>> Catalog::topics() {
    auto select = database_->prepare("SELECT name, partitions FROM _topics ORDER BY id");
    if (!select) return select.error();
    std::vector<CatalogTopic> topics;
    auto done = for_each_row(*select, [&](const sqlite::Statement& row) {
        topics.push_back({std::string(row.text(0)), static_cast<int>(row.integer(1))});
    });
    if (!done) return done.error();
    return topics;
}

Result<void> Catalog::put_topic(const CatalogTopic& topic) {
    return transact([&]() -> Result<void> {
        auto put = database_->prepare(
            "INSERT INTO _topics(name, partitions) VALUES (?1, ?2) "
            "ON CONFLICT(name) DO UPDATE SET partitions=excluded.partitions");
        if (!put) return put.error();
        put->bind(1, std::string_view(topic.name));
        put->bind(2, std::int64_t{topic.partitions});
        return put->run();
    });
}

Result<std::vector<CatalogSegment>> Catalog::segments(const std::string& topic) {
    auto select = database_->prepare(
        "SELECT started, last_time FROM _segments WHERE topic=?1 ORDER BY started");
    if (!select) return select.error();
    select->bind(1, std::string_view(topic));
    std::vector<CatalogSegment> segments;
    auto done = for_each_row(*select, [&](const sqlite::Statement& row) {
        CatalogSegment segment;
        segment.started = row.integer(0);
        if (!row.is_null(1)) segment.last_time = row.integer(1);
        segments.push_back(std::move(segment));
    });
    if (done) done = read_bases(topic, segments);
    if (!done) return done.error();
    return segments;
}

Result<void> Catalog::read_bases(const std::string& topic, std::vector<CatalogSegment>& segments) {
    auto select = database_->prepare(
        "SELECT started, base FROM _segment_bases WHERE topic=?1 ORDER BY started, partition");
    if (!select) return select.error();
    select->bind(1, std::string_view(topic));
    return for_each_row(*select, [&](const sqlite::Statement& row) {
        const auto found = std::ranges::find(segments, row.integer(0), &CatalogSegment::started);
        if (found != segments.end()) found->bases.push_back(Offset{row.integer(1)});
    });
}

Result<void> Catalog::insert_segment(const std::string& topic, const CatalogSegment& segment) {
    auto insert = database_->prepare("INSERT INTO _segments(topic, started) VALUES (?1, ?2)");
    if (!insert) return insert.error();
    insert->bind(1, std::string_view(topic));
    insert->bind(2, segment.started);
    if (auto done = insert->run(); !done) return done;
    auto base = database_->prepare(
        "INSERT INTO _segment_bases(topic, started, partition, base) VALUES (?1, ?2, ?3, ?4)");
    if (!base) return base.error();
    base->bind(1, std::string_view(topic));
    base->bind(2, segment.started);
    for (std::size_t partition = 0; partition < segment.bases.size(); ++partition) {
        base->bind(3, static_cast<std::int64_t>(partition));
        base->bind(4, segment.bases[partition].value);
        if (auto done = base->run(); !done) return done;
    }
    return {};
}

Result<void> Catalog::add_segment(const std::string& topic, const CatalogSegment& segment,
                                  const CatalogSegment* sealed) {
    return transact([&]() -> Result<void> {
        auto done = insert_segment(topic, segment);
        if (!done || sealed == nullptr || !sealed->last_time) return done;
        auto seal =
            database_->prepare("UPDATE _segments SET last_time=?3 WHERE topic=?1 AND started=?2");
        if (!seal) return seal.error();
        seal->bind(1, std::string_view(topic));
        seal->bind(2, sealed->started);
        seal->bind(3, *sealed->last_time);
        return seal->run();
    });
}

Result<void> Catalog::remove_segment(const std::string& topic, std::int64_t started) {
    return transact([&]() -> Result<void> {
        for (const char* table : {"_segment_bases", "_segments"}) {
            auto remove = database_->prepare(
                fmt::format("DELETE FROM {} WHERE topic=?1 AND started=?2", table));
            if (!remove) return remove.error();
            remove->bind(1, std::string_view(topic));
            remove->bind(2, started);
            if (auto done = remove->run(); !done) return done;
        }
        return {};
    });
}

Result<std::vector<CommittedOffset>> Catalog::offsets() {
    auto select = database_->prepare("SELECT grp, topic, partition, position FROM _offsets");
    if (!select) return select.error();
    std::vector<CommittedOffset> offsets;
    auto done = for_each_row(*select, [&](const sqlite::Statement& row) {
        const Partition partition{static_cast<std::int32_t>(row.integer(2))};
        offsets.push_back({std::string(row.text(0)),
                           TopicPartition{std::string(row.text(1)), partition},
                           Offset{row.integer(3)}});
    });
    if (!done) return done.error();
    return offsets;
}

Result<void> Catalog::put_offsets(const std::vector<CommittedOffset>& offsets) {
    return transact([&]() -> Result<void> {
        for (const CommittedOffset& offset : offsets) {
            put_offset_.bind(1, std::string_view(offset.group));
            put_offset_.bind(2, std::string_view(offset.origin.topic));
            put_offset_.bind(3, std::int64_t{offset.origin.partition.value});
            put_offset_.bind(4, offset.position.value);
            if (auto done = put_offset_.run(); !done) return done;
        }
        return {};
    });
}

}  // namespace millrace::embedded
