// Fuzz target: what operators write: a YAML file (read as configuration, and as reading rules), a
// JSON Schema. What is wrong is a ConfigError with a text, and nothing else.
//
// The input's first line says what the rest is: `schema`, `rules`, or anything else for a
// configuration.
#include <array>
#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>

#include "core/config/server_config.hpp"
#include "events/envelope.hpp"
#include "events/json.hpp"
#include "events/schemas.hpp"
#include "fuzz/check.hpp"
#include "support/temporary_directory.hpp"

namespace millrace::fuzz {
namespace {

template <class Read>
void expect_config_error(Read read) {
    try {
        read();
    } catch (const ConfigError& error) {
        check(!std::string_view(error.what()).empty(), "a fault says what is wrong");
    }
}

void read_schema(std::string_view text) {
    const Schema schema = Schema::compile(text, "fuzz.json");
    boost::json::monotonic_resource arena;
    JsonReader json(arena);
    for (const std::string_view sample : {text, std::string_view(R"({"a":[1,"x",null]})")}) {
        if (const auto* value = json.read(sample)) schema.validate(*value);
    }
}

void read_rules(std::string_view text) {
    const SchemaSet schemas;
    const EnvelopeReader reader(ConfigNode::parse(text, "fuzz.yaml", nullptr), schemas, {});
    const auto read = reader.decode_one("t", R"({"event_id":"1","task_data":{"title":"x"}})", {});
    check(!read->events.front().effective_id.empty(), "every event has an id");
}

void read_config(std::string_view text) {
    const testing::TemporaryDirectory directory;
    const std::string file = directory.path() + "/millrace.yaml";
    std::ofstream(file) << text;
    const ServerConfig config = load_server_config({file, {}, std::nullopt, {}});
    for (const HandlerSection& handler : config.handlers) {
        boost::system::error_code error;
        boost::json::parse(handler.config.to_json(), error);
        check(!error, "a plugin is given JSON", handler.config.to_json());
    }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::fuzz;
    std::string_view text = view(data, size);
    const std::string_view whole = text;
    const std::string_view kind = cut(text, "\n");
    if (kind == "schema") {
        expect_config_error([&] { read_schema(text); });
    } else if (kind == "rules") {
        expect_config_error([&] { read_rules(text); });
    } else {
        expect_config_error([&] { read_config(whole); });
    }
    return 0;
}
