// Reminder: what one reminder says, and the names under which it is known.
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <millrace/json.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <string>

namespace millrace::notification {

struct Reminder {
    std::string user;
    std::string task;
    std::string name;  // the producer's id of the reminder; empty: the task's only one
    std::int64_t time =
        0;  // when the event that says this came into the log: later ones win; microseconds
    std::int64_t wanted = 0;  // when it should be delivered: lateness is counted from here
    std::optional<std::int64_t> remind_at = {};  // microseconds
    std::optional<std::int64_t> due = {};        // of the task
    std::optional<std::string> title = {};
    std::string event_id = {};

    // One timer each: a newer schedule takes the place of the older.
    std::string timer_id() const { return Json::array({user, task, name}).dump(); }

    // What makes two events the same reminder, whatever their ids: the moment it is for.
    std::string moment() const {
        if (remind_at) return "at:" + std::to_string(*remind_at);
        if (due) return "due:" + std::to_string(*due);
        return "event:" + event_id;
    }
};

inline Json time_or_null(const std::optional<std::int64_t>& microseconds) {
    return microseconds ? Json(format_time(from_microseconds(*microseconds))) : Json(nullptr);
}

}  // namespace millrace::notification
