// Rng: the one source of chance of a simulated world; what is drawn depends on the seed alone.
//
// One thread. `fork` gives a generator of its own, so that one part's draws do not shift another's.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/clock.hpp"

namespace millrace::simulation {

class Rng final : public Random {
public:
    explicit Rng(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 0x1234567U) {}

    // SplitMix64, https://prng.di.unimi.it/splitmix64.c
    std::uint64_t next() override {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }

    // 0 .. bound-1
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    // first .. last, both included
    std::int64_t between(std::int64_t first, std::int64_t last) {
        return first +
               static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last - first + 1)));
    }
    double unit() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    bool chance(double probability) { return probability > 0 && unit() < probability; }
    // Small values as likely as large ones of the next magnitude.
    std::int64_t spread(std::int64_t first, std::int64_t last) {
        const double low = std::log(static_cast<double>(first));
        const double high = std::log(static_cast<double>(last));
        return static_cast<std::int64_t>(std::exp(low + unit() * (high - low)));
    }
    Rng fork() { return Rng(next()); }

private:
    std::uint64_t state_;
};

}  // namespace millrace::simulation
