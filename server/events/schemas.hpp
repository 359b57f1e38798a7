// SchemaSet: the event schemas (JSON Schema, `schemas/<event>.v<major>.json`), compiled at start by a validator of our own
// for a documented subset of draft 2020-12 (docs/SCHEMAS.md). A keyword it does not know is refused at start.
//
// Immutable after loading; any thread. Nothing is compiled per record.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace millrace {

// One compiled schema.
class Schema {
public:
    // Throws ConfigError (`file: /pointer: what`) for what is not JSON, not a schema, or uses an unknown keyword.
    static Schema compile(std::string_view json, const std::string& file_name);
    ~Schema();
    Schema(Schema&&) noexcept;
    Schema& operator=(Schema&&) noexcept;

    // nullopt: valid. Else the first fault: "/task_data/due_date: is not a date-time".
    std::optional<std::string> validate(const boost::json::value& value) const;

    struct Node;

private:
    explicit Schema(std::unique_ptr<Node> root);
    std::unique_ptr<Node> root_;
};

class SchemaSet {
public:
    // Every `<event>.v<major>.json` of the directory. Throws ConfigError.
    static SchemaSet load(const std::string& directory);
    SchemaSet();
    ~SchemaSet();
    SchemaSet(SchemaSet&&) noexcept;
    SchemaSet& operator=(SchemaSet&&) noexcept;

    const Schema* find(std::string_view event, int major) const;  // nullptr: not known
    bool has_event(std::string_view event) const;
    std::vector<std::string> names() const;  // "task-event.v1", sorted

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
