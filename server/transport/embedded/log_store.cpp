#include "transport/embedded/log_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/log.hpp"
#include "transport/embedded/directory.hpp"

namespace millrace::embedded {
namespace {

std::uint64_t available_bytes(const std::string& directory) {
    std::error_code error;
    const auto space = std::filesystem::space(directory, error);
    return error ? 0 : space.available;
}

const TopicSpec* find_spec(const std::vector<TopicSpec>& topics, const std::string& name) {
    const auto found = std::ranges::find(topics, name, &TopicSpec::name);
    return found == topics.end() ? nullptr : &*found;
}

// The name becomes a folder: Kafka's rule, which also keeps it inside the log's own.
Result<void> check_name(const std::string& name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    if (!name.empty() && name.size() <= 249 && name != "." && name != ".." &&
        std::ranges::all_of(name, allowed)) {
        return {};
    }
    return fail(
        ErrorCode::kInvalid,
        fmt::format("topic '{}': a name has 1 to 249 of the characters a-z A-Z 0-9 . _ -", name));
}

std::uint64_t max_record_bytes(const TopicSpec* spec, std::uint64_t standard) {
    if (spec == nullptr) return standard;
    const std::uint64_t headroom = spec->dead_letter ? kDeadLetterHeadroom : 0;
    return spec->max_record_bytes.value_or(standard + headroom);
}

// A disk that refuses is a part outside this process; only fullness is told apart.
Error append_error(const std::string& topic, const Error& cause) {
    const bool full = cause.code == ErrorCode::kFull;
    return fail(full ? ErrorCode::kFull : ErrorCode::kUnavailable,
                fmt::format("topic {}: the log cannot be written: {}", topic, cause.message));
}

}  // namespace

LogStore::LogStore(StoreOptions options) : options_(std::move(options)) {
    if (!options_.free_bytes) {
        options_.free_bytes = [directory = options_.directory] {
            return available_bytes(directory);
        };
    }
}

Result<OpenedLog> LogStore::open(const std::vector<TopicSpec>& topics) {
    close();
    auto done = open_catalog();
    if (done) done = declare(topics);
    if (done) done = open_topics(topics);
    auto opened = done ? describe(topics) : Result<OpenedLog>(done.error());
    if (!opened) close();
    return opened;
}

Result<void> LogStore::open_catalog() {
    if (auto made = make_directory(options_.directory); !made) return made;
    auto catalog = Catalog::open(options_.directory + "/catalog.db", options_.vfs);
    if (!catalog) return catalog.error();
    catalog_ = std::move(*catalog);
    return {};
}

// New topics are added and others grow; keys would change places in one that shrinks.
Result<void> LogStore::declare(const std::vector<TopicSpec>& topics) {
    auto known = catalog_->topics();
    if (!known) return known.error();
    for (const TopicSpec& spec : topics) {
        if (auto valid = check_name(spec.name); !valid) return valid;
        if (spec.partitions < 1) {
            return fail(ErrorCode::kInvalid,
                        fmt::format("topic {}: needs at least one partition", spec.name));
        }
        const auto found = std::ranges::find(*known, spec.name, &CatalogTopic::name);
        if (found != known->end() && found->partitions == spec.partitions) continue;
        if (found != known->end() && found->partitions > spec.partitions) {
            return fail(
                ErrorCode::kInvalid,
                fmt::format("topic {}: has {} partitions and cannot shrink to {}; set "
                            "partitions: {}",
                            spec.name, found->partitions, spec.partitions, found->partitions));
        }
        if (auto done = catalog_->put_topic({spec.name, spec.partitions}); !done) return done;
    }
    return {};
}

Result<void> LogStore::open_topics(const std::vector<TopicSpec>& topics) {
    auto known = catalog_->topics();
    if (!known) return known.error();
    for (const CatalogTopic& topic : *known) {
        auto opened =
            TopicLog::open(*catalog_, topic_options(topic, find_spec(topics, topic.name)));
        if (!opened) return opened.error();
        topics_.push_back(std::move(*opened));
    }
    return {};
}

TopicOptions LogStore::topic_options(const CatalogTopic& topic, const TopicSpec* spec) const {
    TopicOptions options;
    options.name = topic.name;
    options.directory = options_.directory + "/" + topic.name;
    options.vfs = options_.vfs;
    options.partitions = topic.partitions;
    if (spec != nullptr) options.retention = spec->retention;
    options.segment_age = options_.limits.segment_age;
    options.segment_bytes = options_.limits.segment_bytes;
    return options;
}

Result<OpenedLog> LogStore::describe(const std::vector<TopicSpec>& topics) {
    OpenedLog opened;
    for (const auto& topic : topics_) {
        const std::string& name = topic->options().name;
        const std::uint64_t limit =
            max_record_bytes(find_spec(topics, name), options_.limits.max_record_bytes);
        opened.topics.push_back(TopicState{name, limit, topic->ends()});
        opened.missing.insert(opened.missing.end(), topic->missing().begin(),
                              topic->missing().end());
    }
    auto offsets = catalog_->offsets();
    if (!offsets) return offsets.error();
    opened.offsets = std::move(*offsets);
    auto id = catalog_->cluster_id(options_.new_cluster_id);
    if (!id) return id.error();
    opened.cluster_id = std::move(*id);
    return opened;
}

bool LogStore::refuse_ingest(AppendItem& item, std::uint64_t free) const {
    if (item.origin != Origin::kIngest || free >= options_.limits.disk_reserve_bytes) return false;
    item.outcome =
        fail(ErrorCode::kFull,
             fmt::format("{}: {} bytes are free, and embedded.disk_reserve_bytes keeps {} for what "
                         "handlers write; free disk space",
                         options_.directory, free, options_.limits.disk_reserve_bytes));
    return true;
}

AppendRound LogStore::append(std::vector<AppendItem> items, Timestamp now) {
    AppendRound round;
    round.items = std::move(items);
    const std::uint64_t free = options_.free_bytes();
    std::vector<std::vector<AppendItem*>> by_topic(topics_.size());
    std::string refused;
    for (AppendItem& item : round.items) {
        if (item.topic >= by_topic.size()) {
            item.outcome = fail(ErrorCode::kUnavailable, "the log is not open");
        } else if (refuse_ingest(item, free)) {
            refused = item.outcome.error().message;
        } else {
            by_topic[item.topic].push_back(&item);
        }
    }
    if (!refused.empty()) round.troubles.push_back(std::move(refused));
    for (std::uint32_t index = 0; index < by_topic.size(); ++index) {
        if (!by_topic[index].empty()) append_topic(round, index, by_topic[index], now);
    }
    return round;
}

void LogStore::append_topic(AppendRound& round, std::uint32_t index,
                            const std::vector<AppendItem*>& items, Timestamp now) {
    TopicLog& topic = *topics_[index];
    Result<void> done;
    if (topic.broken()) {
        done = topic.recover();
        if (done) round.recovered.push_back({index, topic.ends()});
    }
    Result<std::vector<PartitionChunk>> chunks = std::vector<PartitionChunk>{};
    if (done) {
        chunks = topic.append(items, now);
        done = chunks ? topic.sync() : Result<void>(chunks.error());
    }
    if (!done) {
        const Error error = append_error(topic.options().name, done.error());
        for (AppendItem* item : items) item->outcome = error;
        round.troubles.push_back(error.message);
        return;
    }
    for (PartitionChunk& chunk : *chunks) round.appended.push_back({index, std::move(chunk)});
}

Result<std::vector<Chunk>> LogStore::read(std::uint32_t topic, Partition partition, Offset from,
                                          ReadLimit limit) {
    if (topic >= topics_.size()) return fail(ErrorCode::kUnavailable, "the log is not open");
    return topics_[topic]->read(partition, from, limit);
}

Result<Offset> LogStore::find_time(std::uint32_t topic, Partition partition, std::int64_t time) {
    if (topic >= topics_.size()) return fail(ErrorCode::kUnavailable, "the log is not open");
    return topics_[topic]->find_time(partition, time);
}

Result<void> LogStore::commit(const std::vector<CommittedOffset>& offsets) {
    if (!catalog_) return fail(ErrorCode::kUnavailable, "the log is not open");
    return catalog_->put_offsets(offsets);
}

std::vector<MovedEnds> LogStore::enforce_retention(Timestamp now) {
    std::vector<MovedEnds> moved;
    for (std::uint32_t index = 0; index < topics_.size(); ++index) {
        auto changed = topics_[index]->enforce_retention(now);
        if (!changed) {
            log::error("embedded", "topic {}: retention failed and is tried again: {}",
                       topics_[index]->options().name, changed.error().message);
        }
        if (!changed || *changed) moved.push_back({index, topics_[index]->ends()});
    }
    return moved;
}

void LogStore::close() {
    topics_.clear();
    catalog_.reset();
}

}  // namespace millrace::embedded
