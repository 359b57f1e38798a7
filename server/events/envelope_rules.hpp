// EnvelopeRules: schemas/envelope.yaml, compiled.
//
// Immutable, any thread. Errors: the constructor throws ConfigError with file:line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "events/cloudevents.hpp"
#include "events/identity_rules.hpp"
#include "events/json_path.hpp"
#include "events/kinds.hpp"

namespace millrace {

struct TypeRules {
    explicit TypeRules(const ConfigNode& node);
    bool is_ignored(std::string_view full_type) const;
    // "completed" of "com.todo.task.completed.v1"; as sent, in any case.
    std::string_view last_segment(std::string_view full_type) const;

    std::vector<JsonPath> paths;

private:
    std::vector<std::string> ignored_;
    std::string separators_;
    std::vector<std::string> ignored_segments_;
};

struct VersionRules {
    explicit VersionRules(const ConfigNode& node);

    std::vector<JsonPath> paths;
    std::vector<JsonPath> paths_if_dotted;
};

struct EnvelopeRules {
    explicit EnvelopeRules(const ConfigNode& root);

    std::size_t max_id_bytes = 0;
    CloudEventRules cloud_events;
    std::vector<JsonPath> body;
    std::vector<JsonPath> event_id;
    std::vector<JsonPath> user_id;
    std::vector<JsonPath> task_id;
    std::vector<JsonPath> timestamp;
    TypeRules type;
    VersionRules version;
    IdentityRules identity;
    KindSet kinds;

private:
    EnvelopeRules(const ConfigNode& root, const ConfigNode& envelope);
};

// The major version that a schema version names: 1 of 1, 1.0, "1", "1.0.0". 0: it names none.
int major_version(const boost::json::value& value);
// "1.0", and not 1 or "1".
bool is_dotted(const boost::json::value& value);

}  // namespace millrace
