#include "next_event.hpp"

#include <utility>

namespace millrace::recurring {
namespace {

// What task-event.v1.json allows: an event beyond it would be refused.
constexpr std::size_t kMaxTitle = 2'000;
constexpr std::size_t kMaxPriority = 64;
constexpr std::size_t kMaxTag = 256;
constexpr std::size_t kMaxTags = 1'000;
constexpr std::size_t kMaxSeriesId = 200;

// A cut never falls inside a character of UTF-8.
std::string cut(std::string text, std::size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    text.resize(size);
    return text;
}

Json tags_of(const Task& task) {
    if (!task.tags.value || !task.tags.value->starts_with('[')) return nullptr;
    try {
        Json tags = Json::parse(*task.tags.value);
        for (const Json& tag : tags.items()) {
            if (!tag.is_text() || tag.text()->size() > kMaxTag) return nullptr;
        }
        return tags.items().size() > kMaxTags ? Json() : tags;
    } catch (const JsonError&) {
        return nullptr;
    }
}

Json recurrence_of(const Task& task) {
    Json recurrence = Json::object({{"rule", task.rule.value}});
    if (task.interval) recurrence.set("interval", *task.interval);
    if (task.zone.value) recurrence.set("timezone", *task.zone.value);
    if (task.until.value) recurrence.set("until", *task.until.value);
    recurrence.set("anchor", task.anchor);
    recurrence.set("series", task.series);
    return recurrence;
}

}  // namespace

// FNV-1a, for series whose id is too long to be carried in others.
std::string short_id(const std::string& id) {
    if (id.size() <= kMaxSeriesId) return id;
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char each : id) hash = (hash ^ static_cast<unsigned char>(each)) * 1099511628211ULL;
    return cut(id, kMaxSeriesId - 24) + "~" + std::to_string(hash);
}

Json created_event(const Task& next, const std::string& parent) {
    Json data = Json::object();
    if (next.title.value) data.set("title", cut(*next.title.value, kMaxTitle));
    data.set("completed", false);
    if (next.description.value) data.set("description", *next.description.value);
    if (next.priority.value) data.set("priority", cut(*next.priority.value, kMaxPriority));
    if (Json tags = tags_of(next); !tags.is_null()) data.set("tags", std::move(tags));
    data.set("due_date", format_time(from_microseconds(*next.due.value)));
    data.set("recurrence", recurrence_of(next));
    data.set("parent_task_id", parent);
    return Json::object({{"event_type", "created"},
                         {"task_id", next.task},
                         {"user_id", next.user},
                         {"task_data", std::move(data)}});
}

}  // namespace millrace::recurring
