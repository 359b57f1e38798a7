// Breaker: stops a partition whose records the handler keeps failing, so that a dependency that is
// away costs a handful of dead letters and not the topic.
//
// It opens on a streak of distinct records that the handler failed, or when their share of the last
// `window` is too high; undecodable records and schema faults are not the handler's doing and never
// count. While it is open the partition's records are held and one is let through per backoff; the
// first that succeeds closes it. (Michael Nygard, Release It!, "Circuit Breaker".)
//
// This is the counting; HandlerRun asks shards to hold, to probe, to let go. Thread rule: the loop
// thread. In memory only: a restart begins closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/config/server_config.hpp"

namespace millrace::engine {

// Distinct records of one partition since the last time.
struct HandledCounts {
    std::size_t succeeded = 0;
    std::size_t failed = 0;  // for the first time
};

enum class ProbeResult {
    kNothing = 1,  // no record is held here
    kSucceeded,
    kFailed,
};

class Breaker {
public:
    explicit Breaker(const BreakerSection& section) : section_(section) {}

    // True: it is to open now.
    bool count(const HandledCounts& counts);
    bool is_open() const { return open_; }
    void open();
    // A probe failed: longer until the next.
    void probe_failed() { ++failed_probes_; }
    void close();
    // 1 for the first one.
    std::uint32_t next_probe() const { return failed_probes_ + 1; }

private:
    BreakerSection section_;
    bool open_ = false;
    std::uint32_t failed_probes_ = 0;
    std::size_t streak_ = 0;
    std::deque<HandledCounts> window_;
    HandledCounts sum_;
};

}  // namespace millrace::engine
