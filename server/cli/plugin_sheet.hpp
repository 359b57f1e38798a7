// What `millrace plugin inspect` tells of a plugin: for people, for programs, and as a section of
// docs/HANDLERS.md.
//
// Pure functions over a loaded plugin; one thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "plugins/plugin.hpp"

namespace millrace::cli {

std::string state_of(const plugins::Plugin& plugin);      // "per user, version 2"
std::string interface_of(const plugins::Plugin& plugin);  // "1.0"

void print_sheet(const plugins::Plugin& plugin);
boost::json::object json_sheet(const plugins::Plugin& plugin);
std::string markdown_sheet(const plugins::Plugin& plugin);

}  // namespace millrace::cli
