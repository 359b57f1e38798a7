// What comes over the border from a plugin: structs that say their own size, and tables whose
// elements do not.
//
// Pure functions. A plugin of an older interface gives less than this server knows: the rest is
// zero. A newer one gives more: that is left where it is.
#pragma once

#include <millrace/abi.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace millrace::plugins {

// How much of each there was in 1.0, the least that a plugin gives.
template <class T>
inline constexpr std::size_t kFirstSize = 0;
template <>
inline constexpr std::size_t kFirstSize<millrace_plugin_api> =
    offsetof(millrace_plugin_api, topics) + sizeof(millrace_plugin_api::topics);
template <>
inline constexpr std::size_t kFirstSize<millrace_option> =
    offsetof(millrace_option, maximum) + sizeof(millrace_option::maximum);
template <>
inline constexpr std::size_t kFirstSize<millrace_question> =
    offsetof(millrace_question, description) + sizeof(millrace_question::description);
template <>
inline constexpr std::size_t kFirstSize<millrace_option_fault> =
    offsetof(millrace_option_fault, expected) + sizeof(millrace_option_fault::expected);
template <>
inline constexpr std::size_t kFirstSize<millrace_publication> =
    offsetof(millrace_publication, event) + sizeof(millrace_publication::event);
template <>
inline constexpr std::size_t kFirstSize<millrace_call> =
    offsetof(millrace_call, payload) + sizeof(millrace_call::payload);
template <>
inline constexpr std::size_t kFirstSize<millrace_timer> =
    offsetof(millrace_timer, reserved) + sizeof(millrace_timer::reserved);

// nullopt: it is not there, or shorter than it ever was.
template <class T>
std::optional<T> receive(const T* given) {
    static_assert(kFirstSize<T> > 0);
    if (given == nullptr || given->struct_size < kFirstSize<T>) return std::nullopt;
    T known{};
    std::memcpy(&known, given, std::min(given->struct_size, sizeof known));
    return known;
}

// The elements of a table, each `size` bytes after the last.
template <class T>
std::vector<T> receive_table(const T* first, std::size_t count, std::size_t size) {
    std::vector<T> known(count);
    const char* from = reinterpret_cast<const char*>(first);
    for (std::size_t i = 0; i < count; ++i)
        std::memcpy(&known[i], from + i * size, std::min(size, sizeof(T)));
    return known;
}

}  // namespace millrace::plugins
