// Validates on stdin, for comparison with python3-jsonschema: a line is a schema's or a value's
// JSON. "S{...}" sets the schema and answers "ok" or "refused: why"; "V{...}" answers "valid" or
// the fault.
#include <boost/json/parse.hpp>
#include <iostream>
#include <optional>
#include <string>

#include "core/config/node.hpp"
#include "events/schemas.hpp"

namespace {

using namespace millrace;

std::string set_schema(std::optional<Schema>& schema, const std::string& text) {
    try {
        schema = Schema::compile(text, "schema");
        return "ok";
    } catch (const ConfigError& error) {
        return std::string("refused: ") + error.what();
    }
}

std::string judge(const std::optional<Schema>& schema, const std::string& text) {
    if (!schema) return "no schema";
    return schema->validate(boost::json::parse(text)).value_or("valid");
}

}  // namespace

int main() {
    std::optional<Schema> schema;
    for (std::string line; std::getline(std::cin, line);) {
        const std::string text = line.substr(1);
        std::cout << (line[0] == 'S' ? set_schema(schema, text) : judge(schema, text)) << "\n";
    }
    return 0;
}
