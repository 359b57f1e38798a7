#include "transport/embedded/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/crc32.hpp"

namespace millrace::embedded {
namespace {

constexpr std::int64_t kFormat = 1;
// A checkpoint rewrites what the log holds; rarer ones keep bulk appends sequential.
constexpr int kCheckpointPages = 4096;
constexpr int kCacheKib = 1024;

// The blob stands last and the index covers the rest, so that searching by time reads no payload.
constexpr const char* kSchema = R"(
CREATE TABLE _meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE _chunks(
  id INTEGER PRIMARY KEY,
  partition INTEGER NOT NULL,
  base INTEGER NOT NULL,
  count INTEGER NOT NULL,
  last_time INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  data BLOB NOT NULL);
CREATE INDEX _chunks_at ON _chunks(partition, base, count, last_time);
)";

sqlite::OpenOptions open_options(const std::string& vfs, bool create) {
    sqlite::OpenOptions options;
    options.vfs = vfs;
    options.create = create;
    options.cache_kib = kCacheKib;
    return options;
}

std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

Result<std::unique_ptr<Segment>> Segment::create(const std::string& path, const std::string& topic,
                                                 const std::string& vfs) {
    auto database = sqlite::Database::open(path, open_options(vfs, true));
    if (!database) return database.error();
    std::unique_ptr<Segment> segment(new Segment(std::move(*database)));
    auto done = segment->database_->execute(fmt::format("BEGIN; {}", kSchema));
    if (!done) return done.error();
    auto meta = segment->database_->prepare(
        "INSERT INTO _meta(name, value) VALUES ('format', ?1), ('topic', ?2)");
    if (!meta) return meta.error();
    meta->bind(1, kFormat);
    meta->bind(2, std::string_view(topic));
    done = meta->run();
    if (done) done = segment->database_->execute("COMMIT");
    if (done) done = segment->sync();
    if (done) done = segment->prepare();
    if (!done) return done.error();
    return segment;
}

Result<std::unique_ptr<Segment>> Segment::open(const std::string& path, const std::string& topic,
                                               const std::string& vfs) {
    auto database = sqlite::Database::open(path, open_options(vfs, false));
    if (!database) return database.error();
    std::unique_ptr<Segment> segment(new Segment(std::move(*database)));
    auto done = segment->check(topic);
    if (done) done = segment->prepare();
    if (!done) return done.error();
    return segment;
}

Result<bool> Segment::is_empty(const std::string& path, const std::string& vfs) {
    auto database = sqlite::Database::open(path, open_options(vfs, false));
    if (!database) return database.error();
    for (const char* question :
         {"SELECT count(*) FROM sqlite_schema", "SELECT count(*) FROM _chunks"}) {
        auto count = (*database)->prepare(question);
        if (!count) return count.error();
        auto row = count->step();
        if (!row) return row.error();
        if (count->integer(0) == 0) return true;
    }
    return false;
}

Result<void> Segment::check(const std::string& topic) {
    auto meta = database_->prepare(
        "SELECT (SELECT value FROM _meta WHERE name='format'), (SELECT value FROM _meta WHERE "
        "name='topic')");
    if (!meta) return fail(ErrorCode::kCorrupt, meta.error().message);
    auto row = meta->step();
    if (!row) return row.error();
    if (meta->integer(0) == kFormat && meta->text(1) == topic) return {};
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: holds topic '{}' in format {}, expected '{}' in format {}",
                            database_->path(), meta->text(1), meta->integer(0), topic, kFormat));
}

Result<void> Segment::prepare() {
    auto checkpoint =
        database_->prepare(fmt::format("PRAGMA wal_autocheckpoint={}", kCheckpointPages));
    if (!checkpoint) return checkpoint.error();
    if (auto done = checkpoint->run(); !done) return done;
    auto insert = database_->prepare(
        "INSERT INTO _chunks(partition, base, count, last_time, crc, data) VALUES (?1, ?2, ?3, ?4, "
        "?5, ?6)");
    if (!insert) return insert.error();
    insert_ = std::move(*insert);
    auto read = database_->prepare(
        "SELECT base, count, last_time, crc, data FROM _chunks WHERE partition=?1 AND base>="
        "coalesce((SELECT max(base) FROM _chunks WHERE partition=?1 AND base<=?2), ?2) "
        "ORDER BY base");
    if (!read) return read.error();
    read_ = std::move(*read);
    return {};
}

Result<void> Segment::append(const std::vector<std::pair<Partition, const Chunk*>>& chunks) {
    auto done = database_->execute("BEGIN IMMEDIATE");
    if (done) done = insert(chunks);
    if (done) done = database_->execute("COMMIT");
    if (done || database_->autocommit()) return done;
    if (auto undone = database_->execute("ROLLBACK"); !undone) return undone;
    return done;
}

Result<void> Segment::insert(const std::vector<std::pair<Partition, const Chunk*>>& chunks) {
    for (const auto& [partition, chunk] : chunks) {
        insert_.bind(1, std::int64_t{partition.value});
        insert_.bind(2, chunk->base.value);
        insert_.bind(3, std::int64_t{chunk->count});
        insert_.bind(4, chunk->last_time);
        insert_.bind(5, std::int64_t{crc32(*chunk->data)});
        insert_.bind(6, as_bytes(*chunk->data));
        if (auto done = insert_.run(); !done) return done;
    }
    return {};
}

Result<Chunk> Segment::current_chunk(sqlite::Statement& statement) const {
    const std::span<const std::byte> blob = statement.blob(4);
    auto data = std::make_shared<const std::string>(reinterpret_cast<const char*>(blob.data()),
                                                    blob.size());
    Chunk chunk{Offset{statement.integer(0)}, static_cast<std::int32_t>(statement.integer(1)),
                statement.integer(2), std::move(data)};
    if (crc32(*chunk.data) == statement.integer(3)) return chunk;
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: the records {} to {} fail their checksum; restore the file from a "
                            "copy",
                            database_->path(), chunk.base.value, chunk.end().value - 1));
}

Result<std::vector<Chunk>> Segment::read(Partition partition, Offset from, ReadLimit limit) {
    std::vector<Chunk> chunks;
    std::size_t records = 0;
    std::size_t bytes = 0;
    read_.bind(1, std::int64_t{partition.value});
    read_.bind(2, from.value);
    while (records < limit.records && bytes < limit.bytes) {
        auto row = read_.step();
        if (!row) return row.error();
        if (!*row) return chunks;
        auto chunk = current_chunk(read_);
        if (!chunk) {
            read_.reset();
            return chunk.error();
        }
        if (chunk->end() <= from) continue;
        records += static_cast<std::size_t>(chunk->end().value - std::max(chunk->base, from).value);
        bytes += chunk->data->size();
        chunks.push_back(std::move(*chunk));
    }
    read_.reset();
    return chunks;
}

Result<std::optional<Offset>> Segment::end(Partition partition) {
    auto last = database_->prepare(
        "SELECT base, count, last_time, crc, data FROM _chunks WHERE partition=?1 ORDER BY base "
        "DESC LIMIT 1");
    if (!last) return last.error();
    last->bind(1, std::int64_t{partition.value});
    auto row = last->step();
    if (!row) return row.error();
    if (!*row) return std::optional<Offset>{};
    auto chunk = current_chunk(*last);
    if (!chunk) return chunk.error();
    return std::optional(chunk->end());
}

Result<std::optional<Offset>> Segment::find_time(Partition partition, std::int64_t time) {
    auto find = database_->prepare(
        "SELECT base, count, last_time, crc, data FROM _chunks WHERE id = (SELECT id FROM _chunks "
        "WHERE partition=?1 AND last_time>=?2 ORDER BY base LIMIT 1)");
    if (!find) return find.error();
    find->bind(1, std::int64_t{partition.value});
    find->bind(2, time);
    auto row = find->step();
    if (!row) return row.error();
    if (!*row) return std::optional<Offset>{};
    auto chunk = current_chunk(*find);
    if (!chunk) return chunk.error();
    auto found = first_at(*chunk, time);
    if (!found) return found.error();
    return std::optional(*found);
}

Result<std::optional<std::int64_t>> Segment::last_time() {
    auto statement = database_->prepare("SELECT max(last_time) FROM _chunks");
    if (!statement) return statement.error();
    auto row = statement->step();
    if (!row) return row.error();
    if (statement->is_null(0)) return std::optional<std::int64_t>{};
    return std::optional(statement->integer(0));
}

Result<std::uint64_t> Segment::bytes() {
    auto statement = database_->prepare("PRAGMA page_count");
    if (!statement) return statement.error();
    auto row = statement->step();
    if (!row) return row.error();
    const std::int64_t pages = statement->integer(0);
    auto size = database_->prepare("PRAGMA page_size");
    if (!size) return size.error();
    row = size->step();
    if (!row) return row.error();
    return static_cast<std::uint64_t>(pages * size->integer(0));
}

}  // namespace millrace::embedded
