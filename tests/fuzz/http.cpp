// Fuzz target: bytes of a peer through the gateway's connection code: requests, ingest, WebSocket
// and event streams.
//
// The input's first letter says where it arrives: `p` the public listener, `a` the admin one, `P`
// and `A` in small pieces. With `c` it is the inside of a cursor, which a session comes back with:
// a checksum keeps damage away, not malice.
#include <vector>

#include "core/crc32.hpp"
#include "fuzz/answers.hpp"
#include "fuzz/check.hpp"
#include "fuzz/gateway_under_test.hpp"

namespace millrace::fuzz {
namespace {

constexpr std::size_t kSmallPiece = 7;
constexpr std::size_t kMostSmallPieces = 200;

GatewayUnderTest& under_test() {
    static auto* const gateway = [] {
        log::configure(log::Level::kOff, log::Format::kText);
        return new GatewayUnderTest;
    }();
    return *gateway;
}

std::vector<std::string_view> pieces_of(std::string_view text, bool are_small) {
    std::vector<std::string_view> pieces;
    while (are_small && text.size() > kSmallPiece && pieces.size() < kMostSmallPieces) {
        pieces.push_back(text.substr(0, kSmallPiece));
        text.remove_prefix(kSmallPiece);
    }
    pieces.push_back(text);
    return pieces;
}

std::string resume_with(std::string_view inside) {
    std::string cursor(inside);
    const std::uint32_t checksum = crc32(cursor);
    for (unsigned shift = 0; shift < 32; shift += 8)
        cursor += static_cast<char>((checksum >> shift) & 0xffU);
    return "GET /v1/stream?user=7&cursor=" + gateway::base64url(cursor) +
           " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

// What ingest let through is what a reader of the topic takes.
void check_log(GatewayUnderTest& gateway) {
    for (auto& [origin, records] : gateway.transport.log) {
        for (const auto& record : records) {
            check(record.value.has_value(), "ingest appends values");
            const auto read =
                gateway.reader.decode_one(origin.topic, *record.value, record.headers);
            const EventStatus status = read->events.front().status;
            check(status == EventStatus::kReadable || status == EventStatus::kUnknownVersion,
                  "what was taken can be read", *record.value);
        }
        records.clear();
    }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace::fuzz;
    if (size == 0) return 0;
    const std::string_view input = view(data, size);
    const bool is_admin = input[0] == 'a' || input[0] == 'A';
    const bool are_small = input[0] == 'P' || input[0] == 'A';
    std::string request(input.substr(1));
    if (input[0] == 'c') request = resume_with(request);
    auto& gateway = under_test();
    const std::string heard = gateway.converse(pieces_of(request, are_small), is_admin);
    Answers(heard).check_all();
    check_log(gateway);
    return 0;
}
