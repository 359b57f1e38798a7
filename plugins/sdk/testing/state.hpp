// State: what is behind a FakeHost, and what the host services work on.
//
// One thread, but for what is under `mutex`; owned by its FakeHost; the plugin holds it as
// millrace_host.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <millrace/testing.hpp>
#include <mutex>
#include <thread>

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

struct FakeHost::State {
    State(Plugin plugin, const Texts& options, std::string shard_name);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void create();
    void destroy();
    void execute(const char* sql);
    // Runs the callback of an input in a savepoint and undoes its effects unless it was acked.
    template <class Body>
    Handled run(bool may_be_pending, Body&& body);
    // The outcome that the server would make of what a callback returned.
    std::uint32_t judge(std::uint32_t returned, bool may_be_pending);
    // Tells the instance that effects were undone, or makes a new one.
    void tell_rollback(std::uint32_t scope);
    // Whether services are open to this thread.
    bool is_open() const { return caller == std::this_thread::get_id(); }
    int refuse(int status, std::string why);
    std::uint32_t lacks(const char* callback);
    millrace_host* host() { return reinterpret_cast<millrace_host*>(this); }

    const millrace_plugin_api* api = nullptr;
    millrace_instance* instance = nullptr;
    sqlite3* database = nullptr;
    std::string config;
    std::string shard;
    Access access = Access::kWrite;
    bool trusted = false;  // our own statement
    bool wrote = false;    // the callback that runs had effects
    std::optional<Effects> before_batch;
    std::atomic<std::thread::id> caller{};  // in a callback: its thread
    Time now = std::chrono::sys_days{std::chrono::year{2026} / 2 / 10} + std::chrono::hours(8);
    Effects effects;
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

    std::mutex mutex;  // a thread of the plugin's own may log and complete
    std::condition_variable completed;
    std::vector<std::string> logs;
    std::deque<std::pair<millrace_token, std::string>> completions;
};

// The time of one callback: services are open to its thread.
class CallbackScope {
public:
    explicit CallbackScope(FakeHost::State& state) : state_(state) {
        state.caller = std::this_thread::get_id();
    }
    ~CallbackScope() {
        state_.caller = std::thread::id();
        state_.event = nullptr;
        state_.scratch.clear();
    }
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

private:
    FakeHost::State& state_;
};

const millrace_host_api& host_table();
int authorize(void* state, int action, const char* first, const char* second, const char*,
              const char*);
// The JSON object that the server would make of these options. Throws std::runtime_error.
std::string make_config(const millrace_plugin_api& api, const FakeHost::Texts& options);

}  // namespace millrace::sdk
