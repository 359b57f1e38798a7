#include "transport/kafka/membership.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

// Well below max.poll.interval.ms: a member that is not polled is expelled.
constexpr milliseconds kServeInterval{500};
constexpr milliseconds kLeaveTimeout{5'000};

}  // namespace

Membership::Membership(AsioRuntime& runtime, MembershipSink& sink)
    : runtime_(runtime), sink_(sink), event_(runtime.context(), [this] { serve(); }) {}

Membership::~Membership() {
    if (client_) client_->detach();
}

Result<std::unique_ptr<Membership>> Membership::join(AsioRuntime& runtime, ConfPtr conf,
                                                     const std::vector<std::string>& topics,
                                                     const std::shared_ptr<Reaper>& reaper,
                                                     MembershipSink& sink) {
    std::unique_ptr<Membership> membership(new Membership(runtime, sink));
    const auto connected = membership->connect(std::move(conf), topics, reaper);
    if (!connected) return connected.error();
    return membership;
}

Result<void> Membership::connect(ConfPtr conf, const std::vector<std::string>& topics,
                                 const std::shared_ptr<Reaper>& reaper) {
    ClientEvents events;
    events.rebalance = [this](rd_kafka_resp_err_t code,
                              const rd_kafka_topic_partition_list_t* list) {
        on_rebalance(code, list);
    };
    events.committed = [this](rd_kafka_resp_err_t code,
                              const rd_kafka_topic_partition_list_t* list) {
        on_committed(code, list);
    };
    events.error = [this](rd_kafka_resp_err_t code, const std::string& reason) {
        if (!closing_) sink_.on_membership_error(code, reason);
    };
    events.fatal = [this](const Error& error) {
        if (!closing_) sink_.on_membership_failed(error);
    };
    auto client = Client::make_consumer(std::move(conf), std::move(events), reaper);
    if (!client) return client.error();
    client_ = *client;
    queue_ = WatchedQueue(QueuePtr(rd_kafka_queue_get_consumer(client_->handle())), event_);
    PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
    for (const auto& topic : topics)
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    const auto code = rd_kafka_subscribe(client_->handle(), list.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "subscribing");
    tick_ = runtime_.loop().after(milliseconds{0}, [this] { serve(); });
    return {};
}

void Membership::serve() {
    if (!queue_) return;  // a wake-up that came after the end
    tick_ = runtime_.loop().after(kServeInterval, [this] { serve(); });
    serve_queue(queue_.get());
    if (closing_queue_) serve_queue(closing_queue_.get());
    if (closing_queue_ && rd_kafka_consumer_closed(client_->handle()) != 0) finish_close();
}

void Membership::serve_queue(rd_kafka_queue_t* queue) {
    std::array<rd_kafka_message_t*, 16> events{};
    for (;;) {
        const ssize_t count = rd_kafka_consume_batch_queue(queue, 0, events.data(), events.size());
        for (ssize_t i = 0; i < count; ++i) {
            const MessagePtr event(events.at(static_cast<std::size_t>(i)));
            if (closing_ || event->err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
            if (event->err == RD_KAFKA_RESP_ERR__FATAL)
                sink_.on_membership_failed(
                    error_of(event->err, rd_kafka_message_errstr(event.get())));
            else
                sink_.on_membership_error(event->err, rd_kafka_message_errstr(event.get()));
        }
        if (count < static_cast<ssize_t>(events.size())) return;
    }
}

void Membership::on_rebalance(rd_kafka_resp_err_t code,
                              const rd_kafka_topic_partition_list_t* partitions) {
    rd_kafka_t* handle = client_->handle();
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        const auto nothing = list_of({}, RD_KAFKA_OFFSET_INVALID);
        rd_kafka_assign(handle, nothing.get());
        if (!closing_) sink_.on_given(origins_of(*partitions));
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !closing_) {
        const bool lost = rd_kafka_assignment_lost(handle) != 0;
        sink_.on_taken(origins_of(*partitions), lost);
    } else {
        rd_kafka_assign(handle, nullptr);
    }
}

void Membership::release() { rd_kafka_assign(client_->handle(), nullptr); }

bool Membership::commit(const std::map<TopicPartition, Offset>& positions) {
    PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
    for (const auto& [origin, position] : positions)
        rd_kafka_topic_partition_list_add(list.get(), origin.topic.c_str(), origin.partition.value)
            ->offset = position.value;
    constexpr int kAsync = 1;
    return rd_kafka_commit(client_->handle(), list.get(), kAsync) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void Membership::on_committed(rd_kafka_resp_err_t code,
                              const rd_kafka_topic_partition_list_t* offsets) {
    std::map<TopicPartition, Offset> acknowledged;
    std::map<TopicPartition, Offset> refused;
    rd_kafka_resp_err_t reason = code;
    if (offsets == nullptr) return;
    for (const auto& entry : std::span(offsets->elems, static_cast<std::size_t>(offsets->cnt))) {
        const auto outcome = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : entry.err;
        if (outcome != RD_KAFKA_RESP_ERR_NO_ERROR) reason = outcome;
        auto& answered = outcome == RD_KAFKA_RESP_ERR_NO_ERROR ? acknowledged : refused;
        answered[origin_of(entry)] = Offset{entry.offset};
    }
    sink_.on_commit_answered(acknowledged, refused, reason);
}

void Membership::close(std::function<void()> done) {
    closing_ = true;
    on_closed_ = std::move(done);
    closing_queue_ = WatchedQueue(QueuePtr(rd_kafka_queue_new(client_->handle())), event_);
    const ErrorPtr error(rd_kafka_consumer_close_queue(client_->handle(), closing_queue_.get()));
    // A client that has failed for good has left already.
    const bool left = error != nullptr;
    give_up_ = runtime_.loop().after(left ? milliseconds{0} : kLeaveTimeout, [this, left] {
        if (!left)
            log::warn("kafka",
                      "the group could not be left in time; its session expires by itself");
        finish_close();
    });
    tick_ = runtime_.loop().after(milliseconds{0}, [this] { serve(); });
}

void Membership::finish_close() {
    tick_.reset();
    give_up_.reset();
    client_->detach();
    closing_queue_ = WatchedQueue();
    queue_ = WatchedQueue();
    if (on_closed_) runtime_.loop().post(std::exchange(on_closed_, nullptr));
}

}  // namespace millrace::kafka
