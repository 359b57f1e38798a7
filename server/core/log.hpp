// Logging: one line per event, to stderr, as text or JSON. spdlog is behind it and nowhere else.
//
// Any thread. `component` is a short stable word ("engine", "kafka", "audit") that the reader can filter by.
//
//     log::warn("engine", "{}: held, the dead-letter topic {} cannot be written: {}", origin, topic, error.message);
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace millrace::log {

enum class Level { kTrace, kDebug, kInfo, kWarn, kError, kOff };
enum class Format { kText, kJson };

// Call once, before threads start; calling it again (SIGHUP) replaces level and format.
void configure(Level level, Format format);

bool enabled(Level level);
void write(Level level, std::string_view component, std::string_view message);

template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::kDebug)) write(Level::kDebug, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::kInfo)) write(Level::kInfo, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::kWarn)) write(Level::kWarn, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::kError)) write(Level::kError, component, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace millrace::log
