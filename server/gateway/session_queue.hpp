// SessionQueue: what waits to be written to one client; and its decision to close.
//
// Bounded in bytes: a client that does not keep up is closed (4101) and resumes by its cursor;
// nothing is sent after that decision. The gap of a resume is bounded by the history and does not
// count. Texts are shared with other sessions, not copied. Thread rule: the loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/hub.hpp"

namespace millrace::gateway {

using SharedText = std::shared_ptr<const std::string>;

class SessionQueue {
public:
    SessionQueue(const boost::asio::any_io_executor& executor, std::size_t max_bytes)
        : wake_(executor), max_bytes_(max_bytes) {}

    // False: it is closing, or this was too much and it is closing now.
    bool push(SharedText text);
    void push_gap(SharedText text);
    // The first decision stays. A slow client is not told more than the code: what waits is
    // dropped.
    void close(CloseCode code, std::string reason);
    // The peer has gone: nothing can be written any more.
    void abandon();

    bool is_closing() const { return closing_.has_value() || abandoned_; }
    bool is_abandoned() const { return abandoned_; }
    struct Closing {
        CloseCode code;
        std::string reason;
    };
    const std::optional<Closing>& closing() const { return closing_; }

    // Waits for texts, a decision to close, or the time to pass; the texts may be none. At most so
    // many at a time and so many bytes (one text may be more).
    boost::asio::awaitable<std::vector<SharedText>> next(milliseconds patience,
                                                         std::size_t max_texts);

private:
    struct Entry {
        SharedText text;
        std::size_t counted;
    };
    std::vector<SharedText> take(std::size_t max_texts);

    boost::asio::steady_timer wake_;
    std::size_t max_bytes_;
    std::deque<Entry> entries_;
    std::size_t bytes_ = 0;
    std::optional<Closing> closing_;
    bool abandoned_ = false;
};

}  // namespace millrace::gateway
