// Routes: what each path and method does, on requests and responses without sockets.
//
// Thread rule: the loop thread; `handle` calls back on it once, perhaps before it returns.
// Ownership: outlives the loop's run. Errors: problem documents.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/access.hpp"
#include "gateway/gateway.hpp"
#include "gateway/http_message.hpp"
#include "gateway/ingest.hpp"

namespace millrace::gateway {

// What becomes of the connection.
enum class RouteKind {
    kExchange = 1,  // a request and its response
    kWebSocket,     // protocol millrace.v1
    kPlainSocket,   // a WebSocket with plain event objects
    kStream,        // server-sent events
};

class Routes {
public:
    Routes(const GatewayParts& parts, const Access& access, WorkerPool& pool);
    ~Routes();

    // Judged by the head alone, before a body is read: host, origin, token, path, method, media
    // type. nullopt: go on.
    std::optional<Response> refuse(const Request& request) const;
    // Of a request that was not refused.
    RouteKind kind_of(const Request& request) const;
    void handle(Request request, Respond respond);

private:
    struct Route;
    using Handler = void (Routes::*)(Request, Respond);
    static std::span<const Route> table();
    const Route* find(const Request& request) const;
    Response not_found(const Request& request) const;
    std::optional<Response> refuse_session(const Request& request, RouteKind kind) const;

    void post_events(Request request, Respond respond);
    void health(Request request, Respond respond);
    void readiness(Request request, Respond respond);
    void metrics(Request request, Respond respond);
    void handlers(Request request, Respond respond);
    void question(Request request, Respond respond);
    void replay(Request request, Respond respond);
    void resume(Request request, Respond respond);
    void restart(Request request, Respond respond);
    void reload(Request request, Respond respond);
    void topics(Request request, Respond respond);
    void records(Request request, Respond respond);
    void letter_topics(Request request, Respond respond);
    void letters(Request request, Respond respond);
    void redrive(Request request, Respond respond);
    void discard(Request request, Respond respond);
    void console(Request request, Respond respond);
    void preflight(Request request, Respond respond);
    void session(Request request, Respond respond);

    const GatewayParts& parts_;
    const Access& access_;
    WorkerPool& pool_;
    Ingest ingest_;
};

}  // namespace millrace::gateway
