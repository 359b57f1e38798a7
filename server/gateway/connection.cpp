#include "gateway/connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>

#include "core/log.hpp"
#include "gateway/stream_session.hpp"
#include "gateway/websocket_session.hpp"

namespace millrace::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t kReadBytes = 16U << 10;
constexpr std::size_t kMaxDrainBytes =
    1U << 20;  // of a refused body, so that the client reads the answer before the reset
constexpr milliseconds kDrainTime = 1s;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// What the parser found wrong, as a status; nullopt: the connection is gone, nobody is there to be
// told.
std::optional<Problem> problem_of_reading(const error_code& error, const HttpLimits& limits) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return Problem{431,
                       fmt::format("the header is larger than {} bytes", limits.max_header_bytes),
                       {},
                       "send fewer or shorter headers (server.limits.max_header_bytes)",
                       {}};
    }
    if (error == http::error::body_limit) {
        return Problem{413,
                       fmt::format("the body is larger than {} bytes", limits.max_body_bytes),
                       {},
                       "send it in parts (server.limits.max_body_bytes)",
                       {}};
    }
    if (error == beast::error::timeout) {
        return Problem{
            408,
            fmt::format("the request did not arrive within {} ms", limits.request_timeout.count()),
            {},
            "send it faster or in parts (server.limits.request_timeout)",
            {}};
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message)
        return std::nullopt;
    if (error.category() != make_error_code(http::error::bad_method).category())
        return std::nullopt;
    return Problem{400,
                   fmt::format("this is not a request that can be read: {}", error.message()),
                   {},
                   "speak HTTP/1.1 (RFC 9112)",
                   {}};
}

// A request's part of max_pending_body_bytes, for as long as it is at hand.
class BodyShare {
public:
    BodyShare(ServerState& state, std::uint64_t bytes)
        : state_(state.weak_from_this()),
          bytes_(bytes),
          granted_(bytes == 0 ||
                   state.pending_body_bytes + bytes <= state.limits().max_pending_body_bytes) {
        if (granted_) state.pending_body_bytes += bytes_;
    }
    ~BodyShare() {
        const auto state = state_.lock();
        if (state && granted_) state->pending_body_bytes -= bytes_;
    }
    BodyShare(const BodyShare&) = delete;
    BodyShare& operator=(const BodyShare&) = delete;
    explicit operator bool() const { return granted_; }

private:
    std::weak_ptr<ServerState> state_;
    std::uint64_t bytes_;
    bool granted_;
};

// GCC 12 destroys temporaries in the arguments of a co_await twice at times: they have names here.
class Connection final : public Live, public std::enable_shared_from_this<Connection> {
public:
    Connection(ServerState& state, tcp::socket socket, bool is_admin)
        : state_(state),
          stream_(std::move(socket)),
          buffer_(std::max<std::size_t>(state.limits().max_header_bytes, 3 * kReadBytes) +
                  kReadBytes),
          is_admin_(is_admin),
          deadline_(stream_.get_executor()),
          registration_(state, *this) {
        ++state_.http_connections;
    }

    asio::awaitable<void> run() {
        // GCC 12 miscompiles a co_await in a loop's condition.
        for (bool stays = true; stays;) stays = co_await serve_one();
        leave();
    }

    void drain() override {
        if (is_idle_) cancel();
    }
    void abort() override { stream_.close(); }

private:
    // Unlike tcp_stream's own expiry it leaves the socket open: whoever was too slow is told so.
    void arm(milliseconds time) {
        timed_out_ = false;
        deadline_.expires_after(time);
        deadline_.async_wait([weak = weak_from_this()](const error_code& cancelled) {
            const auto self = weak.lock();
            if (cancelled || !self ||
                self->deadline_.expiry() > asio::steady_timer::clock_type::now())
                return;
            self->timed_out_ = true;
            self->cancel();
        });
    }
    void cancel() {
        error_code ignored;
        stream_.socket().cancel(ignored);
    }

    // True: the connection is there for another request.
    asio::awaitable<bool> serve_one() {
        const bool has_request = co_await await_request();
        if (!has_request) co_return false;
        auto parser = std::make_unique<Parser>();
        parser->header_limit(state_.limits().max_header_bytes);
        parser->body_limit(state_.limits().max_body_bytes);
        Request request;
        error_code error = co_await read_header(*parser, request);
        if (error) {
            co_await give_up(error);
            co_return false;
        }

        keep_alive_ = parser->keep_alive();
        const std::optional<Response> refusal = read_head(*parser, request);
        if (refusal) {
            const bool stays = co_await respond(*refusal, request, !parser->is_done());
            co_return stays;
        }
        const RouteKind kind =
            request.method == "GET" ? state_.routes.kind_of(request) : RouteKind::kExchange;
        if (kind != RouteKind::kExchange && !state_.draining && parser->is_done()) {
            co_await become_session(*parser, std::move(request), kind);
            co_return false;
        }
        const BodyShare share(state_, size_of_body(*parser));
        if (!share) {
            const Response busy = to_response(too_many_bodies(request));
            const bool is_kept = co_await respond(busy, request, !parser->is_done());
            co_return is_kept;
        }
        error = co_await read_body(*parser, request);
        if (error) {
            co_await give_up(error);
            co_return false;
        }
        const Response response = co_await ask_routes(request, std::move(request.body));
        const bool stays = co_await respond(response, request, false);
        co_return stays;
    }

    // Waits for the first byte as long as a connection may be idle; from then on the whole request
    // has its own time.
    asio::awaitable<bool> await_request() {
        if (buffer_.size() == 0) {
            if (state_.draining) co_return false;
            is_idle_ = true;
            arm(is_first_ ? state_.limits().request_timeout : state_.limits().idle_timeout);
            error_code error;
            const std::size_t size = co_await stream_.async_read_some(
                buffer_.prepare(kReadBytes), asio::redirect_error(asio::use_awaitable, error));
            is_idle_ = false;
            if (error) co_return false;
            buffer_.commit(size);
        }
        is_first_ = false;
        arm(state_.limits().request_timeout);
        co_return true;
    }

    // The parser takes each header whole and joins folded lines in silence: here they can still be
    // seen.
    asio::awaitable<error_code> read_header(Parser& parser, Request& request) {
        error_code error;
        while (!parser.is_header_done()) {
            const std::size_t used = parser.put(buffer_.data(), error);
            const auto head = buffer_.cdata();
            request.is_folded |= has_folded_line({static_cast<const char*>(head.data()), used});
            buffer_.consume(used);
            if (error != http::error::need_more) co_return error;
            if (buffer_.size() == buffer_.max_size()) co_return http::error::header_limit;
            error = {};
            const std::size_t room = std::min(kReadBytes, buffer_.max_size() - buffer_.size());
            const std::size_t size = co_await stream_.async_read_some(
                buffer_.prepare(room), asio::redirect_error(asio::use_awaitable, error));
            if (error) co_return error;
            buffer_.commit(size);
        }
        co_return error;
    }

    std::optional<Response> read_head(const Parser& parser, Request& request) const {
        const auto& head = parser.get();
        request.admin = is_admin_;
        request.method = view(head.method_string());
        for (const auto& field : head)
            request.headers.emplace_back(lower_case(view(field.name_string())),
                                         view(field.value()));
        const auto target = read_target(request, view(head.target()));
        std::optional<Problem> problem = check_framing(request, head.version());
        if (!problem && !target)
            problem =
                Problem{400, target.error().message, {}, "send a path that begins with /", {}};
        if (!problem) return state_.routes.refuse(request);
        Response response = to_response(*problem);
        response.close = true;
        return response;
    }

    // What is announced; of a chunked body the most that it may come to.
    std::uint64_t size_of_body(const Parser& parser) const {
        if (parser.is_done()) return 0;
        const auto length = parser.content_length();
        return length ? *length : state_.limits().max_body_bytes;
    }

    Problem too_many_bodies(const Request& request) const {
        return {
            503,
            fmt::format(
                "the requests at hand have {} bytes already (server.limits.max_pending_body_bytes)",
                state_.pending_body_bytes),
            request.path,
            "send it again after the seconds in Retry-After",
            {}};
    }

    asio::awaitable<error_code> read_body(Parser& parser, Request& request) {
        error_code error;
        if (!parser.is_done() && request.count_headers("expect") > 0) {
            constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await asio::async_write(stream_, asio::buffer(kContinue),
                                       asio::redirect_error(asio::use_awaitable, error));
        }
        if (!error)
            co_await http::async_read(stream_, buffer_, parser,
                                      asio::redirect_error(asio::use_awaitable, error));
        request.body = std::move(parser.get().body());
        co_return error;
    }

    // The routes may take their time, but not for ever: then the effect is unknown, and that is
    // what the client is told.
    asio::awaitable<Response> ask_routes(const Request& head, std::string body) {
        struct Pending {
            explicit Pending(const asio::any_io_executor& executor) : timer(executor) {}
            std::optional<Response> response;
            asio::steady_timer timer;
        };
        const auto pending = std::make_shared<Pending>(stream_.get_executor());
        pending->timer.expires_after(state_.limits().request_timeout);
        Request request = head;
        request.body = std::move(body);
        state_.routes.handle(std::move(request), [pending](Response response) {
            pending->response = std::move(response);
            pending->timer.cancel();
        });
        if (!pending->response) {
            error_code cancelled;
            co_await pending->timer.async_wait(
                asio::redirect_error(asio::use_awaitable, cancelled));
        }
        if (pending->response) co_return std::move(*pending->response);
        co_return to_response(problem_of(
            fail(ErrorCode::kTimeout,
                 fmt::format("no answer within {} ms", state_.limits().request_timeout.count())),
            head));
    }

    // `has_rest`: a body that was refused is still on its way.
    asio::awaitable<bool> respond(const Response& response, const Request& request, bool has_rest) {
        const bool stays = keep_alive_ && !response.close && !has_rest && !state_.draining;
        const bool has_body = request.method != "HEAD";
        std::string head = fmt::format("HTTP/1.1 {} {}\r\nServer: millrace\r\n", response.status,
                                       title_of(response.status));
        if (response.status != 204)
            head += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", response.content_type,
                                response.body.size());
        for (const auto& [name, value] : response.headers)
            head += fmt::format("{}: {}\r\n", name, value);
        if (!stays) head += "Connection: close\r\n";
        head += "\r\n";
        const std::array<asio::const_buffer, 2> buffers{
            asio::buffer(head), has_body ? asio::buffer(response.body) : asio::const_buffer()};
        arm(state_.limits().request_timeout);
        error_code error;
        co_await asio::async_write(stream_, buffers,
                                   asio::redirect_error(asio::use_awaitable, error));
        if (error || stays) co_return !error;
        co_await close_gently();
        co_return false;
    }

    asio::awaitable<void> give_up(const error_code& error) {
        const error_code cause = timed_out_ ? make_error_code(beast::error::timeout) : error;
        const auto problem = problem_of_reading(cause, state_.limits());
        if (!problem) co_return;
        keep_alive_ = false;
        const Response response = to_response(*problem);
        const Request unknown;
        co_await respond(response, unknown, true);
    }

    // Closing with unread bytes resets the connection, and the client may lose the answer.
    asio::awaitable<void> close_gently() {
        error_code error;
        stream_.socket().shutdown(tcp::socket::shutdown_send, error);
        arm(kDrainTime);
        std::size_t drained = 0;
        buffer_.clear();
        while (!error && drained < kMaxDrainBytes) {
            drained += co_await stream_.async_read_some(
                buffer_.prepare(kReadBytes), asio::redirect_error(asio::use_awaitable, error));
        }
    }

    asio::awaitable<void> become_session(Parser& parser, Request request, RouteKind kind) {
        leave();
        if (kind == RouteKind::kStream) {
            tcp::socket socket = stream_.release_socket();
            co_await serve_stream(state_, std::move(socket), std::move(request));
        } else {
            const bool is_plain = kind == RouteKind::kPlainSocket;
            const UpgradeRequest upgrade = parser.release();
            co_await serve_websocket(state_, std::move(stream_), upgrade, std::move(request),
                                     is_plain);
        }
    }

    // Also when it becomes a session, which has time limits of its own.
    void leave() {
        deadline_.cancel();
        if (!std::exchange(has_left_, true)) --state_.http_connections;
    }

    ServerState& state_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    bool is_admin_;
    bool is_idle_ = false;
    bool is_first_ = true;
    bool keep_alive_ = false;
    bool has_left_ = false;
    bool timed_out_ = false;
    asio::steady_timer deadline_;
    LiveRegistration registration_;
};

}  // namespace

asio::awaitable<void> serve_connection(std::shared_ptr<ServerState> state, tcp::socket socket,
                                       bool is_admin) {
    const auto connection = std::make_shared<Connection>(*state, std::move(socket), is_admin);
    try {
        co_await connection->run();
    } catch (const std::exception& exception) {
        log::error("gateway", "a connection ended by an exception: {}; please report it",
                   exception.what());
    }
}

}  // namespace millrace::gateway
