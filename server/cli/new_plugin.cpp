// `millrace plugin new`: a project that builds and passes its test, to be changed.
#include "cli/new_plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "cli/options.hpp"

namespace millrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxName = 64;  // as the server takes it (millrace/abi.h)

// What CMake calls its own targets, and find_package(millrace) ours.
constexpr std::array<std::string_view, 11> kTaken = {
    "all",     "clean",          "depend",        "edit_cache", "help",    "install",
    "package", "package_source", "rebuild_cache", "test",       "millrace"};

bool is_small_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_name_character(char c) {
    return is_small_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Empty: it is good.
std::string fault_of(std::string_view name) {
    if (name.empty() || name.size() > kMaxName || !is_small_letter(name.front()) ||
        !std::ranges::all_of(name, is_name_character)) {
        return fmt::format(
            "a plugin's name begins with a small letter, and has at most {} of a-z, 0-9, _ and -",
            kMaxName);
    }
    if (std::ranges::find(kTaken, name) != kTaken.end())
        return "CMake keeps that name for itself: take another one";
    return {};
}

// "task-count" -> "TaskCountHandler"
std::string class_of(std::string_view name) {
    std::string text;
    bool begins = true;
    for (const char c : name) {
        if (c == '_' || c == '-') {
            begins = true;
            continue;
        }
        text += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
        begins = false;
    }
    return text + "Handler";
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

bool write_file(const fs::path& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    return static_cast<bool>(out);
}

int refuse(std::string_view what, int code) {
    std::fprintf(stderr, "millrace: %.*s\n", static_cast<int>(what.size()), what.data());
    return code;
}

}  // namespace

int new_plugin(const std::string& name) {
    if (const auto fault = fault_of(name); !fault.empty())
        return refuse(fmt::format("'{}': {}", name, fault), kWrongUsage);
    const fs::path folder = name;
    std::error_code error;
    if (!fs::create_directory(folder, error)) {
        return refuse(error ? fmt::format("./{}: cannot be made: {}", name, error.message())
                            : fmt::format("./{} is there already; nothing was written", name),
                      kFailed);
    }
    for (const ProjectFile& file : project_files()) {
        const fs::path path = folder / replace_all(std::string(file.name), "plugin", name);
        std::string text = replace_all(std::string(file.contents), "@NAME@", name);
        if (!write_file(path, replace_all(std::move(text), "@CLASS@", class_of(name))))
            return refuse(fmt::format("{}: cannot be written", path.string()), kFailed);
    }
    std::printf(
        "%s/: a plugin that counts events, with its test. %s/README.md says how to build "
        "it.\n",
        name.c_str(), name.c_str());
    return kDone;
}

}  // namespace millrace::cli
