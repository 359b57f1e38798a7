// Database: one SQLite file, held by one owner, behind RAII. SQLite is touched in this folder and
// nowhere else.
//
// Thread rule: a Database belongs to one strand; `interrupt` and `sync_log` alone may be called
// from any thread while the object lives. Ownership: Statements must go before their Database.
// Errors: Result with SQLite's text, the statement and the file; kFull (disk full), kIo, kCorrupt
// and kConflict (locked, constraint) are told apart because the engine treats them differently.
//
// The file system is a seam: `OpenOptions::vfs` names a registered sqlite3_vfs, so that a
// simulation can put the real SQLite on a disk that loses unsynced pages.
// https://sqlite.org/vfs.html
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace millrace::sqlite {

// What a column holds or a parameter takes. Views: a column's are valid until the next step, a
// parameter's must live until the statement is reset.
using Value = std::variant<std::monostate, std::int64_t, double, std::string_view,
                           std::span<const std::byte>>;

class Database;

class Statement {
public:
    Statement() = default;
    ~Statement();
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;

    // 1-based, as in SQL.
    void bind(int index, std::int64_t value);
    void bind(int index, double value);
    void bind(int index, std::string_view value);
    void bind(int index, std::span<const std::byte> value);
    void bind_null(int index);
    void bind_value(int index, const Value& value);

    // True: a row is there. False: done (and reset).
    [[nodiscard]] Result<bool> step();
    // For statements without rows: bind, step once, reset.
    [[nodiscard]] Result<void> run();
    void reset();

    int column_count() const;
    std::string_view column_name(int index) const;  // 0-based, as in SQLite
    bool is_null(int index) const;
    std::int64_t integer(int index) const;
    double real(int index) const;
    std::string_view text(int index) const;
    std::span<const std::byte> blob(int index) const;
    Value value(int index) const;

    explicit operator bool() const { return handle_ != nullptr; }

private:
    friend class Database;
    Statement(sqlite3_stmt* handle, Database* database) : handle_(handle), database_(database) {}
    sqlite3_stmt* handle_ = nullptr;
    Database* database_ = nullptr;
};

struct OpenOptions {
    std::string vfs;  // empty: the operating system's
    bool create = true;
    bool read_only = false;
    // WAL with synchronous=NORMAL: durable after `sync_log`, not after COMMIT. FULL: durable after
    // COMMIT.
    enum class Synchronous { kNormal, kFull } synchronous = Synchronous::kNormal;
    // The file is ours alone while it is open, and needs no shared memory beside it.
    bool exclusive = true;
    int cache_kib = 4096;
};

// Who asks to prepare a statement; a plugin's are checked by the authorizer.
enum class Trust {
    kHost,    // our own statements
    kPlugin,  // no transactions, savepoints, ATTACH, PRAGMA, DDL; no tables that start with `_`
    kPluginSchema,  // the same, DDL allowed: in `migrate`
    kPluginRead,    // SELECT only, no `_` tables: in `on_query`
};

class Database {
public:
    [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                                const OpenOptions& options = {});
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    [[nodiscard]] Result<Statement> prepare(std::string_view sql, Trust trust = Trust::kHost);
    // Runs statements without rows, separated by semicolons.
    [[nodiscard]] Result<void> execute(std::string_view sql, Trust trust = Trust::kHost);

    // False inside a transaction. SQLite may end one by itself (FULL, OR ROLLBACK): look after
    // every plugin statement.
    bool autocommit() const;
    std::int64_t changes() const;
    // Rows changed since the database was opened, by triggers and foreign keys too.
    std::int64_t total_changes() const;

    // Makes everything committed before the call durable: fdatasync of the write-ahead log. Blocks.
    // Any thread, one at a time.
    [[nodiscard]] Result<void> sync_log();
    // Any thread: the running statement ends with an error.
    void interrupt();

    const std::string& path() const { return path_; }
    sqlite3* handle() const { return handle_; }
    Error last_error(std::string_view doing) const;

private:
    Database(sqlite3* handle, std::string path);
    Result<void> configure(const OpenOptions& options);
    bool permits(int action, const char* first, const char* second) const;
    static int authorize(void* self, int action, const char* first, const char* second,
                         const char* third, const char* fourth);
    sqlite3* handle_;
    std::string path_;
    Trust trust_ = Trust::kHost;
    std::string denied_;        // what the authorizer refused last, for the message
    void* log_file_ = nullptr;  // sqlite3_file of the write-ahead log
};

}  // namespace millrace::sqlite
