#include "conformance/suite/loop_driver.hpp"

namespace millrace::conformance {

LoopDriver::LoopDriver(std::chrono::milliseconds patience)
    : work_(boost::asio::make_work_guard(runtime_.context())), patience_(patience) {}

bool LoopDriver::run_until(const std::function<bool()>& happened) {
    const auto deadline = std::chrono::steady_clock::now() + patience_;
    while (!happened()) {
        if (runtime_.context().run_one_until(deadline) == 0) return happened();
    }
    return true;
}

void LoopDriver::run_for(std::chrono::milliseconds span) { runtime_.context().run_for(span); }

}  // namespace millrace::conformance
