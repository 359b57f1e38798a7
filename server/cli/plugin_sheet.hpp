// What `millrace plugin inspect` tells of a plugin: for people, for programs, and as a section of
// docs/HANDLERS.md; and what is told of a file that is none.
//
// Pure functions over what was loaded; any thread, print_sheet excepted.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

#include "plugins/plugin.hpp"
#include "plugins/plugin_set.hpp"

namespace millrace::cli {

std::string state_of(const plugins::Plugin& plugin);      // "per user, version 2"
std::string interface_of(const plugins::Plugin& plugin);  // "1.0"

void print_sheet(const plugins::Plugin& plugin);
boost::json::object json_sheet(const plugins::Plugin& plugin);
std::string markdown_sheet(const plugins::Plugin& plugin);

// {"file", "reason", "message"}
boost::json::object json_rejection(const plugins::Rejection& rejection);
boost::json::array json_rejections(const plugins::PluginSet& set);

}  // namespace millrace::cli
