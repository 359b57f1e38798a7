// A mutation of the engine is linked into this program: the oracle must catch it. Its recorded seed
// is tried first; when that one no longer fails (the code has changed), the first 2,000 are
// searched. In the full tier they always are.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include "core/log.hpp"
#include "simulation/report.hpp"
#include "simulation/tier.hpp"
#include "simulation/world.hpp"

namespace millrace::simulation {
namespace {

constexpr std::uint64_t kSearched = 2'000;

std::optional<std::uint64_t> recorded_seed() {
    std::ifstream file(MILLRACE_MUTATION);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("seed:")) return std::strtoull(line.c_str() + 5, nullptr, 10);
    }
    return std::nullopt;
}

bool is_caught(std::uint64_t seed) {
    const RunResult result = run_seed(seed);
    if (result.faults.empty()) return false;
    std::cout << "caught: " << report(seed, result) << std::endl;
    return true;
}

TEST(Mutation, is_caught_by_the_oracle) {
    const auto recorded = recorded_seed();
    if (!is_full_tier() && recorded && is_caught(*recorded)) return;
    for (std::uint64_t seed = 1; seed <= kSearched; ++seed) {
        if (!is_caught(seed)) continue;
        if (recorded != seed)
            std::cout << "record it: `seed: " << seed << "` in " << MILLRACE_MUTATION << std::endl;
        return;
    }
    FAIL() << "none of the first " << kSearched << " seeds fails with " << MILLRACE_MUTATION
           << ": the oracle is blind to it, or the code has changed so that it does no harm";
}

}  // namespace
}  // namespace millrace::simulation

int main(int count, char** arguments) {
    millrace::simulation::install_sim_vfs();
    millrace::log::configure(millrace::log::Level::kOff, millrace::log::Format::kText);
    testing::InitGoogleTest(&count, arguments);
    return RUN_ALL_TESTS();
}
