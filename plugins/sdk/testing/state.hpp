// State: what is behind a Harness, and what the host services work on.
//
// One thread; owned by its Harness; the plugin holds it as millrace_host.
#pragma once

#include <sqlite3.h>

#include <deque>
#include <millrace/testing.hpp>

namespace millrace::sdk {

// The effects of an input, which are undone together.
struct Effects {
    std::vector<Published> published;
    std::vector<Called> calls;
    std::map<std::string, SetTimer> timers;
    std::vector<Pushed> pushed;
};

struct TestOrigin {
    millrace_origin counts;
    std::string topic;
};

enum class Access { kSchema, kWrite, kRead };

struct Harness::State {
    State(Plugin plugin, const Texts& options, std::string shard_name);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void create();
    void destroy();
    void execute(const char* sql);
    // Runs a callback in a transaction of its own and undoes its effects unless it was acked.
    template <class Body>
    Handled run(Body&& body);
    int refuse(int status, std::string why);
    millrace_host* host() { return reinterpret_cast<millrace_host*>(this); }

    const millrace_plugin_api* api = nullptr;
    millrace_instance* instance = nullptr;
    sqlite3* database = nullptr;
    std::string config;
    std::string shard;
    Access access = Access::kWrite;
    bool trusted = false;  // our own statement
    Time now = std::chrono::sys_days{std::chrono::year{2026} / 2 / 10} + std::chrono::hours(8);
    Effects effects;
    std::vector<std::string> logs;
    std::map<std::string, double> counts;
    std::vector<TestOrigin> origins;
    std::map<std::string, std::string> refused_topics;  // and why
    std::map<std::pair<std::string, std::int32_t>, std::int64_t> next_offset;

    const EventSpec* event = nullptr;  // of the callback that runs
    std::deque<std::string> scratch;
    std::string failure;
    std::optional<std::chrono::milliseconds> retry_after;
    std::string last_error;

    std::uint64_t next_token = 1;
    std::map<std::uint64_t, EventSpec> pending;
    std::deque<std::pair<millrace_token, std::string>> completions;
};

const millrace_host_api& fake_host();
int authorize(void* state, int action, const char* first, const char* second, const char*,
              const char*);
// The JSON object that the server would make of these options. Throws std::runtime_error.
std::string make_config(const millrace_plugin_api& api, const Harness::Texts& options);

}  // namespace millrace::sdk
