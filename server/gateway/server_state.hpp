// What the connections of a gateway share, and the register of those that are alive.
//
// Thread rule: the loop thread. Ownership: Gateway owns it and is destroyed when the loop does not
// run any more; no connection touches it after that.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "gateway/access.hpp"
#include "gateway/gateway.hpp"
#include "gateway/routes.hpp"

namespace millrace::gateway {

// A connection or session as the shutdown sees it.
class Live {
public:
    virtual ~Live() = default;
    // End when what is under way has ended.
    virtual void drain() = 0;
    // End now.
    virtual void abort() = 0;
};

struct ServerState : std::enable_shared_from_this<ServerState> {
    explicit ServerState(const GatewayParts& given)
        : parts(given),
          pool(given.runtime.make_pool("ingest", 2)),
          access(parts.config, parts.admin_token),
          routes(parts, access, *pool) {}

    const GatewayParts parts;
    std::unique_ptr<WorkerPool> pool;
    const Access access;
    Routes routes;
    bool draining = false;
    std::size_t http_connections = 0;  // those that are not sessions
    std::uint64_t pending_body_bytes = 0;
    std::set<Live*> live;
    std::function<void()> on_empty;  // the last one has gone

    boost::asio::io_context& context() const { return parts.runtime.context(); }
    const HttpLimits& limits() const { return parts.config.server.limits; }
    void count_close(int code);
};

// Registers for its lifetime. A coroutine that was never finished dies with the io_context, perhaps
// after the state.
class LiveRegistration {
public:
    LiveRegistration(ServerState& state, Live& live) : state_(state.weak_from_this()), live_(live) {
        state.live.insert(&live_);
    }
    ~LiveRegistration();
    LiveRegistration(const LiveRegistration&) = delete;
    LiveRegistration& operator=(const LiveRegistration&) = delete;

private:
    std::weak_ptr<ServerState> state_;
    Live& live_;
};

}  // namespace millrace::gateway
