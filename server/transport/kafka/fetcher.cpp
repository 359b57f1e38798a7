#include "transport/kafka/fetcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <utility>

#include "core/log.hpp"
#include "transport/kafka/batch.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

// An idle consumer is polled all the same; it also catches a wake-up that was missed.
constexpr milliseconds kServeInterval{500};

}  // namespace

struct Fetcher::Source {
    TopicPartition origin;
    Epoch epoch;
    Offset asked;
    bool draining = true;
    bool active = true;
    std::deque<MessagePtr> fetched;  // taken from the queue, at most a batch, not handed over yet
    WatchedQueue queue;
};

Fetcher::Fetcher(AsioRuntime& runtime, ClientPtr client, FetchLimits limits, FetchSink& sink)
    : runtime_(runtime),
      client_(std::move(client)),
      limits_(limits),
      sink_(sink),
      event_(runtime.context(), [this] { turn(); }),
      consumer_queue_(QueuePtr(rd_kafka_queue_get_consumer(client_->handle())), event_),
      scratch_(limits.max_batch_records) {
    tick();
}

Fetcher::~Fetcher() {
    *alive_ = false;
    remove_all();
    client_->detach();
}

void Fetcher::tick() {
    tick_ = runtime_.loop().after(kServeInterval, [this] { tick(); });
    turn();
}

void Fetcher::start(const TopicPartition& origin, Epoch epoch, std::int64_t offset) {
    remove({origin});
    auto source = std::make_shared<Source>();
    source->origin = origin;
    source->epoch = epoch;
    source->asked = Offset{offset};
    QueuePtr queue(rd_kafka_queue_get_partition(client_->handle(), origin.topic.c_str(),
                                                origin.partition.value));
    // Before the assignment, which would forward it to the consumer's queue.
    rd_kafka_queue_forward(queue.get(), nullptr);
    source->queue = WatchedQueue(std::move(queue), event_);
    sources_[origin] = std::move(source);
    const auto list = list_of({origin}, offset);
    const ErrorPtr error(rd_kafka_incremental_assign(client_->handle(), list.get()));
    if (error)
        sink_.on_fetch_error(origin, rd_kafka_error_code(error.get()),
                             rd_kafka_error_string(error.get()));
    turn_later();
}

void Fetcher::set_draining(const TopicPartition& origin, bool draining) {
    const auto found = sources_.find(origin);
    if (found == sources_.end()) return;
    found->second->draining = draining;
    if (draining) turn_later();
}

void Fetcher::remove(const std::vector<TopicPartition>& origins) {
    std::vector<TopicPartition> read;
    for (const auto& origin : origins) {
        const auto node = sources_.extract(origin);
        if (node.empty()) continue;
        node.mapped()->active = false;
        node.mapped()->fetched.clear();
        node.mapped()->queue = WatchedQueue();
        read.push_back(origin);
    }
    if (read.empty()) return;
    const auto list = list_of(read, RD_KAFKA_OFFSET_INVALID);
    const ErrorPtr error(rd_kafka_incremental_unassign(client_->handle(), list.get()));
    if (error) log::warn("kafka", "giving partitions up: {}", rd_kafka_error_string(error.get()));
}

void Fetcher::remove_all() {
    std::vector<TopicPartition> all;
    for (const auto& [origin, source] : sources_) all.push_back(origin);
    remove(all);
}

void Fetcher::serve() {
    std::array<rd_kafka_message_t*, 16> events{};
    for (;;) {
        const ssize_t count =
            rd_kafka_consume_batch_queue(consumer_queue_.get(), 0, events.data(), events.size());
        for (ssize_t i = 0; i < count; ++i) {
            const MessagePtr event(events.at(static_cast<std::size_t>(i)));
            const char* topic = event->rkt == nullptr ? "" : rd_kafka_topic_name(event->rkt);
            if (event->err != RD_KAFKA_RESP_ERR_NO_ERROR)
                sink_.on_fetch_error(TopicPartition{topic, Partition{event->partition}}, event->err,
                                     rd_kafka_message_errstr(event.get()));
        }
        if (count < static_cast<ssize_t>(events.size())) return;
    }
}

void Fetcher::turn_later() {
    if (std::exchange(turn_posted_, true)) return;
    runtime_.loop().post([this, alive = alive_] {
        if (!*alive) return;
        turn_posted_ = false;
        turn();
    });
}

void Fetcher::turn() {
    const auto alive = alive_;
    serve();
    std::vector<SourcePtr> round;
    for (const auto& [origin, source] : sources_)
        if (source->draining) round.push_back(source);
    bool more = false;
    for (const auto& source : round) {
        if (!*alive) return;
        if (source->active && source->draining) more |= drain(*source);
    }
    if (*alive && more) turn_later();
}

bool Fetcher::drain(Source& source) {
    if (source.fetched.empty()) refill(source);
    const bool full = source.fetched.size() == limits_.max_batch_records;
    deliver(source);
    return source.active && (full || !source.fetched.empty());
}

void Fetcher::refill(Source& source) {
    const ssize_t count =
        rd_kafka_consume_batch_queue(source.queue.get(), 0, scratch_.data(), scratch_.size());
    for (ssize_t i = 0; i < count; ++i)
        source.fetched.emplace_back(scratch_[static_cast<std::size_t>(i)]);
}

// Records up to the limits or to the next event, or that event.
void Fetcher::deliver(Source& source) {
    while (source.active && !source.fetched.empty() &&
           source.fetched.front()->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const MessagePtr event = std::move(source.fetched.front());
        source.fetched.pop_front();
        handle_event(source, *event);
    }
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (const auto& message : source.fetched) {
        const std::size_t size = message->len + message->key_len;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) break;
        if (count > 0 && bytes + size > limits_.max_batch_bytes) break;
        bytes += size;
        ++count;
    }
    if (!source.active || !source.draining || count == 0) return;
    const auto end = source.fetched.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<MessagePtr> messages(std::move_iterator(source.fetched.begin()),
                                     std::move_iterator(end));
    source.fetched.erase(source.fetched.begin(), end);
    sink_.on_records(make_batch(client_, source.origin, source.epoch, std::move(messages)));
}

void Fetcher::handle_event(Source& source, const rd_kafka_message_t& message) {
    switch (static_cast<int>(message.err)) {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            return sink_.on_fetched_to_end(source.origin, source.epoch, Offset{message.offset});
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            return sink_.on_no_such_offset(
                source.origin, source.epoch,
                message.offset >= 0 ? Offset{message.offset} : source.asked);
        default:
            return sink_.on_fetch_error(source.origin, message.err,
                                        rd_kafka_message_errstr(&message));
    }
}

}  // namespace millrace::kafka
