// The console's files, compiled into the server (console/ beside this file;
// server/gateway/CMakeLists.txt).
//
// Constant data; any thread.
#pragma once

#include <span>
#include <string_view>

namespace millrace::gateway {

struct ConsoleAsset {
    std::string_view name;  // "index.html"
    std::string_view content_type;
    std::string_view bytes;
};

std::span<const ConsoleAsset> console_assets();
const ConsoleAsset* find_console_asset(std::string_view name);

}  // namespace millrace::gateway
