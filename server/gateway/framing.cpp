#include <fmt/format.h>

#include "gateway/connection.hpp"

namespace millrace::gateway {

bool has_folded_line(std::string_view head) {
    for (std::size_t at = head.find('\n'); at != std::string_view::npos;
         at = head.find('\n', at + 1)) {
        if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')) return true;
    }
    return false;
}

std::optional<Problem> check_framing(const Request& request, unsigned version) {
    const auto wrong = [&](int status, std::string what, std::string help) {
        return Problem{status, std::move(what), request.path, std::move(help), {}};
    };
    if (version != 10 && version != 11)
        return wrong(505, "only HTTP/1.0 and HTTP/1.1 are spoken here", "speak HTTP/1.1");
    if (request.is_folded)
        return wrong(400, "a header goes on in the next line", "send each header in one line");
    if (const std::size_t hosts = request.count_headers("host"); hosts != 1) {
        return wrong(
            400, hosts == 0 ? "the Host header is missing" : "there is more than one Host header",
            "send one Host header");
    }
    const std::size_t codings = request.count_headers("transfer-encoding");
    const std::size_t lengths = request.count_headers("content-length");
    if (codings > 0 && version == 10)
        return wrong(400, "HTTP/1.0 has no Transfer-Encoding", "send Content-Length");
    if (codings > 1 ||
        (codings == 1 &&
         !equal_ignoring_case(trimmed(request.header("transfer-encoding")), "chunked"))) {
        return wrong(400,
                     fmt::format("the Transfer-Encoding '{}' is not understood",
                                 request.header("transfer-encoding")),
                     "send 'chunked' or Content-Length");
    }
    if (lengths > 1 || (lengths == 1 && codings == 1))
        return wrong(400, "the length of the body is said twice", "say it once");
    if (const auto expect = request.header("expect");
        !expect.empty() && !equal_ignoring_case(expect, "100-continue")) {
        return wrong(417, fmt::format("the expectation '{}' cannot be met", expect),
                     "expect 100-continue or nothing");
    }
    return std::nullopt;
}

}  // namespace millrace::gateway
