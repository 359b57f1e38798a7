// One HTTP/1.1 connection (RFC 9112): reads requests, has the routes answer them, hands sessions
// over.
//
// Whatever two servers could read differently is answered 400 and the connection closed: chunked on
// HTTP/1.0, other transfer codings, two lengths, none or two Hosts, folded header lines. Each limit
// of server.limits has its status: 408, 413, 431. Thread rule: the loop thread. Ownership: the
// coroutine's own. It never throws.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "gateway/http_message.hpp"
#include "gateway/server_state.hpp"

namespace millrace::gateway {

boost::asio::awaitable<void> serve_connection(std::shared_ptr<ServerState> state,
                                              boost::asio::ip::tcp::socket socket, bool is_admin);

// Whether a header goes on in the next line (obsolete in RFC 9112, section 5.2, and read
// differently by different servers). `head`: as it came.
bool has_folded_line(std::string_view head);

// What is wrong with the framing of a request, by its head. `version`: 10 or 11.
std::optional<Problem> check_framing(const Request& request, unsigned version);

}  // namespace millrace::gateway
