// BoundWatch: that a handler keeps its limits of what is pending, buffered, read ahead and waits to
// be sent, but for what the engine may have under way when it notices.
//
// One thread; looks at the status of one process at a time, and hears of each call.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "simulation/attempt_watch.hpp"
#include "simulation/disturbances.hpp"
#include "simulation/scenario.hpp"

namespace millrace::simulation {

class BoundWatch {
public:
    BoundWatch(const Scenario& scenario, const Disturbances& disturbances,
               std::function<void(const std::string&)> complain)
        : scenario_(scenario), disturbances_(disturbances), complain_(std::move(complain)) {}

    void called(const CallNote& note, nanoseconds now);
    // `called`, with a record that the engine has to let pend.
    void pends(const CallNote& note, nanoseconds now);
    // Whoever let it pend is about to say that it is done.
    void completes(const std::string& process, const std::string& handler, const CopyKey& copy);
    // One handler in the answer of the process's supervisor.
    void look(const std::string& process, const boost::json::object& handler, nanoseconds now);

private:
    struct Reached {
        Offset highest;
        nanoseconds since{0};
    };
    using Place = std::tuple<std::string, std::string, TopicPartition>;  // process, handler

    std::int64_t read_ahead(const HandlerPlan& plan) const;
    static std::size_t shards_of(const HandlerPlan& plan);
    void check_buffered(const boost::json::object& handler, const HandlerPlan& plan);
    void check_outbox(const boost::json::object& handler, const HandlerPlan& plan);
    void check_ahead(const std::string& process, const boost::json::object& partition,
                     const HandlerPlan& plan, nanoseconds now);

    const Scenario& scenario_;
    const Disturbances& disturbances_;
    const std::function<void(const std::string&)> complain_;
    std::map<Place, Reached> reached_;
    // Since when, by process and handler.
    struct Pending {
        nanoseconds since;
        nanoseconds until;  // at least
    };
    std::map<std::pair<std::string, std::string>, std::map<CopyKey, Pending>> pending_;
};

}  // namespace millrace::simulation
