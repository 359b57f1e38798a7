#include "transport/embedded/embedded_transport.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "events/ids.hpp"

namespace millrace {
namespace {

using embedded::BatchBuilder;
using embedded::Chunk;
using embedded::LogStore;
using embedded::MovedEnds;
using embedded::OpenedLog;
using embedded::PartitionView;
using embedded::ReadLimit;
using embedded::Subscriber;

constexpr milliseconds kUpkeepInterval{5'000};
// Of one `read`; a page of tail or the console.
constexpr std::size_t kMaxReadBytes = 8U << 20;

Result<RecordBatchPtr> make_page(const TopicPartition& origin, Offset from, ReadLimit limit,
                                 const std::vector<Chunk>& chunks) {
    BatchBuilder builder(origin, Epoch{}, from, limit);
    for (const Chunk& chunk : chunks) {
        if (builder.full()) break;
        if (auto done = builder.add(chunk); !done) return done.error();
    }
    return builder.finish();
}

}  // namespace

// What `subscribe` gives out.
class EmbeddedTransport::Handle final : public Consumer {
public:
    Handle(EmbeddedTransport& transport, std::shared_ptr<Subscriber> subscriber)
        : transport_(transport), subscriber_(std::move(subscriber)) {}
    ~Handle() override { transport_.leave(subscriber_); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void start(const TopicPartition& origin, StartPosition from) override {
        subscriber_->start(origin, from);
    }
    void stop_draining(const TopicPartition& origin) override {
        subscriber_->set_draining(origin, false);
    }
    void resume_draining(const TopicPartition& origin) override {
        subscriber_->set_draining(origin, true);
    }
    void commit(const TopicPartition& origin, Offset position) override {
        subscriber_->commit(origin, position);
    }
    std::optional<Offset> committed(const TopicPartition& origin) const override {
        return subscriber_->committed(origin);
    }
    std::optional<Watermarks> watermarks(const TopicPartition& origin) const override {
        const PartitionView* view = transport_.view_.find(origin);
        return view == nullptr ? std::nullopt : std::optional(view->ends());
    }
    void close(std::function<void()> done) override {
        transport_.leave(subscriber_);
        transport_.commits_.flush(std::move(done));
    }

private:
    EmbeddedTransport& transport_;
    std::shared_ptr<Subscriber> subscriber_;
};

EmbeddedTransport::EmbeddedTransport(Runtime& runtime, const EmbeddedSection& limits,
                                     std::string directory, std::string vfs,
                                     std::function<std::uint64_t()> free_bytes)
    : store_(runtime, {std::move(directory), std::move(vfs), limits, std::move(free_bytes),
                       random_uuid(runtime.random())}),
      view_(limits.tail_cache_bytes),
      commits_(store_),
      appender_(store_, view_, limits, [this] { wake_subscribers(); }),
      context_{store_, view_, commits_, Epoch{}, {}},
      groups_(context_) {}

EmbeddedTransport::~EmbeddedTransport() = default;

void EmbeddedTransport::open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) {
    store_.run(
        [topics](LogStore& store) { return store.open(topics); },
        [this, done = std::move(done)](Result<OpenedLog> log) { opened(std::move(log), done); });
}

void EmbeddedTransport::opened(Result<OpenedLog> log, const Callback<Result<void>>& done) {
    if (!log) {
        not_open_ = "the embedded log cannot be opened: " + log.error().message;
        return done(log.error());
    }
    not_open_.reset();
    cluster_id_ = std::move(log->cluster_id);
    missing_ = std::move(log->missing);
    view_.reset(log->topics);
    commits_.load(log->offsets);
    groups_.rebalance_all();
    for (const auto& subscriber : subscribers_) {
        if (subscriber->subscription().broadcast) assign_broadcast(subscriber);
    }
    wake_subscribers();
    schedule_upkeep();
    done({});
}

Result<std::unique_ptr<Consumer>> EmbeddedTransport::subscribe(const Subscription& subscription,
                                                               ConsumerListener& listener) {
    if (not_open_) return fail(ErrorCode::kUnavailable, *not_open_);
    for (const std::string& topic : subscription.topics) {
        if (view_.index_of(topic)) continue;
        return fail(ErrorCode::kNotFound,
                    fmt::format("group {}: topic '{}' does not exist; declare it under topics:",
                                subscription.group, topic));
    }
    auto subscriber = std::make_shared<Subscriber>(context_, subscription, listener);
    subscribers_.push_back(subscriber);
    if (subscription.broadcast) {
        store_.post_to_loop([this, subscriber] { assign_broadcast(subscriber); });
    } else {
        groups_.join(subscriber);
    }
    return std::unique_ptr<Consumer>(std::make_unique<Handle>(*this, std::move(subscriber)));
}

void EmbeddedTransport::assign_broadcast(const std::shared_ptr<Subscriber>& subscriber) {
    std::vector<TopicPartition> found;
    for (const std::string& topic : subscriber->subscription().topics) {
        const auto index = view_.index_of(topic);
        const std::size_t count = index ? view_.at(*index).partitions.size() : 0;
        for (std::size_t i = 0; i < count; ++i) {
            const TopicPartition origin{topic, Partition{static_cast<std::int32_t>(i)}};
            if (!subscriber->assigned().contains(origin)) found.push_back(origin);
        }
    }
    subscriber->assign(found);
}

void EmbeddedTransport::leave(const std::shared_ptr<Subscriber>& subscriber) {
    if (subscriber->detached()) return;
    subscriber->detach();
    groups_.leave(subscriber.get());
    std::erase(subscribers_, subscriber);
}

void EmbeddedTransport::wake_subscribers() {
    for (const auto& subscriber : subscribers_) subscriber->wake();
}

void EmbeddedTransport::publish(std::vector<OutgoingRecord> records, Origin origin,
                                Callback<std::vector<Result<RecordPosition>>> done) {
    if (!not_open_) return appender_.publish(std::move(records), origin, std::move(done));
    std::vector<Result<RecordPosition>> results(records.size(),
                                                fail(ErrorCode::kUnavailable, *not_open_));
    store_.post_to_loop([results = std::move(results), done = std::move(done)]() mutable {
        done(std::move(results));
    });
}

void EmbeddedTransport::cluster_id(Callback<Result<std::string>> done) {
    Result<std::string> id = cluster_id_;
    if (not_open_) id = fail(ErrorCode::kUnavailable, *not_open_);
    store_.post_to_loop([id = std::move(id), done = std::move(done)] { done(id); });
}

void EmbeddedTransport::topics(Callback<Result<std::vector<TopicInfo>>> done) {
    std::vector<TopicInfo> topics;
    for (std::uint32_t i = 0; i < view_.size(); ++i) {
        const auto& topic = view_.at(i);
        topics.push_back({topic.name, static_cast<int>(topic.partitions.size())});
    }
    store_.post_to_loop([topics = std::move(topics), done = std::move(done)]() mutable {
        done(std::move(topics));
    });
}

Error EmbeddedTransport::unknown(const TopicPartition& origin) const {
    if (not_open_) return fail(ErrorCode::kUnavailable, *not_open_);
    const auto index = view_.index_of(origin.topic);
    if (!index) {
        return fail(ErrorCode::kNotFound, fmt::format("topic '{}' does not exist", origin.topic));
    }
    return fail(ErrorCode::kInvalid, fmt::format("topic {}: there is no partition {}", origin.topic,
                                                 origin.partition.value));
}

void EmbeddedTransport::watermarks(const TopicPartition& origin,
                                   Callback<Result<Watermarks>> done) {
    const PartitionView* view = view_.find(origin);
    Result<Watermarks> ends =
        view == nullptr ? Result<Watermarks>(unknown(origin)) : Result<Watermarks>(view->ends());
    store_.post_to_loop([ends = std::move(ends), done = std::move(done)] { done(ends); });
}

void EmbeddedTransport::offset_at(const TopicPartition& origin, Timestamp time,
                                  Callback<Result<Offset>> done) {
    if (view_.find(origin) == nullptr) {
        store_.post_to_loop([error = unknown(origin), done = std::move(done)] { done(error); });
        return;
    }
    const auto time_ms = std::chrono::ceil<milliseconds>(time.time_since_epoch()).count();
    store_.run([topic = *view_.index_of(origin.topic), partition = origin.partition,
                time_ms](LogStore& store) { return store.find_time(topic, partition, time_ms); },
               std::move(done));
}

void EmbeddedTransport::read(const TopicPartition& origin, Offset offset, std::size_t limit,
                             Callback<Result<RecordBatchPtr>> done) {
    const PartitionView* view = view_.find(origin);
    if (view == nullptr) {
        store_.post_to_loop([error = unknown(origin), done = std::move(done)] { done(error); });
        return;
    }
    const Offset from = std::max(offset, view->ends().low);
    const ReadLimit page{limit, kMaxReadBytes};
    if (from >= view->ends().high || limit == 0 || view->holds(from)) {
        BatchBuilder builder(origin, Epoch{}, from, page);
        Result<void> read;
        if (from < view->ends().high && limit > 0) read = view->read(from, builder);
        Result<RecordBatchPtr> answer =
            read ? Result<RecordBatchPtr>(builder.finish()) : Result<RecordBatchPtr>(read.error());
        store_.post_to_loop([answer, done = std::move(done)] { done(answer); });
        return;
    }
    store_.run(
        [topic = *view_.index_of(origin.topic), origin, from, page](LogStore& store) {
            auto chunks = store.read(topic, origin.partition, from, page);
            return chunks ? make_page(origin, from, page, *chunks)
                          : Result<RecordBatchPtr>(chunks.error());
        },
        std::move(done));
}

std::optional<std::string> EmbeddedTransport::trouble() const {
    if (not_open_) return not_open_;
    if (appender_.trouble()) return appender_.trouble();
    if (commits_.trouble()) return commits_.trouble();
    if (!context_.troubles.empty()) {
        const auto& [place, why] = *context_.troubles.begin();
        return fmt::format("{} is held: {}", place, why);
    }
    if (!missing_.empty()) return missing_.front() + " is missing; put it back and start again";
    return std::nullopt;
}

void EmbeddedTransport::schedule_upkeep() {
    upkeep_timer_ = store_.runtime().loop().after(kUpkeepInterval, [this] { upkeep(); });
}

void EmbeddedTransport::upkeep() {
    appender_.forget_old_trouble(store_.runtime().clock().monotonic());
    store_.run([now = store_.runtime().clock().now()](
                   LogStore& store) { return store.enforce_retention(now); },
               [this](const std::vector<MovedEnds>& moved) {
                   for (const MovedEnds& ends : moved) view_.move_low(ends);
                   if (!moved.empty()) wake_subscribers();
                   if (!not_open_) schedule_upkeep();
               });
}

void EmbeddedTransport::close(std::function<void()> done) {
    upkeep_timer_.reset();
    for (const auto& subscriber : std::vector(subscribers_)) leave(subscriber);
    appender_.close([this, done = std::move(done)] {
        not_open_ = "the embedded log is closed";
        commits_.flush([this, done] {
            store_.run(
                [](LogStore& store) {
                    store.close();
                    return true;
                },
                [done](bool) { done(); });
        });
    });
}

}  // namespace millrace
