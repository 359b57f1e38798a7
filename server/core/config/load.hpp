// The steps of load_server_config: gather what was given, read the sections, check what spans them.
// Private to this folder.
#pragma once

#include "core/config/mapping_reader.hpp"
#include "core/config/server_config.hpp"

namespace millrace::config {

struct Gathered {
    std::string file;
    ConfigNode root;
};

// The file with the environment and the settings laid over it. Throws ConfigError where there is no
// file or no YAML in it; what is wrong with the rest becomes faults.
Gathered gather(const ConfigSource& source, Faults& faults);

void read_sections(const Gathered& gathered, ServerConfig& config, Faults& faults);
void read_topics(MappingReader& root, ServerConfig& config);
// After the topics: a handler names them.
void read_handlers(MappingReader& root, ServerConfig& config);
void read_kafka(MappingReader reader, KafkaSection& kafka);

ListenAddress read_address(const ConfigNode& node);
bool is_loopback(const std::string& host);

// Letters, digits and `extra`, at most `longest` characters.
void check_name(const ConfigNode& node, std::string_view name, std::string_view extra,
                std::size_t longest);

void check_listeners(const ConfigNode& root, const ServerConfig& config, Faults& faults);
void check_transport(const ConfigNode& root, const ServerConfig& config, Faults& faults);
void check_dead_letters(const ConfigNode& root, const ServerConfig& config, Faults& faults);
void check_schemas(const ConfigNode& root, const ServerConfig& config, Faults& faults);

// The value at `keys`, or the deepest of its parents that is there: what a fault points at.
ConfigNode nearest_node(const ConfigNode& root, const std::vector<std::string>& keys);

}  // namespace millrace::config
