// `millrace plugin list` and `inspect`: what is in a plugin, before any server runs it.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cli/blueprint.hpp"
#include "cli/options.hpp"
#include "cli/plugin_sheet.hpp"
#include "cli/table.hpp"

namespace millrace::cli {
namespace {

void print(const boost::json::value& value) {
    std::printf("%s\n", boost::json::serialize(value).c_str());
}

void print_list(const plugins::PluginSet& set) {
    std::vector<Row> rows;
    for (const auto& plugin : set.plugins())
        rows.push_back({plugin->name(), plugin->version(), interface_of(*plugin), state_of(*plugin),
                        plugin->file(), plugin->description()});
    print_table({"PLUGIN", "VERSION", "INTERFACE", "STATE", "FILE", "DESCRIPTION"}, rows);
    for (const auto& rejection : set.rejections())
        std::printf("%s: refused (%s): %s\n", rejection.file.c_str(), rejection.reason.c_str(),
                    rejection.message.c_str());
}

void print_list_as_json(const plugins::PluginSet& set) {
    boost::json::array found;
    for (const auto& plugin : set.plugins()) found.push_back(json_sheet(*plugin));
    print(boost::json::object{{"plugins", std::move(found)},
                              {"rejected_plugins", json_rejections(set)}});
}

}  // namespace

int list_plugins(const ConfigSource& source, bool json) {
    try {
        const auto set = plugins::PluginSet::load(
            source.plugin_dirs.empty() ? plugin_directories(load_server_config(source))
                                       : source.plugin_dirs,
            {});
        if (json)
            print_list_as_json(set);
        else
            print_list(set);
        return kDone;
    } catch (const ErrorException& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return kWrongUsage;
    }
}

int inspect_plugin(const InspectOptions& options) {
    const auto loaded = plugins::PluginSet::load_file(options.file, {});
    if (!loaded) {
        const auto& rejection = loaded.error();
        if (options.json)
            print(boost::json::object{{"rejected", json_rejection(rejection)}});
        else
            std::fprintf(stderr, "%s: refused (%s): %s\n", rejection.file.c_str(),
                         rejection.reason.c_str(), rejection.message.c_str());
        return kFailed;
    }
    if (options.json)
        print(json_sheet(**loaded));
    else if (options.markdown)
        std::fputs(markdown_sheet(**loaded).c_str(), stdout);
    else
        print_sheet(**loaded);
    return kDone;
}

}  // namespace millrace::cli
