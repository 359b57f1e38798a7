// The event that makes the next task, and the ids in it: within what schemas/task-event.v1.json
// allows, so that no text of a producer's can get it refused.
//
// Pure functions; any thread. Never fails: what would be refused is cut or left out.
#pragma once

#include <millrace/json.hpp>
#include <string>

#include "task.hpp"

namespace millrace::recurring {

// `created`, for the task `next` that follows `parent`.
Json created_event(const Task& next, const std::string& parent);

// An id that is short enough to be carried in others.
std::string short_id(const std::string& id);

}  // namespace millrace::recurring
