// `millrace serve` and `millrace check`.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/options.hpp"
#include "cli/plugin_sheet.hpp"
#include "cli/server.hpp"
#include "core/config/units.hpp"
#include "core/kill_point.hpp"
#include "core/sqlite/faulty_disk.hpp"

namespace millrace::cli {

namespace {

// For tests of what a crash or a slow disk does; see core/kill_point.hpp,
// core/sqlite/faulty_disk.hpp.
void arm_testing_aids() {
    const char* kill_at = std::getenv("MILLRACE_KILL_AT");
    const char* sync_delay = std::getenv("MILLRACE_SYNC_DELAY");
    if (kill_at != nullptr) {
        auto armed = arm_kill_point(kill_at);
        if (!armed) throw ErrorException(armed.error());
    }
    const auto delay = config::parse_duration(sync_delay == nullptr ? "0ms" : sync_delay);
    if (!delay) {
        throw ErrorException(
            fail(ErrorCode::kInvalid,
                 fmt::format("MILLRACE_SYNC_DELAY is '{}', expected such as 2ms", sync_delay)));
    }
    if (sync_delay != nullptr || kill_point_is_armed("in_commit"))
        sqlite::install_faulty_disk(*delay);
    if (kill_at != nullptr || sync_delay != nullptr)
        log::warn("server", "a testing aid is armed: MILLRACE_KILL_AT or MILLRACE_SYNC_DELAY");
}

}  // namespace

int serve(const ConfigSource& source) {
    try {
        const Blueprint blueprint(source);
        log::configure(blueprint.config().log.level, blueprint.config().log.format);
        arm_testing_aids();
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
    if (json) {
        const boost::json::object checked{
            {"config", config.file},
            {"topics", config.topics.size()},
            {"handlers", config.handlers.size()},
            {"schemas", blueprint.schemas().names().size()},
            {"rejected_plugins", json_rejections(blueprint.plugins())}};
        std::printf("%s\n", boost::json::serialize(checked).c_str());
        return;
    }
    for (const auto& rejection : blueprint.plugins().rejections())
        std::printf("warning: %s: %s\n", rejection.file.c_str(), rejection.message.c_str());
    std::printf("%s: good. %zu topics, %zu handlers, %zu schemas, %zu plugins\n",
                config.file.c_str(), config.topics.size(), config.handlers.size(),
                blueprint.schemas().names().size(), blueprint.plugins().plugins().size());
}

// Gone again when the check is over: it leaves nothing behind.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "millrace-check-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) {
            throw ErrorException(
                fail(ErrorCode::kIo, name + ": cannot be made; is TMPDIR writable?"));
        }
        path_ = name;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace

int check(const ConfigSource& source, bool json) {
    try {
        const TemporaryFolder copies;
        const Blueprint blueprint(source, copies.path());
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
