// Reload: brings the running handlers to what the configuration and the plugin directories say now.
//
// Handlers whose section came start, those whose section or plugin went are drained and stopped,
// those whose section changed begin anew, and where a plugin's file holds another version it takes
// over while the handler runs. What cannot be done leaves things as they were. One at a time; what
// is asked for meanwhile is done after it, together.
//
// Thread rule: the loop thread; files are read on a thread of its own. Ownership: of the Server.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/blueprint.hpp"
#include "core/metrics.hpp"
#include "core/runtime.hpp"
#include "engine/supervisor.hpp"

namespace millrace::cli {

struct ReloadSetup {
    Runtime& runtime;
    Metrics& metrics;
    engine::Supervisor& supervisor;
    const Blueprint& blueprint;  // what the server was started with
};

class Reload {
public:
    // What was done, JSON: {"handlers": [{"handler", "did" (started, stopped, restarted, swapped,
    // failed), ...}], "needs_restart": [keys of the configuration], "rejected": [{"file", "reason",
    // "message"}]}. kInvalid: the configuration is wrong, and nothing was done.
    using Done = Callback<Result<std::string>>;

    explicit Reload(const ReloadSetup& setup);
    ~Reload();

    void everything(Done done);
    // The plugin directories only: somebody may be in the middle of the configuration.
    void plugins();
    // Nothing is begun any more.
    void stop() { stopping_ = true; }

private:
    struct Wanted {
        HandlerSection section;
        std::shared_ptr<const plugins::Plugin> plugin;  // nullptr: there is none
    };
    struct Found {
        std::optional<ServerConfig> config;  // none: as before
        std::string fault;                   // of the configuration
        plugins::PluginSet plugins;
    };
    struct Step {
        enum class Kind { kAdd, kRemove, kSwap } kind;
        std::string handler;
        Wanted wanted = {};
        const char* did = "";
    };
    struct Round {
        std::vector<Done> owed;
        bool config = false;
        std::vector<Step> steps;
        std::size_t next = 0;
        boost::json::array handlers;
        boost::json::array needs_restart;
    };

    void begin();
    Found look(bool config, const plugins::PluginSet& before) const;
    void found(const Found& found);
    void note_rejections();
    void note_restart_keys(const ServerConfig& config);
    void plan(const std::vector<HandlerSection>& sections);
    void plan_handler(const std::string& name, const Wanted& wanted);
    void step();
    void add(const Step& step);
    void remove(const Step& step);
    void swap(const Step& step);
    void did(const Step& step, boost::json::object more = {});
    void failed(const Step& step, const std::string& reason);
    void finish();
    Result<engine::HandlerSetup> make(const Wanted& wanted) const;

    ReloadSetup setup_;
    ServerConfig config_;  // as it is running
    plugins::PluginSet plugins_;
    std::map<std::string, Wanted> running_;  // by handler
    std::unique_ptr<WorkerPool> pool_;
    std::shared_ptr<Strand> files_;
    std::optional<Round> round_;
    std::optional<Round> after_;  // asked for meanwhile
    bool stopping_ = false;
};

}  // namespace millrace::cli
