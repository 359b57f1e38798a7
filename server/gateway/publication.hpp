// Publication: one event for the screens of one user, and Delivery: a publication on its way to
// sessions.
//
// A publication is immutable and shared by the history and all sessions; its text is made once per
// form however many sessions receive it. Loop thread.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "core/types.hpp"
#include "gateway/cursor.hpp"

namespace millrace::gateway {

struct Publication {
    std::string user;
    std::shared_ptr<const TopicPartition> origin;
    Offset offset;
    std::optional<Offset> previous;  // of this user on this partition
    Timestamp record_timestamp;
    std::uint32_t crc = 0;  // of the data
    std::string id;
    std::string type;
    std::optional<Timestamp> time;
    std::string data;  // JSON, as published

    Fingerprint fingerprint() const;
    std::size_t bytes() const;  // what it costs in memory, roughly
};

using PublicationPtr = std::shared_ptr<const Publication>;

// How a session wants its events.
enum class EventForm {
    kFrame = 0,  // protocol millrace.v1
    kStream,     // a server-sent event
    kPlain,      // the event alone, for clients that know no protocol
};

class Delivery {
public:
    // `cursor`: what a client that has this event has seen.
    Delivery(PublicationPtr publication, std::string cursor);

    const Publication& publication() const { return *publication_; }
    const std::string& cursor() const { return cursor_; }
    // Encoded at the first call for a form.
    std::shared_ptr<const std::string> text(EventForm form) const;

private:
    PublicationPtr publication_;
    std::string cursor_;
    mutable std::array<std::shared_ptr<const std::string>, 3> texts_;
};

}  // namespace millrace::gateway
