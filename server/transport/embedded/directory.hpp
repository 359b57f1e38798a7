// Directories that are there after a power cut too.
//
// Any thread; blocks. Errors: kIo, naming the directory.
#pragma once

#include <string>

#include "core/result.hpp"

namespace millrace::embedded {

// Makes `path` and what is missing above it, and their entries durable.
[[nodiscard]] Result<void> make_directory(const std::string& path);

}  // namespace millrace::embedded
