// The version, as CMakeLists.txt says it.
#pragma once

namespace millrace::cli {

inline constexpr const char* kVersion = MILLRACE_VERSION;

}  // namespace millrace::cli
