#include "gateway/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "events/json.hpp"
#include "gateway/console_assets.hpp"
#include "gateway/handler_routes.hpp"
#include "gateway/letter_routes.hpp"
#include "gateway/topic_routes.hpp"

namespace millrace::gateway {
namespace {

enum class Scope {
    kPublic = 1,  // both listeners; on the admin one with its token
    kAdmin,
    kPage,  // the admin listener, no token: it holds no data
};

constexpr std::string_view kAny = "*";

constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

Response text_response(std::string content_type, std::string body) {
    return Response{200, std::move(content_type), {}, std::move(body), false};
}

bool wants_upgrade(const Request& request) {
    return equal_ignoring_case(request.header("upgrade"), "websocket");
}

// What is wrong with a user's id; empty: nothing. It goes into JSON as it is.
std::string user_fault(std::string_view user, std::uint64_t longest) {
    if (user.empty()) return "no user is named";
    if (user.size() > longest) {
        return fmt::format("the user's id is longer than {} bytes (gateway.limits.max_user_bytes)",
                           longest);
    }
    return is_utf8(user) ? "" : "the user's id is not UTF-8";
}

}  // namespace

struct Routes::Route {
    std::string_view method;
    std::array<std::string_view, 5> pattern;  // segments; "*" is any, "" ends it
    Scope scope;
    RouteKind kind;
    Handler handler;

    bool matches(const std::vector<std::string>& segments) const {
        const auto length = static_cast<std::size_t>(
            std::ranges::find(pattern, std::string_view()) - pattern.begin());
        if (segments.size() != std::max<std::size_t>(length, 1)) return false;
        if (length == 0) return segments.front().empty();
        for (std::size_t i = 0; i < length; ++i) {
            if (pattern[i] == kAny ? segments[i].empty() : pattern[i] != segments[i]) return false;
        }
        return true;
    }
};

std::span<const Routes::Route> Routes::table() {
    using enum RouteKind;
    static const Route kTable[] = {
        {"POST", {"v1", "topics", kAny, "events"}, Scope::kPublic, kExchange, &Routes::post_events},
        {"GET", {"v1", "ws"}, Scope::kPublic, kWebSocket, &Routes::session},
        {"GET", {"ws", kAny}, Scope::kPublic, kPlainSocket, &Routes::session},
        {"GET", {"v1", "stream"}, Scope::kPublic, kStream, &Routes::session},
        {"GET", {"healthz"}, Scope::kPublic, kExchange, &Routes::health},
        {"GET", {"readyz"}, Scope::kPublic, kExchange, &Routes::readiness},
        {"GET", {"metrics"}, Scope::kAdmin, kExchange, &Routes::metrics},
        {"GET", {"v1", "handlers"}, Scope::kAdmin, kExchange, &Routes::handlers},
        {"GET", {"v1", "handlers", kAny, kAny}, Scope::kAdmin, kExchange, &Routes::question},
        {"POST",
         {"v1", "admin", "handlers", kAny, "replay"},
         Scope::kAdmin,
         kExchange,
         &Routes::replay},
        {"POST",
         {"v1", "admin", "handlers", kAny, "resume"},
         Scope::kAdmin,
         kExchange,
         &Routes::resume},
        {"POST",
         {"v1", "admin", "handlers", kAny, "restart"},
         Scope::kAdmin,
         kExchange,
         &Routes::restart},
        {"POST", {"v1", "admin", "reload"}, Scope::kAdmin, kExchange, &Routes::reload},
        {"GET", {"v1", "topics"}, Scope::kAdmin, kExchange, &Routes::topics},
        {"GET", {"v1", "topics", kAny, "records"}, Scope::kAdmin, kExchange, &Routes::records},
        {"GET", {"v1", "admin", "dead-letters"}, Scope::kAdmin, kExchange, &Routes::letter_topics},
        {"GET", {"v1", "admin", "dead-letters", kAny}, Scope::kAdmin, kExchange, &Routes::letters},
        {"POST",
         {"v1", "admin", "dead-letters", kAny, "redrive"},
         Scope::kAdmin,
         kExchange,
         &Routes::redrive},
        {"POST",
         {"v1", "admin", "dead-letters", kAny, "discard"},
         Scope::kAdmin,
         kExchange,
         &Routes::discard},
        {"GET", {}, Scope::kPage, kExchange, &Routes::console},
        {"GET", {"console", kAny}, Scope::kPage, kExchange, &Routes::console},
    };
    return kTable;
}

Routes::Routes(const GatewayParts& parts, const Access& access, WorkerPool& pool)
    : parts_(parts), access_(access), pool_(pool), ingest_(parts, pool) {}

Routes::~Routes() = default;

const Routes::Route* Routes::find(const Request& request) const {
    const std::string_view method =
        request.method == "HEAD" ? std::string_view("GET") : request.method;
    const auto found = std::ranges::find_if(table(), [&](const Route& route) {
        return route.method == method && route.matches(request.segments);
    });
    if (found == table().end() || (found->scope != Scope::kPublic && !request.admin))
        return nullptr;
    return &*found;
}

std::optional<Response> Routes::refuse(const Request& request) const {
    if (auto problem = access_.check_host(request)) return to_response(*problem);
    const Route* route = find(request);
    const bool is_stream = route != nullptr && route->kind != RouteKind::kExchange;
    if (auto problem = access_.check_origin(request, is_stream)) return to_response(*problem);
    if (request.method == "OPTIONS" && access_.cross_origin(request)) return std::nullopt;
    const bool is_page = route != nullptr && route->scope == Scope::kPage;
    if (request.admin && !is_page) {
        if (auto refusal = access_.check_admin(request)) return refusal;
    }
    if (route == nullptr) return not_found(request);
    if (is_stream) return refuse_session(request, route->kind);
    if (route->handler != &Routes::post_events) return std::nullopt;
    if (!request.admin) {
        if (auto refusal = access_.check_ingest(request)) return refusal;
    }
    if (auto problem = ingest_.refuse(request, request.segments[2])) return to_response(*problem);
    return std::nullopt;
}

std::optional<Response> Routes::refuse_session(const Request& request, RouteKind kind) const {
    if (kind != RouteKind::kStream && !wants_upgrade(request)) {
        Response response =
            to_response({426,
                         "this path speaks WebSocket",
                         request.path,
                         "connect with a WebSocket client, or read GET /v1/stream?user=ID",
                         {}});
        response.headers.emplace_back("Upgrade", "websocket");
        return response;
    }
    const std::string_view user = kind == RouteKind::kPlainSocket
                                      ? std::string_view(request.segments[1])
                                      : request.parameter("user").value_or("");
    std::string fault = user_fault(user, parts_.config.gateway.max_user_bytes);
    if (fault.empty()) return std::nullopt;
    return to_response({400,
                        std::move(fault),
                        request.path,
                        kind == RouteKind::kPlainSocket
                            ? "the user is the path's last part: /ws/ID"
                            : "with gateway.auth.mode none the user comes from the query: ?user=ID",
                        {}});
}

Response Routes::not_found(const Request& request) const {
    std::string allowed;
    for (const Route& route : table()) {
        if (!route.matches(request.segments)) continue;
        if (route.scope != Scope::kPublic && !request.admin) {
            return to_response({404,
                                "this path is on the admin listener",
                                request.path,
                                fmt::format("ask at port {} with the admin token",
                                            parts_.config.server.admin.port),
                                {}});
        }
        allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
    }
    if (allowed.empty())
        return to_response({404,
                            "there is nothing at this path",
                            request.path,
                            "docs/HTTP.md lists the paths",
                            {}});
    Response response = to_response({405,
                                     fmt::format("{} is not done at this path", request.method),
                                     request.path,
                                     fmt::format("use {}", allowed),
                                     {}});
    response.headers.emplace_back("Allow", allowed);
    return response;
}

RouteKind Routes::kind_of(const Request& request) const {
    const Route* route = find(request);
    return route == nullptr ? RouteKind::kExchange : route->kind;
}

void Routes::handle(Request request, Respond respond) {
    const auto cross_origin = access_.cross_origin(request);
    Respond reply = [cross_origin, respond = std::move(respond)](Response response) {
        if (cross_origin) {
            response.headers.emplace_back("Access-Control-Allow-Origin", *cross_origin);
            response.headers.emplace_back("Vary", "Origin");
        }
        response.headers.emplace_back("X-Content-Type-Options", "nosniff");
        respond(std::move(response));
    };
    if (request.method == "OPTIONS") return preflight(std::move(request), std::move(reply));
    const Route* route = find(request);
    if (route == nullptr) return reply(not_found(request));
    (this->*route->handler)(std::move(request), std::move(reply));
}

void Routes::post_events(Request request, Respond respond) {
    const std::string topic = request.segments[2];
    ingest_.handle(std::move(request), topic, std::move(respond));
}

void Routes::health(Request, Respond respond) {
    respond(text_response("application/json", fmt::format("{{\"status\":\"ok\",\"version\":{}}}\n",
                                                          json_quoted(parts_.version))));
}

void Routes::readiness(Request request, Respond respond) {
    std::vector<std::string> reasons = parts_.handlers.unready();
    if (auto trouble = parts_.transport.trouble())
        reasons.insert(reasons.begin(), std::move(*trouble));
    if (reasons.empty())
        return respond(text_response("application/json", "{\"ready\":true,\"reasons\":[]}\n"));
    std::string list;
    for (const std::string& reason : reasons)
        list += (list.empty() ? "" : ",") + json_quoted(reason);
    respond(to_response({503, reasons.front(), request.path, "wait, or mend what the reasons name",
                         fmt::format(R"("ready":false,"reasons":[{}])", list)}));
}

void Routes::metrics(Request, Respond respond) {
    respond(text_response("text/plain; version=0.0.4; charset=utf-8", parts_.metrics.text()));
}

void Routes::handlers(Request, Respond respond) {
    parts_.handlers.status([respond = std::move(respond)](std::string status) {
        respond(text_response("application/json", std::move(status) + "\n"));
    });
}

void Routes::question(Request request, Respond respond) {
    const std::string handler = request.segments[2];
    const std::string question = request.segments[3];
    const Parameters parameters = request.query;
    parts_.handlers.query(
        handler, question, parameters,
        [request = std::move(request), respond = std::move(respond)](Result<std::string> answer) {
            if (!answer) return respond(to_response(problem_of(answer.error(), request)));
            respond(text_response("application/json", std::move(*answer) + "\n"));
        });
}

void Routes::replay(Request request, Respond respond) {
    replay_handler(parts_, std::move(request), std::move(respond));
}

void Routes::resume(Request request, Respond respond) {
    resume_handler(parts_, std::move(request), std::move(respond));
}

void Routes::restart(Request request, Respond respond) {
    restart_handler(parts_, std::move(request), std::move(respond));
}

void Routes::reload(Request request, Respond respond) {
    reload_server(parts_, std::move(request), std::move(respond));
}

void Routes::topics(Request request, Respond respond) {
    list_topics(parts_, std::move(request), std::move(respond));
}

void Routes::records(Request request, Respond respond) {
    read_records(parts_, pool_, std::move(request), std::move(respond));
}

void Routes::letter_topics(Request request, Respond respond) {
    list_letter_topics(parts_, std::move(request), std::move(respond));
}

void Routes::letters(Request request, Respond respond) {
    list_letters(parts_, std::move(request), std::move(respond));
}

void Routes::redrive(Request request, Respond respond) {
    redrive_letters(parts_, std::move(request), std::move(respond));
}

void Routes::discard(Request request, Respond respond) {
    discard_letters(parts_, std::move(request), std::move(respond));
}

void Routes::console(Request request, Respond respond) {
    const bool is_page = request.segments.size() == 1;
    const ConsoleAsset* asset =
        find_console_asset(is_page ? "index.html" : std::string_view(request.segments[1]));
    if (asset == nullptr)
        return respond(
            to_response({404, "the console has no such file", request.path, "its page is /", {}}));
    Response response = text_response(std::string(asset->content_type), std::string(asset->bytes));
    response.headers = {{"Content-Security-Policy", std::string(kContentSecurityPolicy)},
                        {"Referrer-Policy", "no-referrer"},
                        {"Cache-Control", "no-cache"}};
    respond(std::move(response));
}

void Routes::preflight(Request, Respond respond) {
    Response response{204, "", {}, "", false};
    response.headers = {
        {"Access-Control-Allow-Methods", "GET, POST"},
        {"Access-Control-Allow-Headers",
         "authorization, content-type, idempotency-key, last-event-id, traceparent"},
        {"Access-Control-Max-Age", "600"}};
    respond(std::move(response));
}

// Sessions take the connection over. Here come those that arrive while the server drains, and those
// that are none.
void Routes::session(Request request, Respond respond) {
    if (request.method == "GET" && request.body.empty()) {
        return respond(to_response({503,
                                    "the server is shutting down",
                                    request.path,
                                    "come back after the seconds in Retry-After",
                                    {}}));
    }
    respond(to_response({400,
                         "a session begins with GET and no body",
                         request.path,
                         "connect as WebSocket or event stream",
                         {}}));
}

}  // namespace millrace::gateway
