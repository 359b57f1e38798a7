// LoopDriver: runs a real loop on the test's own thread until something has happened.
//
// The test thread is the loop thread, so transports and listeners are called without any locking.
// Nothing sleeps: the loop waits for its own work and gives up at the deadline.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>

#include "core/asio_runtime.hpp"

namespace millrace::conformance {

class LoopDriver {
public:
    explicit LoopDriver(std::chrono::milliseconds patience);

    AsioRuntime& runtime() { return runtime_; }
    // False: the deadline came first.
    [[nodiscard]] bool run_until(const std::function<bool()>& happened);
    // Runs what is ready and what becomes ready within `span`: to see that something does *not*
    // come.
    void run_for(std::chrono::milliseconds span);

private:
    AsioRuntime runtime_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::chrono::milliseconds patience_;
};

}  // namespace millrace::conformance
