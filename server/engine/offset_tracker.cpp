#include "engine/offset_tracker.hpp"

#include <algorithm>
#include <cassert>
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
    const bool covered = is_covered(offset);
    received_.push_back({offset, covered});
    if (!covered) {
        ++open_;
        return Arrival::kNew;
    }
    advance();
    return Arrival::kResolved;
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
    }
}

void OffsetTracker::forget_open() {
    received_.clear();
    open_ = 0;
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

// Joins the resolved neighbours among the received offsets into one interval.
void OffsetTracker::insert_interval(std::deque<Entry>::iterator entry) {
    Offset first = entry->offset;
    Offset last = entry->offset;
    const auto before = std::prev(entry);  // never the first: that one moves the watermark
    if (before->resolved) {
        auto interval = std::prev(resolved_.upper_bound(before->offset));
        first = interval->first;
        remove_interval(interval);
    }
    const auto after = std::next(entry);
    if (after != received_.end() && after->resolved) {
        auto interval = std::prev(resolved_.upper_bound(after->offset));
        last = interval->second;
        remove_interval(interval);
    }
    resolved_.emplace(first, last);
    touched_[first] = true;
}

void OffsetTracker::advance() {
    while (!received_.empty() && received_.front().resolved) {
        watermark_ = received_.front().offset.next();
        received_.pop_front();
        moved_ = true;
    }
    // What the watermark has passed is in the state file by the watermark alone.
    while (!resolved_.empty() && resolved_.begin()->second < watermark_)
        remove_interval(resolved_.begin());
}

void OffsetTracker::remove_interval(std::map<Offset, Offset>::iterator interval) {
    touched_[interval->first] = false;
    resolved_.erase(interval);
}

}  // namespace millrace::engine
