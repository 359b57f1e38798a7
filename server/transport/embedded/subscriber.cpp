#include "transport/embedded/subscriber.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/log.hpp"

namespace millrace::embedded {
namespace {

constexpr milliseconds kReadRetry{1'000};

}  // namespace

Subscriber::Subscriber(SubscriberContext& context, Subscription subscription,
                       ConsumerListener& listener)
    : context_(context), subscription_(std::move(subscription)), listener_(&listener) {}

void Subscriber::assign(const std::vector<TopicPartition>& partitions) {
    if (detached() || partitions.empty()) return;
    const Epoch epoch{++context_.last_epoch.value};
    std::vector<Assigned> assigned;
    for (const TopicPartition& origin : partitions) {
        Reading reading;
        reading.epoch = epoch;
        readings_[origin] = std::move(reading);
        assigned_.insert(origin);
        assigned.push_back(Assigned{origin, committed(origin)});
    }
    listener_->on_assigned(epoch, assigned);
}

void Subscriber::revoke(std::function<void()> done) {
    if (detached() || assigned_.empty()) {
        done();
        return;
    }
    Epoch epoch;
    for (const auto& [origin, reading] : readings_) {
        epoch = std::max(epoch, reading.epoch);
        release_hold(origin);
    }
    readings_.clear();
    revoked_ = std::move(done);
    const std::vector<TopicPartition> partitions(assigned_.begin(), assigned_.end());
    listener_->on_revoked(epoch, partitions, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || !self->revoked_) return;
        self->assigned_.clear();
        std::exchange(self->revoked_, nullptr)();
    });
}

void Subscriber::detach() {
    listener_ = nullptr;
    for (const auto& [origin, reading] : readings_) release_hold(origin);
    readings_.clear();
    assigned_.clear();
    if (revoked_) std::exchange(revoked_, nullptr)();
}

void Subscriber::start(const TopicPartition& origin, StartPosition from) {
    const auto found = readings_.find(origin);
    const PartitionView* view = context_.view.find(origin);
    if (found == readings_.end() || view == nullptr) return;
    Reading& reading = found->second;
    reading.generation = ++last_generation_;
    reading.started = false;
    reading.loading = false;
    reading.end_reported.reset();
    reading.retry.reset();
    switch (from.kind) {
        case StartPosition::Kind::kOffset:
            return begin(origin, reading, from.offset);
        case StartPosition::Kind::kEarliest:
            return begin(origin, reading, view->ends().low);
        case StartPosition::Kind::kLatest:
            return begin(origin, reading, view->ends().high);
        case StartPosition::Kind::kTime:
            return find_time(origin, reading, from.time);
    }
}

void Subscriber::begin(const TopicPartition& origin, Reading& reading, Offset position) {
    reading.position = position;
    reading.started = true;
    post_pump(origin, reading);
}

void Subscriber::find_time(const TopicPartition& origin, Reading& reading, Timestamp time) {
    const auto topic = context_.view.index_of(origin.topic);
    const auto time_ms = std::chrono::ceil<milliseconds>(time.time_since_epoch()).count();
    reading.loading = true;
    context_.store.run([topic = *topic, partition = origin.partition, time_ms](
                           LogStore& store) { return store.find_time(topic, partition, time_ms); },
                       [weak = weak_from_this(), origin, generation = reading.generation,
                        time](Result<Offset> position) {
                           const auto self = weak.lock();
                           Reading* asked = self ? self->find_loading(origin, generation) : nullptr;
                           if (asked == nullptr) return;
                           if (position) return self->begin(origin, *asked, *position);
                           self->hold(origin, position.error());
                           asked->retry = self->context_.store.runtime().loop().after(
                               kReadRetry, [weak, origin, time] {
                                   if (const auto again = weak.lock())
                                       again->start(origin, {StartPosition::Kind::kTime, {}, time});
                               });
                       });
}

Subscriber::Reading* Subscriber::find_loading(const TopicPartition& origin,
                                              std::uint64_t generation) {
    const auto found = readings_.find(origin);
    if (found == readings_.end() || found->second.generation != generation) return nullptr;
    found->second.loading = false;
    return &found->second;
}

void Subscriber::set_draining(const TopicPartition& origin, bool draining) {
    const auto found = readings_.find(origin);
    if (found == readings_.end()) return;
    found->second.draining = draining;
    if (draining) post_pump(origin, found->second);
}

void Subscriber::commit(const TopicPartition& origin, Offset position) {
    if (subscription_.broadcast || !assigned_.contains(origin)) return;
    context_.commits.commit(subscription_.group, origin, position);
}

std::optional<Offset> Subscriber::committed(const TopicPartition& origin) const {
    if (subscription_.broadcast) return std::nullopt;
    return context_.commits.committed(subscription_.group, origin);
}

void Subscriber::wake() {
    for (auto& [origin, reading] : readings_) post_pump(origin, reading);
}

void Subscriber::post_pump(const TopicPartition& origin, Reading& reading) {
    const bool wanted = reading.started && reading.draining && !reading.loading && !reading.retry;
    if (!wanted || reading.pump_posted) return;
    reading.pump_posted = true;
    context_.store.post_to_loop([weak = weak_from_this(), origin] {
        if (const auto self = weak.lock()) self->pump(origin);
    });
}

void Subscriber::pump(const TopicPartition& origin) {
    const auto found = readings_.find(origin);
    const PartitionView* view = context_.view.find(origin);
    if (found == readings_.end() || view == nullptr) return;
    Reading& reading = found->second;
    reading.pump_posted = false;
    if (!reading.started || !reading.draining || reading.loading || reading.retry) return;
    const Watermarks ends = view->ends();
    if (reading.position < ends.low || reading.position > ends.high)
        return report_out_of_range(origin, reading, ends);
    if (reading.position == ends.high) return report_end(origin, reading);
    if (!view->holds(reading.position)) return load(origin, reading);
    BatchBuilder builder(origin, reading.epoch, reading.position, limit());
    auto read = view->read(reading.position, builder);
    deliver(origin, reading, std::move(read), builder);
}

void Subscriber::report_end(const TopicPartition& origin, Reading& reading) {
    if (reading.end_reported == reading.position) return;
    reading.end_reported = reading.position;
    listener_->on_end(origin, reading.epoch, reading.position);
}

void Subscriber::report_out_of_range(const TopicPartition& origin, Reading& reading,
                                     Watermarks ends) {
    reading.started = false;
    listener_->on_out_of_range(origin, reading.epoch, reading.position, ends);
}

ReadLimit Subscriber::limit() const {
    return {subscription_.max_batch_records, subscription_.max_batch_bytes};
}

void Subscriber::load(const TopicPartition& origin, Reading& reading) {
    const auto topic = context_.view.index_of(origin.topic);
    reading.loading = true;
    context_.store.run(
        [topic = *topic, partition = origin.partition, from = reading.position,
         limit = limit()](LogStore& store) { return store.read(topic, partition, from, limit); },
        [weak = weak_from_this(), origin,
         generation = reading.generation](Result<std::vector<Chunk>> chunks) {
            if (const auto self = weak.lock()) self->loaded(origin, generation, std::move(chunks));
        });
}

void Subscriber::loaded(const TopicPartition& origin, std::uint64_t generation,
                        Result<std::vector<Chunk>> chunks) {
    Reading* reading = find_loading(origin, generation);
    if (reading == nullptr) return;
    const PartitionView* view = context_.view.find(origin);
    // Retention took it while the strand was reading: the pump reports that.
    if (view != nullptr && reading->position < view->ends().low) return post_pump(origin, *reading);
    BatchBuilder builder(origin, reading->epoch, reading->position, limit());
    Result<void> read = chunks ? Result<void>() : Result<void>(chunks.error());
    if (chunks) {
        for (const Chunk& chunk : *chunks) {
            if (read && !builder.full()) read = builder.add(chunk);
        }
    }
    deliver(origin, *reading, std::move(read), builder);
}

// The position moves on before the listener is called: it may stop, start again or close.
void Subscriber::deliver(const TopicPartition& origin, Reading& reading, Result<void> read,
                         BatchBuilder& builder) {
    if (!read) {
        hold(origin, read.error());
        reading.retry =
            context_.store.runtime().loop().after(kReadRetry, [weak = weak_from_this(), origin] {
                if (const auto self = weak.lock()) self->read_again(origin);
            });
        return;
    }
    release_hold(origin);
    const RecordBatchPtr batch = builder.finish();
    reading.position = batch->records.back().offset.next();
    reading.end_reported.reset();
    post_pump(origin, reading);
    listener_->on_batch(batch);
}

void Subscriber::read_again(const TopicPartition& origin) {
    const auto found = readings_.find(origin);
    if (found == readings_.end()) return;
    found->second.retry.reset();
    post_pump(origin, found->second);
}

void Subscriber::hold(const TopicPartition& origin, const Error& error) {
    const std::string place = fmt::format("{}: {}", subscription_.group, to_string(origin));
    auto& trouble = context_.troubles[place];
    if (trouble != error.message) log::error("embedded", "{}: held: {}", place, error.message);
    trouble = error.message;
}

void Subscriber::release_hold(const TopicPartition& origin) {
    if (context_.troubles.empty()) return;
    context_.troubles.erase(fmt::format("{}: {}", subscription_.group, to_string(origin)));
}

}  // namespace millrace::embedded
