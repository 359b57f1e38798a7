// What a state file knows of inputs that are not done: the attempts of those that failed, and the
// inbox.
#include <cstring>

#include "engine/state_file.hpp"

namespace millrace::engine {
namespace {

std::int64_t to_column(Timestamp time) { return time.time_since_epoch().count(); }

Timestamp time_in(const sqlite::Statement& row, int column) {
    return Timestamp(std::chrono::microseconds(row.integer(column)));
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_counted(std::string& to, const std::string& text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    char counted[sizeof size];
    std::memcpy(counted, &size, sizeof size);
    to.append(counted, sizeof size).append(text);
}

bool take_counted(std::string_view& from, std::string& text) {
    std::uint32_t size = 0;
    if (from.size() < sizeof size) return false;
    std::memcpy(&size, from.data(), sizeof size);
    from.remove_prefix(sizeof size);
    if (from.size() < size) return false;
    text = from.substr(0, size);
    from.remove_prefix(size);
    return true;
}

// Names and values behind one another, each after its size: values are bytes, which JSON cannot
// hold.
std::string pack(const std::vector<std::pair<std::string, std::string>>& headers) {
    std::string packed;
    for (const auto& [name, value] : headers) {
        append_counted(packed, name);
        append_counted(packed, value);
    }
    return packed;
}

std::vector<std::pair<std::string, std::string>> unpack(std::string_view packed) {
    std::vector<std::pair<std::string, std::string>> headers;
    std::string name;
    std::string value;
    while (take_counted(packed, name) && take_counted(packed, value))
        headers.emplace_back(std::move(name), std::move(value));
    return headers;
}

void bind_optional(sqlite::Statement& row, int index, const std::optional<std::string>& bytes) {
    if (bytes)
        row.bind(index, bytes_of(*bytes));
    else
        row.bind_null(index);
}

std::optional<std::string> optional_in(const sqlite::Statement& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    return text_of(row.blob(column));
}

InboxRow inbox_row(const sqlite::Statement& row) {
    InboxRow read{row.integer(0), {}};
    RedriveRecord& record = read.record;
    record.origin = {std::string(row.text(1)), {static_cast<std::int32_t>(row.integer(2))}};
    record.offset = Offset{row.integer(3)};
    record.timestamp = time_in(row, 4);
    record.key = optional_in(row, 5);
    record.value = optional_in(row, 6);
    record.headers = unpack(text_of(row.blob(7)));
    record.redrives = static_cast<int>(row.integer(8));
    return read;
}

}  // namespace

Result<std::map<std::string, AttemptRow>> StateFile::load_attempts() {
    auto query = statement(
        "SELECT input, attempt, first_failure, last_failure, next, class, message, spent FROM "
        "_attempts");
    if (!query) return query.error();
    std::map<std::string, AttemptRow> attempts;
    for (;;) {
        auto there = (*query)->step();
        if (!there) return there.error();
        if (!*there) return attempts;
        const auto& row = **query;
        attempts[std::string(row.text(0))] = {static_cast<std::uint32_t>(row.integer(1)),
                                              time_in(row, 2),
                                              time_in(row, 3),
                                              time_in(row, 4),
                                              std::string(row.text(5)),
                                              std::string(row.text(6)),
                                              Timestamp::duration(row.integer(7))};
    }
}

Result<void> StateFile::save_attempt(const std::string& input, const AttemptRow& attempt) {
    auto insert = statement(
        "INSERT OR REPLACE INTO _attempts(input, attempt, first_failure, last_failure, next, "
        "class, "
        "message, spent) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    if (!insert) return insert.error();
    auto& row = **insert;
    row.bind(1, input);
    row.bind(2, std::int64_t{attempt.attempt});
    row.bind(3, to_column(attempt.first_failure));
    row.bind(4, to_column(attempt.last_failure));
    row.bind(5, to_column(attempt.next));
    row.bind(6, attempt.error_class);
    row.bind(7, attempt.message);
    row.bind(8, std::int64_t{attempt.spent.count()});
    return row.run();
}

Result<void> StateFile::remove_attempt(const std::string& input) {
    auto remove = statement("DELETE FROM _attempts WHERE input = ?1");
    if (!remove) return remove.error();
    (*remove)->bind(1, input);
    return (*remove)->run();
}

Result<void> StateFile::add_inbox(const RedriveRecord& record) {
    auto insert = statement(
        "INSERT INTO _inbox(topic, partition, offset, timestamp, key, value, headers, redrives, "
        "sequence) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    if (!insert) return insert.error();
    auto& row = **insert;
    const std::string headers = pack(record.headers);
    row.bind(1, record.origin.topic);
    row.bind(2, std::int64_t{record.origin.partition.value});
    row.bind(3, record.offset.value);
    row.bind(4, to_column(record.timestamp));
    bind_optional(row, 5, record.key);
    bind_optional(row, 6, record.value);
    row.bind(7, bytes_of(headers));
    row.bind(8, std::int64_t{record.redrives});
    // Counted here: SQLite would give the number of a row that is gone again, and who reads on from
    // the last one would not see it.
    row.bind(9, ++last_inbox_);
    auto added = row.run();
    if (!added) return added;
    return set_meta("last_inbox", std::to_string(last_inbox_));
}

Result<std::vector<InboxRow>> StateFile::inbox_after(std::int64_t sequence, std::size_t limit) {
    auto query = statement("SELECT * FROM _inbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
    if (!query) return query.error();
    (*query)->bind(1, sequence);
    (*query)->bind(2, static_cast<std::int64_t>(limit));
    std::vector<InboxRow> rows;
    for (;;) {
        auto there = (*query)->step();
        if (!there) return there.error();
        if (!*there) return rows;
        rows.push_back(inbox_row(**query));
    }
}

Result<void> StateFile::remove_inbox(std::int64_t sequence) {
    auto remove = statement("DELETE FROM _inbox WHERE sequence = ?1");
    if (!remove) return remove.error();
    (*remove)->bind(1, sequence);
    return (*remove)->run();
}

Result<std::int64_t> StateFile::inbox_count() {
    auto query = statement("SELECT count(*) FROM _inbox");
    if (!query) return query.error();
    auto there = (*query)->step();
    if (!there) return there.error();
    const std::int64_t count = (*query)->integer(0);
    (*query)->reset();
    return count;
}

}  // namespace millrace::engine
