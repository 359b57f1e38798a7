#include "core/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace millrace::log {
namespace {

spdlog::level::level_enum level_of(Level level) {
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
    return spdlog::level::info;
}

const char* name_of(Level level) {
    switch (level) {
        case Level::kTrace:
            return "trace";
        case Level::kDebug:
            return "debug";
        case Level::kInfo:
            return "info";
        case Level::kWarn:
            return "warn";
        case Level::kError:
            return "error";
        case Level::kOff:
            return "off";
    }
    return "info";
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20U || c == 0x7f; }

// One line whatever a record or a plugin put into it: what would start a line of its own is escaped.
void append_text(std::string& line, std::string_view text) {
    for (const char c : text) {
        if (is_control(c)) {
            line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            line += c;
        }
    }
}

void append_json(std::string& line, std::string_view text) {
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (is_control(c)) {
            line += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
            line += c;
        }
    }
}

// The line is made here; spdlog adds the time, the mutex and the stream.
struct Sink {
    std::shared_ptr<spdlog::logger> logger;
    Format format = Format::kText;
};

std::shared_ptr<spdlog::logger> make_logger(Level level, Format format) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto logger = std::make_shared<spdlog::logger>("millrace", std::move(sink));
    const char* pattern = format == Format::kJson ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v";
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    logger->set_level(level_of(level));
    logger->flush_on(spdlog::level::trace);
    return logger;
}

// Replaced as a whole, so that a writer never sees half of a new configuration.
std::shared_ptr<const Sink>& slot() {
    static std::shared_ptr<const Sink> sink =
        std::make_shared<const Sink>(Sink{make_logger(Level::kInfo, Format::kText), Format::kText});
    return sink;
}

std::shared_ptr<const Sink> current() { return std::atomic_load(&slot()); }

}  // namespace

void configure(Level level, Format format) {
    std::atomic_store(&slot(), std::make_shared<const Sink>(Sink{make_logger(level, format), format}));
}

bool enabled(Level level) { return current()->logger->should_log(level_of(level)); }

void write(Level level, std::string_view component, std::string_view message) {
    const auto sink = current();
    std::string line;
    if (sink->format == Format::kJson) {
        line = fmt::format(R"("level":"{}","component":")", name_of(level));
        append_json(line, component);
        line += R"(","message":")";
        append_json(line, message);
        line += '"';
    } else {
        line = fmt::format("{:<5} {:<12} ", name_of(level), component);
        append_text(line, message);
    }
    sink->logger->log(level_of(level), spdlog::string_view_t(line));
}

}  // namespace millrace::log
