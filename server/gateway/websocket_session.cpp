#include "gateway/websocket_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "gateway/protocol.hpp"
#include "gateway/session_queue.hpp"

namespace millrace::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr milliseconds kCloseGrace = 5s;     // for a client to take the close frame and answer it
constexpr int kSendBufferBytes = 256 << 10;  // the kernel's share of a slow client's queue
constexpr std::size_t kReadBytes = 4'096;
constexpr std::size_t kMaxTextsPerWrite = 512;
constexpr std::size_t kMaxReasonBytes = 123;  // RFC 6455 section 5.5

// A client's own code is counted only if it is one that is known: a label must not have values
// without end.
int counted_code(std::uint16_t code) {
    return code == 1000 || code == 1001 || (code >= 4000 && code <= 4003) ? code : 1005;
}

class WebSocketSession final : public Session,
                               public Live,
                               public std::enable_shared_from_this<WebSocketSession> {
public:
    WebSocketSession(ServerState& state, beast::tcp_stream stream, Request request, bool is_plain)
        : state_(state),
          config_(state.parts.config.gateway),
          request_(std::move(request)),
          is_plain_(is_plain),
          user_(is_plain ? request_.segments[1]
                         : std::string(request_.parameter("user").value_or(""))),
          socket_(std::move(stream)),
          grace_(socket_.get_executor()),
          queue_(socket_.get_executor(), static_cast<std::size_t>(config_.max_session_queue_bytes)),
          registration_(state, *this) {}

    asio::awaitable<void> run(const UpgradeRequest& upgrade) {
        configure();
        error_code error;
        co_await socket_.async_accept(upgrade, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return;
        asio::co_spawn(
            socket_.get_executor(), [self = shared_from_this()] { return self->write_loop(); },
            asio::detached);
        const auto cursor = is_plain_ ? std::nullopt : request_.parameter("cursor");
        join(cursor ? std::optional<std::string>(*cursor) : std::nullopt);
        co_await read_loop();
        state_.parts.hub.leave(*this);
        queue_.abandon();
        if (is_writing_) begin_grace();
        const auto code = queue_.closing()   ? static_cast<int>(queue_.closing()->code)
                          : socket_.reason() ? counted_code(socket_.reason().code)
                                             : 1006;
        state_.count_close(code);
    }

    bool deliver(const Delivery& delivery) override {
        const bool taken =
            queue_.push(delivery.text(is_plain_ ? EventForm::kPlain : EventForm::kFrame));
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
    void configure() {
        error_code ignored;
        auto& tcp = beast::get_lowest_layer(socket_);
        tcp.expires_never();
        tcp.socket().set_option(asio::socket_base::send_buffer_size(kSendBufferBytes), ignored);
        tcp.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
        // Beast pings when half of the idle time has passed.
        websocket::stream_base::timeout timeout{kCloseGrace, 2 * config_.ping_interval, true};
        socket_.set_option(timeout);
        const bool has_protocol =
            std::ranges::any_of(header_list(request_, "sec-websocket-protocol"),
                                [](std::string_view offered) { return offered == kProtocol; });
        socket_.set_option(
            websocket::stream_base::decorator([has_protocol](websocket::response_type& response) {
                response.set(beast::http::field::server, "millrace");
                if (has_protocol)
                    response.set(beast::http::field::sec_websocket_protocol, kProtocol);
            }));
        socket_.read_message_max(0);  // the limit is ours, with a code of its own
        socket_.auto_fragment(false);
        socket_.text(true);
    }

    void join(const std::optional<std::string>& cursor) {
        auto joined = state_.parts.hub.join(*this, user_, cursor);
        if (!joined) {
            const bool is_early = joined.error().code == ErrorCode::kUnavailable;
            return close(is_early ? CloseCode::kTryAgainLater : CloseCode::kOverLimit,
                         joined.error().message);
        }
        if (is_plain_) return;
        queue_.push(
            share(welcome_text(*joined, user_, config_, state_.parts.runtime.clock().now())));
        for (const Delivery& delivery : joined->gap)
            queue_.push_gap(delivery.text(EventForm::kFrame));
    }

    static SharedText share(std::string text) {
        return std::make_shared<const std::string>(std::move(text));
    }

    void say(std::string text) {
        if (!is_plain_ && !queue_.push(share(std::move(text)))) begin_grace();
    }

    asio::awaitable<void> read_loop() {
        beast::flat_buffer buffer;
        error_code error;
        while (true) {
            co_await socket_.async_read_some(buffer, kReadBytes,
                                             asio::redirect_error(asio::use_awaitable, error));
            if (error) co_return;
            const bool is_too_large = buffer.size() > config_.max_message_bytes;
            if (is_too_large) {
                close_and_leave(CloseCode::kTooLarge, fmt::format("a message may have {} bytes",
                                                                  config_.max_message_bytes));
            } else if (socket_.is_message_done() && !queue_.is_closing()) {
                const auto data = buffer.cdata();
                on_message({static_cast<const char*>(data.data()), data.size()});
            }
            if (is_too_large || socket_.is_message_done()) buffer.consume(buffer.size());
        }
    }

    void on_message(std::string_view text) {
        if (is_plain_) return;
        const ClientMessage message = read_client_message(text);
        switch (message.kind) {
            case ClientMessage::Kind::kPing:
                return say(pong_text(message.number));
            case ClientMessage::Kind::kPong:
                return;
            case ClientMessage::Kind::kResume:
                return join(message.cursor);
            case ClientMessage::Kind::kAuth:
                return say(error_text("not_needed",
                                      "gateway.auth.mode is none: the user comes from ?user=ID"));
            case ClientMessage::Kind::kUnknown:
                return say(error_text("unknown_type", fmt::format("'{}' is no message of {}",
                                                                  message.type, kProtocol)));
            case ClientMessage::Kind::kMalformed:
                return close_and_leave(CloseCode::kBadRequest,
                                       "a message is a JSON object with a type");
        }
    }

    void close_and_leave(CloseCode code, const std::string& reason) {
        state_.parts.hub.leave(*this);
        close(code, reason);
    }

    asio::awaitable<void> write_loop() {
        is_writing_ = true;
        error_code error;
        while (!error && !queue_.is_closing()) {
            const auto texts =
                co_await queue_.next(config_.ping_interval, is_plain_ ? 1 : kMaxTextsPerWrite);
            if (queue_.is_closing()) break;
            if (texts.empty())
                say(ping_text(++pings_, state_.parts.hub.cursor()));
            else
                co_await write(texts, error);
        }
        if (error)
            close_socket();
        else if (!queue_.is_abandoned())
            co_await say_goodbye();
        is_writing_ = false;
        grace_.cancel();
    }

    // Several frames make one message: an array, whose parts are not copied.
    asio::awaitable<void> write(const std::vector<SharedText>& texts, error_code& error) {
        std::vector<asio::const_buffer> buffers;
        const bool is_array = texts.size() > 1;
        if (is_array) buffers.push_back(asio::buffer("[", 1));
        for (const SharedText& text : texts) {
            if (text != texts.front()) buffers.push_back(asio::buffer(",", 1));
            buffers.push_back(asio::buffer(*text));
        }
        if (is_array) buffers.push_back(asio::buffer("]", 1));
        co_await socket_.async_write(buffers, asio::redirect_error(asio::use_awaitable, error));
    }

    asio::awaitable<void> say_goodbye() {
        const auto closing = *queue_.closing();
        error_code error;
        if (closing.code != CloseCode::kSlow && !is_plain_) {
            const std::string goodbye = goodbye_text(closing.code, closing.reason);
            co_await socket_.async_write(asio::buffer(goodbye),
                                         asio::redirect_error(asio::use_awaitable, error));
        }
        const websocket::close_reason reason(static_cast<websocket::close_code>(closing.code),
                                             closing.reason.substr(0, kMaxReasonBytes));
        if (!error)
            co_await socket_.async_close(reason, asio::redirect_error(asio::use_awaitable, error));
        close_socket();
    }

    void begin_grace() {
        grace_.expires_after(kCloseGrace);
        grace_.async_wait([self = shared_from_this()](const error_code& cancelled) {
            if (!cancelled) self->close_socket();
        });
    }

    void close_socket() { beast::get_lowest_layer(socket_).close(); }

    ServerState& state_;
    const GatewaySection& config_;
    Request request_;
    bool is_plain_;
    std::string user_;
    websocket::stream<beast::tcp_stream, false>
        socket_;  // without permessage-deflate: 100 KB a connection
    asio::steady_timer grace_;
    SessionQueue queue_;
    std::uint64_t pings_ = 0;
    bool is_writing_ = false;
    LiveRegistration registration_;
};

}  // namespace

asio::awaitable<void> serve_websocket(ServerState& state, beast::tcp_stream stream,
                                      const UpgradeRequest& upgrade, Request request,
                                      bool is_plain) {
    const auto session =
        std::make_shared<WebSocketSession>(state, std::move(stream), std::move(request), is_plain);
    co_await session->run(upgrade);
}

}  // namespace millrace::gateway
