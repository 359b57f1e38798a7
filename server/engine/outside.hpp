// What the engine needs from the floors above it: somewhere to push to, and something that makes
// HTTP requests. Both are passed in, so that the engine knows neither sockets nor Beast and a
// simulation can play them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/types.hpp"

namespace millrace::engine {

struct PushMessage {
    std::string user;
    TopicPartition origin;
    Offset offset;
    Timestamp record_timestamp;
    std::string event_id;
    std::optional<Timestamp> event_time;
    std::string event_type;
    std::string data;  // JSON: the event as published
};

// The gateway's hub. Every method may be called from any thread and only posts. For one partition
// the calls come in order.
class PushSink {
public:
    virtual ~PushSink() = default;
    // Reading of a partition began: everything from `floor` on will be seen.
    virtual void opened(const TopicPartition& origin, Offset floor) = 0;
    virtual void push(PushMessage message) = 0;
    // Everything below `next` was seen: a session that begins now begins there.
    virtual void advanced(const TopicPartition& origin, Offset next) = 0;
    // The partition is not read any more.
    virtual void closed(const TopicPartition& origin) = 0;
};

struct HttpCall {
    std::string method;
    std::string url;  // http:// or https://
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    milliseconds timeout{10'000};
    std::size_t max_response_bytes = 64 << 10;
};

struct HttpAnswer {
    int status = 0;    // 0: no answer
    std::string body;  // for status 0 what went wrong
    std::optional<milliseconds> retry_after;
};

// Loop thread; the callback arrives on it too, exactly once, never from inside `call`.
class HttpCaller {
public:
    virtual ~HttpCaller() = default;
    virtual void call(HttpCall request, std::function<void(HttpAnswer)> done) = 0;
};

}  // namespace millrace::engine
