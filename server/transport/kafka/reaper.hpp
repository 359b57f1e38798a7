// Reaper: destroys clients on a helper thread, because rd_kafka_destroy joins threads and waits for
// their sockets.
//
// A client is buried when its last owner lets go, on whatever thread that is: often a batch that a
// shard still held. The mutex is for that edge only. After `retire` nothing is left to run on, and
// the releasing thread destroys the client itself.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "core/runtime.hpp"

namespace millrace::kafka {

class Reaper : public std::enable_shared_from_this<Reaper> {
public:
    explicit Reaper(std::shared_ptr<Strand> strand) : strand_(std::move(strand)) {}

    void born() { ++alive_; }
    void bury(std::function<void()> destroy);
    void retire();
    int alive() const { return alive_; }

private:
    std::mutex mutex_;
    std::shared_ptr<Strand> strand_;
    std::atomic<int> alive_{0};
};

}  // namespace millrace::kafka
