#include "engine/breaker.hpp"

namespace millrace::engine {

bool Breaker::count(const HandledCounts& counts) {
    if (open_) return false;
    streak_ = counts.succeeded > 0 ? 0 : streak_ + counts.failed;
    window_.push_back(counts);
    sum_.succeeded += counts.succeeded;
    sum_.failed += counts.failed;
    // Whole reports leave, as long as a window's worth stays.
    while (sum_.succeeded + sum_.failed - window_.front().succeeded - window_.front().failed >=
           section_.window) {
        sum_.succeeded -= window_.front().succeeded;
        sum_.failed -= window_.front().failed;
        window_.pop_front();
    }
    if (streak_ >= section_.streak) return true;
    const std::size_t seen = sum_.succeeded + sum_.failed;
    return seen >= section_.window &&
           static_cast<double>(sum_.failed) >= section_.ratio * static_cast<double>(seen);
}

void Breaker::open() {
    open_ = true;
    failed_probes_ = 0;
}

void Breaker::close() {
    open_ = false;
    streak_ = 0;
    sum_ = {};
    window_.clear();
}

}  // namespace millrace::engine
