#include "simulation/bound_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace millrace::simulation {
namespace {

constexpr std::int64_t kMostRows = 3;      // of the outbox, that one record makes
constexpr std::size_t kMostPartitions = 5;  // of the topics that handlers read

}  // namespace

// Reading stops soon after a limit is reached: what is buffered then, and one batch that was on its
// way, still comes to the handler.
std::int64_t BoundWatch::read_ahead(const HandlerPlan& plan) const {
    return plan.section.max_buffered + static_cast<std::int64_t>(scenario_.faults.cluster.max_batch);
}

std::size_t BoundWatch::shards_of(const HandlerPlan& plan) {
    return plan.state == engine::StateKind::kPerPartition
               ? kMostPartitions
               : static_cast<std::size_t>(plan.section.shards);
}

void BoundWatch::called(const CallNote& note, nanoseconds now) {
    const auto [reached, first] =
        reached_.try_emplace({note.process, note.handler, note.origin}, Reached{note.offset, now});
    if (!first) reached->second.highest = std::max(reached->second.highest, note.offset);
}

// Each shard looks whether there is room before it runs an input, and counts it afterwards: as many
// as there are other shards may have looked meanwhile. Only those count that cannot have been let
// go of.
void BoundWatch::pends(const CallNote& note, nanoseconds now) {
    const HandlerPlan& plan = *scenario_.plan_of(note.handler);
    auto& pending = pending_[{note.process, note.handler}];
    // After the first attempt what is left of the budget may cut it short.
    const auto least =
        note.attempt > 1 ? std::min(plan.section.timeout, plan.section.pending_timeout)
                         : plan.section.pending_timeout;
    pending[{note.origin, note.offset}] = {now, now + least};
    std::erase_if(pending, [&](const auto& each) {
        return each.second.until <= now || disturbances_.any_between(each.second.since, now);
    });
    const std::size_t most = plan.section.max_in_flight + shards_of(plan) - 1;
    if (pending.size() > most)
        complain_(fmt::format("{}: {} has {} records pending, allowed are {}", note.handler,
                              note.process, pending.size(), most));
}

void BoundWatch::completes(const std::string& process, const std::string& handler,
                           const CopyKey& copy) {
    pending_[{process, handler}].erase(copy);
}

void BoundWatch::look(const std::string& process, const boost::json::object& handler,
                      nanoseconds now) {
    const HandlerPlan* plan = scenario_.plan_of(std::string(handler.at("handler").as_string()));
    if (plan == nullptr) return;
    check_buffered(handler, *plan);
    check_outbox(handler, *plan);
    for (const auto& partition : handler.at("partitions").as_array())
        check_ahead(process, partition.as_object(), *plan, now);
}

void BoundWatch::check_buffered(const boost::json::object& handler, const HandlerPlan& plan) {
    const auto queued = handler.at("queue_records").to_number<std::int64_t>();
    if (queued > read_ahead(plan))
        complain_(fmt::format("{}: {} records are buffered, allowed are {}", plan.section.name,
                              queued, read_ahead(plan)));
}

// Below its limit when the last batch but one was let in, then that one and what was buffered. What
// timers and given back records make comes whether there is room or not.
void BoundWatch::check_outbox(const boost::json::object& handler, const HandlerPlan& plan) {
    const bool comes_anyway = scenario_.faults.redrive.count() > 0 ||
                              std::ranges::count(scenario_.acts, Act::kTimerFlaky) > 0;
    if (comes_anyway) return;
    const auto rows = handler.at("outbox").to_number<std::int64_t>();
    const std::int64_t batch = static_cast<std::int64_t>(scenario_.faults.cluster.max_batch);
    const std::int64_t most =
        static_cast<std::int64_t>(shards_of(plan)) * (std::int64_t{plan.section.max_outbox} - 1) +
        (read_ahead(plan) + batch) * kMostRows;
    if (rows > most)
        complain_(fmt::format("{}: {} rows wait to be sent, allowed are {}", plan.section.name,
                              rows, most));
}

// How far it is ahead is looked at with each report of a shard; what no shard has reported since is
// buffered. Offsets without records count as read ahead but not as buffered: only where there are
// none.
void BoundWatch::check_ahead(const std::string& process, const boost::json::object& partition,
                             const HandlerPlan& plan, nanoseconds now) {
    const TopicPartition origin{std::string(partition.at("topic").as_string()),
                                {partition.at("partition").to_number<std::int32_t>()}};
    const auto reached = reached_.find({process, plan.section.name, origin});
    if (reached == reached_.end()) return;
    if (disturbances_.any_between(reached->second.since, now)) {
        reached_.erase(reached);
        return;
    }
    if (scenario_.faults.cluster.gap > 0 || partition.at("position").is_null()) return;
    const std::int64_t ahead = reached->second.highest.next().value -
                               partition.at("position").to_number<std::int64_t>();
    const std::int64_t most =
        static_cast<std::int64_t>(plan.section.max_ahead) + read_ahead(plan);
    if (ahead > most)
        complain_(fmt::format("{}: {} is {} records ahead of the position of {}, allowed are {}",
                              plan.section.name, process, ahead, to_string(origin), most));
}

}  // namespace millrace::simulation
