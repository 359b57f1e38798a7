// Lanes: the inputs of a shard, those of one key behind one another, so that a failing input holds
// its own key and nobody else's.
//
// A lane whose first input can run stands in the ready queue; lanes take turns. Thread rule: the
// shard's strand.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/input.hpp"

namespace millrace::engine {

struct Lane {
    const std::string* key = nullptr;
    InputPtr head;
    Input* tail = nullptr;
    bool queued = false;
};

class Lanes {
public:
    Lanes() = default;
    ~Lanes();
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    // At the end of the key's lane.
    Input& add(std::string_view key, InputPtr input);
    // At the front of the key's lane: undone work that is to be run again.
    void put_back(std::string_view key, InputPtr input);
    // The first input of the next lane that can run, which stays where it is; nullptr: none can.
    Input* next();
    // Takes the first input of a lane out; the one behind it may run then.
    InputPtr take(Input& input);
    // Its state has changed to one that can run.
    void wake(Input& input);
    // All that can run are in the queue again.
    void wake_all();
    // Takes out every input for which the predicate holds.
    void remove_if(const std::function<bool(const Input&)>& predicate);
    void for_each(const std::function<void(Input&)>& visit);
    bool any_of(const std::function<bool(const Input&)>& predicate) const;

    std::size_t size() const { return size_; }
    bool any_ready() const { return !ready_.empty(); }

private:
    struct KeyHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view key) const noexcept {
            return std::hash<std::string_view>{}(key);
        }
    };
    Lane& lane_of(std::string_view key);
    void queue(Lane& lane);
    void drop_if_empty(Lane& lane);

    std::unordered_map<std::string, Lane, KeyHash, std::equal_to<>> lanes_;
    std::deque<Lane*> ready_;
    std::size_t size_ = 0;
};

}  // namespace millrace::engine
