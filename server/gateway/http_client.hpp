// HttpClient: the requests that handlers ask for (webhooks), over http and https.
//
// Certificates are verified against the system's store (or SSL_CERT_FILE). Redirects are not
// followed: a webhook that moved is an answer for its handler to see. At most max_calls at a
// time (server.limits), further ones wait in line up to max_waiting_calls. Thread rule: the loop
// thread, calls back on it, exactly once and never from inside `call`. Ownership: outlives the
// loop's run. Errors: an answer with status 0 whose body says what went wrong.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <deque>
#include <functional>

#include "core/asio_runtime.hpp"
#include "core/config/server_config.hpp"
#include "engine/outside.hpp"

namespace millrace::gateway {

class HttpClient final : public engine::HttpCaller {
public:
    explicit HttpClient(AsioRuntime& runtime, const HttpLimits& limits = {});
    ~HttpClient() override;

    void call(engine::HttpCall request, std::function<void(engine::HttpAnswer)> done) override;

private:
    struct Waiting {
        engine::HttpCall request;
        std::function<void(engine::HttpAnswer)> done;
    };
    void start(Waiting waiting);
    void finished();

    boost::asio::io_context& context_;
    Clock& clock_;
    HttpLimits limits_;
    boost::asio::ssl::context tls_;
    std::size_t active_ = 0;
    std::deque<Waiting> waiting_;
};

// RFC 9110 section 10.2.3: seconds, or an HTTP date.
std::optional<milliseconds> parse_retry_after(std::string_view value, Timestamp now);

}  // namespace millrace::gateway
