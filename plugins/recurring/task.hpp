// Task: what recurring remembers of one task, Facts: what one event says of it, and how the two
// meet.
//
// Plain values and pure functions; any thread. Events of one task may come in any order (producers
// key by task, by user or not at all): what is older than the row fills gaps in it and replaces
// nothing.
#pragma once

#include <cstdint>
#include <millrace/event.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "zone.hpp"

namespace millrace::recurring {

enum class TaskState {
    kOpen = 1,   // its completion may make the next one
    kContinued,  // the next one was made; another completion makes none
    kEnded,      // the series has no further occurrence
    kDeleted
};

struct Task {
    std::string user;
    std::string task;
    TaskState state = TaskState::kOpen;
    std::int64_t time = 0;  // of the newest event, microseconds
    std::optional<std::int64_t> due = {};
    std::optional<std::string> title = {};
    std::optional<std::string> description = {};
    std::optional<std::string> priority = {};
    std::optional<std::string> tags = {};  // a JSON array
    std::optional<std::string> rule = {};
    std::optional<std::int64_t> interval = {};
    std::optional<std::string> zone = {};
    std::optional<std::string> until = {};
    std::optional<std::string> anchor =
        {};  // first moment of the series, local; without: the task's own due
    std::optional<std::string> series = {};    // id of the first task; without: this one
    std::optional<std::string> next = {};      // id of the next task, once made
    std::optional<std::int64_t> waiting = {};  // completed before the first start, see Recurring
};

struct Facts {
    std::int64_t time = 0;
    Task said;                // only the fields that the event has
    bool says_never = false;  // it has a recurrence, and that is null or "none"
};

Facts read_facts(const Event& event);

// The event's own time, else when it was completed, else the record's.
std::int64_t time_of(const Event& event);

void merge(Task& stored, const Facts& facts);

}  // namespace millrace::recurring
