#include "transport/embedded/topic_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "core/log.hpp"
#include "core/sqlite/files.hpp"
#include "transport/embedded/directory.hpp"

namespace millrace::embedded {
namespace {

// Open files per topic besides the one being written: readers that lag stay within few segments.
constexpr std::size_t kOpenSealedSegments = 3;
// Whole files are unlinked, so records outlive their retention by up to one part in this many.
constexpr int kSegmentsPerRetention = 4;
constexpr milliseconds kMinSegmentAge{1'000};
constexpr std::string_view kSuffix = ".seg";

std::int64_t to_ms(Timestamp time) {
    return std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
}

// The number in `<started>.seg`.
std::optional<std::int64_t> started_of(const std::filesystem::path& file) {
    if (file.extension() != kSuffix) return std::nullopt;
    const std::string stem = file.stem().string();
    std::int64_t started = 0;
    const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), started);
    if (error != std::errc{} || end != stem.data() + stem.size()) return std::nullopt;
    return started;
}

}  // namespace

TopicLog::TopicLog(Catalog& catalog, TopicOptions options)
    : catalog_(catalog), options_(std::move(options)) {}

std::string TopicLog::path(std::int64_t started) const {
    return fmt::format("{}/{:013}{}", options_.directory, started, kSuffix);
}

Result<std::unique_ptr<TopicLog>> TopicLog::open(Catalog& catalog, TopicOptions options) {
    std::unique_ptr<TopicLog> log(new TopicLog(catalog, std::move(options)));
    auto done = log->load();
    if (!done) return done.error();
    return log;
}

Result<void> TopicLog::load() {
    if (auto made = make_directory(options_.directory); !made) return made;
    auto known = catalog_.segments(options_.name);
    if (!known) return known.error();
    segments_.clear();
    for (CatalogSegment& about : *known) segments_.push_back(Entry{std::move(about), nullptr, 0});
    auto done = check_files();
    if (done) done = read_ends();
    return done;
}

// A crash can leave a file that the catalog does not name: before its first record (it is empty),
// or after retention has removed its row (it is older than every segment). Anything else is a
// catalog that does not belong to these files, and nothing of it is thrown away.
Result<void> TopicLog::check_files() {
    missing_.clear();
    for (const Entry& entry : segments_) {
        auto exists = sqlite::database_exists(path(entry.about.started), options_.vfs);
        if (!exists) return exists.error();
        if (*exists) continue;
        missing_.push_back(path(entry.about.started));
        log::error("embedded", "{}: missing; its records cannot be read until it is put back",
                   missing_.back());
    }
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(options_.directory, error)) {
        const auto started = started_of(file.path());
        const auto is_it = [&](const Entry& entry) { return entry.about.started == started; };
        if (!started || std::ranges::any_of(segments_, is_it)) continue;
        if (auto done = check_orphan(*started); !done) return done;
    }
    return {};
}

Result<void> TopicLog::check_orphan(std::int64_t started) {
    const std::string file = path(started);
    const bool expired = !segments_.empty() && started < segments_.front().about.started;
    if (!expired) {
        auto empty = Segment::is_empty(file, options_.vfs);
        if (!empty) return empty.error();
        if (!*empty) {
            return fail(ErrorCode::kCorrupt,
                        fmt::format("{}: the catalog does not know this segment, and it is not "
                                    "empty; restore catalog.db, or move the file away",
                                    file));
        }
    }
    log::info("embedded", "{}: removed, left behind by a crash", file);
    return sqlite::remove_database(file, options_.vfs);
}

Result<void> TopicLog::read_ends() {
    next_.assign(static_cast<std::size_t>(options_.partitions), Offset{0});
    active_bytes_ = 0;
    if (segments_.empty()) return {};
    Entry& active = segments_.back();
    auto segment = open_segment(active);
    if (!segment) return segment.error();
    for (std::size_t i = 0; i < next_.size(); ++i) {
        const Partition partition{static_cast<std::int32_t>(i)};
        auto end = (*segment)->end(partition);
        if (!end) return end.error();
        next_[i] = end->value_or(active.about.base(partition));
    }
    auto bytes = (*segment)->bytes();
    if (!bytes) return bytes.error();
    active_bytes_ = *bytes;
    return {};
}

std::vector<Watermarks> TopicLog::ends() const {
    std::vector<Watermarks> ends;
    for (std::size_t i = 0; i < next_.size(); ++i) {
        const Partition partition{static_cast<std::int32_t>(i)};
        const Offset low = segments_.empty() ? Offset{0} : segments_.front().about.base(partition);
        ends.push_back(Watermarks{low, next_[i]});
    }
    return ends;
}

Result<Segment*> TopicLog::open_segment(Entry& entry) {
    entry.used = ++uses_;
    if (entry.segment) return entry.segment.get();
    auto opened = Segment::open(path(entry.about.started), options_.name, options_.vfs);
    if (!opened) {
        return fail(
            opened.error().code == ErrorCode::kIo ? ErrorCode::kCorrupt : opened.error().code,
            opened.error().message);
    }
    entry.segment = std::move(*opened);
    close_idle_segments();
    return entry.segment.get();
}

void TopicLog::close_idle_segments() {
    std::vector<Entry*> open;
    for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
        if (segments_[i].segment) open.push_back(&segments_[i]);
    }
    if (open.size() <= kOpenSealedSegments) return;
    (*std::ranges::min_element(open, {}, &Entry::used))->segment.reset();
}

milliseconds TopicLog::segment_age() const {
    if (!options_.retention) return options_.segment_age;
    const milliseconds share = *options_.retention / kSegmentsPerRetention;
    return std::clamp(share, std::min(kMinSegmentAge, options_.segment_age), options_.segment_age);
}

bool TopicLog::roll_due(Timestamp now) const {
    if (segments_.empty()) return true;
    const CatalogSegment& active = segments_.back().about;
    if (active_bytes_ >= options_.segment_bytes) return true;
    return to_ms(now) - active.started >= segment_age().count();
}

Result<void> TopicLog::roll_if_due(Timestamp now) {
    if (!roll_due(now)) return {};
    return roll(now);
}

// File first, then its row: a crash between the two leaves an empty file that nobody misses.
Result<void> TopicLog::roll(Timestamp now) {
    CatalogSegment about;
    about.started = to_ms(now);
    about.bases = next_;
    CatalogSegment* sealed = nullptr;
    if (!segments_.empty()) {
        Entry& active = segments_.back();
        about.started = std::max(about.started, active.about.started + 1);
        auto segment = open_segment(active);
        if (!segment) return segment.error();
        auto last = (*segment)->last_time();
        if (!last) return last.error();
        active.about.last_time = *last;
        sealed = &active.about;
    }
    auto created = Segment::create(path(about.started), options_.name, options_.vfs);
    if (!created) return created.error();
    if (auto done = catalog_.add_segment(options_.name, about, sealed); !done) {
        created->reset();
        auto removed = sqlite::remove_database(path(about.started), options_.vfs);
        if (!removed) log::warn("embedded", "{}", removed.error().message);
        return done;
    }
    segments_.push_back(Entry{std::move(about), std::move(*created), ++uses_});
    active_bytes_ = 0;
    close_idle_segments();
    return {};
}

std::vector<PartitionChunk> TopicLog::encode(const std::vector<AppendItem*>& items,
                                             std::vector<Offset>& next) const {
    std::vector<std::optional<ChunkBuilder>> builders(next.size());
    std::vector<PartitionChunk> chunks;
    const auto take = [&](std::size_t index) {
        chunks.push_back({Partition{static_cast<std::int32_t>(index)}, builders[index]->take()});
        next[index] = chunks.back().chunk.end();
    };
    for (AppendItem* item : items) {
        const auto index = static_cast<std::size_t>(item->partition.value);
        if (!builders[index]) builders[index].emplace(next[index]);
        item->outcome = builders[index]->add(item->record, item->timestamp);
        if (builders[index]->full()) take(index);
    }
    for (std::size_t index = 0; index < builders.size(); ++index) {
        if (builders[index] && !builders[index]->empty()) take(index);
    }
    return chunks;
}

Result<std::vector<PartitionChunk>> TopicLog::append(const std::vector<AppendItem*>& items,
                                                     Timestamp now) {
    if (auto done = roll_if_due(now); !done) return done.error();
    auto segment = open_segment(segments_.back());
    if (!segment) return segment.error();
    std::vector<Offset> next = next_;
    std::vector<PartitionChunk> chunks = encode(items, next);
    std::vector<std::pair<Partition, const Chunk*>> rows;
    for (const PartitionChunk& chunk : chunks) rows.emplace_back(chunk.partition, &chunk.chunk);
    if (auto done = (*segment)->append(rows); !done) {
        broken_ = done.error().code != ErrorCode::kFull;
        if (broken_) segments_.back().segment.reset();
        return done.error();
    }
    for (const PartitionChunk& chunk : chunks) active_bytes_ += chunk.chunk.data->size();
    next_ = std::move(next);
    return chunks;
}

Result<void> TopicLog::sync() {
    auto done = segments_.back().segment->sync();
    if (!done) {
        broken_ = true;
        segments_.back().segment.reset();
    }
    return done;
}

Result<void> TopicLog::recover() {
    auto done = read_ends();
    if (done) broken_ = false;
    return done;
}

Error TopicLog::gap(Partition partition, Offset from) const {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}/{}: the record at offset {} is missing from the log in {}; restore "
                            "the segment from a copy",
                            options_.name, partition.value, from.value, options_.directory));
}

Result<std::vector<Chunk>> TopicLog::read(Partition partition, Offset from, ReadLimit limit) {
    const auto above = std::ranges::upper_bound(
        segments_, from, {}, [&](const Entry& entry) { return entry.about.base(partition); });
    if (above == segments_.begin()) return gap(partition, from);
    Entry& entry = *std::prev(above);
    auto segment = open_segment(entry);
    if (!segment) return segment.error();
    auto chunks = (*segment)->read(partition, from, limit);
    if (!chunks) {
        // The next try sees the file anew: it may have been put right.
        if (&entry != &segments_.back()) entry.segment.reset();
        return chunks;
    }
    Offset expected = from;
    for (const Chunk& chunk : *chunks) {
        if (chunk.base > expected) return gap(partition, expected);
        expected = chunk.end();
    }
    if (chunks->empty()) return gap(partition, from);
    return chunks;
}

Result<Offset> TopicLog::find_time(Partition partition, std::int64_t time) {
    for (Entry& entry : segments_) {
        if (entry.about.last_time && *entry.about.last_time < time) continue;
        auto segment = open_segment(entry);
        if (!segment) return segment.error();
        auto found = (*segment)->find_time(partition, time);
        if (!found) return found.error();
        if (*found) return **found;
    }
    return next_[static_cast<std::size_t>(partition.value)];
}

// A segment spans the time up to the beginning of the next one.
Result<bool> TopicLog::enforce_retention(Timestamp now) {
    if (!options_.retention || segments_.empty() || broken_) return false;
    const auto before = ends();
    const bool holds_records = std::ranges::any_of(before, [&](const Watermarks& partition) {
        const auto index = static_cast<std::int32_t>(&partition - before.data());
        return partition.high > segments_.back().about.base(Partition{index});
    });
    if (holds_records) {
        if (auto done = roll_if_due(now); !done) return done.error();
    }
    bool moved = false;
    while (segments_.size() > 1 &&
           segments_[1].about.started + options_.retention->count() <= to_ms(now)) {
        if (auto done = unlink_oldest(); !done) return done.error();
        moved = true;
    }
    return moved;
}

// Row first, then the file: a crash between the two leaves a file older than every segment.
Result<void> TopicLog::unlink_oldest() {
    const std::int64_t started = segments_.front().about.started;
    if (auto done = catalog_.remove_segment(options_.name, started); !done) return done;
    segments_.erase(segments_.begin());
    return sqlite::remove_database(path(started), options_.vfs);
}

}  // namespace millrace::embedded
