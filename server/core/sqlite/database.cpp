#include "core/sqlite/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <utility>

namespace millrace::sqlite {
namespace {

ErrorCode code_of(int sqlite_code) {
    switch (sqlite_code & 0xff) {
        case SQLITE_FULL:
            return ErrorCode::kFull;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
        case SQLITE_NOMEM:
            return ErrorCode::kIo;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return ErrorCode::kCorrupt;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_CONSTRAINT:
            return ErrorCode::kConflict;
        case SQLITE_AUTH:
            return ErrorCode::kDenied;
        case SQLITE_INTERRUPT:
            return ErrorCode::kTimeout;
        default:
            return ErrorCode::kInvalid;
    }
}

bool is_reserved(const char* table) { return table != nullptr && table[0] == '_'; }

bool is_schema_change(int action) {
    switch (action) {
        case SQLITE_CREATE_INDEX:
        case SQLITE_CREATE_TABLE:
        case SQLITE_CREATE_TRIGGER:
        case SQLITE_CREATE_VIEW:
        case SQLITE_DROP_INDEX:
        case SQLITE_DROP_TABLE:
        case SQLITE_DROP_TRIGGER:
        case SQLITE_DROP_VIEW:
        case SQLITE_ALTER_TABLE:
        case SQLITE_REINDEX:
            return true;
        default:
            return false;
    }
}

bool is_row_access(int action) {
    return action == SQLITE_READ || action == SQLITE_INSERT || action == SQLITE_UPDATE ||
           action == SQLITE_DELETE;
}

bool is_catalog(const char* table) {
    return table != nullptr && std::string_view(table).starts_with("sqlite_");
}

std::string_view without_end(std::string_view sql) {
    while (!sql.empty() && (sql.back() == ';' || sql.back() == ' ' || sql.back() == '\n'))
        sql.remove_suffix(1);
    return sql;
}

class TrustScope {
public:
    TrustScope(Trust& slot, Trust trust) : slot_(slot), before_(std::exchange(slot, trust)) {}
    ~TrustScope() { slot_ = before_; }
    TrustScope(const TrustScope&) = delete;
    TrustScope& operator=(const TrustScope&) = delete;

private:
    Trust& slot_;
    Trust before_;
};

}  // namespace

Database::Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

Database::~Database() { sqlite3_close_v2(handle_); }

Result<std::unique_ptr<Database>> Database::open(const std::string& path,
                                                 const OpenOptions& options) {
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                      (options.create && !options.read_only ? SQLITE_OPEN_CREATE : 0);
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
    std::unique_ptr<Database> database(new Database(handle, path));
    if (code != SQLITE_OK) return database->last_error("open");
    auto configured = database->configure(options);
    if (!configured) return configured.error();
    return database;
}

Result<void> Database::configure(const OpenOptions& options) {
    const char* synchronous =
        options.synchronous == OpenOptions::Synchronous::kFull ? "FULL" : "NORMAL";
    auto done = execute(
        fmt::format("PRAGMA locking_mode={}; PRAGMA cache_size=-{}; PRAGMA synchronous={}; PRAGMA "
                    "foreign_keys=ON;",
                    options.exclusive ? "EXCLUSIVE" : "NORMAL", options.cache_kib, synchronous));
    if (done && !options.read_only) {
        // The statement after the mode change opens the log, whose file `sync_log` needs.
        done = execute("PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; COMMIT;");
    }
    if (!done) return done;
    sqlite3_set_authorizer(handle_, &Database::authorize, this);
    sqlite3_file* log = nullptr;
    sqlite3_file_control(handle_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (!options.read_only && log != nullptr && log->pMethods != nullptr) log_file_ = log;
    // The first sync also makes the log's directory entry durable and must not run beside a
    // statement.
    return sync_log();
}

Result<Statement> Database::prepare(std::string_view sql, Trust trust) {
    TrustScope scope(trust_, trust);
    denied_.clear();
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, &tail);
    if (code != SQLITE_OK) return last_error(sql);
    Statement prepared(statement, this);
    if (statement == nullptr)
        return fail(ErrorCode::kInvalid, fmt::format("{}: empty statement", path_));
    const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
    if (rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
        return fail(ErrorCode::kInvalid,
                    fmt::format("{}: more than one statement in: {}", path_, sql));
    }
    return prepared;
}

Result<void> Database::execute(std::string_view sql, Trust trust) {
    TrustScope scope(trust_, trust);
    denied_.clear();
    if (sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        return last_error(sql);
    return {};
}

bool Database::autocommit() const { return sqlite3_get_autocommit(handle_) != 0; }

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }

std::int64_t Database::total_changes() const { return sqlite3_total_changes64(handle_); }

Result<void> Database::sync_log() {
    if (log_file_ == nullptr) return {};
    auto* file = static_cast<sqlite3_file*>(log_file_);
    const int code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    if (code == SQLITE_OK) return {};
    return fail(code_of(code),
                fmt::format("{}-wal: cannot be made durable: {}", path_, sqlite3_errstr(code)));
}

void Database::interrupt() { sqlite3_interrupt(handle_); }

Error Database::last_error(std::string_view doing) const {
    const int code = sqlite3_extended_errcode(handle_);
    std::string message = fmt::format("{}: {} (SQLite {}), in: {}", path_, sqlite3_errmsg(handle_),
                                      code, without_end(doing.substr(0, 200)));
    if (!denied_.empty()) message += "; denied to plugins: " + denied_;
    return fail(denied_.empty() ? code_of(code) : ErrorCode::kDenied, std::move(message));
}

bool Database::permits(int action, const char* first, const char* second) const {
    const bool row_access = is_row_access(action);
    if (row_access && is_reserved(first)) return false;
    switch (trust_) {
        case Trust::kHost:
            return true;
        case Trust::kPlugin:
            if (row_access) return action == SQLITE_READ || !is_catalog(first);
            return action == SQLITE_SELECT || action == SQLITE_FUNCTION ||
                   action == SQLITE_RECURSIVE;
        case Trust::kPluginSchema:
            if (is_schema_change(action)) return !is_reserved(first) && !is_reserved(second);
            return row_access || action == SQLITE_SELECT || action == SQLITE_FUNCTION ||
                   action == SQLITE_RECURSIVE;
        case Trust::kPluginRead:
            return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
                   action == SQLITE_RECURSIVE;
    }
    return false;
}

int Database::authorize(void* self, int action, const char* first, const char* second, const char*,
                        const char*) {
    auto* database = static_cast<Database*>(self);
    if (database->trust_ == Trust::kHost) return SQLITE_OK;
    const bool loads_code = action == SQLITE_FUNCTION && second != nullptr &&
                            std::string_view(second) == "load_extension";
    if (!loads_code && database->permits(action, first, second)) return SQLITE_OK;
    database->denied_ = fmt::format("action {} on {}", action, first == nullptr ? "-" : first);
    return SQLITE_DENY;
}

}  // namespace millrace::sqlite
