// A client of server-sent events (WHATWG HTML, section 9.2): the same events as over WebSocket, for
// those behind proxies.
//
// `id:` is the cursor, which a browser sends back as Last-Event-ID. Thread rule: the loop thread.
// Ownership: a session lives in its coroutines. Errors end it; the browser comes back by itself.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "gateway/http_message.hpp"
#include "gateway/server_state.hpp"

namespace millrace::gateway {

// `http_1_0` and 1.1 alike: the body ends with the connection.
boost::asio::awaitable<void> serve_stream(ServerState& state, boost::asio::ip::tcp::socket socket,
                                          Request request);

}  // namespace millrace::gateway
