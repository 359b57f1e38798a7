#include "events/schemas.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>

#include "core/config/node.hpp"
#include "events/canonical.hpp"

namespace millrace {
namespace {

std::string validate(std::string_view schema, std::string_view value) {
    const auto fault = Schema::compile(schema, "s.json").validate(boost::json::parse(value));
    return fault ? *fault : "valid";
}

std::string compile_error(std::string_view schema) {
    try {
        Schema::compile(schema, "s.json");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "compiled";
}

TEST(schema, names_the_first_fault_by_its_pointer) {
    constexpr auto kSchema = R"({
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "array", "items": {"type": ["integer", "null"]}},
                       "x/y~z": {"type": "string", "format": "date-time"}}})";
    EXPECT_EQ(validate(kSchema, R"({"a":[1,2.0,null]})"), "valid");
    EXPECT_EQ(validate(kSchema, R"({"a":[1,"2"]})"), "/a/1: is text, must be integer or null");
    EXPECT_EQ(validate(kSchema, R"({})"), "/a: is missing");
    EXPECT_EQ(validate(kSchema, "7"), "/: is a number, must be object");
    EXPECT_EQ(validate(kSchema, R"({"a":[],"x/y~z":"2026-01-01"})"),
              "/x~1y~0z: is not a date-time (2026-02-10T08:00:00Z)");
}

TEST(schema, tells_what_would_have_been_right) {
    EXPECT_EQ(validate(R"({"enum":["a",1]})", "2"), R"(/: must be one of ["a",1])");
    EXPECT_EQ(validate(R"({"const":1})", "1.0"), "valid");
    EXPECT_EQ(validate(R"({"const":1})", "true"), "/: must be 1");
    EXPECT_EQ(validate(R"({"minimum":1,"maximum":3})", "0"), "/: is below 1");
    EXPECT_EQ(validate(R"({"minimum":1,"maximum":3})", "3.5"), "/: is above 3");
    EXPECT_EQ(validate(R"({"minLength":2})", "\"\\u00e9\""), "/: is shorter than 2 characters");
    EXPECT_EQ(validate(R"({"maxItems":1})", "[1,2]"), "/: has more than 1 items");
    EXPECT_EQ(validate(R"({"properties":{"a":true},"additionalProperties":false})", R"({"b":1})"),
              "/b: is not known to the schema");
    EXPECT_EQ(validate(R"({"anyOf":[{"type":"null"},{"type":"string"}]})", "1"),
              "/: is a number, must be string (and no other alternative of anyOf fits)");
}

TEST(schema, follows_references_also_recursive_ones) {
    constexpr auto kSchema = R"({"$ref": "#/$defs/tree", "$defs": {"tree": {
        "type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}}})";
    EXPECT_EQ(validate(kSchema, R"({"child":{"child":{}}})"), "valid");
    EXPECT_EQ(validate(kSchema, R"({"child":{"child":1}})"),
              "/child/child: is a number, must be object");
}

TEST(schema, that_is_wrong_is_refused_with_file_and_pointer) {
    EXPECT_EQ(compile_error(R"({"properties":{"a":{"pattern":"x"}}})"),
              "s.json: /properties/a/pattern: is a keyword this server does not know "
              "(docs/SCHEMAS.md lists them)");
    EXPECT_EQ(compile_error(R"({"type":"text"})"), "s.json: /type: 'text' is not a type");
    EXPECT_EQ(compile_error(R"({"format":"email"})"),
              "s.json: /format: 'email' is not one of uuid, date-time, date");
    EXPECT_EQ(compile_error(R"({"$ref":"#/$defs/a"})"), "s.json: /$ref: names no member of $defs");
    EXPECT_EQ(compile_error(R"({"$ref":"other.json"})"), "s.json: /$ref: must be #/$defs/NAME");
    EXPECT_EQ(compile_error(R"({"items":{"$defs":{}}})"),
              "s.json: /items/$defs: may stand at the root only");
    EXPECT_EQ(compile_error(R"({"minLength":-1})"),
              "s.json: /minLength: must be a whole number from 0 to 4294967295");
    EXPECT_EQ(compile_error(R"({"$schema":"http://json-schema.org/draft-07/schema#"})"),
              "s.json: /$schema: must be https://json-schema.org/draft/2020-12/schema");
    EXPECT_EQ(compile_error("[]"), "s.json: /: a schema file holds a JSON object");
    EXPECT_EQ(compile_error(R"({"type":)").find("s.json: is not JSON: "), 0U);
}

TEST(schema, that_refers_to_itself_without_going_down_is_refused) {
    EXPECT_EQ(compile_error(R"({"$ref":"#/$defs/a","$defs":{
        "a":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/b"}]},"b":{"$ref":"#/$defs/a"}}})"),
              "s.json: /: a $ref refers to itself");
}

class schema_set : public testing::Test {
protected:
    SchemaSet shipped_ = SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas");
};

TEST_F(schema_set, holds_the_three_events_that_ship) {
    EXPECT_EQ(shipped_.names(), (std::vector<std::string>{"reminder-event.v1", "task-event.v1",
                                                          "task-update-event.v1"}));
    EXPECT_NE(shipped_.find("task-event", 1), nullptr);
    EXPECT_EQ(shipped_.find("task-event", 2), nullptr);
    EXPECT_TRUE(shipped_.has_event("reminder-event"));
    EXPECT_FALSE(shipped_.has_event("reminder"));
}

TEST_F(schema_set, refuses_a_json_file_whose_name_says_no_version) {
    const auto directory = std::filesystem::path(testing::TempDir()) /
                           ("millrace_schema_names_" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "task-event.json") << "{}";
    EXPECT_THROW(SchemaSet::load(directory.string()), ConfigError);
    std::filesystem::remove_all(directory);
    EXPECT_THROW(SchemaSet::load(directory.string()), ConfigError);
}

TEST_F(schema_set, checks_what_is_published_strictly) {
    const auto check = [&](std::string_view schema, std::string_view text) {
        const auto result = check_canonical(shipped_, schema, text);
        return result ? std::string("valid") : result.error().message;
    };
    constexpr auto kEvent =
        R"({"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10","schema_version":1,)"
        R"("timestamp":"2026-11-23T03:05:43Z","task_id":"42","user_id":"u","event_type":)";
    const std::string head = kEvent;
    EXPECT_EQ(check("task-event", head + R"("created","task_data":{"title":"A"}})"), "valid");
    EXPECT_EQ(check("task-event", head + R"("deleted"})"), "valid");
    EXPECT_NE(check("task-event", head + R"("created"})"), "valid");
    EXPECT_NE(check("task-event", head + R"("task.created","task_data":{}})"), "valid");
    EXPECT_EQ(check("task-event", R"({"schema_version":2})"),
              "/schema_version: there is no schema task-event.v2");
    EXPECT_EQ(check("task-event", "{}"), "/schema_version: there is no schema task-event.v0");
    EXPECT_EQ(check("", "{}"), "valid");
    EXPECT_EQ(check("", "[]"), "the event is not a JSON object");
}

}  // namespace
}  // namespace millrace
