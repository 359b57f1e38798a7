// Opening a file of the engine's own and bringing its tables up to date: `_meta.host_version` says
// how many of the steps it has seen.
//
// Thread rule: the strand the file will live on; blocks on the disk. Errors: the disk's, with what
// to do about them; kConflict also for a file of a newer version, kCorrupt for a damaged one.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/result.hpp"
#include "core/sqlite/database.hpp"

namespace millrace::engine {

[[nodiscard]] Result<std::unique_ptr<sqlite::Database>> open_state(
    const std::string& path, const std::string& vfs, std::span<const char* const> steps);

// Of the disk or a file, and of nothing else.
bool is_storage_fault(const Error& error);
// The disk's error with what a person can do about it; others as they are.
Error with_remedy(const Error& error, const std::string& path);

}  // namespace millrace::engine
