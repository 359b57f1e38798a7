#include "simulation/stall_watch.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace millrace::simulation {
namespace {

constexpr nanoseconds kLongEnough = std::chrono::seconds(6);

std::int64_t number_or(const boost::json::value& value, std::int64_t standard) {
    return value.is_null() ? standard : value.to_number<std::int64_t>();
}

bool says_why(const boost::json::object& handler, const boost::json::object& partition) {
    return handler.at("state").as_string() != "running" || !handler.at("held").as_array().empty() ||
           !handler.at("stuck").as_array().empty() || !partition.at("held").is_null() ||
           !partition.at("bound").is_null() || !partition.at("waits_for").is_null() ||
           partition.at("breaker").as_string() == "open";
}

}  // namespace

void StallWatch::look(const std::string& process, const boost::json::object& handler,
                      nanoseconds now) {
    const std::string name(handler.at("handler").as_string());
    for (const auto& each : handler.at("partitions").as_array()) {
        const auto& partition = each.as_object();
        const std::string origin =
            fmt::format("{}/{}", std::string_view(partition.at("topic").as_string()),
                        partition.at("partition").to_number<int>());
        Seen& seen = seen_[{process, name, origin}];
        const std::int64_t position = number_or(partition.at("position"), -1);
        if (number_or(partition.at("lag_records"), 0) == 0 || position != seen.position ||
            says_why(handler, partition)) {
            seen = {position, now};
            continue;
        }
        if (now - seen.since < kLongEnough + scenario_.settles_in() ||
            disturbances_.any_between(seen.since, now))
            continue;
        complain_(fmt::format(
            "{}: {} in {} has lag, has not moved for {} s and does not say why: {}", name, origin,
            process, (now - seen.since).count() / 1'000'000'000, boost::json::serialize(handler)));
        seen.since = now;
    }
}

}  // namespace millrace::simulation
