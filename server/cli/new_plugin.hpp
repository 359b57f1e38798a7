// The files of a new plugin's project, made from server/cli/new_plugin when the server is built.
// @NAME@ stands for the plugin's name, @CLASS@ for its class, `plugin` in a file's name for it too.
//
// Constant; any thread.
#pragma once

#include <span>
#include <string_view>

namespace millrace::cli {

struct ProjectFile {
    std::string_view name;
    std::string_view contents;
};

std::span<const ProjectFile> project_files();

}  // namespace millrace::cli
