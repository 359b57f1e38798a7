// A WebSocket client: protocol millrace.v1, or plain event objects for clients that know no
// protocol.
//
// Thread rule: the loop thread. Ownership: a session lives in its coroutine; a second one writes.
// Errors end the session with a close code (CloseCode); it never throws.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "gateway/http_message.hpp"
#include "gateway/server_state.hpp"

namespace millrace::gateway {

using UpgradeRequest = boost::beast::http::request<boost::beast::http::string_body>;

// Answers the upgrade and stays until the session has ended. `is_plain`: a message per event, which
// is the event alone.
boost::asio::awaitable<void> serve_websocket(ServerState& state, boost::beast::tcp_stream stream,
                                             const UpgradeRequest& upgrade, Request request,
                                             bool is_plain);

}  // namespace millrace::gateway
