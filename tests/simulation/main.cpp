// The simulation as a program: GoogleTest without arguments of its own; with them
//
//   simulation_engine --seed=N [--trace]     runs one seed
//   simulation_engine --seeds=FIRST..LAST    runs many, and says how fast
//
// The exit code is 1 when the oracle found something.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/log.hpp"
#include "simulation/report.hpp"
#include "simulation/world.hpp"

namespace {

using namespace millrace::simulation;

int run_seeds(std::uint64_t first, std::uint64_t last, const RunOptions& options) {
    Tally tally;
    std::uint64_t failed = 0;
    const auto started = std::chrono::steady_clock::now();
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const RunResult result = run_seed(seed, options);
        tally.add(result.tally);
        if (result.faults.empty()) continue;
        ++failed;
        std::puts(report(seed, result).c_str());
        std::fflush(stdout);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    std::puts(fmt::format("{} seeds in {:.1f} s ({:.0f} a second), {} failed; {}", last - first + 1,
                          seconds, static_cast<double>(last - first + 1) / seconds, failed,
                          describe(tally))
                  .c_str());
    return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    install_sim_vfs();
    RunOptions options;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    bool asked = false;
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--trace") options.trace = true;
        if (argument.starts_with("--seed=")) {
            first = last = std::strtoull(arguments[i] + 7, nullptr, 10);
            asked = true;
        }
        if (argument.starts_with("--seeds=")) {
            char* end = nullptr;
            first = std::strtoull(arguments[i] + 8, &end, 10);
            last = std::strtoull(end + 2, nullptr, 10);
            asked = true;
        }
    }
    using millrace::log::Level;
    millrace::log::configure(options.trace ? Level::kDebug : Level::kOff,
                             millrace::log::Format::kText);
    if (asked) return run_seeds(first, last, options);
    testing::InitGoogleTest(&count, arguments);
    return RUN_ALL_TESTS();
}
