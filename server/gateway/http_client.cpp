#include "gateway/http_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <charconv>
#include <ctime>

#include "gateway/encoding.hpp"
#include "gateway/url.hpp"

namespace millrace::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using engine::HttpAnswer;
using engine::HttpCall;
using Request = http::request<http::string_body>;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr std::uint32_t kMaxHeaderBytes = 32U << 10;

HttpAnswer no_answer(const HttpCall& call, std::string_view what, const error_code& error) {
    const std::string reason = error == beast::error::timeout
                                   ? fmt::format("no answer within {} ms", call.timeout.count())
                                   : error.message();
    return HttpAnswer{0, fmt::format("{} {}: {}: {}", call.method, call.url, what, reason),
                      std::nullopt};
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

// A line break in a header would end it and begin another request.
std::optional<std::string> fault_in(const HttpCall& call) {
    if (!is_token(call.method)) return fmt::format("'{}' is not an HTTP method", call.method);
    for (const auto& [name, value] : call.headers) {
        const bool is_clean =
            std::ranges::none_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
        if (!is_token(name) || !is_clean)
            return fmt::format("the header '{}' has characters that no header may have", name);
    }
    return std::nullopt;
}

bool is_framing(std::string_view name) {
    constexpr std::string_view kOurs[] = {"host", "connection", "content-length",
                                          "transfer-encoding", "expect"};
    return std::ranges::any_of(
        kOurs, [&](std::string_view ours) { return equal_ignoring_case(name, ours); });
}

// RFC 6066 section 3: literal addresses are not sent as a server name.
void name_host(TlsStream& stream, const std::string& host) {
    error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (!not_an_address) return;
    SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
}

Request make_request(const HttpCall& call, const Url& url) {
    Request request;
    request.version(11);
    request.method_string(call.method);
    request.target(url.target);
    request.set(http::field::host, url.host_header());
    request.set(http::field::user_agent, "millrace");
    request.set(http::field::connection, "close");
    for (const auto& [name, value] : call.headers) {
        if (!is_framing(name)) request.set(name, value);
    }
    request.body() = call.body;
    request.prepare_payload();
    return request;
}

// Writes, then reads up to the limit: a longer body is cut, which is no error.
template <class Stream>
asio::awaitable<HttpAnswer> exchange(Stream& stream, const HttpCall& call, const Url& url,
                                     Timestamp now) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    Request request = make_request(call, url);
    co_await http::async_write(stream, request, token);
    if (error) co_return no_answer(call, "sending", error);

    beast::flat_buffer buffer(kMaxHeaderBytes);
    http::response_parser<http::string_body> parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(boost::none);
    if (call.method == "HEAD") parser.skip(true);
    co_await http::async_read_header(stream, buffer, parser, token);
    if (error) co_return no_answer(call, "reading the answer", error);
    while (!parser.is_done() && parser.get().body().size() < call.max_response_bytes) {
        co_await http::async_read_some(stream, buffer, parser, token);
        if (error) co_return no_answer(call, "reading the answer", error);
    }
    auto response = parser.release();
    std::string& body = response.body();
    if (body.size() > call.max_response_bytes) body.resize(call.max_response_bytes);
    const auto retry_after = response[http::field::retry_after];
    co_return HttpAnswer{static_cast<int>(response.result_int()), std::move(body),
                         parse_retry_after({retry_after.data(), retry_after.size()}, now)};
}

asio::awaitable<HttpAnswer> secure_exchange(TlsStream& stream, const HttpCall& call, const Url& url,
                                            Timestamp now) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification(url.host));
    name_host(stream, url.host);
    co_await stream.async_handshake(asio::ssl::stream_base::client, token);
    if (error) co_return no_answer(call, "verifying the server's certificate", error);
    co_return co_await exchange(stream, call, url, now);
}

asio::awaitable<HttpAnswer> perform(HttpCall& call, asio::ssl::context& tls, Timestamp now) {
    const auto url = parse_url(call.url);
    if (!url) co_return HttpAnswer{0, url.error().message, std::nullopt};
    if (auto fault = fault_in(call))
        co_return HttpAnswer{0, fmt::format("{}: {}", call.url, *fault), std::nullopt};
    const auto executor = co_await asio::this_coro::executor;
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);

    tcp::resolver resolver(executor);
    asio::steady_timer deadline(executor, call.timeout);
    deadline.async_wait([&resolver](const error_code& cancelled) {
        if (!cancelled) resolver.cancel();
    });
    const auto start = std::chrono::steady_clock::now();
    const auto addresses = co_await resolver.async_resolve(url->host, url->port, token);
    if (deadline.cancel() == 0 && error == asio::error::operation_aborted)
        error = beast::error::timeout;
    if (error) co_return no_answer(call, "looking up the host", error);

    beast::tcp_stream stream(executor);
    stream.expires_at(start + call.timeout);
    co_await stream.async_connect(addresses, token);
    if (error) co_return no_answer(call, "connecting", error);
    if (!url->secure) co_return co_await exchange(stream, call, *url, now);
    TlsStream secure(std::move(stream), tls);
    co_return co_await secure_exchange(secure, call, *url, now);
}

asio::ssl::context make_tls() {
    asio::ssl::context tls(asio::ssl::context::tls_client);
    tls.set_default_verify_paths();
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
    return tls;
}

}  // namespace

HttpClient::HttpClient(AsioRuntime& runtime, const HttpLimits& limits)
    : context_(runtime.context()), clock_(runtime.clock()), limits_(limits), tls_(make_tls()) {}

HttpClient::~HttpClient() = default;

void HttpClient::call(HttpCall request, std::function<void(HttpAnswer)> done) {
    if (active_ < limits_.max_calls) {
        start({std::move(request), std::move(done)});
    } else if (waiting_.size() < limits_.max_waiting_calls) {
        waiting_.push_back({std::move(request), std::move(done)});
    } else {
        std::string reason =
            fmt::format("{} {}: {} requests are waiting already (server.limits.max_waiting_calls)",
                        request.method, request.url, waiting_.size());
        asio::post(context_, [done = std::move(done), reason = std::move(reason)]() mutable {
            done(HttpAnswer{0, std::move(reason), std::nullopt});
        });
    }
}

void HttpClient::start(Waiting waiting) {
    ++active_;
    asio::co_spawn(
        context_,
        [this, waiting = std::move(waiting)]() mutable -> asio::awaitable<void> {
            HttpAnswer answer = co_await perform(waiting.request, tls_, clock_.now());
            finished();
            waiting.done(std::move(answer));
        },
        asio::detached);
}

void HttpClient::finished() {
    --active_;
    if (waiting_.empty()) return;
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(next));
}

std::optional<milliseconds> parse_retry_after(std::string_view value, Timestamp now) {
    value = trimmed(value);
    if (value.empty()) return std::nullopt;
    std::uint32_t seconds = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (fault == std::errc() && end == value.data() + value.size())
        return std::chrono::seconds(seconds);
    std::tm parts{};
    const std::string text(value);
    const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (rest == nullptr || *rest != '\0') return std::nullopt;
    const auto at =
        std::chrono::sys_time<std::chrono::seconds>(std::chrono::seconds(::timegm(&parts)));
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(at - now));
}

}  // namespace millrace::gateway
