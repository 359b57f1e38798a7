// `millrace serve` and `millrace check`.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cli/options.hpp"
#include "cli/server.hpp"

namespace millrace::cli {

int serve(const ConfigSource& source) {
    try {
        const Blueprint blueprint(source);
        log::configure(blueprint.config().log.level, blueprint.config().log.format);
        Server server(blueprint);
        return server.run();
    } catch (const ConfigError& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return kWrongUsage;
    } catch (const ErrorException& error) {
        std::fprintf(stderr, "millrace: %s\n", error.what());
        return kFailed;
    }
}

namespace {

void print_checked(const Blueprint& blueprint, bool json) {
    const ServerConfig& config = blueprint.config();
    boost::json::array rejected;
    for (const auto& rejection : blueprint.plugins().rejections()) {
        rejected.push_back({{"file", rejection.file},
                            {"reason", rejection.reason},
                            {"message", rejection.message}});
        if (!json)
            std::printf("warning: %s: %s\n", rejection.file.c_str(), rejection.message.c_str());
    }
    if (json) {
        const boost::json::object checked{{"config", config.file},
                                          {"topics", config.topics.size()},
                                          {"handlers", config.handlers.size()},
                                          {"schemas", blueprint.schemas().names().size()},
                                          {"rejected_plugins", std::move(rejected)}};
        std::printf("%s\n", boost::json::serialize(checked).c_str());
        return;
    }
    std::printf("%s: good. %zu topics, %zu handlers, %zu schemas, %zu plugins\n",
                config.file.c_str(), config.topics.size(), config.handlers.size(),
                blueprint.schemas().names().size(), blueprint.plugins().plugins().size());
}

}  // namespace

int check(const ConfigSource& source, bool json) {
    try {
        const Blueprint blueprint(source);
        print_checked(blueprint, json);
        return kDone;
    } catch (const ErrorException& error) {
        if (json)
            std::printf(
                "%s\n",
                boost::json::serialize(boost::json::object{{"error", error.what()}}).c_str());
        else
            std::fprintf(stderr, "%s\n", error.what());
        return kWrongUsage;
    }
}

}  // namespace millrace::cli
