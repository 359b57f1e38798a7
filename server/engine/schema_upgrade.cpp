#include "engine/schema_upgrade.hpp"

#include <fmt/format.h>

namespace millrace::engine {
namespace {

constexpr const char* kMetaTable =
    "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

Result<std::size_t> version_in(sqlite::Database& database) {
    auto statement = database.prepare("SELECT value FROM _meta WHERE key = 'host_version'");
    if (!statement) return statement.error();
    auto row = statement->step();
    if (!row) return row.error();
    return *row ? static_cast<std::size_t>(statement->integer(0)) : std::size_t{0};
}

Result<void> run_step(sqlite::Database& database, const char* step, std::size_t version) {
    auto done = database.execute(
        fmt::format("BEGIN; {} INSERT OR REPLACE INTO _meta VALUES('host_version','{}'); COMMIT;",
                    step, version));
    if (!done && !database.autocommit()) (void)database.execute("ROLLBACK");
    return done;
}

Result<void> upgrade(sqlite::Database& database, std::span<const char* const> steps) {
    auto done = database.execute(kMetaTable);
    if (!done) return done;
    const auto version = version_in(database);
    if (!version) return version.error();
    if (*version > steps.size()) {
        return fail(ErrorCode::kInvalid,
                    fmt::format("{}: written by a newer Millrace (state version {}, this one knows "
                                "{}); run that one",
                                database.path(), *version, steps.size()));
    }
    for (std::size_t step = *version; step < steps.size(); ++step) {
        done = run_step(database, steps[step], step + 1);
        if (!done) return done;
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<sqlite::Database>> open_state(const std::string& path,
                                                     const std::string& vfs,
                                                     std::span<const char* const> steps) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    auto database = sqlite::Database::open(path, options);
    if (!database) return with_remedy(database.error(), path);
    auto upgraded = upgrade(**database, steps);
    if (!upgraded) return with_remedy(upgraded.error(), path);
    return database;
}

bool is_storage_fault(const Error& error) {
    return error.code == ErrorCode::kFull || error.code == ErrorCode::kIo ||
           error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kConflict;
}

Error with_remedy(const Error& error, const std::string& path) {
    switch (error.code) {
        case ErrorCode::kConflict:
            return fail(error.code, fmt::format("{}: another process has this file open ({}); it "
                                                "is tried again until that one lets go",
                                                path, error.message));
        case ErrorCode::kFull:
            return fail(error.code, fmt::format("{}; free space on its disk, it is tried again",
                                                error.message));
        case ErrorCode::kIo:
            return fail(error.code, fmt::format("{}; look at its disk, its owner and whether it is "
                                                "mounted read-only; it is tried again",
                                                error.message));
        case ErrorCode::kCorrupt:
            return fail(error.code,
                        fmt::format("{}: the file is damaged. Put a copy of the handler's folder "
                                    "back, or move the folder away to begin anew (records are then "
                                    "read again from `start`); other handlers run on",
                                    error.message));
        default:
            return error;
    }
}

}  // namespace millrace::engine
