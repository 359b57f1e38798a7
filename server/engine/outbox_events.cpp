#include <fmt/format.h>

#include "engine/backoff.hpp"
#include "engine/outbox.hpp"

namespace millrace::engine {
namespace {

constexpr std::size_t kSendBatch = 500;  // events on their way at a time

bool is_permanent(const Error& error) {
    return error.code == ErrorCode::kInvalid || error.code == ErrorCode::kTooLarge;
}

}  // namespace

EventSender::EventSender(OutboxSurroundings surroundings, StateFile& state)
    : surroundings_(std::move(surroundings)), state_(&state) {}

Result<void> EventSender::load() {
    auto waiting = state_->waiting_event_origins();
    if (!waiting) return waiting.error();
    for (const auto& from : *waiting) added(from);
    return {};
}

void EventSender::added(const EffectOrigin& from) {
    if (from.offset.value >= 0) unsent_[from.origin].insert(from.offset);
}

void EventSender::send_up_to(std::int64_t sequence) {
    durable_ = sequence;
    send();
}

std::vector<EventSender::Confirmed> EventSender::take_confirmed() {
    return std::exchange(confirmed_, {});
}

std::optional<Offset> EventSender::lowest_unsent(const TopicPartition& origin) const {
    const auto found = unsent_.find(origin);
    if (found == unsent_.end() || found->second.empty()) return std::nullopt;
    return *found->second.begin();
}

std::vector<TopicPartition> EventSender::unsent_origins() const {
    std::vector<TopicPartition> origins;
    for (const auto& [origin, offsets] : unsent_)
        if (!offsets.empty()) origins.push_back(origin);
    return origins;
}

void EventSender::stop() {
    state_ = nullptr;
    retry_.reset();
}

void EventSender::send() {
    if (sending_ || retry_ || state_ == nullptr) return;
    if (to_send_.empty() && last_loaded_ < durable_) {
        auto rows = state_->events_after(last_loaded_, durable_, kSendBatch);
        if (!rows) return surroundings_.failed(rows.error());
        to_send_ = std::move(*rows);
        last_loaded_ = to_send_.size() < kSendBatch ? durable_ : to_send_.back().sequence;
    }
    if (!to_send_.empty()) publish();
}

OutgoingRecord EventSender::record_of(const OutboxEvent& event) const {
    if (const auto refused = refused_.find(event.sequence); refused != refused_.end()) {
        const auto letters = surroundings_.dead_letters.find(event.from.origin.topic);
        const DeadLetterContext context{
            letters == surroundings_.dead_letters.end() ? event.topic + "-dlq" : letters->second,
            surroundings_.section.name, surroundings_.group, surroundings_.section.dead_letters};
        return reduced(make_dead_letter(event, refused->second.fault,
                                        surroundings_.runtime.clock().now(), context),
                       refused->second.form);
    }
    OutgoingRecord record;
    record.topic = event.topic;
    if (!event.key.empty()) record.key = event.key;
    record.value = event.value;
    record.headers.emplace_back("millrace-hops", std::to_string(event.hops));
    if (!event.traceparent.empty()) record.headers.emplace_back("traceparent", event.traceparent);
    return record;
}

void EventSender::publish() {
    sending_ = true;
    std::vector<OutgoingRecord> records;
    records.reserve(to_send_.size());
    for (const auto& event : to_send_) records.push_back(record_of(event));
    auto answer = [this, shard = surroundings_.shard,
                   strand = surroundings_.strand](std::vector<Result<RecordPosition>> results) {
        strand->post([this, shard, results = std::move(results)] {
            if (const auto alive = shard.lock()) sent(results);
        });
    };
    surroundings_.runtime.loop().post([&transport = surroundings_.transport,
                                       records = std::move(records),
                                       answer = std::move(answer)]() mutable {
        transport.publish(std::move(records), Origin::kInternal, std::move(answer));
    });
}

void EventSender::sent(const std::vector<Result<RecordPosition>>& results) {
    sending_ = false;
    std::vector<OutboxEvent> left;
    std::string trouble;
    for (std::size_t i = 0; i < to_send_.size(); ++i) {
        if (results[i]) {
            confirm(to_send_[i]);
            continue;
        }
        if (is_permanent(results[i].error())) refuse(to_send_[i], results[i].error());
        trouble =
            fmt::format("{} cannot be written: {}", to_send_[i].topic, results[i].error().message);
        left.push_back(std::move(to_send_[i]));
    }
    to_send_ = std::move(left);
    surroundings_.held("outbox", trouble);
    if (!confirmed_.empty()) surroundings_.confirmed();
    if (to_send_.empty()) {
        failures_ = 0;
        return send();
    }
    retry_ = surroundings_.strand->after(
        backoff(kOutsideRetry, ++failures_, surroundings_.runtime.random()), [this] {
            retry_.reset();
            send();
        });
}

// Its dead letter, where that is refused, becomes smaller.
void EventSender::refuse(const OutboxEvent& event, const Error& error) {
    if (const auto before = refused_.find(event.sequence); before != refused_.end()) {
        LetterForm& form = before->second.form;
        if (error.code == ErrorCode::kTooLarge) form = smaller(form).value_or(form);
        return;
    }
    log::error("engine",
               "{}: event {} for {} is refused for good and becomes a dead letter of {}: {}",
               surroundings_.section.name, event.event_id, event.topic, event.from.origin.topic,
               error.message);
    refused_[event.sequence] = {error.message};
}

void EventSender::confirm(const OutboxEvent& event) {
    confirmed_.push_back({event.sequence, event.from});
    refused_.erase(event.sequence);
    if (event.from.offset.value < 0) return;
    auto& offsets = unsent_[event.from.origin];
    if (const auto found = offsets.find(event.from.offset); found != offsets.end())
        offsets.erase(found);
}

}  // namespace millrace::engine
