#include "transport/embedded/appender.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/log.hpp"
#include "events/ids.hpp"

namespace millrace::embedded {
namespace {

// One round is one transaction: larger ones gain nothing and make the others wait.
constexpr std::size_t kMaxRoundRecords = 16'384;
constexpr std::size_t kMaxRoundBytes = 8U << 20;
// What a waiting record costs besides its bytes.
constexpr std::size_t kPendingOverhead = 256;
constexpr std::chrono::seconds kTroubleMemory{10};

}  // namespace

Appender::Appender(StoreStrand& store, LogView& view, const EmbeddedSection& limits,
                   std::function<void()> appended)
    : store_(store), view_(view), limits_(limits), appended_(std::move(appended)) {}

void Appender::publish(std::vector<OutgoingRecord> records, Origin origin,
                       Callback<std::vector<Result<RecordPosition>>> done) {
    auto call = std::make_shared<Call>();
    call->results.resize(records.size());
    call->undecided = records.size();
    call->done = std::move(done);
    for (std::size_t i = 0; i < records.size(); ++i) {
        const std::size_t bytes = payload_bytes(records[i]) + kPendingOverhead;
        auto item = place(records[i], origin, bytes);
        if (!item) {
            call->results[i] = item.error();
            --call->undecided;
            continue;
        }
        ++records_;
        bytes_ += bytes;
        pending_.push_back(Pending{std::move(*item), Ticket{call, i, bytes}});
    }
    if (call->undecided == 0) {
        store_.post_to_loop([call] { call->done(std::move(call->results)); });
    }
    if (writing_.empty()) write_next_round();
}

Result<AppendItem> Appender::place(OutgoingRecord& record, Origin origin, std::size_t bytes) {
    if (closing_) return fail(ErrorCode::kCancelled, "the log is closing");
    const auto topic = view_.index_of(record.topic);
    if (!topic) {
        return fail(
            ErrorCode::kNotFound,
            fmt::format("topic '{}' does not exist; declare it under topics:", record.topic));
    }
    TopicView& view = view_.at(*topic);
    if (bytes - kPendingOverhead > view.max_record_bytes) {
        return fail(ErrorCode::kTooLarge,
                    fmt::format("topic {}: the record has {} bytes, at most {} are accepted "
                                "(embedded.max_record_bytes)",
                                record.topic, bytes - kPendingOverhead, view.max_record_bytes));
    }
    auto partition = partition_of(record, view);
    if (!partition) return partition.error();
    if (records_ >= limits_.max_pending_records || bytes_ + bytes > limits_.max_pending_bytes) {
        return fail(
            ErrorCode::kFull,
            fmt::format("{} records ({} bytes) wait for the disk already "
                        "(embedded.max_pending_records, max_pending_bytes); try again later",
                        records_, bytes_));
    }
    AppendItem item;
    item.topic = *topic;
    item.partition = *partition;
    item.origin = origin;
    item.timestamp = record.timestamp ? *record.timestamp : store_.runtime().clock().now();
    item.record = std::move(record);
    return item;
}

Result<Partition> Appender::partition_of(const OutgoingRecord& record, TopicView& topic) const {
    const auto count = static_cast<std::int32_t>(topic.partitions.size());
    if (record.partition) {
        if (record.partition->value >= 0 && record.partition->value < count)
            return *record.partition;
        return fail(ErrorCode::kInvalid,
                    fmt::format("topic {}: there is no partition {}, the topic has {}", topic.name,
                                record.partition->value, count));
    }
    if (record.key) return partition_for_key(*record.key, count);
    return Partition{
        static_cast<std::int32_t>(topic.next_keyless++ % static_cast<std::uint32_t>(count))};
}

void Appender::write_next_round() {
    std::vector<AppendItem> items;
    std::size_t bytes = 0;
    while (!pending_.empty() && items.size() < kMaxRoundRecords && bytes < kMaxRoundBytes) {
        Pending& next = pending_.front();
        bytes += next.ticket.bytes;
        items.push_back(std::move(next.item));
        writing_.push_back(std::move(next.ticket));
        pending_.pop_front();
    }
    if (items.empty()) {
        if (closed_) store_.post_to_loop(std::exchange(closed_, nullptr));
        return;
    }
    store_.run(
        [items = std::move(items), now = store_.runtime().clock().now()](LogStore& store) mutable {
            AppendRound round = store.append(std::move(items), now);
            // Their memory is given back here rather than on the loop.
            for (AppendItem& item : round.items) item.record = OutgoingRecord{};
            return round;
        },
        [this](AppendRound round) { finish_round(std::move(round)); });
}

void Appender::finish_round(AppendRound round) {
    std::vector<Ticket> tickets = std::exchange(writing_, {});
    for (const MovedEnds& ends : round.recovered) view_.recover(ends);
    for (AppendedChunk& chunk : round.appended) view_.append(std::move(chunk));
    note_trouble(round);
    for (const Ticket& ticket : tickets) bytes_ -= ticket.bytes;
    records_ -= tickets.size();
    write_next_round();
    if (!round.appended.empty() || !round.recovered.empty()) appended_();
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        const AppendItem& item = round.items[i];
        if (!item.outcome) {
            decide(tickets[i], item.outcome.error());
            continue;
        }
        const TopicPartition origin{view_.at(item.topic).name, item.partition};
        decide(tickets[i], RecordPosition{origin, *item.outcome});
    }
}

void Appender::note_trouble(const AppendRound& round) {
    if (round.troubles.empty()) {
        trouble_.reset();
        return;
    }
    if (trouble_ != round.troubles.front()) log::error("embedded", "{}", round.troubles.front());
    trouble_ = round.troubles.front();
    trouble_at_ = store_.runtime().clock().monotonic();
}

void Appender::forget_old_trouble(std::chrono::nanoseconds now) {
    if (trouble_ && now - trouble_at_ > kTroubleMemory) trouble_.reset();
}

void Appender::decide(Ticket& ticket, Result<RecordPosition> result) {
    Call& call = *ticket.call;
    call.results[ticket.index] = std::move(result);
    if (--call.undecided == 0) call.done(std::move(call.results));
}

void Appender::close(std::function<void()> done) {
    closing_ = true;
    closed_ = std::move(done);
    if (writing_.empty()) write_next_round();
}

}  // namespace millrace::embedded
