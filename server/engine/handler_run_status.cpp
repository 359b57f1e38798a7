// What people and programs see of a handler: gauges, status, readiness.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "engine/backoff.hpp"
#include "engine/handler_run.hpp"
#include "events/time.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kTick{1'000};
constexpr milliseconds kSlowSync{1'000};
constexpr std::size_t kErrorsKept = 20;

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

void HandlerRun::tick() {
    tick_timer_ = surroundings_.runtime.loop().after(kTick, [this] { tick(); });
    std::int64_t outbox = 0;
    std::int64_t timers = 0;
    std::int64_t oldest = 0;
    for (const auto& shard : shards_) {
        if (!shard) continue;
        const ShardGauges& gauges = shard->gauges();
        outbox += gauges.outbox;
        timers += gauges.timers;
        const std::int64_t since = gauges.outbox_oldest_us;
        if (since != 0 && (oldest == 0 || since < oldest)) oldest = since;
    }
    outbox_gauge_->set(static_cast<double>(outbox));
    timers_gauge_->set(static_cast<double>(timers));
    const auto now = surroundings_.runtime.clock().now().time_since_epoch().count();
    outbox_oldest_gauge_->set(oldest == 0 ? 0
                                          : std::max(0.0, static_cast<double>(now - oldest) / 1e6));
    queue_records_gauge_->set(static_cast<double>(buffered_records_));
    queue_bytes_gauge_->set(static_cast<double>(buffered_bytes_));
    for (auto& [origin, partition] : partitions_) update(origin, partition);
    note_health();
    apply_back_pressure();
}

// A run that has stayed up has got over what failed before; a disk that is asked for nothing any
// more has too.
void HandlerRun::note_health() {
    if (state_ != RunState::kRunning) return;
    if (surroundings_.runtime.clock().monotonic() - running_since_ > kOutsideRetry.maximum)
        failures_ = own_failures_ = 0;
    const bool idle = std::ranges::all_of(partitions_, [this](const auto& each) {
        return each.second.started && lag_of(each.first, each.second) == 0;
    });
    if (idle && held_.empty()) disk_trouble_.clear();
}

void HandlerRun::make_gauges(const TopicPartition& origin, PartitionState& partition) {
    const Labels labels{{"handler", name()},
                        {"topic", origin.topic},
                        {"partition", std::to_string(origin.partition.value)}};
    partition.lag_records =
        surroundings_.metrics.gauge("millrace_lag_records", "Log end minus committed", labels);
    partition.lag_seconds = surroundings_.metrics.gauge(
        "millrace_lag_seconds", "Age of the oldest record not yet done", labels);
}

void HandlerRun::update(const TopicPartition& origin, PartitionState& partition) {
    const std::int64_t lag = lag_of(origin, partition);
    if (lag <= 0) partition.last_progress = surroundings_.runtime.clock().monotonic();
    partition.lag_records->set(static_cast<double>(std::max<std::int64_t>(lag, 0)));
    partition.lag_seconds->set(lag_seconds_of(origin, partition));
    show_holder(origin, partition);
}

// A series that says why, as long as a partition's position is held.
void HandlerRun::show_holder(const TopicPartition& origin, PartitionState& partition) {
    const HeldInput* holder = partition.progress.holder();
    const std::string reason = holder == nullptr ? std::string() : holder->reason;
    if (reason == partition.holder_reason) return;
    partition.holder_reason = reason;
    partition.holder_gauge.reset();
    if (reason.empty()) return;
    partition.holder_gauge = held_series(reason, origin);
}

// The disk that takes its time, if one does.
std::optional<std::string> HandlerRun::slow_sync() const {
    for (const auto& shard : shards_) {
        const std::int64_t started = shard ? shard->gauges().sync_started_ns.load() : 0;
        if (started == 0) continue;
        const auto since =
            surroundings_.runtime.clock().monotonic() - std::chrono::nanoseconds(started);
        if (since < kSlowSync) continue;
        return fmt::format("the disk, which has not made {}/{}.db durable for {:.0f} s",
                           directory(), shard->identity().shard, seconds(since));
    }
    return std::nullopt;
}

// Its own limit, else the handler's.
std::string HandlerRun::bound_of(const PartitionState& partition) const {
    if (!partition.bound.empty()) return partition.bound;
    if (!intake_bound_.empty()) return intake_bound_;
    return in_flight_ >= section().max_in_flight ? "max_in_flight" : "";
}

// For a person: what a partition that stands still waits for.
std::string HandlerRun::waits_for(const PartitionState& partition) const {
    const HeldInput* holder = partition.progress.holder();
    if (holder == nullptr) {
        const std::string bound = bound_of(partition);
        return slow_sync().value_or(bound.empty() ? "its turn in the handler"
                                                  : fmt::format("room below `{}`", bound));
    }
    std::string text =
        fmt::format("{} of key '{}' ({}, attempt {}, since {})", holder->what, holder->key,
                    holder->reason, holder->attempt, format_time(holder->since));
    if (!holder->error.empty()) text += ": " + holder->error;
    return text;
}

// Below zero: not known yet.
std::int64_t HandlerRun::lag_of(const TopicPartition& origin,
                                const PartitionState& partition) const {
    if (!consumer_) return -1;
    const auto log = consumer_->watermarks(origin);
    if (!log) return -1;
    Offset done = log->low;
    if (traits().broadcast) {
        done = std::max(done, partition.progress.position());
    } else if (const auto committed = consumer_->committed(origin)) {
        done = std::max(done, *committed);
    }
    return std::max<std::int64_t>(0, log->high.value - done.value);
}

double HandlerRun::lag_seconds_of(const TopicPartition& origin,
                                  const PartitionState& partition) const {
    if (lag_of(origin, partition) <= 0) return 0;
    const auto oldest = partition.progress.oldest_open();
    if (!oldest)
        return seconds(surroundings_.runtime.clock().monotonic() - partition.last_progress);
    return std::max(0.0, seconds(surroundings_.runtime.clock().now() - *oldest));
}

std::vector<std::string> HandlerRun::unready() const {
    std::vector<std::string> reasons;
    if (state_ != RunState::kRunning) {
        reasons.push_back(fmt::format("handler {} is {}{}{}", name(), to_string(state_),
                                      reason_.empty() ? "" : ": ", reason_));
        return reasons;
    }
    if (!disk_trouble_.empty())
        reasons.push_back(fmt::format("handler {} is back after {}; nothing new is durable yet",
                                      name(), disk_trouble_));
    for (const auto& [what, reason] : held_) {
        if (what.second == "disk") reasons.push_back(fmt::format("handler {}: {}", name(), reason));
    }
    if (partitions_.empty()) {
        const std::string waits_for = consumer_ ? consumer_->waits_for() : "";
        reasons.push_back(waits_for.empty()
                              ? fmt::format("handler {} has no partitions assigned", name())
                              : fmt::format("handler {} {}", name(), waits_for));
    }
    for (const auto& [index, call] : overdue_)
        reasons.push_back(fmt::format("handler {}: {}", name(), call.text));
    const auto now = surroundings_.runtime.clock().monotonic();
    for (const auto& [origin, partition] : partitions_) {
        if (!partition.held.empty()) {
            reasons.push_back(fmt::format("handler {}: {} is held: {}", name(), to_string(origin),
                                          partition.held));
        } else if (lag_of(origin, partition) > 0 &&
                   now - partition.last_progress > section().progress_timeout) {
            reasons.push_back(fmt::format(
                "handler {}: {} has lag and has not moved for {:.0f} s; it waits for {}", name(),
                to_string(origin), seconds(now - partition.last_progress), waits_for(partition)));
        }
    }
    return reasons;
}

void HandlerRun::on_verdicts(const std::map<Verdict, std::size_t>& counts) {
    for (const auto& [verdict, records] : counts) {
        switch (verdict) {
            case Verdict::kAcked:
                totals_.acked += records;
                break;
            case Verdict::kIgnored:
            case Verdict::kSkipped:
                totals_.skipped += records;
                break;
            case Verdict::kDuplicate:
                totals_.duplicates += records;
                break;
            case Verdict::kDeadLettered:
                totals_.dead_lettered += records;
                break;
        }
    }
}

void HandlerRun::on_error(const ErrorNote& note) {
    errors_.push_front(note);
    if (errors_.size() > kErrorsKept) errors_.pop_back();
}

void HandlerRun::on_held(std::size_t shard, const std::string& what, const std::string& reason) {
    const std::pair key{shard, what};
    if (reason.empty()) {
        held_.erase(key);
        held_gauges_.erase(key);
        if (what == "disk") apply_back_pressure();
        return;
    }
    held_[key] = reason;
    if (what == "disk") apply_back_pressure();
    const std::string kind = what == "outbox" || what == "calls" || what == "call" || what == "disk"
                                 ? what
                                 : "dead-letter";
    held_gauges_[key] = held_series(kind);
}

std::shared_ptr<Gauge> HandlerRun::held_series(const std::string& reason,
                                               const TopicPartition& origin) {
    const bool whole = origin.topic.empty();
    auto gauge = surroundings_.metrics.gauge(
        "millrace_held", "1 while something is held, with the reason",
        {{"handler", name()},
         {"topic", origin.topic},
         {"partition", whole ? "" : std::to_string(origin.partition.value)},
         {"reason", reason}});
    gauge->set(1);
    return gauge;
}

boost::json::object HandlerRun::partition_status(const TopicPartition& origin,
                                                 const PartitionState& partition) const {
    boost::json::object row{{"topic", origin.topic}, {"partition", origin.partition.value}};
    row["position"] = partition.started || partition.progress.position().value > 0
                          ? boost::json::value(partition.progress.position().value)
                          : boost::json::value(nullptr);
    const auto committed = consumer_ ? consumer_->committed(origin) : std::nullopt;
    const auto log = consumer_ ? consumer_->watermarks(origin) : std::nullopt;
    row["committed"] =
        committed ? boost::json::value(committed->value) : boost::json::value(nullptr);
    row["end"] = log ? boost::json::value(log->high.value) : boost::json::value(nullptr);
    const std::int64_t lag = lag_of(origin, partition);
    row["lag_records"] = lag < 0 ? boost::json::value(nullptr) : boost::json::value(lag);
    row["lag_seconds"] = lag_seconds_of(origin, partition);
    row["held"] =
        partition.held.empty() ? boost::json::value(nullptr) : boost::json::value(partition.held);
    const std::string bound = bound_of(partition);
    row["bound"] = bound.empty() ? boost::json::value(nullptr) : boost::json::value(bound);
    row["breaker"] = partition.breaker.is_open() ? "open" : "closed";
    row["waits_for"] = nullptr;
    if (const HeldInput* holder = partition.progress.holder()) {
        row["waits_for"] = {{"what", holder->what},     {"key", holder->key},
                            {"reason", holder->reason}, {"attempt", holder->attempt},
                            {"error", holder->error},   {"since", format_time(holder->since)}};
    }
    return row;
}

boost::json::array HandlerRun::stuck_status() const {
    boost::json::array stuck;
    for (const auto& [index, overdue] : overdue_) {
        const CallPlace& place = overdue.call.place;
        const bool record = place.kind == CallKind::kRecord;
        stuck.push_back(
            {{"shard", overdue.shard},
             {"call", to_string(place)},
             {"topic", record ? boost::json::value(place.name) : nullptr},
             {"partition", record ? boost::json::value(place.partition.value) : nullptr},
             {"offset", record ? boost::json::value(place.offset.value) : nullptr},
             {"since", format_time(overdue.since)}});
    }
    return stuck;
}

boost::json::object HandlerRun::status() const {
    boost::json::object status{
        {"handler", name()},
        {"plugin", traits().plugin},
        {"version", traits().version},
        {"state", to_string(state_)},
        {"reason", reason_.empty() && consumer_ ? consumer_->waits_for() : reason_},
        {"subscription", traits().broadcast ? "broadcast" : "group"},
        {"threads", threads_},
        {"queue_records", buffered_records_},
        {"queue_bytes", buffered_bytes_}};
    status["topics"] = boost::json::array(section().topics.begin(), section().topics.end());
    std::int64_t outbox = 0;
    std::int64_t timers = 0;
    std::int64_t shards = 0;
    std::int64_t inbox = 0;
    for (const auto& shard : shards_) {
        if (!shard) continue;
        ++shards;
        outbox += shard->gauges().outbox;
        timers += shard->gauges().timers;
        inbox += shard->gauges().inbox;
    }
    status["shards"] = shards;
    status["inbox"] = inbox;
    status["outbox"] = outbox;
    status["timers"] = timers;
    status["totals"] = {{"acked", totals_.acked},
                        {"skipped", totals_.skipped},
                        {"duplicates", totals_.duplicates},
                        {"retries", totals_.retries},
                        {"dead_lettered", totals_.dead_lettered}};
    boost::json::array errors;
    for (const auto& note : errors_) {
        errors.push_back({{"time", format_time(note.time)},
                          {"class", note.error_class},
                          {"message", note.message},
                          {"topic", note.origin.topic},
                          {"partition", note.origin.partition.value},
                          {"offset", note.offset.value}});
    }
    status["errors"] = std::move(errors);
    status["questions"] = boost::json::array(traits().questions.begin(), traits().questions.end());
    boost::json::array held;
    for (const auto& [what, reason] : held_) held.push_back(boost::json::value(reason));
    if (const auto slow = slow_sync()) held.push_back(boost::json::value("waits for " + *slow));
    status["held"] = std::move(held);
    status["stuck"] = stuck_status();
    boost::json::array partitions;
    for (const auto& [origin, partition] : partitions_)
        partitions.push_back(partition_status(origin, partition));
    status["partitions"] = std::move(partitions);
    return status;
}

}  // namespace millrace::engine
