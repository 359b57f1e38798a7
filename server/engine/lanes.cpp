#include "engine/lanes.hpp"

#include <algorithm>
#include <cassert>

namespace millrace::engine {
namespace {

// One after the other: a chain of thousands would otherwise be destroyed recursively.
void destroy_chain(InputPtr head) {
    while (head) head = std::move(head->behind);
}

}  // namespace

Lanes::~Lanes() {
    for (auto& [key, lane] : lanes_) destroy_chain(std::move(lane.head));
}

Input& Lanes::add(std::string_view key, InputPtr input) {
    Lane& lane = lane_of(key);
    Input& added = *input;
    added.lane = &lane;
    if (lane.tail == nullptr) {
        lane.head = std::move(input);
    } else {
        lane.tail->behind = std::move(input);
    }
    lane.tail = &added;
    ++size_;
    queue(lane);
    return added;
}

void Lanes::put_back(std::string_view key, InputPtr input) {
    Lane& lane = lane_of(key);
    input->lane = &lane;
    if (lane.tail == nullptr) lane.tail = input.get();
    input->behind = std::move(lane.head);
    lane.head = std::move(input);
    ++size_;
    if (lane.queued || !lane.head->runnable()) return;
    lane.queued = true;
    ready_.push_front(&lane);
}

Input* Lanes::next() {
    while (!ready_.empty()) {
        Lane* lane = ready_.front();
        ready_.pop_front();
        lane->queued = false;
        if (lane->head && lane->head->runnable()) return lane->head.get();
        drop_if_empty(*lane);
    }
    return nullptr;
}

InputPtr Lanes::take(Input& input) {
    Lane& lane = *input.lane;
    assert(lane.head.get() == &input);
    InputPtr taken = std::move(lane.head);
    lane.head = std::move(taken->behind);
    if (!lane.head) lane.tail = nullptr;
    --size_;
    queue(lane);
    drop_if_empty(lane);
    taken->lane = nullptr;
    return taken;
}

void Lanes::wake(Input& input) { queue(*input.lane); }

void Lanes::wake_all() {
    for (auto& [key, lane] : lanes_) queue(lane);
}

void Lanes::remove_if(const std::function<bool(const Input&)>& predicate) {
    for (auto entry = lanes_.begin(); entry != lanes_.end();) {
        Lane& lane = (entry++)->second;
        InputPtr rest = std::move(lane.head);
        lane.tail = nullptr;
        while (rest) {
            InputPtr input = std::move(rest);
            rest = std::move(input->behind);
            if (predicate(*input)) {
                --size_;
                continue;
            }
            Input& kept = *input;
            (lane.tail == nullptr ? lane.head : lane.tail->behind) = std::move(input);
            lane.tail = &kept;
        }
        queue(lane);
        drop_if_empty(lane);
    }
}

void Lanes::for_each(const std::function<void(Input&)>& visit) {
    for (auto& [key, lane] : lanes_) {
        for (Input* input = lane.head.get(); input != nullptr; input = input->behind.get())
            visit(*input);
    }
}

bool Lanes::any_of(const std::function<bool(const Input&)>& predicate) const {
    for (const auto& [key, lane] : lanes_) {
        for (const Input* input = lane.head.get(); input != nullptr; input = input->behind.get())
            if (predicate(*input)) return true;
    }
    return false;
}

Lane& Lanes::lane_of(std::string_view key) {
    auto found = lanes_.find(key);
    if (found == lanes_.end()) {
        found = lanes_.emplace(std::string(key), Lane{}).first;
        found->second.key = &found->first;
    }
    return found->second;
}

void Lanes::queue(Lane& lane) {
    if (lane.queued || !lane.head || !lane.head->runnable()) return;
    lane.queued = true;
    ready_.push_back(&lane);
}

void Lanes::drop_if_empty(Lane& lane) {
    if (lane.head || lane.queued) return;
    lanes_.erase(lanes_.find(*lane.key));
}

}  // namespace millrace::engine
