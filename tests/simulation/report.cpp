#include "simulation/report.hpp"

#include <fmt/format.h>

namespace millrace::simulation {

std::string report(std::uint64_t seed, const RunResult& result) {
    std::string text = fmt::format("seed {} ({} steps, {} crashes): {} faults\n", seed,
                                   result.steps, result.tally.crashes, result.faults.size());
    for (const auto& fault : result.faults) text += "  " + fault + "\n";
    return text + fmt::format("  replay: {}/tests/simulation_engine --seed={} --trace",
                              MILLRACE_BINARY_DIR, seed);
}

std::string describe(const Tally& tally) {
    return fmt::format(
        "{} records, {} effects, {} repeated at another owner, {} dead letters, {} events "
        "published, "
        "{} crashes, {} rebalances, {} breakers opened, {} letters given back",
        tally.records, tally.effects, tally.repeats, tally.dead_letters, tally.published,
        tally.crashes, tally.moves, tally.breakers, tally.redriven);
}

}  // namespace millrace::simulation
