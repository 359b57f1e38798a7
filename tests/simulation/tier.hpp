// How many seeds are run: `script/test full` asks for more.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace millrace::simulation {

inline std::uint64_t seeds_to_run() {
    const char* asked = std::getenv("MILLRACE_SIMULATION_SEEDS");
    return asked == nullptr ? 1'000 : std::strtoull(asked, nullptr, 10);
}

inline bool is_full_tier() { return std::getenv("MILLRACE_SIMULATION_SEEDS") != nullptr; }

}  // namespace millrace::simulation
