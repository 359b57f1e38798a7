// The table of services that plugins receive: ShardServices behind the C ABI.
//
// One table for the process. Thread rule and errors: as millrace/abi.h says; a service that is used
// outside a callback, or on another thread than the callback's, answers MILLRACE_DENIED. No
// exception leaves.
#pragma once

#include <millrace/abi.h>

#include <string_view>

namespace millrace::plugins {

const millrace_host_api& host_services();

// data == NULL means absent on the C side, so an empty view must point somewhere.
inline millrace_str to_abi(std::string_view text) {
    return {text.data() == nullptr ? "" : text.data(), text.size()};
}
inline std::string_view to_view(millrace_str text) {
    return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}

}  // namespace millrace::plugins
