#include <sqlite3.h>

#include <utility>

#include "core/sqlite/database.hpp"

namespace millrace::sqlite {

Statement::~Statement() { sqlite3_finalize(handle_); }

Statement::Statement(Statement&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), database_(other.database_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(database_, other.database_);
    return *this;
}

void Statement::bind(int index, std::int64_t value) { sqlite3_bind_int64(handle_, index, value); }

void Statement::bind(int index, double value) { sqlite3_bind_double(handle_, index, value); }

void Statement::bind(int index, std::string_view value) {
    const char* data = value.data() == nullptr ? "" : value.data();
    sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::bind(int index, std::span<const std::byte> value) {
    const void* data = value.data() == nullptr ? static_cast<const void*>("") : value.data();
    sqlite3_bind_blob64(handle_, index, data, value.size(), SQLITE_STATIC);
}

void Statement::bind_null(int index) { sqlite3_bind_null(handle_, index); }

void Statement::bind_value(int index, const Value& value) {
    struct Binder {
        Statement& statement;
        int index;
        void operator()(std::monostate) const { statement.bind_null(index); }
        void operator()(std::int64_t integer) const { statement.bind(index, integer); }
        void operator()(double real) const { statement.bind(index, real); }
        void operator()(std::string_view text) const { statement.bind(index, text); }
        void operator()(std::span<const std::byte> blob) const { statement.bind(index, blob); }
    };
    std::visit(Binder{*this, index}, value);
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    Error error = database_->last_error(sqlite3_sql(handle_));
    reset();
    return error;
}

Result<void> Statement::run() {
    auto stepped = step();
    reset();
    if (!stepped) return stepped.error();
    return {};
}

void Statement::reset() { sqlite3_reset(handle_); }

int Statement::column_count() const { return sqlite3_column_count(handle_); }

std::string_view Statement::column_name(int index) const {
    return sqlite3_column_name(handle_, index);
}

bool Statement::is_null(int index) const {
    return sqlite3_column_type(handle_, index) == SQLITE_NULL;
}

std::int64_t Statement::integer(int index) const { return sqlite3_column_int64(handle_, index); }

double Statement::real(int index) const { return sqlite3_column_double(handle_, index); }

std::string_view Statement::text(int index) const {
    const void* data = sqlite3_column_text(handle_, index);
    return {static_cast<const char*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_, index))};
}

std::span<const std::byte> Statement::blob(int index) const {
    const void* data = sqlite3_column_blob(handle_, index);
    return {static_cast<const std::byte*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_, index))};
}

Value Statement::value(int index) const {
    switch (sqlite3_column_type(handle_, index)) {
        case SQLITE_INTEGER:
            return integer(index);
        case SQLITE_FLOAT:
            return real(index);
        case SQLITE_TEXT:
            return text(index);
        case SQLITE_BLOB:
            return blob(index);
        default:
            return std::monostate{};
    }
}

}  // namespace millrace::sqlite
