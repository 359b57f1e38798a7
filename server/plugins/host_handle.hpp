// millrace_host: what a plugin holds as the server's side of one instance. It outlives the
// instance, because a plugin's own thread may still complete or log after the instance has gone.
//
// Thread rule: `services` and `handler` under the mutex, from any thread; the rest belongs to the
// callback that runs, on its thread. Ownership: handles are never freed; those that are retired are
// used again, but only after kRetiredHandles others were, so that a late completion meets nobody.
#pragma once

#include <millrace/abi.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/types.hpp"
#include "engine/handler.hpp"

struct millrace_host {
    std::mutex mutex;
    millrace::engine::ShardServices* services = nullptr;  // nullptr: the instance is gone
    std::string handler;

    std::atomic<std::thread::id> caller{};  // in a callback: its thread
    const millrace::engine::MessageInput* input = nullptr;
    std::deque<std::string> made;  // texts that `field` had to make
    std::vector<millrace_header> headers;
    std::string failure;
    std::optional<millrace::milliseconds> retry_after;
    std::string last_error;
};

struct millrace_out {
    std::uint64_t limit;
    std::string text = {};
    bool overflow = false;
};

namespace millrace::plugins {

inline constexpr std::size_t kRetiredHandles = 4'096;

// A handle in use by one instance; gives it back.
class HostHandle {
public:
    HostHandle(const std::string& handler, engine::ShardServices& services);
    ~HostHandle();
    HostHandle(const HostHandle&) = delete;
    HostHandle& operator=(const HostHandle&) = delete;

    millrace_host* get() const { return host_; }

private:
    millrace_host* host_;
};

// The time of one callback: services are open to its thread.
class CallbackScope {
public:
    explicit CallbackScope(millrace_host* host, const engine::MessageInput* input = nullptr);
    ~CallbackScope();
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

private:
    millrace_host* host_;
};

}  // namespace millrace::plugins
