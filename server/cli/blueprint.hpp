// Blueprint: everything that can be known and checked before anything is started: configuration,
// schemas, reading rules, plugins and their options. `check` stops here, `serve` builds a Server on
// it.
//
// Thread rule: made at start, read-only afterwards. Errors: the constructor throws ErrorException
// whose message has one fault a line.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "engine/supervisor.hpp"
#include "events/envelope.hpp"
#include "events/schemas.hpp"
#include "plugins/plugin_set.hpp"
#include "transport/transport.hpp"

namespace millrace::cli {

// Where plugins are looked for: what the configuration names, else `plugins` beside the executable.
std::vector<std::string> plugin_directories(const ServerConfig& config);

// The handlers of the configuration, and one of each plugin that says which topics it reads and that
// none of them uses.
std::vector<HandlerSection> handler_sections(const ServerConfig& config,
                                             const plugins::PluginSet& plugins);

class Blueprint {
public:
    // `plugin_copies`: where the plugins that are loaded are copied to; empty: into the data
    // directory.
    explicit Blueprint(const ConfigSource& source, const std::string& plugin_copies = {});

    const ConfigSource& source() const { return source_; }
    const std::string& plugin_copies() const { return plugin_copies_; }
    const ServerConfig& config() const { return config_; }
    const SchemaSet& schemas() const { return schemas_; }
    const EnvelopeReader& reader() const { return *reader_; }
    const plugins::PluginSet& plugins() const { return plugins_; }
    const std::vector<engine::HandlerSetup>& handlers() const { return handlers_; }
    // The declared topics and their dead-letter topics.
    std::vector<TopicSpec> topics() const;
    // A handler of these topics, with one of these plugins. Throws ConfigError.
    engine::HandlerSetup make_handler(const HandlerSection& section,
                                      const plugins::PluginSet& plugins) const;
    // Whether a handler may publish this to that topic.
    Result<void> check_event(std::string_view topic, std::string_view event) const;

private:
    std::vector<TopicReading> topic_readings() const;
    void make_handlers();

    ConfigSource source_;
    ServerConfig config_;
    std::string plugin_copies_;
    SchemaSet schemas_;
    std::unique_ptr<EnvelopeReader> reader_;
    plugins::PluginSet plugins_;
    std::vector<engine::HandlerSetup> handlers_;
};

}  // namespace millrace::cli
