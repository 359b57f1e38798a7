// What is said of runs. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "simulation/world.hpp"

namespace millrace::simulation {

// What the oracle found, and the command that shows it again.
std::string report(std::uint64_t seed, const RunResult& result);
std::string describe(const Tally& tally);

}  // namespace millrace::simulation
