// MemoryTransport: a log in memory with one member per group, for tests of what stands above a
// transport. Faults are switches.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/runtime.hpp"
#include "events/ids.hpp"
#include "transport/transport.hpp"

namespace millrace::testing {

struct StoredRecord {
    Timestamp timestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;

    std::string header(const std::string& name) const {
        for (const auto& [header, value_of] : headers) {
            if (header == name) return value_of;
        }
        return {};
    }
};

class MemoryTransport final : public Transport {
public:
    explicit MemoryTransport(Runtime& runtime) : runtime_(runtime) {}

    // The log.
    std::string cluster = "memory";
    std::map<TopicPartition, std::vector<StoredRecord>> log;
    std::map<TopicPartition, Offset> low;
    // Offsets that no consumer gets, as those of a transaction's control records.
    std::set<std::pair<TopicPartition, Offset>> control;
    bool says_end = true;  // to consumers that have come there
    std::size_t max_batch = 500;
    std::map<std::string, std::map<TopicPartition, Offset>> committed;
    int closes = 0;  // of consumers
    // Faults: publishing to these topics fails with kUnavailable, or for good.
    std::set<std::string> unavailable;
    std::set<std::string> refusing;
    // The most bytes of a record's key, value and headers that a topic takes.
    std::map<std::string, std::size_t> max_bytes;
    // Nothing can be asked of the log; what is being read goes on.
    bool away = false;
    // What topics there are is told when these are called.
    bool keeps_answers = false;
    std::vector<std::function<void()>> kept;

    void make_topic(const std::string& name, int partitions) {
        for (int p = 0; p < partitions; ++p) log[{name, {p}}];
        counts_[name] = partitions;
    }
    void remove_topic(const std::string& name) {
        std::erase_if(log, [&](const auto& each) { return each.first.topic == name; });
        std::erase_if(low, [&](const auto& each) { return each.first.topic == name; });
        counts_.erase(name);
    }

    Offset append(const TopicPartition& origin, StoredRecord record) {
        auto& records = log.at(origin);
        record.timestamp = runtime_.clock().now();
        records.push_back(std::move(record));
        runtime_.loop().post([this] { feed_all(); });
        return Offset{static_cast<std::int64_t>(records.size()) - 1};
    }
    Offset append(const TopicPartition& origin, std::optional<std::string> key, std::string value) {
        return append(origin, {{}, std::move(key), std::move(value), {}});
    }
    std::vector<StoredRecord> all_of(const std::string& topic) const {
        std::vector<StoredRecord> all;
        for (const auto& [origin, records] : log) {
            if (origin.topic == topic) all.insert(all.end(), records.begin(), records.end());
        }
        return all;
    }

    std::string name() const override { return "memory"; }
    void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) override {
        for (const auto& topic : topics) make_topic(topic.name, topic.partitions);
        runtime_.loop().post([done] { done({}); });
    }
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                ConsumerListener& listener) override {
        auto consumer = std::make_unique<MemoryConsumer>(*this, subscription, listener);
        runtime_.loop().post([this, member = consumer.get()] {
            if (std::ranges::find(consumers_, member) != consumers_.end()) member->assign();
        });
        return std::unique_ptr<Consumer>(std::move(consumer));
    }
    void publish(std::vector<OutgoingRecord> records, Origin,
                 Callback<std::vector<Result<RecordPosition>>> done) override {
        std::vector<Result<RecordPosition>> results;
        for (auto& record : records) results.push_back(store(record));
        runtime_.loop().post([done, results] { done(results); });
    }
    void cluster_id(Callback<Result<std::string>> done) override {
        Result<std::string> id = cluster;
        if (away) id = fail(ErrorCode::kUnavailable, "the log is away");
        runtime_.loop().post([done, id] { done(id); });
    }
    void topics(Callback<Result<std::vector<TopicInfo>>> done) override {
        std::vector<TopicInfo> all;
        for (const auto& [topic, partitions] : counts_) all.push_back({topic, partitions});
        if (keeps_answers) return kept.push_back([done, all] { done(all); });
        runtime_.loop().post([done, all] { done(all); });
    }
    void watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) override {
        const Watermarks marks{low[origin], Offset{static_cast<std::int64_t>(log[origin].size())}};
        runtime_.loop().post([done, marks] { done(marks); });
    }
    void offset_at(const TopicPartition& origin, Timestamp time,
                   Callback<Result<Offset>> done) override {
        runtime_.loop().post([done, offset = position_at(origin, time)] { done(offset); });
    }
    void read(const TopicPartition& origin, Offset offset, std::size_t limit,
              Callback<Result<RecordBatchPtr>> done) override {
        auto batch = batch_of(origin, std::max(offset, low[origin]), limit, Epoch{});
        runtime_.loop().post([done, batch] { done(batch); });
    }
    std::optional<std::string> trouble() const override { return std::nullopt; }
    void close(std::function<void()> done) override { runtime_.loop().post(std::move(done)); }

    // A rebalance that takes these away and, when it has been let go, gives them back.
    void rebalance() {
        for (auto* consumer : std::vector(consumers_)) consumer->rebalance();
    }

    // Takes them away without asking, and gives them back at once: an expired session.
    void lose() {
        for (auto* consumer : std::vector(consumers_)) consumer->lose();
    }

    // Retention has removed what the consumer would read next.
    void pass(const TopicPartition& origin, Offset to) {
        low[origin] = to;
        for (auto* consumer : std::vector(consumers_)) consumer->passed(origin);
    }

private:
    class MemoryConsumer final : public Consumer {
    public:
        MemoryConsumer(MemoryTransport& transport, Subscription subscription,
                       ConsumerListener& listener)
            : transport_(transport), subscription_(std::move(subscription)), listener_(listener) {
            transport_.consumers_.push_back(this);
        }
        ~MemoryConsumer() override { std::erase(transport_.consumers_, this); }

        void assign() {
            ++epoch_.value;
            std::vector<Assigned> assigned;
            for (const auto& [origin, records] : transport_.log) {
                if (std::ranges::find(subscription_.topics, origin.topic) ==
                    subscription_.topics.end())
                    continue;
                auto& offsets = transport_.committed[subscription_.group];
                const auto at = offsets.find(origin);
                assigned.push_back(
                    {origin, at == offsets.end() ? std::nullopt : std::optional(at->second)});
            }
            listener_.on_assigned(epoch_, assigned);
        }
        void passed(const TopicPartition& origin) {
            const auto at = next_.extract(origin);
            const Offset end{static_cast<std::int64_t>(transport_.log[origin].size())};
            listener_.on_out_of_range(origin, epoch_, at.mapped(), {transport_.low[origin], end});
        }
        void rebalance() {
            listener_.on_revoked(epoch_, take_all(), [this] { assign(); });
        }
        void lose() {
            listener_.on_lost(epoch_, take_all());
            assign();
        }

        void start(const TopicPartition& origin, StartPosition from) override {
            const Offset end{static_cast<std::int64_t>(transport_.log[origin].size())};
            Offset offset = transport_.low[origin];
            if (from.kind == StartPosition::Kind::kOffset) offset = from.offset;
            if (from.kind == StartPosition::Kind::kLatest) offset = end;
            if (from.kind == StartPosition::Kind::kTime)
                offset = transport_.position_at(origin, from.time);
            transport_.runtime_.loop().post(
                [this, origin, offset, end, alive = std::weak_ptr(alive_)] {
                    if (!alive.lock()) return;
                    if (offset < transport_.low[origin] || offset > end) {
                        listener_.on_out_of_range(origin, epoch_, offset,
                                                  {transport_.low[origin], end});
                        return;
                    }
                    next_[origin] = offset;
                    at_end_.erase(origin);
                    feed();
                });
        }
        void feed() {
            for (auto& [origin, offset] : next_) {
                if (stopped_.contains(origin)) continue;
                const Offset end{static_cast<std::int64_t>(transport_.log[origin].size())};
                while (offset < end && !stopped_.contains(origin)) {
                    auto batch = transport_.batch_of(
                        origin, offset,
                        std::min(transport_.max_batch, subscription_.max_batch_records), epoch_);
                    offset = batch->records.empty() ? end : batch->records.back().offset.next();
                    if (batch->records.empty()) break;
                    at_end_.erase(origin);
                    listener_.on_batch(batch);
                }
                if (offset == end && transport_.says_end && at_end_.insert(origin).second)
                    listener_.on_end(origin, epoch_, end);
            }
        }
        void stop_draining(const TopicPartition& origin) override { stopped_.insert(origin); }
        void resume_draining(const TopicPartition& origin) override {
            stopped_.erase(origin);
            transport_.runtime_.loop().post([this, alive = std::weak_ptr(alive_)] {
                if (alive.lock()) feed();
            });
        }
        void commit(const TopicPartition& origin, Offset position) override {
            transport_.committed[subscription_.group][origin] = position;
        }
        std::optional<Offset> committed(const TopicPartition& origin) const override {
            const auto& offsets = transport_.committed[subscription_.group];
            const auto at = offsets.find(origin);
            return at == offsets.end() ? std::nullopt : std::optional(at->second);
        }
        std::optional<Watermarks> watermarks(const TopicPartition& origin) const override {
            return Watermarks{transport_.low[origin],
                              Offset{static_cast<std::int64_t>(transport_.log[origin].size())}};
        }
        void close(std::function<void()> done) override {
            ++transport_.closes;
            next_.clear();
            transport_.runtime_.loop().post(std::move(done));
        }

    private:
        std::vector<TopicPartition> take_all() {
            std::vector<TopicPartition> mine;
            for (const auto& [origin, position] : next_) mine.push_back(origin);
            next_.clear();
            return mine;
        }

        MemoryTransport& transport_;
        Subscription subscription_;
        ConsumerListener& listener_;
        Epoch epoch_;
        std::map<TopicPartition, Offset> next_;
        std::set<TopicPartition> stopped_;
        std::set<TopicPartition> at_end_;
        std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    };

    Offset position_at(const TopicPartition& origin, Timestamp time) {
        const auto& records = log[origin];
        Offset offset = low[origin];
        while (static_cast<std::size_t>(offset.value) < records.size() &&
               records[static_cast<std::size_t>(offset.value)].timestamp < time)
            ++offset.value;
        return offset;
    }

    void feed_all() {
        for (auto* consumer : std::vector(consumers_)) consumer->feed();
    }

    Result<RecordPosition> store(const OutgoingRecord& record) {
        if (unavailable.contains(record.topic))
            return fail(ErrorCode::kUnavailable, record.topic + ": switched off");
        if (refusing.contains(record.topic))
            return fail(ErrorCode::kInvalid, record.topic + ": refused");
        if (!counts_.contains(record.topic))
            return fail(ErrorCode::kNotFound, record.topic + ": no such topic");
        if (max_bytes.contains(record.topic) && bytes_of(record) > max_bytes.at(record.topic))
            return fail(ErrorCode::kTooLarge, record.topic + ": too large");
        const int partitions = counts_.at(record.topic);
        const Partition partition =
            record.partition ? *record.partition
            : record.key     ? partition_for_key(*record.key, partitions)
                             : Partition{static_cast<std::int32_t>(spread_++ % partitions)};
        const TopicPartition origin{record.topic, partition};
        return RecordPosition{origin,
                              append(origin, {{}, record.key, record.value, record.headers})};
    }

    static std::size_t bytes_of(const OutgoingRecord& record) {
        std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
        for (const auto& [header, value] : record.headers) bytes += header.size() + value.size();
        return bytes;
    }

    std::shared_ptr<RecordBatch> batch_of(const TopicPartition& origin, Offset offset,
                                          std::size_t limit, Epoch epoch) {
        struct Memory {
            std::deque<StoredRecord> records;
            std::deque<std::vector<Header>> headers;
        };
        auto memory = std::make_shared<Memory>();
        auto batch = std::make_shared<RecordBatch>();
        batch->origin = origin;
        batch->epoch = epoch;
        const auto& records = log[origin];
        for (auto at = static_cast<std::size_t>(offset.value);
             at < records.size() && batch->records.size() < limit; ++at) {
            if (control.contains({origin, Offset{static_cast<std::int64_t>(at)}})) continue;
            const StoredRecord& stored = memory->records.emplace_back(records[at]);
            auto& headers = memory->headers.emplace_back();
            for (const auto& [header, value] : stored.headers) headers.push_back({header, value});
            Record record;
            record.offset = Offset{static_cast<std::int64_t>(at)};
            record.timestamp = stored.timestamp;
            if (stored.key) record.key = *stored.key;
            if (stored.value) record.value = *stored.value;
            record.headers = headers;
            batch->records.push_back(record);
        }
        batch->memory = memory;
        return batch;
    }

    Runtime& runtime_;
    std::map<std::string, int> counts_;
    std::vector<MemoryConsumer*> consumers_;
    int spread_ = 0;
};

}  // namespace millrace::testing
