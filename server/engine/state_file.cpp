#include "engine/state_file.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "engine/state_schema.hpp"

namespace millrace::engine {
namespace {

constexpr const char* kMetaTable = "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

std::int64_t version_in(sqlite::Database& database) {
    auto statement = database.prepare("SELECT value FROM _meta WHERE key = 'host_version'");
    if (!statement) return 0;
    auto row = statement->step();
    return row && *row ? statement->integer(0) : 0;
}

Result<void> upgrade(sqlite::Database& database) {
    auto done = database.execute(kMetaTable);
    if (!done) return done;
    const std::int64_t version = version_in(database);
    if (version > kStateVersion) {
        return fail(ErrorCode::kConflict, fmt::format("{}: written by a newer Millrace (state version {}, this one knows {}); run that one",
                                                      database.path(), version, kStateVersion));
    }
    for (std::int64_t step = version; step < kStateVersion; ++step) {
        done = database.execute(fmt::format("BEGIN; {} INSERT OR REPLACE INTO _meta VALUES('host_version','{}'); COMMIT;",
                                            kStateSteps[step], step + 1));
        if (!done) return done;
    }
    return {};
}

}  // namespace

StateFile::StateFile(std::unique_ptr<sqlite::Database> database) : database_(std::move(database)) {}

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path, const std::string& vfs) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    auto database = sqlite::Database::open(path, options);
    if (!database) return database.error();
    auto upgraded = upgrade(**database);
    if (!upgraded) return upgraded.error();
    std::unique_ptr<StateFile> file(new StateFile(std::move(*database)));
    auto prepared = file->prepare_all();
    if (!prepared) return prepared.error();
    return file;
}

Result<void> StateFile::prepare_all() {
    const std::pair<sqlite::Statement*, const char*> fixed[] = {
        {&begin_, "BEGIN IMMEDIATE"},      {&commit_, "COMMIT"},          {&rollback_, "ROLLBACK"},
        {&savepoint_, "SAVEPOINT input"}, {&release_, "RELEASE input"}, {&rollback_to_, "ROLLBACK TO input"},
    };
    for (const auto& [slot, sql] : fixed) {
        auto prepared = database_->prepare(sql);
        if (!prepared) return prepared.error();
        *slot = std::move(*prepared);
    }
    return load_sequences();
}

Result<void> StateFile::load_sequences() {
    auto query = database_->prepare(
        "SELECT max(ifnull((SELECT max(sequence) FROM _events), 0), ifnull((SELECT max(sequence) FROM _calls), 0)),"
        " ifnull((SELECT max(firing) FROM _timers), 0), ifnull((SELECT value FROM _meta WHERE key = 'last_firing'), 0)");
    if (!query) return query.error();
    auto row = query->step();
    if (!row) return row.error();
    last_sequence_ = query->integer(0);
    last_firing_ = std::max(query->integer(1), query->integer(2));
    return {};
}

Result<sqlite::Statement*> StateFile::statement(const char* sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
        auto prepared = database_->prepare(sql);
        if (!prepared) return prepared.error();
        found = statements_.emplace(sql, std::move(*prepared)).first;
    }
    found->second.reset();
    return &found->second;
}

void StateFile::roll_back() {
    if (!database_->autocommit()) (void)rollback_.run();
}

Result<void> StateFile::roll_back_to() {
    auto undone = rollback_to_.run();
    if (!undone) return undone;
    return release_.run();
}

Result<std::optional<std::string>> StateFile::meta(std::string_view key) {
    auto query = statement("SELECT value FROM _meta WHERE key = ?1");
    if (!query) return query.error();
    (*query)->bind(1, key);
    auto row = (*query)->step();
    if (!row) return row.error();
    std::optional<std::string> value;
    if (*row) value = std::string((*query)->text(0));
    (*query)->reset();
    return value;
}

Result<void> StateFile::set_meta(std::string_view key, std::string_view value) {
    auto insert = statement("INSERT OR REPLACE INTO _meta VALUES(?1, ?2)");
    if (!insert) return insert.error();
    (*insert)->bind(1, key);
    (*insert)->bind(2, value);
    return (*insert)->run();
}

Result<std::vector<std::string>> StateFile::tables_without_primary_key() {
    auto query = statement(
        "SELECT name FROM sqlite_master m WHERE type = 'table' AND substr(name, 1, 1) <> '_' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND NOT EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE pk > 0)");
    if (!query) return query.error();
    std::vector<std::string> names;
    for (;;) {
        auto row = (*query)->step();
        if (!row) return row.error();
        if (!*row) return names;
        names.emplace_back((*query)->text(0));
    }
}

Result<std::map<TopicPartition, OffsetTracker>> StateFile::load_trackers() {
    std::map<TopicPartition, std::vector<OffsetInterval>> intervals;
    auto query = statement("SELECT topic, partition, first, last FROM _intervals");
    if (!query) return query.error();
    for (;;) {
        auto row = (*query)->step();
        if (!row) return row.error();
        if (!*row) break;
        const TopicPartition origin{std::string((*query)->text(0)), {static_cast<std::int32_t>((*query)->integer(1))}};
        intervals[origin].push_back({{(*query)->integer(2)}, {(*query)->integer(3)}});
    }
    std::map<TopicPartition, OffsetTracker> trackers;
    query = statement("SELECT topic, partition, watermark FROM _origins");
    if (!query) return query.error();
    for (;;) {
        auto row = (*query)->step();
        if (!row) return row.error();
        if (!*row) return trackers;
        const TopicPartition origin{std::string((*query)->text(0)), {static_cast<std::int32_t>((*query)->integer(1))}};
        trackers.emplace(origin, OffsetTracker(Offset{(*query)->integer(2)}, std::move(intervals[origin])));
    }
}

Result<void> StateFile::save_tracker(const TopicPartition& origin, OffsetTracker& tracker) {
    const auto changes = tracker.take_changes();
    auto run = [&](const char* sql, Offset first, Offset last, bool with_last) -> Result<void> {
        auto change = statement(sql);
        if (!change) return change.error();
        (*change)->bind(1, origin.topic);
        (*change)->bind(2, std::int64_t{origin.partition.value});
        (*change)->bind(3, first.value);
        if (with_last) (*change)->bind(4, last.value);
        return (*change)->run();
    };
    // An interval may exist before the watermark ever moved; its row needs the origin's.
    auto done = run("INSERT OR REPLACE INTO _origins VALUES(?1, ?2, ?3)", tracker.watermark(), {}, false);
    for (auto first : changes.removed) {
        if (!done) return done;
        done = run("DELETE FROM _intervals WHERE topic = ?1 AND partition = ?2 AND first = ?3", first, {}, false);
    }
    for (const auto& interval : changes.added) {
        if (!done) return done;
        done = run("INSERT OR REPLACE INTO _intervals VALUES(?1, ?2, ?3, ?4)", interval.first, interval.last, true);
    }
    return done;
}

}  // namespace millrace::engine
