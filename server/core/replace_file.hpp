// Replaces a small file as a whole and durably: after a crash it holds the old text or the new one.
//
// Blocks on the disk; any thread, one at a time for one path.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"

namespace millrace {

// `mode`: permissions of the new file. kIo: the old text stays.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text, int mode);

}  // namespace millrace
