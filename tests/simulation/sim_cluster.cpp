#include "simulation/sim_cluster.hpp"

#include <algorithm>

#include "events/ids.hpp"
#include "simulation/sim_consumer.hpp"

namespace millrace::simulation {
namespace {

// What a group waits for members that were asked to let go.
constexpr nanoseconds kPatience{3'000'000'000};

}  // namespace

std::string Stored::header(std::string_view name) const {
    for (const auto& [header, text] : headers) {
        if (header == name) return text;
    }
    return {};
}

std::size_t Stored::header_count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(headers, [&](const auto& header) { return header.first == name; }));
}

Cluster::Cluster(Scheduler& scheduler, SimClock& clock, Rng random, ClusterWatch& watch)
    : scheduler_(scheduler),
      clock_(clock),
      random_(random),
      watch_(watch),
      broker_(scheduler, "broker", nullptr) {}

Cluster::~Cluster() = default;

void Cluster::make_topic(const std::string& name, int partitions, bool refuses) {
    for (int p = 0; p < partitions; ++p) logs_[{name, {p}}];
    counts_[name] = partitions;
    if (refuses) refusing_.insert(name);
}

int Cluster::partitions(const std::string& topic) const {
    const auto found = counts_.find(topic);
    return found == counts_.end() ? 0 : found->second;
}

Offset Cluster::append(const TopicPartition& origin, Stored record) {
    PartitionLog& log = logs_.at(origin);
    record.offset = log.end;
    record.timestamp = std::chrono::floor<milliseconds>(clock_.now());
    log.end = log.end.next();
    scheduler_.mix(static_cast<std::uint64_t>(log.end.value) * 31U +
                   static_cast<std::uint64_t>(origin.partition.value));
    if (random_.chance(faults.gap)) log.end.value += random_.between(1, 3);
    const Offset offset = record.offset;
    log.records.push_back(std::make_shared<const Stored>(std::move(record)));
    feed(origin);
    return offset;
}

void Cluster::feed(const TopicPartition& origin) {
    for (auto& [name, group] : groups_) {
        for (auto& member : group.members) {
            if (member.consumer == nullptr || !member.partitions.contains(origin)) continue;
            SimConsumer* consumer = member.consumer;
            consumer->on_loop([consumer, origin] {
                if (const auto found = consumer->reading_.find(origin);
                    found != consumer->reading_.end())
                    found->second.end_told = false;
                consumer->feed(origin);
            });
        }
    }
}

std::vector<StoredPtr> Cluster::all_of(const std::string& topic) const {
    std::vector<StoredPtr> all;
    for (const auto& [origin, log] : logs_) {
        if (origin.topic == topic) all.insert(all.end(), log.records.begin(), log.records.end());
    }
    return all;
}

std::optional<Offset> Cluster::committed(const std::string& name,
                                         const TopicPartition& origin) const {
    const auto group = groups_.find(name);
    if (group == groups_.end()) return std::nullopt;
    const auto found = group->second.committed.find(origin);
    if (found == group->second.committed.end()) return std::nullopt;
    return found->second;
}

std::vector<std::string> Cluster::groups() const {
    std::vector<std::string> names;
    for (const auto& [name, group] : groups_) names.push_back(name);
    return names;
}

std::vector<TopicPartition> Cluster::partitions_of(const Group& group) const {
    std::vector<TopicPartition> all;
    for (const auto& [origin, log] : logs_) {
        if (std::ranges::find(group.topics, origin.topic) != group.topics.end())
            all.push_back(origin);
    }
    return all;
}

Cluster::Member* Cluster::member_of(const SimConsumer& consumer) {
    const auto group = groups_.find(consumer.subscription_.group);
    if (group == groups_.end()) return nullptr;
    for (auto& member : group->second.members) {
        if (member.consumer == &consumer) return &member;
    }
    return nullptr;
}

// Its static id gives a process back what it had, if its session still goes on.
void Cluster::join(SimConsumer& consumer) {
    const std::string& name = consumer.subscription_.group;
    Group& group = groups_[name];
    group.topics = consumer.subscription_.topics;
    for (auto& member : group.members) {
        if (member.process != consumer.process_ || member.consumer != nullptr) continue;
        member.consumer = &consumer;
        member.number = ++next_member_;
        if (!group.rebalancing && !member.partitions.empty()) return give(name, member);
        return rebalance(name);
    }
    group.members.push_back({consumer.process_, &consumer, ++next_member_, {}, {}});
    rebalance(name);
}

void Cluster::leave(SimConsumer& consumer, bool crashed) {
    const std::string& name = consumer.subscription_.group;
    Member* member = member_of(consumer);
    if (member == nullptr) return;
    member->consumer = nullptr;
    if (crashed) return;
    auto& members = groups_.at(name).members;
    std::erase_if(members, [&](const Member& each) { return &each == member; });
    rebalance(name);
}

void Cluster::crashed(const std::string& process, nanoseconds session) {
    for (auto& [name, group] : groups_) {
        for (auto& member : group.members) {
            if (member.process != process) continue;
            member.consumer = nullptr;
            broker_.later(session, [this, group_name = name, number = member.number] {
                auto& members = groups_.at(group_name).members;
                const auto gone = std::erase_if(members, [&](const Member& each) {
                    return each.number == number && each.consumer == nullptr;
                });
                if (gone > 0) rebalance(group_name);
            });
        }
    }
}

void Cluster::rebalance(const std::string& name) {
    Group& group = groups_[name];
    if (group.rebalancing) {
        group.again = true;
        return;
    }
    group.rebalancing = true;
    group.waiting_for = 1;
    const std::uint64_t round = ++group.round;
    for (auto& member : group.members) {
        if (member.consumer == nullptr || member.partitions.empty()) continue;
        ++group.waiting_for;
        member.consumer->revoke([this, name, round] { released(name, round); });
    }
    broker_.post([this, name, round] { released(name, round); });
    broker_.later(kPatience, [this, name, round] {
        Group& late = groups_.at(name);
        if (late.round != round || !late.rebalancing) return;
        late.waiting_for = 1;
        released(name, round);
    });
}

void Cluster::released(const std::string& name, std::uint64_t round) {
    Group& group = groups_.at(name);
    if (group.round != round || !group.rebalancing || --group.waiting_for > 0) return;
    broker_.later(nanoseconds(random_.below(20'000'000)), [this, name] { assign(name); });
}

void Cluster::assign(const std::string& name) {
    Group& group = groups_.at(name);
    group.rebalancing = false;
    watch_.on_moved(name);
    for (auto& member : group.members) member.partitions.clear();
    std::vector<Member*> takers;
    for (auto& member : group.members) takers.push_back(&member);
    if (!takers.empty()) {
        std::size_t turn = random_.below(takers.size());
        for (const auto& origin : partitions_of(group)) {
            if (random_.chance(0.3)) turn = random_.below(takers.size());
            takers[turn++ % takers.size()]->partitions.insert(origin);
        }
    }
    for (auto& member : group.members) {
        if (member.consumer != nullptr) give(name, member);
    }
    if (std::exchange(group.again, false)) rebalance(name);
}

void Cluster::give(const std::string& name, Member& member) {
    const Epoch epoch{++next_epoch_};
    member.epoch = epoch;
    std::vector<Assigned> assigned;
    for (const auto& origin : member.partitions) {
        const auto offset = committed(name, origin);
        assigned.push_back({origin, offset});
    }
    member.consumer->assigned(epoch, std::move(assigned));
}

void Cluster::lose(const std::string& name) {
    const auto found = groups_.find(name);
    if (found == groups_.end() || found->second.rebalancing) return;
    Group& group = found->second;
    std::vector<Member*> holders;
    for (auto& member : group.members) {
        if (member.consumer != nullptr && !member.partitions.empty()) holders.push_back(&member);
    }
    if (holders.empty()) return;
    Member& loser = *holders[random_.below(holders.size())];
    loser.partitions.clear();
    loser.consumer->lose();
    rebalance(name);
}

Result<RecordPosition> Cluster::store(OutgoingRecord& record, const Sender& sender) {
    const int partition_count = partitions(record.topic);
    if (partition_count == 0) return fail(ErrorCode::kNotFound, record.topic + ": no such topic");
    if (refusing_.contains(record.topic))
        return fail(ErrorCode::kInvalid, record.topic + ": refused for good");
    if (faults.away.contains(record.topic) || random_.chance(faults.publish_fails))
        return fail(ErrorCode::kUnavailable, record.topic + " is away");
    const auto count = static_cast<std::uint32_t>(partition_count);
    const auto partition = record.partition.value_or(Partition{static_cast<std::int32_t>(
        record.key ? to_positive(murmur2(*record.key)) % count : random_.below(count))});
    const TopicPartition origin{record.topic, partition};
    Stored stored;
    stored.key = std::move(record.key);
    stored.value = std::move(record.value);
    stored.headers = std::move(record.headers);
    stored.asked_by = sender.process;
    stored.asked_at = sender.at;
    stored.answered = !random_.chance(faults.answer_lost);
    const bool answered = stored.answered;
    const RecordPosition position{origin, append(origin, std::move(stored))};
    if (!answered) return fail(ErrorCode::kTimeout, record.topic + ": no answer");
    return position;
}

SimTransport::SimTransport(Cluster& cluster, Scheduler& scheduler, SimRuntime& runtime)
    : cluster_(cluster),
      scheduler_(scheduler),
      runtime_(runtime),
      wire_(scheduler, runtime.life()->name + ".wire", nullptr) {}

void SimTransport::open(const std::vector<TopicSpec>&, Callback<Result<void>> done) {
    runtime_.loop().post([done = std::move(done)] { done({}); });
}

Result<std::unique_ptr<Consumer>> SimTransport::subscribe(const Subscription& subscription,
                                                          ConsumerListener& listener) {
    if (!runtime_.life()->alive) return fail(ErrorCode::kCancelled, "the process has ended");
    return std::unique_ptr<Consumer>(std::make_unique<SimConsumer>(*this, subscription, listener));
}

void SimTransport::publish(std::vector<OutgoingRecord> records, Origin,
                           Callback<std::vector<Result<RecordPosition>>> done) {
    if (!runtime_.life()->alive) return;
    auto& loop = runtime_.sim_loop();
    auto send = [cluster = &cluster_, life = runtime_.life(), &loop,
                 sender = Cluster::Sender{runtime_.life()->name, scheduler_.now()},
                 records = std::move(records), done = std::move(done)]() mutable {
        if (!life->alive && !cluster->random_.chance(cluster->faults.arrives_anyway)) return;
        std::vector<Result<RecordPosition>> results;
        for (auto& record : records) results.push_back(cluster->store(record, sender));
        if (!life->alive) return;
        loop.later(nanoseconds(cluster->random_.below(
                       static_cast<std::uint64_t>(cluster->faults.latency.count()))),
                   [done = std::move(done), results = std::move(results)] { done(results); });
    };
    wire_.later(nanoseconds(cluster_.random_.below(
                    static_cast<std::uint64_t>(cluster_.faults.latency.count()))),
                std::move(send));
}

Offset Cluster::first_at(const TopicPartition& origin, Timestamp time) const {
    const PartitionLog& log = logs_.at(origin);
    for (const auto& record : log.records) {
        if (record->timestamp >= time) return record->offset;
    }
    return log.end;
}

void SimTransport::cluster_id(Callback<Result<std::string>> done) {
    Result<std::string> id = std::string("simulated");
    if (cluster_.random_.chance(cluster_.faults.question_fails))
        id = fail(ErrorCode::kUnavailable, "the broker is away");
    runtime_.loop().post([done = std::move(done), id] { done(id); });
}

void SimTransport::offset_at(const TopicPartition& origin, Timestamp time,
                             Callback<Result<Offset>> done) {
    const Offset offset = cluster_.first_at(origin, time);
    runtime_.loop().post([done = std::move(done), offset] { done(offset); });
}

void SimTransport::topics(Callback<Result<std::vector<TopicInfo>>> done) {
    std::vector<TopicInfo> all;
    for (const auto& [topic, count] : cluster_.counts_) all.push_back({topic, count});
    Result<std::vector<TopicInfo>> answer = all;
    if (cluster_.random_.chance(cluster_.faults.question_fails))
        answer = fail(ErrorCode::kUnavailable, "the broker is away");
    runtime_.loop().post([done = std::move(done), answer] { done(answer); });
}

void SimTransport::watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) {
    const auto found = cluster_.logs_.find(origin);
    Result<Watermarks> marks =
        fail(ErrorCode::kNotFound, to_string(origin) + ": no such partition");
    if (found != cluster_.logs_.end()) marks = Watermarks{Offset{0}, found->second.end};
    runtime_.loop().post([done = std::move(done), marks] { done(marks); });
}

void SimTransport::read(const TopicPartition& origin, Offset offset, std::size_t limit,
                        Callback<Result<RecordBatchPtr>> done) {
    const auto found = cluster_.logs_.find(origin);
    Result<RecordBatchPtr> batch =
        fail(ErrorCode::kNotFound, to_string(origin) + ": no such partition");
    if (found != cluster_.logs_.end())
        batch = make_batch(origin, found->second, offset, limit, Epoch{});
    if (cluster_.random_.chance(cluster_.faults.question_fails))
        batch = fail(ErrorCode::kUnavailable, "the broker is away");
    runtime_.loop().post([done = std::move(done), batch] { done(batch); });
}

void SimTransport::close(std::function<void()> done) { runtime_.loop().post(std::move(done)); }

}  // namespace millrace::simulation
