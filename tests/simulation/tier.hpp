// How much is run: `script/test full` says so in the environment.
#pragma once

#include <cstdlib>
#include <string_view>

namespace millrace::simulation {

inline bool is_full_tier() {
    const char* tier = std::getenv("MILLRACE_TEST_TIER");
    return tier != nullptr && std::string_view(tier) == "full";
}

}  // namespace millrace::simulation
