// Backoff: exponential with jitter, so that what failed together does not come back together.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("equal jitter"). Pure;
// any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/clock.hpp"
#include "core/config/server_config.hpp"

namespace millrace::engine {

// Before the retry that follows `failures` failures (1, 2, ...): between half of the exponential
// delay and all of it.
inline milliseconds backoff(const RetrySection& retry, std::uint32_t failures, Random& random) {
    const double exponent = std::min<double>(failures - 1, 64);
    const double full =
        std::min(static_cast<double>(retry.initial.count()) * std::pow(retry.multiplier, exponent),
                 static_cast<double>(retry.maximum.count()));
    const double share = 0.5 + 0.5 * static_cast<double>(random.next() >> 11) * 0x1.0p-53;
    return milliseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(full * share)));
}

// For what is away (the dead-letter topic, the target of the outbox, a handler that cannot start):
// 1 s to 60 s.
inline constexpr RetrySection kOutsideRetry{milliseconds::max(), milliseconds(1'000),
                                            milliseconds(60'000), 2.0};

}  // namespace millrace::engine
