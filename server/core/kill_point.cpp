#include "core/kill_point.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>

namespace millrace {

namespace kill_point_detail {
namespace {

std::string_view armed_name;  // of kKillPoints
std::atomic<std::int64_t> passings_left{0};

}  // namespace

std::atomic<bool> armed{false};

void pass(std::string_view name) {
    if (name == armed_name && passings_left.fetch_sub(1) == 1) std::raise(SIGKILL);
}

}  // namespace kill_point_detail

Result<void> arm_kill_point(std::string_view spec) {
    const std::size_t colon = std::min(spec.find(':'), spec.size());
    const std::string_view number = spec.substr(std::min(colon + 1, spec.size()));
    const auto* place = std::ranges::find(kKillPoints, spec.substr(0, colon));
    std::int64_t count = 0;
    const auto [end, fault] = std::from_chars(number.begin(), number.end(), count);
    if (place == kKillPoints.end() || fault != std::errc() || end != number.end() || count < 1) {
        return fail(ErrorCode::kInvalid,
                    fmt::format("MILLRACE_KILL_AT is '{}', expected name:count, the name one of {}",
                                spec, fmt::join(kKillPoints, ", ")));
    }
    kill_point_detail::armed_name = *place;
    kill_point_detail::passings_left = count;
    kill_point_detail::armed = true;
    return {};
}

bool kill_point_is_armed(std::string_view name) {
    return kill_point_detail::armed && kill_point_detail::armed_name == name;
}

}  // namespace millrace
