// The seeds of the default tier (1,000) and of the full one (20,000), crashes at every step and at
// every write of a small scenario, and that a seed decides everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "simulation/report.hpp"
#include "simulation/tier.hpp"
#include "simulation/world.hpp"

namespace millrace::simulation {
namespace {

constexpr std::uint64_t kBlocks = 20;  // tests that the seeds are spread over

class Seeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeds, keep_every_guarantee) {
    const std::uint64_t each = seeds_to_run() / kBlocks;
    const std::uint64_t first = GetParam() * each + 1;
    Tally tally;
    for (std::uint64_t seed = first; seed < first + each; ++seed) {
        const RunResult result = run_seed(seed);
        tally.add(result.tally);
        EXPECT_TRUE(result.faults.empty()) << report(seed, result);
    }
    EXPECT_GT(tally.effects, each);
    std::cout << "seeds " << first << " to " << first + each - 1 << ": " << describe(tally)
              << std::endl;
}

INSTANTIATE_TEST_SUITE_P(All, Seeds, testing::Range<std::uint64_t>(0, kBlocks));

// Each found a fault of the engine once.
TEST(Simulation, keeps_every_guarantee_where_it_once_did_not) {
    for (const std::uint64_t seed : {103, 544, 680, 931, 950, 2'375, 4'490, 5'664, 9'153, 14'211}) {
        const RunResult result = run_seed(seed);
        EXPECT_TRUE(result.faults.empty()) << report(seed, result);
    }
}

TEST(Simulation, is_the_same_whenever_the_seed_is) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const RunResult first = run_seed(seed);
        const RunResult second = run_seed(seed);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
        EXPECT_EQ(first.operations, second.operations) << "seed " << seed;
    }
}

TEST(Simulation, differs_where_the_seed_does) { EXPECT_NE(run_seed(1).hash, run_seed(2).hash); }

constexpr CrashKind kKinds[] = {CrashKind::kProcess, CrashKind::kPowerLoss, CrashKind::kTorn};

// Crashes at each of the points, each time with another of the ways a disk can look afterwards; in
// the full tier with all.
void crash_everywhere(std::uint64_t points, std::optional<std::uint64_t> RunOptions::*where) {
    for (std::uint64_t point = 0; point < points; ++point) {
        for (std::uint64_t kind = 0; kind < std::size(kKinds); ++kind) {
            if (!is_full_tier() && point % std::size(kKinds) != kind) continue;
            RunOptions options;
            options.*where = point;
            options.crash_kind = kKinds[kind];
            const RunResult result = run_scenario(small_scenario(), 1, options);
            ASSERT_EQ(result.tally.crashes, 1U);
            ASSERT_TRUE(result.faults.empty()) << "crash " << kind << " at " << point << ":\n"
                                               << report(1, result);
        }
    }
}

TEST(Simulation, survives_a_crash_at_every_step) {
    const RunResult whole = run_scenario(small_scenario(), 1, {});
    ASSERT_TRUE(whole.faults.empty()) << report(1, whole);
    crash_everywhere(whole.busy_steps, &RunOptions::crash_at_step);
}

TEST(Simulation, survives_a_crash_at_every_write_and_sync) {
    const RunResult whole = run_scenario(small_scenario(), 1, {});
    ASSERT_TRUE(whole.faults.empty()) << report(1, whole);
    crash_everywhere(whole.busy_operations, &RunOptions::crash_at_operation);
}

}  // namespace
}  // namespace millrace::simulation
