// The canonical form of what Millrace itself publishes: completed from what a handler gave, and
// strictly checked.
//
// Pure functions; any thread. Errors: kInvalid with what is wrong and where.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/types.hpp"
#include "events/schemas.hpp"

namespace millrace {

// Sets event_id, schema_version (1) and timestamp where they are missing or null. The members that
// are there stay as they are, byte for byte (an object with one of the three null is written anew).
Result<std::string> canonical_event(std::string_view json_object, const std::string& event_id,
                                    Timestamp now);

// Against `<schema>.v<schema_version>` of the set. An empty schema name accepts any JSON object.
Result<void> check_canonical(const SchemaSet& schemas, std::string_view schema,
                             std::string_view event);

}  // namespace millrace
