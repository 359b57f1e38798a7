#include "gateway/stream_session.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "gateway/protocol.hpp"
#include "gateway/session_queue.hpp"

namespace millrace::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr milliseconds kWriteGrace = 5s;
constexpr int kSendBufferBytes = 256 << 10;
constexpr std::size_t kMaxTextsPerWrite = 512;
constexpr int kRetryMs =
    1'000;  // and up to as much again, so that a crowd does not come back at once

class StreamSession final : public Session,
                            public Live,
                            public std::enable_shared_from_this<StreamSession> {
public:
    StreamSession(ServerState& state, tcp::socket socket, Request request)
        : state_(state),
          config_(state.parts.config.gateway),
          request_(std::move(request)),
          user_(request_.parameter("user").value_or("")),
          socket_(std::move(socket)),
          grace_(socket_.get_executor()),
          queue_(socket_.get_executor(), static_cast<std::size_t>(config_.max_session_queue_bytes)),
          registration_(state, *this) {}

    asio::awaitable<void> run() {
        error_code ignored;
        socket_.set_option(asio::socket_base::send_buffer_size(kSendBufferBytes), ignored);
        socket_.set_option(tcp::no_delay(true), ignored);
        auto joined = state_.parts.hub.join(*this, user_, cursor());
        if (!joined) {
            co_await refuse(joined.error());
            co_return;
        }
        greet(*joined);
        asio::co_spawn(
            socket_.get_executor(), [self = shared_from_this()] { return self->write_loop(); },
            asio::detached);
        co_await watch();
        state_.parts.hub.leave(*this);
        state_.count_close(queue_.closing() ? static_cast<int>(queue_.closing()->code) : 1006);
        queue_.abandon();
        close_socket();
    }

    bool deliver(const Delivery& delivery) override {
        const bool taken = queue_.push(delivery.text(EventForm::kStream));
        if (!taken) begin_grace();
        return taken;
    }

    void close(CloseCode code, const std::string& reason) override {
        queue_.close(code, reason);
        begin_grace();
    }

    void drain() override {}  // the hub has closed it
    void abort() override { close_socket(); }

private:
    // What the browser remembers is newer than what the page's address says.
    std::optional<std::string> cursor() const {
        if (const auto last = request_.header("last-event-id"); !last.empty())
            return std::string(last);
        if (const auto given = request_.parameter("cursor")) return std::string(*given);
        return std::nullopt;
    }

    static SharedText share(std::string text) {
        return std::make_shared<const std::string>(std::move(text));
    }

    std::string cors_headers() const {
        const auto origin = state_.access.cross_origin(request_);
        return origin ? fmt::format("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n", *origin)
                      : "";
    }

    void greet(const Joined& joined) {
        const auto jitter = static_cast<int>(state_.parts.runtime.random().next() % kRetryMs);
        queue_.push_gap(share(fmt::format(
            "HTTP/1.1 200 OK\r\nServer: millrace\r\nContent-Type: text/event-stream\r\n"
            "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"
            "X-Content-Type-Options: nosniff\r\n{}Connection: close\r\n\r\nretry: {}\n\n",
            cors_headers(), kRetryMs + jitter)));
        const std::string welcome =
            welcome_text(joined, user_, config_, state_.parts.runtime.clock().now());
        queue_.push_gap(share(stream_text("welcome", welcome, joined.cursor)));
        for (const Delivery& delivery : joined.gap)
            queue_.push_gap(delivery.text(EventForm::kStream));
    }

    asio::awaitable<void> refuse(const Error& refusal) {
        Problem problem = problem_of(refusal, request_);
        problem.help = "come back after the seconds in Retry-After";
        const Response response = to_response(problem);
        const std::string text = fmt::format(
            "HTTP/1.1 {} {}\r\nServer: millrace\r\nContent-Type: {}\r\nContent-Length: "
            "{}\r\nRetry-After: 1\r\n{}Connection: close\r\n\r\n{}",
            response.status, title_of(response.status), response.content_type, response.body.size(),
            cors_headers(), response.body);
        error_code error;
        co_await asio::async_write(socket_, asio::buffer(text),
                                   asio::redirect_error(asio::use_awaitable, error));
        close_socket();
    }

    // Reads only to learn that the client has gone.
    asio::awaitable<void> watch() {
        std::array<char, 512> ignored{};
        error_code error;
        while (!error) {
            co_await socket_.async_read_some(asio::buffer(ignored),
                                             asio::redirect_error(asio::use_awaitable, error));
        }
    }

    asio::awaitable<void> write_loop() {
        error_code error;
        while (!error && !queue_.is_closing()) {
            auto texts = co_await queue_.next(config_.ping_interval, kMaxTextsPerWrite);
            if (queue_.is_closing()) break;
            // An id without data moves the browser's Last-Event-ID and is no event.
            if (texts.empty())
                texts.push_back(
                    share(fmt::format(": still here\nid: {}\n\n", state_.parts.hub.cursor())));
            co_await write(texts, error);
        }
        const auto closing = queue_.closing();
        if (!error && closing && closing->code != CloseCode::kSlow) {
            std::vector<SharedText> last;
            last.push_back(
                share(stream_text("goodbye", goodbye_text(closing->code, closing->reason))));
            co_await write(last, error);
        }
        close_socket();
        grace_.cancel();
    }

    asio::awaitable<void> write(const std::vector<SharedText>& texts, error_code& error) {
        std::vector<asio::const_buffer> buffers;
        for (const SharedText& text : texts) buffers.push_back(asio::buffer(*text));
        arm(2 * config_.ping_interval);
        co_await asio::async_write(socket_, buffers,
                                   asio::redirect_error(asio::use_awaitable, error));
        if (!queue_.is_closing()) grace_.cancel();
    }

    void begin_grace() { arm(kWriteGrace); }

    void arm(milliseconds time) {
        grace_.expires_after(time);
        grace_.async_wait([self = shared_from_this()](const error_code& cancelled) {
            if (!cancelled) self->close_socket();
        });
    }

    void close_socket() {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_both, ignored);
        socket_.close(ignored);
    }

    ServerState& state_;
    const GatewaySection& config_;
    Request request_;
    std::string user_;
    tcp::socket socket_;
    asio::steady_timer grace_;
    SessionQueue queue_;
    LiveRegistration registration_;
};

}  // namespace

asio::awaitable<void> serve_stream(ServerState& state, tcp::socket socket, Request request) {
    const auto session =
        std::make_shared<StreamSession>(state, std::move(socket), std::move(request));
    co_await session->run();
}

}  // namespace millrace::gateway
