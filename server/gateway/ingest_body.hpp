// The body of an ingest request, cut into events: one object, an array, lines (NDJSON), CloudEvents
// in their three modes.
//
// What is appended to the log is each event's own bytes, as they stand in the body. Here only the
// borders between events are found; whether each is good JSON is for the EnvelopeReader to say.
// Pure functions; any thread. The views point into the body.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "gateway/http_message.hpp"

namespace millrace::gateway {

struct IngestBody {
    bool is_batch = false;  // answered with a list, even of one
    std::vector<std::string_view> events;
    std::vector<std::pair<std::string, std::string>> headers;  // of every record
};

// kInvalid (400): no borders to be found, nothing in it. kDenied (415): a media type that carries
// no events. kFull (413): more than `max_events`.
Result<IngestBody> read_ingest_body(const Request& request, std::size_t max_events);

// Media types by which it goes: JSON, NDJSON, CloudEvents, and those that curl and forms send by
// themselves.
bool is_ingest_type(std::string_view content_type);

}  // namespace millrace::gateway
