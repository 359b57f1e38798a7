#include "core/config/server_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/config/load.hpp"

namespace millrace {
namespace {

// `schemas` in the configuration's folder or beside it.
std::string find_schemas(const std::string& file) {
    const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
    for (const auto& place : {folder / "schemas", folder.parent_path() / "schemas"}) {
        if (std::filesystem::is_directory(place)) return place.string();
    }
    return (folder.parent_path() / "schemas").string();
}

void use_given_plugin_dirs(const ConfigSource& source, ServerConfig& config, Faults& faults) {
    if (source.plugin_dirs.empty()) return;
    config.server.plugin_dirs = source.plugin_dirs;
    for (const std::string& directory : source.plugin_dirs) {
        if (!std::filesystem::is_directory(directory))
            faults.add(fmt::format("--plugin-dir: '{}' is not a directory", directory));
    }
}

}  // namespace

void config::check_name(const ConfigNode& node, std::string_view name, std::string_view extra,
                        std::size_t longest) {
    const bool well_formed = std::ranges::all_of(name, [extra](char character) {
        return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
               (character >= '0' && character <= '9') || extra.find(character) != extra.npos;
    });
    if (!well_formed || name.empty() || name.size() > longest)
        node.error(fmt::format("the name must be 1 to {} letters, digits or {}", longest,
                               extra == "_-" ? "_ -" : ". _ -"));
}

void config::check_transport(const ConfigNode& root, const ServerConfig& config, Faults& faults) {
    if (config.transport != TransportKind::kKafka || !config.kafka.brokers.empty()) return;
    faults.attempt([&root] {
        nearest_node(root, {"transport"})
            .error(
                "is kafka, but kafka.brokers is not set: name at least one broker as host:port "
                "there, in KAFKA_BROKERS or with --set kafka.brokers=host:port");
    });
}

ServerConfig load_server_config(const ConfigSource& source) {
    Faults faults;
    ServerConfig config;
    const config::Gathered gathered = config::gather(source, faults);
    config::read_sections(gathered, config, faults);
    use_given_plugin_dirs(source, config, faults);
    if (config.server.schema_dir.empty()) config.server.schema_dir = find_schemas(gathered.file);
    config::check_listeners(gathered.root, config, faults);
    config::check_transport(gathered.root, config, faults);
    config::check_dead_letters(gathered.root, config, faults);
    config::check_schemas(gathered.root, config, faults);
    faults.raise();
    return config;
}

}  // namespace millrace
