#include "engine/offset_tracker.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace millrace::engine {

OffsetTracker::OffsetTracker(Offset watermark, std::vector<OffsetInterval> intervals)
    : watermark_(watermark) {
    for (const auto& interval : intervals) resolved_.emplace(interval.first, interval.last);
}

OffsetTracker::Arrival OffsetTracker::receive(Offset offset) {
    if (offset < watermark_) return Arrival::kResolved;
    if (!received_.empty() && offset <= received_.back().offset) {
        auto entry = locate(offset);
        if (entry == received_.end() || entry->resolved) return Arrival::kResolved;
        return Arrival::kKnown;
    }
    seen_ = std::max(seen_, offset);
    if (is_covered(offset)) {
        if (received_.empty()) advance();
        return Arrival::kResolved;
    }
    received_.push_back({offset, false});
    ++open_;
    return Arrival::kNew;
}

void OffsetTracker::resolve(Offset offset) {
    auto entry = locate(offset);
    assert(entry != received_.end() && !entry->resolved);
    entry->resolved = true;
    --open_;
    if (entry == received_.begin()) {
        advance();
    } else {
        insert_interval(entry);
        compact();
    }
}

void OffsetTracker::forget_open() {
    received_.clear();
    open_ = 0;
    seen_ = Offset{-1};
}

std::optional<Offset> OffsetTracker::lowest_unresolved() const {
    if (received_.empty()) return std::nullopt;
    return received_.front().offset;
}

OffsetTracker::Changes OffsetTracker::take_changes() {
    Changes changes;
    changes.watermark_moved = std::exchange(moved_, false);
    for (const auto& [first, present] : touched_) {
        if (present) {
            changes.added.push_back({first, resolved_.at(first)});
        } else {
            changes.removed.push_back(first);
        }
    }
    touched_.clear();
    return changes;
}

std::size_t OffsetTracker::interval_count() const {
    if (resolved_.empty() || resolved_.rbegin()->first <= seen_) return resolved_.size();
    return static_cast<std::size_t>(std::distance(resolved_.begin(), resolved_.upper_bound(seen_)));
}

std::deque<OffsetTracker::Entry>::iterator OffsetTracker::locate(Offset offset) {
    auto entry = std::lower_bound(
        received_.begin(), received_.end(), offset,
        [](const Entry& candidate, Offset wanted) { return candidate.offset < wanted; });
    return entry != received_.end() && entry->offset == offset ? entry : received_.end();
}

bool OffsetTracker::is_covered(Offset offset) const {
    auto above = resolved_.upper_bound(offset);
    if (above == resolved_.begin()) return false;
    return std::prev(above)->second >= offset;
}

// Joins the intervals on both sides, as far as nothing open lies between. The entry's neighbours
// say so: an open one bounds the interval, a resolved one is part of it.
void OffsetTracker::insert_interval(std::deque<Entry>::iterator entry) {
    Offset first = entry->offset;
    Offset last = entry->offset;
    const auto before = std::prev(entry);  // never the first: that one moves the watermark
    auto below = resolved_.lower_bound(entry->offset);
    if (below != resolved_.begin() &&
        (before->resolved || std::prev(below)->first > before->offset)) {
        first = std::prev(below)->first;
        remove_interval(std::prev(below));
    }
    const auto after = std::next(entry);
    const auto above = resolved_.upper_bound(entry->offset);
    if (above != resolved_.end() && above->first <= seen_ &&
        (after == received_.end() || after->resolved || above->second < after->offset)) {
        last = above->second;
        remove_interval(above);
    }
    resolved_.emplace(first, last);
    touched_[first] = true;
}

// Everything received below the lowest open one is resolved.
void OffsetTracker::advance() {
    const Offset before = watermark_;
    while (!received_.empty() && received_.front().resolved) {
        watermark_ = received_.front().offset.next();
        received_.pop_front();
    }
    while (!resolved_.empty() && resolved_.begin()->first <= seen_ &&
           (received_.empty() || resolved_.begin()->first < received_.front().offset)) {
        watermark_ = std::max(watermark_, resolved_.begin()->second.next());
        remove_interval(resolved_.begin());
    }
    moved_ = moved_ || watermark_ > before;
}

void OffsetTracker::compact() {
    constexpr std::size_t kSlack = 1'024;
    if (received_.size() < 2 * open_ + kSlack) return;
    std::erase_if(received_, [](const Entry& entry) { return entry.resolved; });
}

void OffsetTracker::remove_interval(std::map<Offset, Offset>::iterator interval) {
    touched_[interval->first] = false;
    resolved_.erase(interval);
}

}  // namespace millrace::engine
