#include "engine/state_file.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "engine/schema_upgrade.hpp"
#include "engine/state_schema.hpp"

namespace millrace::engine {
namespace {

TopicPartition origin_in(const sqlite::Statement& row) {
    return {std::string(row.text(0)), {static_cast<std::int32_t>(row.integer(1))}};
}

}  // namespace

StateFile::StateFile(std::unique_ptr<sqlite::Database> database) : database_(std::move(database)) {}

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path,
                                                   const std::string& vfs) {
    auto database = open_state(path, vfs, kStateSteps);
    if (!database) return database.error();
    std::unique_ptr<StateFile> file(new StateFile(std::move(*database)));
    auto prepared = file->prepare_all();
    if (!prepared) return prepared.error();
    return file;
}

Result<void> StateFile::prepare_all() {
    const std::pair<sqlite::Statement*, const char*> fixed[] = {
        {&begin_, "BEGIN IMMEDIATE"}, {&commit_, "COMMIT"},
        {&rollback_, "ROLLBACK"},     {&savepoint_, "SAVEPOINT input"},
        {&release_, "RELEASE input"}, {&rollback_to_, "ROLLBACK TO input"},
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
        "SELECT max(ifnull((SELECT max(sequence) FROM _events), 0), ifnull((SELECT max(sequence) "
        "FROM _calls), 0)),"
        " ifnull((SELECT max(firing) FROM _timers), 0), ifnull((SELECT value FROM _meta WHERE key "
        "= 'last_firing'), 0), ifnull((SELECT max(sequence) FROM _inbox), 0),"
        " ifnull((SELECT value FROM _meta WHERE key = 'last_sequence'), 0),"
        " ifnull((SELECT value FROM _meta WHERE key = 'last_inbox'), 0)");
    if (!query) return query.error();
    auto row = query->step();
    if (!row) return row.error();
    last_firing_ = std::max(query->integer(1), query->integer(2));
    last_inbox_ = std::max(query->integer(3), query->integer(5));
    last_sequence_ = noted_sequence_ = std::max(query->integer(0), query->integer(4));
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
        "SELECT name FROM sqlite_master m WHERE type = 'table' AND substr(name, 1, 1) <> '_' AND "
        "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
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

// SQLite makes this table with the first AUTOINCREMENT.
Result<bool> StateFile::counts_rowids() {
    auto query = statement("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'");
    if (!query) return query.error();
    return (*query)->step();
}

Result<std::map<TopicPartition, std::vector<OffsetInterval>>> StateFile::load_intervals() {
    auto query = statement("SELECT topic, partition, first, last FROM _intervals");
    if (!query) return query.error();
    std::map<TopicPartition, std::vector<OffsetInterval>> intervals;
    for (;;) {
        auto row = (*query)->step();
        if (!row) return row.error();
        if (!*row) return intervals;
        intervals[origin_in(**query)].push_back({{(*query)->integer(2)}, {(*query)->integer(3)}});
    }
}

Result<std::map<TopicPartition, OriginState>> StateFile::load_origins() {
    auto intervals = load_intervals();
    if (!intervals) return intervals.error();
    auto query = statement("SELECT * FROM _origins");
    if (!query) return query.error();
    std::map<TopicPartition, OriginState> origins;
    for (;;) {
        auto row = (*query)->step();
        if (!row) return row.error();
        if (!*row) return origins;
        const auto& columns = **query;
        const TopicPartition origin = origin_in(columns);
        OriginState state{
            OffsetTracker(Offset{columns.integer(2)}, std::move((*intervals)[origin])),
            {origin,
             {columns.integer(3)},
             {columns.integer(4)},
             columns.integer(5),
             columns.integer(6),
             columns.integer(7),
             columns.integer(8)}};
        origins.emplace(origin, std::move(state));
    }
}

Result<void> StateFile::save_counts(const OriginState& state) {
    auto change =
        statement("INSERT OR REPLACE INTO _origins VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    if (!change) return change.error();
    const OriginCounts& counts = state.counts;
    auto& row = **change;
    row.bind(1, counts.origin.topic);
    row.bind(2, std::int64_t{counts.origin.partition.value});
    row.bind(3, state.tracker.watermark().value);
    row.bind(4, counts.first.value);
    row.bind(5, counts.last.value);
    row.bind(6, counts.acked);
    row.bind(7, counts.skipped);
    row.bind(8, counts.duplicates);
    row.bind(9, counts.dead_lettered);
    return row.run();
}

Result<void> StateFile::save_origin(OriginState& state) {
    auto done = save_counts(state);
    const auto changes = state.tracker.take_changes();
    for (auto first : changes.removed) {
        if (!done) return done;
        done = change_interval(
            "DELETE FROM _intervals WHERE topic = ?1 AND partition = ?2 AND first = ?3 AND last >= "
            "?4",
            state.counts.origin, {first, {std::numeric_limits<std::int64_t>::min()}});
    }
    for (const auto& interval : changes.added) {
        if (!done) return done;
        done = change_interval("INSERT OR REPLACE INTO _intervals VALUES(?1, ?2, ?3, ?4)",
                               state.counts.origin, interval);
    }
    return done;
}

Result<void> StateFile::remove_origin(const TopicPartition& origin) {
    for (const char* sql : {"DELETE FROM _origins WHERE topic = ?1 AND partition = ?2",
                            "DELETE FROM _intervals WHERE topic = ?1 AND partition = ?2"}) {
        auto remove = statement(sql);
        if (!remove) return remove.error();
        (*remove)->bind(1, origin.topic);
        (*remove)->bind(2, std::int64_t{origin.partition.value});
        auto done = (*remove)->run();
        if (!done) return done;
    }
    return {};
}

Result<void> StateFile::change_interval(const char* sql, const TopicPartition& origin,
                                        const OffsetInterval& interval) {
    auto change = statement(sql);
    if (!change) return change.error();
    (*change)->bind(1, origin.topic);
    (*change)->bind(2, std::int64_t{origin.partition.value});
    (*change)->bind(3, interval.first.value);
    (*change)->bind(4, interval.last.value);
    return (*change)->run();
}

}  // namespace millrace::engine
