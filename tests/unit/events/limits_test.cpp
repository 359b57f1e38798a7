// What the envelope accepts as an id, the canonical schemas accept too: an event of such a user can
// be answered by another.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "reading.hpp"

namespace millrace::testing {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestId = 1024;  // limits.id_bytes

TEST(id_limit, is_the_same_in_the_envelope_and_in_each_schema) {
    const json::object common{{"event_id", "7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10"},
                              {"schema_version", 1},
                              {"timestamp", "2026-11-23T03:05:43Z"},
                              {"title", "T"},
                              {"task_data", json::object{}},
                              {"changes", json::object{}}};
    for (const auto& [schema, type] : {std::pair{"task-event", "created"},
                                       {"reminder-event", "due"},
                                       {"task-update-event", "updated"}}) {
        for (const std::size_t size : {kLongestId, kLongestId + 1}) {
            json::object event = common;
            event["event_type"] = type;
            event["user_id"] = std::string(size, 'u');
            event["task_id"] = std::string(size, 't');
            const bool fits = size <= kLongestId;
            EXPECT_EQ(!shipped_schemas().find(schema, 1)->validate(event), fits) << schema << size;
            const Reading reading("task-events", json::serialize(event));
            EXPECT_EQ(reading.event().status == EventStatus::kReadable, fits) << size;
        }
    }
}

}  // namespace
}  // namespace millrace::testing
