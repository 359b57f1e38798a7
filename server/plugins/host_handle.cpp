#include "plugins/host_handle.hpp"

namespace millrace::plugins {
namespace {

struct Pool {
    std::mutex mutex;
    std::deque<std::unique_ptr<millrace_host>> all;
    std::deque<millrace_host*> retired;  // longest ago first
};

Pool& pool() {
    static Pool* const kPool = new Pool;  // for plugin threads that outlive static destruction
    return *kPool;
}

millrace_host* take_host() {
    Pool& from = pool();
    const std::lock_guard lock(from.mutex);
    if (from.retired.size() <= kRetiredHandles)
        return from.all.emplace_back(std::make_unique<millrace_host>()).get();
    millrace_host* host = from.retired.front();
    from.retired.pop_front();
    return host;
}

void retire_host(millrace_host* host) {
    Pool& to = pool();
    const std::lock_guard lock(to.mutex);
    to.retired.push_back(host);
}

}  // namespace

HostHandle::HostHandle(const std::string& handler, engine::ShardServices& services)
    : host_(take_host()) {
    const std::lock_guard lock(host_->mutex);
    host_->services = &services;
    host_->handler = handler;
}

HostHandle::~HostHandle() {
    {
        const std::lock_guard lock(host_->mutex);
        host_->services = nullptr;
    }
    host_->failure = {};
    host_->last_error = {};
    host_->headers = {};
    retire_host(host_);
}

CallbackScope::CallbackScope(millrace_host* host, const engine::MessageInput* input) : host_(host) {
    host_->input = input;
    host_->failure.clear();
    host_->retry_after.reset();
    host_->caller.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

CallbackScope::~CallbackScope() {
    host_->caller.store(std::thread::id(), std::memory_order_relaxed);
    host_->input = nullptr;
    host_->made.clear();
}

}  // namespace millrace::plugins
