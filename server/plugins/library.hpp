// Library: a plugin's file, opened from a copy of its own that is named by its contents.
//
// dlopen of a path whose file was replaced gives the old code again, so every content has its own
// path. A library is never closed: dlclose does not reliably unload, and code may still be running
// in it. dlopen is called in this file and nowhere else. Thread rule: start-up, or one thread at a
// time. Errors: a Rejection.
#pragma once

#include <millrace/abi.h>

#include <filesystem>
#include <string>
#include <vector>

#include "plugins/rejection.hpp"

namespace millrace::plugins {

struct Library {
    using Entry = const millrace_plugin_api* (*)(const millrace_host_api*);
    Entry entry = nullptr;
    std::string file;                  // where it was found
    std::string digest;                // SHA-256 of its contents
    std::vector<std::string> exports;  // the symbols it defines for others
};

// Checks the file's symbols before any of its code can run. `copy_directory` empty: opened where it
// is (for a process that will not see the file replaced).
Accepted<Library> open_library(const std::filesystem::path& file,
                               const std::filesystem::path& copy_directory);

}  // namespace millrace::plugins
