#include "transport/kafka/consumer.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"
#include "transport/kafka/queries.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kQueryTimeout{5'000};
constexpr milliseconds kRetryInterval{500};

}  // namespace

Result<ClientPtr> FetchingConsumer::make_fetch_client(const ConsumerContext& context,
                                                      const Subscription& subscription,
                                                      std::size_t partitions) {
    ClientEvents events;
    events.error = [&trouble = context.trouble](rd_kafka_resp_err_t code,
                                                const std::string& reason) {
        trouble.broker_error(code, reason);
    };
    return Client::make_consumer(context.settings.fetcher(subscription.group, partitions),
                                 std::move(events), context.reaper);
}

FetchingConsumer::FetchingConsumer(const ConsumerContext& context, Subscription subscription,
                                   ConsumerListener& listener, ClientPtr fetch_client)
    : context_(context),
      subscription_(std::move(subscription)),
      listener_(listener),
      client_(std::move(fetch_client)),
      lane_(context.helpers.make_lane()),
      fetcher_(context.runtime, client_,
               FetchLimits{subscription_.max_batch_records, subscription_.max_batch_bytes}, *this) {
}

FetchingConsumer::~FetchingConsumer() {
    *alive_ = false;
    tell_left();
    for (const auto& [origin, held] : held_) context_.watermarks.unwatch(origin);
    context_.trouble.forget("group " + subscription_.group);
    for (const auto& topic : subscription_.topics) context_.trouble.forget("topic " + topic);
}

Epoch FetchingConsumer::hold(const std::vector<TopicPartition>& origins) {
    const Epoch epoch{++last_epoch_};
    for (const auto& origin : origins) {
        if (held_.insert_or_assign(origin, Held{epoch}).second) context_.watermarks.watch(origin);
    }
    return epoch;
}

void FetchingConsumer::mute(const std::vector<TopicPartition>& origins) {
    for (const auto& origin : origins)
        if (const auto found = held_.find(origin); found != held_.end()) found->second.muted = true;
    fetcher_.remove(origins);
}

void FetchingConsumer::give_up(const std::vector<TopicPartition>& origins) {
    fetcher_.remove(origins);
    for (const auto& origin : origins)
        if (held_.erase(origin) > 0) context_.watermarks.unwatch(origin);
}

bool FetchingConsumer::holds(const TopicPartition& origin, Epoch epoch) const {
    const auto found = held_.find(origin);
    return found != held_.end() && found->second.epoch == epoch && !found->second.muted &&
           !closing_;
}

void FetchingConsumer::start(const TopicPartition& origin, StartPosition from) {
    const auto found = held_.find(origin);
    if (found == held_.end() || !holds(origin, found->second.epoch)) return;
    const Epoch epoch = found->second.epoch;
    switch (from.kind) {
        case StartPosition::Kind::kOffset:
            return start_at(origin, epoch, from.offset.value);
        case StartPosition::Kind::kEarliest:
            return start_at(origin, epoch, RD_KAFKA_OFFSET_BEGINNING);
        case StartPosition::Kind::kLatest:
            return start_at(origin, epoch, RD_KAFKA_OFFSET_END);
        case StartPosition::Kind::kTime:
            return start_at_time(origin, epoch, from.time);
    }
}

void FetchingConsumer::start_at(const TopicPartition& origin, Epoch epoch, std::int64_t offset) {
    fetcher_.start(origin, epoch, offset);
    fetcher_.set_draining(origin, held_.at(origin).draining);
}

void FetchingConsumer::start_at_time(const TopicPartition& origin, Epoch epoch, Timestamp time) {
    auto work = [client = client_, origin, time] {
        return query_offset_at(client->handle(), origin, time, kQueryTimeout);
    };
    ask(std::move(work), [this, origin, epoch, time](const Result<Offset>& offset) {
        if (!holds(origin, epoch)) return;
        if (offset) {
            works(origin.topic);
            return start_at(origin, epoch, offset->value);
        }
        troubled_ = true;
        context_.trouble.report("topic " + origin.topic, offset.error().message);
        later([this, origin, epoch, time] {
            if (holds(origin, epoch)) start_at_time(origin, epoch, time);
        });
    });
}

void FetchingConsumer::set_draining(const TopicPartition& origin, bool draining) {
    const auto found = held_.find(origin);
    if (found == held_.end()) return;
    found->second.draining = draining;
    fetcher_.set_draining(origin, draining);
}

void FetchingConsumer::later(std::function<void()> task) {
    const std::uint64_t id = next_retry_++;
    retries_[id] =
        context_.runtime.loop().after(kRetryInterval, [this, id, task = std::move(task)] {
            retries_.erase(id);
            task();
        });
}

void FetchingConsumer::on_records(RecordBatchPtr batch) {
    if (!holds(batch->origin, batch->epoch)) return;
    works(batch->origin.topic);
    listener_.on_batch(std::move(batch));
}

void FetchingConsumer::on_fetched_to_end(const TopicPartition& origin, Epoch epoch, Offset end) {
    if (!holds(origin, epoch)) return;
    works(origin.topic);
    listener_.on_end(origin, epoch, end);
}

void FetchingConsumer::on_no_such_offset(const TopicPartition& origin, Epoch epoch, Offset asked) {
    if (holds(origin, epoch)) ask_for_ends(origin, epoch, asked);
}

void FetchingConsumer::ask_for_ends(const TopicPartition& origin, Epoch epoch, Offset asked) {
    auto work = [client = client_, origin] {
        return query_watermarks(client->handle(), {origin}, kQueryTimeout);
    };
    ask(std::move(work), [this, origin, epoch, asked](const auto& ends) {
        if (!holds(origin, epoch)) return;
        if (ends && ends->contains(origin)) {
            fetcher_.remove({origin});
            return listener_.on_out_of_range(origin, epoch, asked, ends->at(origin));
        }
        later([this, origin, epoch, asked] { on_no_such_offset(origin, epoch, asked); });
    });
}

void FetchingConsumer::on_fetch_error(const TopicPartition& origin, rd_kafka_resp_err_t code,
                                      const std::string& reason) {
    if (code == RD_KAFKA_RESP_ERR__FATAL) return fail_for_good(error_of(code, reason));
    report(code, "topic " + origin.topic, reason);
}

void FetchingConsumer::report(rd_kafka_resp_err_t code, const std::string& subject,
                              const std::string& reason) {
    if (closing_) return;
    if (!needs_a_person(code)) return log::debug("kafka", "{}: {}", subject, reason);
    troubled_ = true;
    context_.trouble.report(subject, fmt::format("{} ({})", reason, rd_kafka_err2name(code)));
}

void FetchingConsumer::works(const std::string& topic) {
    if (troubled_) context_.trouble.clear("topic " + topic);
}

void FetchingConsumer::fail_for_good(const Error& error) {
    if (closing_ || std::exchange(failed_, true)) return;
    listener_.on_failed(error);
}

void FetchingConsumer::tell_left() {
    if (!std::exchange(left_, true)) context_.left(subscription_.group);
}

void FetchingConsumer::close(std::function<void()> done) {
    closing_ = true;
    retries_.clear();
    fetcher_.remove_all();
    context_.runtime.loop().post([this, alive = alive_, done = std::move(done)]() mutable {
        if (!*alive) return;
        leave([this, alive, done = std::move(done)] {
            if (*alive) tell_left();
            done();
        });
    });
}

}  // namespace millrace::kafka
