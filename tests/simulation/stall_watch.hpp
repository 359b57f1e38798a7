// StallWatch: that a partition which has lag and does not move says why, in what people see of its
// handler (/v1/handlers).
//
// One thread; looks at the status of one process at a time.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "simulation/disturbances.hpp"
#include "simulation/scenario.hpp"

namespace millrace::simulation {

class StallWatch {
public:
    StallWatch(const Scenario& scenario, const Disturbances& disturbances,
               std::function<void(const std::string&)> complain)
        : scenario_(scenario), disturbances_(disturbances), complain_(std::move(complain)) {}

    // One handler in the answer of the process's supervisor.
    void look(const std::string& process, const boost::json::object& handler, nanoseconds now);

private:
    struct Seen {
        std::int64_t position = -2;
        nanoseconds since{0};
    };

    const Scenario& scenario_;
    const Disturbances& disturbances_;
    const std::function<void(const std::string&)> complain_;
    std::map<std::tuple<std::string, std::string, std::string>, Seen> seen_;
};

}  // namespace millrace::simulation
