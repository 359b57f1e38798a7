#include "core/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <chrono>

#include "core/text.hpp"

namespace millrace::log {
namespace {

std::atomic<Format> chosen_format{Format::kText};

constexpr std::array<std::string_view, 6> kNames{"trace", "debug", "info", "warn", "error", "off"};

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::kTrace:
            return spdlog::level::trace;
        case Level::kDebug:
            return spdlog::level::debug;
        case Level::kInfo:
            return spdlog::level::info;
        case Level::kWarn:
            return spdlog::level::warn;
        case Level::kError:
            return spdlog::level::err;
        case Level::kOff:
            return spdlog::level::off;
    }
    return spdlog::level::off;
}

// Never destroyed: threads may log while the process exits.
spdlog::logger& logger() {
    static spdlog::logger& instance = *[] {
        auto* made =
            new spdlog::logger("millrace", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%v");
        made->set_level(spdlog::level::info);
        return made;
    }();
    return instance;
}

std::string current_time() {
    using namespace std::chrono;
    const auto now = floor<milliseconds>(system_clock::now());
    const auto day = floor<days>(now);
    const year_month_day date(day);
    const hh_mm_ss time(now - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count());
}

std::string as_text(std::string_view level, std::string_view component, std::string_view message) {
    return fmt::format("{} {:<5} {}  {}", current_time(), level, component, escape_line(message));
}

std::string as_json(std::string_view level, std::string_view component, std::string_view message) {
    return fmt::format(R"({{"time":"{}","level":"{}","component":"{}","message":"{}"}})",
                       current_time(), level, escape_json(component), escape_json(message));
}

}  // namespace

void configure(Level level, Format format) {
    chosen_format = format;
    logger().set_level(to_spdlog(level));
}

bool enabled(Level level) { return level != Level::kOff && logger().should_log(to_spdlog(level)); }

void write(Level level, std::string_view component, std::string_view message) {
    if (!enabled(level)) return;
    const std::string_view name = kNames[static_cast<std::size_t>(level)];
    const std::string line = chosen_format.load() == Format::kJson
                                 ? as_json(name, component, message)
                                 : as_text(name, component, message);
    logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace millrace::log
