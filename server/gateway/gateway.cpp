#include "gateway/gateway.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/log.hpp"
#include "gateway/connection.hpp"
#include "gateway/server_state.hpp"

namespace millrace::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr milliseconds kAcceptPause = 50ms;  // out of descriptors, or at the limit of connections
constexpr milliseconds kAbortGrace = 200ms;  // for what was aborted to end

asio::awaitable<void> accept_loop(std::shared_ptr<ServerState> state,
                                  std::shared_ptr<tcp::acceptor> acceptor, bool is_admin) {
    asio::steady_timer pause(acceptor->get_executor());
    bool has_warned = false;
    while (acceptor->is_open()) {
        error_code error;
        if (state->http_connections < state->limits().max_connections) {
            tcp::socket socket =
                co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (!error) {
                asio::co_spawn(acceptor->get_executor(),
                               serve_connection(state, std::move(socket), is_admin),
                               asio::detached);
                has_warned = false;
                continue;
            }
            if (error == asio::error::operation_aborted) co_return;
        }
        if (!std::exchange(has_warned, true)) {
            log::warn("gateway", "new connections wait: {}",
                      error ? error.message() : "server.limits.max_connections is reached");
        }
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
}

}  // namespace

void ServerState::count_close(int code) {
    parts.metrics
        .counter("millrace_session_closes_total",
                 "Sessions that ended, by close code (1005: the client's own, 1006: without one)",
                 {{"code", std::to_string(code)}})
        ->add();
}

LiveRegistration::~LiveRegistration() {
    const auto state = state_.lock();
    if (!state) return;
    state->live.erase(&live_);
    if (state->live.empty() && state->on_empty)
        asio::post(state->context(), std::exchange(state->on_empty, nullptr));
}

struct Gateway::Impl {
    explicit Impl(const GatewayParts& parts)
        : state(std::make_shared<ServerState>(parts)), deadline(state->context()) {}

    Result<std::uint16_t> bind(const ListenAddress& address, bool is_admin);
    void finish();

    std::shared_ptr<ServerState> state;
    std::vector<std::shared_ptr<tcp::acceptor>> acceptors;
    asio::steady_timer deadline;
    std::function<void()> done;
};

Result<std::uint16_t> Gateway::Impl::bind(const ListenAddress& address, bool is_admin) {
    const auto wrong = [&](const char* what, const error_code& error) {
        return fail(ErrorCode::kIo,
                    fmt::format("cannot {} {}:{}: {} (server.{})", what, address.host, address.port,
                                error.message(), is_admin ? "admin" : "http"));
    };
    error_code error;
    tcp::resolver resolver(state->context());
    const auto found =
        resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
    if (error || found.empty()) return wrong("look up", error);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    auto acceptor = std::make_shared<tcp::acceptor>(state->context());
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) return wrong("listen on", error);
    const std::uint16_t port = acceptor->local_endpoint(error).port();
    acceptors.push_back(acceptor);
    asio::co_spawn(state->context(), accept_loop(state, acceptor, is_admin), asio::detached);
    return port;
}

void Gateway::Impl::finish() {
    deadline.cancel();
    if (done) std::exchange(done, nullptr)();
}

Gateway::Gateway(const GatewayParts& parts) : impl_(std::make_unique<Impl>(parts)) {}

Gateway::~Gateway() {
    stop_accepting();
    for (Live* live : impl_->state->live) live->abort();
}

Result<Bound> Gateway::listen() {
    const ServerSection& server = impl_->state->parts.config.server;
    Bound bound{server.http, server.admin};
    const auto http = impl_->bind(server.http, false);
    if (!http) return http.error();
    const auto admin = impl_->bind(server.admin, true);
    if (!admin) {
        stop_accepting();
        return admin.error();
    }
    bound.http.port = *http;
    bound.admin.port = *admin;
    return bound;
}

void Gateway::stop_accepting() {
    impl_->state->draining = true;
    error_code ignored;
    for (const auto& acceptor : impl_->acceptors) acceptor->close(ignored);
    impl_->acceptors.clear();
}

void Gateway::close(milliseconds patience, std::function<void()> done) {
    stop_accepting();
    impl_->done = std::move(done);
    ServerState& state = *impl_->state;
    state.parts.hub.close_all(CloseCode::kShuttingDown,
                              "the server is shutting down; come back in a moment");
    const std::vector<Live*> all(state.live.begin(), state.live.end());
    for (Live* live : all) live->drain();
    if (state.live.empty())
        return asio::post(state.context(), [impl = impl_.get()] { impl->finish(); });
    state.on_empty = [impl = impl_.get()] { impl->finish(); };
    impl_->deadline.expires_after(patience);
    impl_->deadline.async_wait([impl = impl_.get()](const error_code& cancelled) {
        if (cancelled) return;
        const std::vector<Live*> left(impl->state->live.begin(), impl->state->live.end());
        for (Live* live : left) live->abort();
        impl->deadline.expires_after(kAbortGrace);
        impl->deadline.async_wait([impl](const error_code& finished) {
            if (!finished) impl->finish();
        });
    });
}

}  // namespace millrace::gateway
