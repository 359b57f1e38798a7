// Task: what recurring remembers of one task, Facts: what one event says of it, and how the two
// meet.
//
// Plain values and pure functions; any thread. Events of one task may come in any order (producers
// key by task, by user or not at all), so each fact keeps the time of the event that said it: an
// older event that is read later fills gaps, and replaces only what is older still.
#pragma once

#include <cstdint>
#include <limits>
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

// Why a completed task does not go on at once.
enum class Hold {
    kNone = 0,
    kNews,  // completed before the first start: a later event calls the next one off
    kFacts  // read late and without a due: an older event may bring it
};

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

template <class T>
struct Fact {
    std::optional<T> value = {};
    std::int64_t time = kNever;  // of the event that said it, or took it away

    void take(const std::optional<T>& said, std::int64_t at) {
        if (said && at >= time) *this = {said, at};
    }
    void clear(std::int64_t at) {
        if (at >= time) *this = {std::nullopt, at};
    }
};

struct Task {
    std::string user;
    std::string task;
    TaskState state = TaskState::kOpen;
    std::int64_t time = kNever;  // of the newest event, microseconds
    Fact<std::int64_t> due = {};
    Fact<std::string> title = {};
    Fact<std::string> description = {};
    Fact<std::string> priority = {};
    Fact<std::string> tags = {};  // a JSON array
    Fact<std::string> rule = {};
    std::optional<std::int64_t> interval = {};  // said with the rule
    Fact<std::string> zone = {};
    Fact<std::string> until = {};
    std::optional<std::string> anchor =
        {};  // first moment of the series, local; without: the task's own due
    std::optional<std::string> series = {};      // id of the first task; without: this one
    std::optional<std::string> next = {};        // id of the next task, once made
    std::optional<std::int64_t> completed = {};  // when, while that has not made the next one yet
    Hold hold = Hold::kNone;

    bool is_known() const { return time != kNever; }
};

struct Facts {
    std::int64_t time = 0;
    std::optional<std::int64_t> due = {};
    std::optional<std::string> title = {};
    std::optional<std::string> description = {};
    std::optional<std::string> priority = {};
    std::optional<std::string> tags = {};
    std::optional<std::string> rule = {};
    std::optional<std::int64_t> interval = {};
    std::optional<std::string> zone = {};
    std::optional<std::string> until = {};
    std::optional<std::string> anchor = {};
    std::optional<std::string> series = {};
    bool due_gone = false;   // an update that takes the due away
    bool rule_gone = false;  // the rule is there, and null or "none"
};

Facts read_facts(const Event& event);

// The event's own time, else when it was completed, else the record's.
std::int64_t time_of(const Event& event);

// "custom": the rule is not in the event.
bool is_custom(const std::optional<std::string>& rule);

void merge(Task& stored, const Facts& facts);

}  // namespace millrace::recurring
