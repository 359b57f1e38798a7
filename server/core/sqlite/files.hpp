// Database files as a whole: is one there, and removing one. They go through the VFS seam like
// everything else.
//
// Any thread. The file must be closed. Errors: kIo, naming the file.
#pragma once

#include <string>

#include "core/result.hpp"

namespace millrace::sqlite {

// `vfs` empty: the operating system's.
[[nodiscard]] Result<bool> database_exists(const std::string& path, const std::string& vfs);

// With its write-ahead log; durable when it returns. A file that is not there is no fault.
[[nodiscard]] Result<void> remove_database(const std::string& path, const std::string& vfs);

}  // namespace millrace::sqlite
