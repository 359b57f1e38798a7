#include "events/schemas.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ranges>

#include "core/config/node.hpp"
#include "events/schema_node.hpp"

namespace millrace {
namespace {

namespace fs = std::filesystem;

struct SchemaName {
    std::string event;
    int major = 0;
    auto operator<=>(const SchemaName&) const = default;
};

// "task-event.v1.json"
std::optional<SchemaName> parse_name(const std::string& file_name) {
    const std::string stem = fs::path(file_name).stem().string();
    const std::size_t dot = stem.rfind(".v");
    if (dot == std::string::npos || dot == 0) return std::nullopt;
    SchemaName name{stem.substr(0, dot), 0};
    const char* end = stem.data() + stem.size();
    const auto [stop, error] = std::from_chars(stem.data() + dot + 2, end, name.major);
    if (error != std::errc{} || stop != end || name.major < 1) return std::nullopt;
    return name;
}

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (!file) throw ConfigError(path.string() + ": cannot be read");
    return text;
}

std::vector<fs::path> json_files(const std::string& directory) {
    std::error_code error;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
        if (entry.path().extension() == ".json") paths.push_back(entry.path());
    }
    if (error) {
        throw ConfigError(
            fmt::format("{}: the schema directory cannot be read: {}", directory, error.message()));
    }
    std::ranges::sort(paths);
    return paths;
}

}  // namespace

Schema::Schema(std::unique_ptr<Node> root) : root_(std::move(root)) {}
Schema::~Schema() = default;
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;

struct SchemaSet::Impl {
    std::map<SchemaName, Schema> schemas;
};

SchemaSet::SchemaSet() : impl_(std::make_unique<Impl>()) {}
SchemaSet::~SchemaSet() = default;
SchemaSet::SchemaSet(SchemaSet&&) noexcept = default;
SchemaSet& SchemaSet::operator=(SchemaSet&&) noexcept = default;

SchemaSet SchemaSet::load(const std::string& directory) {
    SchemaSet set;
    for (const fs::path& path : json_files(directory)) {
        const auto name = parse_name(path.filename().string());
        if (!name) {
            throw ConfigError(path.string() +
                              ": a schema's name is <event>.v<major>.json, as task-event.v1.json");
        }
        set.impl_->schemas.emplace(*name, Schema::compile(read_file(path), path.string()));
    }
    return set;
}

const Schema* SchemaSet::find(std::string_view event, int major) const {
    for (const auto& [name, schema] : impl_->schemas) {
        if (name.major == major && name.event == event) return &schema;
    }
    return nullptr;
}

bool SchemaSet::has_event(std::string_view event) const {
    return std::ranges::any_of(impl_->schemas | std::views::keys,
                               [&](const SchemaName& name) { return name.event == event; });
}

std::vector<std::string> SchemaSet::names() const {
    std::vector<std::string> names;
    for (const auto& [name, schema] : impl_->schemas) {
        names.push_back(fmt::format("{}.v{}", name.event, name.major));
    }
    return names;
}

}  // namespace millrace
