// A mutation of the engine is linked into this program: the oracle must catch it, and name the
// fault that it is (`fault:` in its file). Its recorded seed is tried first; when that one no
// longer fails (the code has changed), the first 2,000 are searched. In the full tier they always
// are.
#include <gtest/gtest.h>

#include <algorithm>
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

struct Recorded {
    std::optional<std::uint64_t> seed;
    std::string fault;
};

Recorded recorded() {
    Recorded found;
    std::ifstream file(MILLRACE_MUTATION);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("seed: ")) found.seed = std::strtoull(line.c_str() + 6, nullptr, 10);
        if (line.starts_with("fault: ")) found.fault = line.substr(7);
    }
    return found;
}

bool is_caught(std::uint64_t seed, const std::string& fault) {
    const RunResult result = run_seed(seed);
    const bool named = std::ranges::any_of(result.faults, [&](const std::string& found) {
        return found.find(fault) != std::string::npos;
    });
    if (named) std::cout << "caught: " << report(seed, result) << std::endl;
    return named;
}

TEST(Mutation, is_caught_by_the_oracle) {
    const auto [recorded_seed, fault] = recorded();
    ASSERT_FALSE(fault.empty()) << MILLRACE_MUTATION << " names no fault";
    if (!is_full_tier() && recorded_seed && is_caught(*recorded_seed, fault)) return;
    for (std::uint64_t seed = 1; seed <= kSearched; ++seed) {
        if (!is_caught(seed, fault)) continue;
        if (recorded_seed != seed)
            std::cout << "record it: `seed: " << seed << "` in " << MILLRACE_MUTATION << std::endl;
        return;
    }
    FAIL() << "none of the first " << kSearched << " seeds fails with " << MILLRACE_MUTATION
           << " by the fault that it names: the oracle is blind to it, or the code has changed so "
              "that "
              "it does no harm";
}

}  // namespace
}  // namespace millrace::simulation

int main(int count, char** arguments) {
    millrace::simulation::install_sim_vfs();
    millrace::log::configure(millrace::log::Level::kOff, millrace::log::Format::kText);
    testing::InitGoogleTest(&count, arguments);
    return RUN_ALL_TESTS();
}
