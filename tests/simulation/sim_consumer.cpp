#include "simulation/sim_consumer.hpp"

#include <algorithm>

namespace millrace::simulation {
namespace {

constexpr nanoseconds kCommitInterval{50'000'000};

struct Memory {
    std::vector<StoredPtr> records;
};

std::vector<StoredPtr>::const_iterator from_offset(const PartitionLog& log, Offset offset) {
    return std::lower_bound(
        log.records.begin(), log.records.end(), offset,
        [](const StoredPtr& record, Offset wanted) { return record->offset < wanted; });
}

}  // namespace

RecordBatchPtr make_batch(const TopicPartition& origin, const PartitionLog& log, Offset from,
                          std::size_t limit, Epoch epoch) {
    auto memory = std::make_shared<Memory>();
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = origin;
    batch->epoch = epoch;
    std::size_t headers = 0;
    for (auto at = from_offset(log, from); at != log.records.end(); ++at) {
        if (memory->records.size() == limit) break;
        memory->records.push_back(*at);
        headers += (*at)->headers.size();
    }
    batch->headers.reserve(headers);
    for (const auto& stored : memory->records) {
        Record record;
        record.offset = stored->offset;
        record.timestamp = stored->timestamp;
        if (stored->key) record.key = *stored->key;
        if (stored->value) record.value = *stored->value;
        const std::size_t first = batch->headers.size();
        for (const auto& [name, value] : stored->headers) batch->headers.push_back({name, value});
        record.headers = std::span(batch->headers).subspan(first);
        batch->bytes +=
            (stored->key ? stored->key->size() : 0) + (stored->value ? stored->value->size() : 0);
        batch->records.push_back(record);
    }
    batch->memory = memory;
    return batch;
}

SimConsumer::SimConsumer(SimTransport& transport, const Subscription& subscription,
                         ConsumerListener& listener)
    : cluster_(transport.cluster_),
      loop_(transport.runtime_.sim_loop()),
      process_(transport.runtime_.life()->name),
      subscription_(subscription),
      listener_(listener) {
    cluster_.join(*this);
}

SimConsumer::~SimConsumer() {
    if (!closed_) cluster_.leave(*this, true);
}

void SimConsumer::assigned(Epoch epoch, std::vector<Assigned> partitions) {
    on_loop([this, assignment = std::pair(epoch, std::move(partitions))] {
        if (losing_)
            given_ = assignment;
        else
            take(assignment);
    });
}

void SimConsumer::take(const std::pair<Epoch, std::vector<Assigned>>& assignment) {
    if (closed_) return;
    epoch_ = assignment.first;
    reading_.clear();
    for (const auto& each : assignment.second) {
        reading_[each.origin] = {};
        cluster_.watch_.on_given(process_, subscription_.group, each.origin);
        cluster_.tenures_.push_back({subscription_.group, each.origin, process_, epoch_,
                                     each.committed, cluster_.scheduler_.now()});
        cluster_.scheduler_.trace("{}: is given {} in epoch {}, committed {}", process_,
                                  to_string(each.origin), epoch_.value,
                                  each.committed ? each.committed->value : -1);
    }
    listener_.on_assigned(epoch_, assignment.second);
}

void SimConsumer::revoke(std::function<void()> released) {
    on_loop([this, released = std::move(released)] {
        if (losing_) given_.reset();
        if (closed_ || losing_) return released();
        std::vector<TopicPartition> mine;
        for (auto& [origin, reading] : reading_) mine.push_back(origin);
        reading_.clear();
        cluster_.scheduler_.trace("{}: {} partitions of epoch {} are revoked", process_,
                                  mine.size(), epoch_.value);
        listener_.on_revoked(epoch_, mine,
                             [this, released, mine, epoch = epoch_, alive = std::weak_ptr(alive_)] {
                                 if (alive.lock()) {
                                     if (epoch == epoch_) gone(mine, true);
                                     send_commits();
                                 }
                                 released();
                             });
    });
}

// Until it hears of it, it goes on reading.
void SimConsumer::lose() {
    given_.reset();
    if (std::exchange(losing_, true)) return;
    on_loop(
        [this] {
            losing_ = false;
            if (closed_) return;
            std::vector<TopicPartition> mine;
            for (auto& [origin, reading] : reading_) mine.push_back(origin);
            reading_.clear();
            to_commit_.clear();
            cluster_.scheduler_.trace("{}: has lost {} partitions of epoch {}", process_,
                                      mine.size(), epoch_.value);
            gone(mine, false);
            listener_.on_lost(epoch_, mine);
            if (const auto given = std::exchange(given_, std::nullopt)) take(*given);
        },
        nanoseconds(cluster_.random_.below(800'000'000)));
}

Offset SimConsumer::resolve(const TopicPartition& origin, StartPosition from) const {
    const PartitionLog& log = cluster_.logs_.at(origin);
    switch (from.kind) {
        case StartPosition::Kind::kOffset:
            return from.offset;
        case StartPosition::Kind::kEarliest:
            return Offset{0};
        case StartPosition::Kind::kLatest:
            return log.end;
        case StartPosition::Kind::kTime:
            return cluster_.first_at(origin, from.time);
    }
    return log.end;
}

void SimConsumer::start(const TopicPartition& origin, StartPosition from) {
    on_loop([this, origin, from, epoch = epoch_] {
        const auto reading = reading_.find(origin);
        if (closed_ || epoch != epoch_ || reading == reading_.end()) return;
        const Offset offset = resolve(origin, from);
        const Offset end = cluster_.logs_.at(origin).end;
        if (offset > end)
            return listener_.on_out_of_range(origin, epoch_, offset, {Offset{0}, end});
        cluster_.scheduler_.trace("{}: reads {} from {}", process_, to_string(origin),
                                  offset.value);
        reading->second.next = offset;
        reading->second.started = true;
        reading->second.end_told = false;
        feed(origin);
    });
}

void SimConsumer::feed(const TopicPartition& origin) {
    const auto found = reading_.find(origin);
    if (closed_ || found == reading_.end()) return;
    Reading& reading = found->second;
    if (!reading.started || reading.stopped || reading.scheduled) return;
    if (reading.next >= cluster_.logs_.at(origin).end && reading.end_told) return;
    reading.scheduled = true;
    const auto latency = static_cast<std::uint64_t>(cluster_.faults.latency.count());
    on_loop([this, origin, epoch = epoch_] { deliver(origin, epoch); },
            nanoseconds(cluster_.random_.below(latency)));
}

void SimConsumer::deliver(const TopicPartition& origin, Epoch epoch) {
    const auto found = reading_.find(origin);
    if (closed_ || epoch != epoch_ || found == reading_.end()) return;
    Reading& reading = found->second;
    reading.scheduled = false;
    if (reading.stopped) return;
    const PartitionLog& log = cluster_.logs_.at(origin);
    const std::size_t limit = std::min(subscription_.max_batch_records,
                                       1 + cluster_.random_.below(cluster_.faults.max_batch));
    const auto batch = make_batch(origin, log, reading.next, limit, epoch_);
    if (batch->records.empty()) {
        reading.next = std::max(reading.next, log.end);
        if (!std::exchange(reading.end_told, true)) listener_.on_end(origin, epoch_, log.end);
        return;
    }
    reading.next = batch->records.back().offset.next();
    reading.end_told = false;
    cluster_.scheduler_.trace("{}: gets {} offsets {} to {}", process_, to_string(origin),
                              batch->records.front().offset.value,
                              batch->records.back().offset.value);
    listener_.on_batch(batch);
    feed(origin);
}

void SimConsumer::stop_draining(const TopicPartition& origin) {
    if (const auto found = reading_.find(origin); found != reading_.end())
        found->second.stopped = true;
}

void SimConsumer::resume_draining(const TopicPartition& origin) {
    const auto found = reading_.find(origin);
    if (found == reading_.end()) return;
    found->second.stopped = false;
    feed(origin);
}

void SimConsumer::commit(const TopicPartition& origin, Offset position) {
    if (closed_) return;
    // The promise is made here: everything below is durable.
    cluster_.watch_.on_commit(process_, subscription_.group, origin, position);
    to_commit_[origin] = position;
    if (std::exchange(commit_scheduled_, true)) return;
    on_loop(
        [this] {
            commit_scheduled_ = false;
            send_commits();
        },
        nanoseconds(cluster_.random_.below(static_cast<std::uint64_t>(kCommitInterval.count()))));
}

void SimConsumer::send_commits() {
    const auto* member = cluster_.member_of(*this);
    auto& group = cluster_.groups_.at(subscription_.group);
    for (const auto& [origin, position] : std::exchange(to_commit_, {})) {
        if (member == nullptr || member->epoch != epoch_ || !member->partitions.contains(origin))
            continue;
        cluster_.scheduler_.mix(static_cast<std::uint64_t>(position.value));
        cluster_.scheduler_.trace("{}: {} has committed {} offset {}", process_,
                                  subscription_.group, to_string(origin), position.value);
        group.committed[origin] = position;
    }
}

std::optional<Offset> SimConsumer::committed(const TopicPartition& origin) const {
    return cluster_.committed(subscription_.group, origin);
}

std::optional<Watermarks> SimConsumer::watermarks(const TopicPartition& origin) const {
    return Watermarks{Offset{0}, cluster_.logs_.at(origin).end};
}

void SimConsumer::gone(const std::vector<TopicPartition>& partitions, bool was_asked) {
    for (const auto& origin : partitions)
        cluster_.watch_.on_gone(process_, subscription_.group, origin, was_asked);
}

void SimConsumer::close(std::function<void()> done) {
    send_commits();
    std::vector<TopicPartition> mine;
    for (const auto& [origin, reading] : reading_) mine.push_back(origin);
    gone(mine, false);
    closed_ = true;
    reading_.clear();
    cluster_.leave(*this, false);
    on_loop([done = std::move(done)] { done(); });
}

}  // namespace millrace::simulation
