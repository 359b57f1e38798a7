// Gateway: the server's two HTTP listeners, the public one and the admin one (INTERFACE.md).
//
// Thread rule: the loop thread. Payloads are parsed on a small pool of its own. Ownership:
// everything named in GatewayParts outlives it, and it outlives the loop's run. Errors: `listen`
// says which address cannot be had; afterwards a fault costs one connection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/asio_runtime.hpp"
#include "core/config/server_config.hpp"
#include "core/metrics.hpp"
#include "core/result.hpp"
#include "engine/admin.hpp"
#include "events/envelope.hpp"
#include "events/schemas.hpp"
#include "gateway/hub.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {
class LetterDesk;
}

namespace millrace::gateway {

// What the gateway asks of the engine; the command line puts the Supervisor behind it. Loop thread.
class HandlerDirectory {
public:
    virtual ~HandlerDirectory() = default;
    // `{"handlers":[…]}`, as GET /v1/handlers shows it.
    virtual void status(Callback<std::string> done) = 0;
    // kNotFound: no such handler or question.
    virtual void query(const std::string& handler, const std::string& question,
                       std::vector<std::pair<std::string, std::string>> parameters,
                       Callback<Result<std::string>> done) = 0;
    // Commands of people; answered once, with JSON. Errors as engine::Supervisor says.
    virtual void replay(const std::string& handler, const engine::ReplayRequest& request,
                        Callback<Result<std::string>> done) = 0;
    virtual void resume(const std::string& handler, const engine::ResumeRequest& request,
                        Callback<Result<std::string>> done) = 0;
    virtual void restart(const std::string& handler, Callback<Result<std::string>> done) = 0;
    // Reads configuration and plugins again. kInvalid: the configuration is wrong, all stays as it
    // is.
    virtual void reload(Callback<Result<std::string>> done) = 0;
    // Why the server is not ready, one line each; empty: ready.
    virtual std::vector<std::string> unready() const = 0;
};

struct GatewayParts {
    AsioRuntime& runtime;
    const ServerConfig& config;
    Transport& transport;
    HandlerDirectory& handlers;
    const EnvelopeReader& reader;
    const SchemaSet& schemas;
    Metrics& metrics;
    Hub& hub;
    engine::LetterDesk& letters;
    std::string admin_token;
    std::string version;
};

// Where it listens, with the real port where the configuration says 0.
struct Bound {
    ListenAddress http;
    ListenAddress admin;
};

class Gateway {
public:
    explicit Gateway(const GatewayParts& parts);
    ~Gateway();

    // Binds both and begins to accept.
    Result<Bound> listen();
    // No new connection; those that are there go on, without keep-alive.
    void stop_accepting();
    // Tells every session to come back (4100), lets requests in flight end until the deadline,
    // closes what is left, calls back.
    void close(milliseconds deadline, std::function<void()> done);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::gateway
