#include "engine/dedupe_ring.hpp"

#include <algorithm>
#include <cassert>

namespace millrace::engine {

DedupeRing::DedupeRing(std::uint32_t capacity) : capacity_(capacity) {
    assert(capacity > 0);
    slot_of_.reserve(capacity);
}

void DedupeRing::load(std::uint32_t slot, const Identity& identity) {
    if (slot < capacity_) put(slot, identity);
}

void DedupeRing::insert(const Identity& identity) {
    const auto slot = static_cast<std::uint32_t>(next_ % capacity_);
    const bool was_used = slot < used_.size() && used_[slot];
    undo_.push_back({slot, was_used ? slots_[slot] : Identity{}, was_used});
    put(slot, identity);
    ++next_;
}

std::vector<DedupeRing::Written> DedupeRing::uncommitted() const {
    std::vector<Written> written;
    const std::uint64_t first = std::max(committed_, next_ > capacity_ ? next_ - capacity_ : 0);
    written.reserve(next_ - first);
    for (std::uint64_t sequence = first; sequence < next_; ++sequence) {
        const auto slot = static_cast<std::uint32_t>(sequence % capacity_);
        written.push_back({slot, slots_[slot]});
    }
    return written;
}

void DedupeRing::commit() {
    committed_ = next_;
    undo_.clear();
}

void DedupeRing::roll_back() {
    for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
        clear(undo->slot);
        if (undo->was_used) put(undo->slot, undo->before);
    }
    next_ = committed_;
    undo_.clear();
}

void DedupeRing::put(std::uint32_t slot, const Identity& identity) {
    if (slot >= slots_.size()) {
        slots_.resize(slot + 1);
        used_.resize(slot + 1, false);
    }
    clear(slot);
    slots_[slot] = identity;
    used_[slot] = true;
    slot_of_[identity] = slot;
}

void DedupeRing::clear(std::uint32_t slot) {
    if (!used_[slot]) return;
    used_[slot] = false;
    auto found = slot_of_.find(slots_[slot]);
    if (found != slot_of_.end() && found->second == slot) slot_of_.erase(found);
}

}  // namespace millrace::engine
