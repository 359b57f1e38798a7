// Options: a handler's `config:`, checked against the table that travels with its plugin.
//
// Pure functions; start-up. Errors: ConfigError with file, line and the key's path.
#pragma once

#include <millrace/abi.h>

#include <span>
#include <string>

#include "core/config/node.hpp"

namespace millrace::plugins {

// The JSON object that `create` receives: every option, null where there is neither value nor
// default. `where` names the handler when there is no config to point at ("config/millrace.yaml:42:
// handlers.audit").
std::string make_config(const ConfigNode& config, std::span<const millrace_option> options,
                        const std::string& where);

// Asks the plugin itself, if it has a `check`, whether the values of `made` (what make_config made)
// are good. ConfigError with every fault, one a line.
void check_config(const millrace_plugin_api& api, const ConfigNode& config, const std::string& made,
                  const std::string& where);

// What is wrong with an entry of a plugin's own table (its default included); empty: nothing.
std::string check_option(const millrace_option& option);

}  // namespace millrace::plugins
