// PluginSet: the plugins that were found in the plugin directories, by name, and the files that
// were not taken.
//
// Thread rule: filled at start, read from any thread. Ownership: shared with the factories it
// makes. Errors: a wrong file is a Rejection and nothing else; a handler that names a missing
// plugin or has wrong options is a ConfigError.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/server_config.hpp"
#include "engine/handler.hpp"
#include "plugins/plugin.hpp"
#include "plugins/rejection.hpp"

namespace millrace::plugins {

class PluginSet {
public:
    // Opens every *.so, directory by directory, in the order of their names; of two with one plugin
    // name the first is taken. What is in `before` and has not changed is kept as it is, and so is
    // one whose file was replaced by something that is no plugin.
    static PluginSet load(const std::vector<std::string>& directories,
                          const std::filesystem::path& copy_directory,
                          const PluginSet& before = {});
    // For `plugin inspect`, and for tests.
    static Accepted<std::shared_ptr<const Plugin>> load_file(
        const std::filesystem::path& file, const std::filesystem::path& copy_directory);

    const std::vector<std::shared_ptr<const Plugin>>& plugins() const { return plugins_; }
    const std::vector<Rejection>& rejections() const { return rejections_; }
    const std::vector<std::string>& directories() const { return directories_; }
    // nullptr: there is none.
    std::shared_ptr<const Plugin> find(std::string_view name) const;

    // Checks the handler's `plugin:` and `config:`.
    std::shared_ptr<engine::HandlerFactory> make_factory(const HandlerSection& section,
                                                         const HttpLimits& limits = {}) const;

private:
    void load_directory(const std::filesystem::path& directory,
                        const std::filesystem::path& copy_directory, const PluginSet& before);
    void take_file(const std::filesystem::path& file, const std::filesystem::path& copy_directory,
                   const PluginSet& before);
    std::shared_ptr<const Plugin> of_file(const std::filesystem::path& file) const;
    void add(std::shared_ptr<const Plugin> plugin);
    std::string describe_missing(const HandlerSection& section) const;

    std::vector<std::string> directories_;
    std::vector<std::shared_ptr<const Plugin>> plugins_;
    std::vector<Rejection> rejections_;
};

}  // namespace millrace::plugins
