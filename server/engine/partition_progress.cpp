#include "engine/partition_progress.hpp"

#include <algorithm>

namespace millrace::engine {

void PartitionProgress::start(std::optional<Offset> from) {
    end_ = position_ = from.value_or(Offset{0});
    published_ = Offset{-1};
    ages_.clear();
    for (auto& [shard, feed] : feeds_) {
        feed.lowest_unsent.reset();
        if (!feed.on_the_way.empty())
            position_ = std::min(position_, feed.on_the_way.front().first);
        if (feed.lowest_unresolved) position_ = std::min(position_, *feed.lowest_unresolved);
    }
}

void PartitionProgress::dispatched(Offset end, Timestamp first_record,
                                   const std::vector<Dispatch>& parts) {
    for (const auto& part : parts) feeds_[part.shard].on_the_way.push_back(part);
    end_ = std::max(end_, end);
    ages_.push_back({end, first_record});
    recompute();
}

void PartitionProgress::reached_end(Offset end) {
    end_ = std::max(end_, end);
    recompute();
}

void PartitionProgress::reported(const ShardReport& report) {
    Feed& feed = feeds_[report.shard];
    feed.lowest_unsent = report.lowest_unsent;
    if (report.unsent_only) return recompute();
    while (!feed.on_the_way.empty() &&
           feed.on_the_way.front().sequence <= report.received_sequence) {
        feed.on_the_way.pop_front();
    }
    feed.lowest_unresolved = report.lowest_unresolved;
    feed.intervals = report.intervals;
    feed.holder = report.holder;
    recompute();
}

void PartitionProgress::hold_published(std::size_t shard, Offset lowest_unsent) {
    feeds_[shard].lowest_unsent = lowest_unsent;
}

std::optional<Timestamp> PartitionProgress::oldest_open() const {
    if (ages_.empty()) return std::nullopt;
    return ages_.front().first_record;
}

const HeldInput* PartitionProgress::holder() const {
    for (const auto& [shard, feed] : feeds_) {
        if (feed.holder && feed.lowest_unresolved && *feed.lowest_unresolved <= position_)
            return feed.holder.get();
    }
    return nullptr;
}

std::size_t PartitionProgress::intervals() const {
    std::size_t sum = 0;
    for (const auto& [shard, feed] : feeds_) sum += feed.intervals;
    return sum;
}

void PartitionProgress::recompute() {
    Offset position = end_;
    Offset published = end_;
    for (const auto& [shard, feed] : feeds_) {
        if (!feed.on_the_way.empty()) position = std::min(position, feed.on_the_way.front().first);
        if (feed.lowest_unresolved) position = std::min(position, *feed.lowest_unresolved);
        if (feed.lowest_unsent) published = std::min(published, *feed.lowest_unsent);
    }
    // Positions never go back within an assignment: redelivered records below are resolved already.
    position_ = std::max(position_, position);
    published_ = std::max(published_, std::min(published, position_));
    while (!ages_.empty() && ages_.front().end <= position_) ages_.pop_front();
}

}  // namespace millrace::engine
