#include "plugins/plugin_set.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "plugins/host.hpp"
#include "plugins/options.hpp"

namespace millrace::plugins {

namespace fs = std::filesystem;

Accepted<std::shared_ptr<const Plugin>> PluginSet::load_file(const fs::path& file,
                                                             const fs::path& copy_directory) {
    auto library = open_library(file, copy_directory);
    if (!library) return library.error();
    return Plugin::make(*library);
}

PluginSet PluginSet::load(const std::vector<std::string>& directories,
                          const fs::path& copy_directory, const PluginSet& before) {
    PluginSet set;
    set.directories_ = directories;
    for (const std::string& directory : directories)
        set.load_directory(directory, copy_directory, before);
    return set;
}

void PluginSet::load_directory(const fs::path& directory, const fs::path& copy_directory,
                               const PluginSet& before) {
    std::error_code fault;
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(directory, fault), end; !fault && entry != end;
         entry.increment(fault)) {
        if (entry->path().extension() == ".so") files.push_back(entry->path());
    }
    if (fault) {
        rejections_.push_back(
            {directory, "unreadable",
             fmt::format("the plugin directory cannot be read: {}", fault.message())});
    }
    std::ranges::sort(files);
    for (const fs::path& file : files) take_file(file, copy_directory, before);
}

void PluginSet::take_file(const fs::path& file, const fs::path& copy_directory,
                          const PluginSet& before) {
    const auto known = before.of_file(file);
    auto library = open_library(file, copy_directory);
    if (library && known && known->digest() == library->digest) return add(known);
    auto made = library ? Plugin::make(*library)
                        : Accepted<std::shared_ptr<const Plugin>>(library.error());
    if (made) return add(std::move(*made));
    rejections_.push_back(made.error());
    if (known) add(known);
}

std::shared_ptr<const Plugin> PluginSet::of_file(const fs::path& file) const {
    const auto found =
        std::ranges::find_if(plugins_, [&](const auto& plugin) { return plugin->file() == file; });
    return found == plugins_.end() ? nullptr : *found;
}

void PluginSet::add(std::shared_ptr<const Plugin> plugin) {
    if (const auto there = find(plugin->name())) {
        rejections_.push_back({plugin->file(), "duplicate",
                               fmt::format("is another '{}' than {}, which is used: remove one",
                                           plugin->name(), there->file())});
        return;
    }
    plugins_.push_back(std::move(plugin));
}

std::shared_ptr<const Plugin> PluginSet::find(std::string_view name) const {
    const auto found = std::ranges::find_if(
        plugins_, [name](const auto& plugin) { return plugin->name() == name; });
    return found == plugins_.end() ? nullptr : *found;
}

std::string PluginSet::describe_missing(const HandlerSection& section) const {
    std::vector<std::string> names;
    for (const auto& plugin : plugins_) names.push_back(plugin->name());
    std::string text =
        fmt::format("there is no plugin '{}' in {}; there are: {}", section.plugin,
                    fmt::join(directories_, ", "),
                    names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    for (const Rejection& rejection : rejections_) {
        if (fs::path(rejection.file).stem() != section.plugin) continue;
        text += fmt::format("; {} was rejected: {}", rejection.file, rejection.message);
    }
    return text;
}

std::shared_ptr<engine::HandlerFactory> PluginSet::make_factory(const HandlerSection& section,
                                                                const HttpLimits& limits) const {
    const std::string where = fmt::format("{}: handlers.{}", section.origin, section.name);
    auto plugin = find(section.plugin);
    if (!plugin) throw ConfigError(fmt::format("{}.plugin: {}", where, describe_missing(section)));
    std::string config = make_config(section.config, plugin->options(), where);
    check_config(plugin->api(), section.config, config, where);
    return std::make_shared<PluginFactory>(std::move(plugin), section.name, std::move(config),
                                           limits.max_answer_bytes);
}

}  // namespace millrace::plugins
