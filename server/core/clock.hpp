// Clock and Random: the two sources of surprise, passed in from outside so that a simulation can own them.
//
// Both may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "core/types.hpp"

namespace millrace {

class Clock {
public:
    virtual ~Clock() = default;
    // Wall-clock time: for timestamps and due times. May jump.
    virtual Timestamp now() const = 0;
    // Monotonic time since an arbitrary start: for backoff, rates and time-outs.
    virtual std::chrono::nanoseconds monotonic() const = 0;
};

class Random {
public:
    virtual ~Random() = default;
    virtual std::uint64_t next() = 0;
};

class SystemClock final : public Clock {
public:
    Timestamp now() const override;
    std::chrono::nanoseconds monotonic() const override;
};

// Seeded from the operating system, one generator per thread.
class SystemRandom final : public Random {
public:
    std::uint64_t next() override;
};

}  // namespace millrace
