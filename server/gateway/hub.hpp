// Hub: who is connected, and what they are sent. It takes events from the push handlers, remembers
// them per user (History) and hands each to the sessions of its user and to nobody else.
//
// Thread rule: the methods of PushSink from any thread, they post to the loop; all others on the
// loop thread. Ownership: sessions are the connections' own and leave before they die; the Hub
// outlives the loop's run. Errors: `join` refuses with kFull (a limit) or kUnavailable (too early
// after the start to judge a cursor); it closes sessions that would miss events or cannot keep up
// with them, with a code that tells the client what to do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/metrics.hpp"
#include "core/result.hpp"
#include "core/runtime.hpp"
#include "engine/outside.hpp"
#include "gateway/history.hpp"

namespace millrace::gateway {

// INTERFACE of the WebSocket: 40xx do not come back, 41xx come back with backoff, 42xx resync at
// once.
enum class CloseCode : std::uint16_t {
    kGoingAway = 1001,
    kTryAgainLater = 1013,
    kBadRequest = 4000,
    kTooLarge = 4008,
    kShuttingDown = 4100,
    kSlow = 4101,
    kOverLimit = 4102,
    kEpochChanged = 4200,
    kCursorTooOld = 4201,
};

// One connected client. Neither method may call back into the Hub.
class Session {
public:
    virtual ~Session() = default;
    // False: it cannot take more and is closing; the Hub has forgotten it when this returns.
    virtual bool deliver(const Delivery& delivery) = 0;
    virtual void close(CloseCode code, const std::string& reason) = 0;
};

struct Joined {
    std::string session;     // its id
    bool recovered = false;  // the gap since the cursor is whole
    std::string reason;      // why not, when a cursor was given
    std::string cursor;      // where it begins
    std::vector<std::pair<TopicPartition, Offset>> floor;
    std::vector<Delivery> gap;  // to be sent before anything that is delivered
};

class Hub final : public engine::PushSink {
public:
    Hub(Runtime& runtime, const GatewaySection& config, Metrics& metrics);
    ~Hub() override;

    void opened(const TopicPartition& origin, Offset floor) override;
    void push(engine::PushMessage message) override;
    void advanced(const TopicPartition& origin, Offset next) override;
    void closed(const TopicPartition& origin) override;

    // From now on the session is delivered the user's events. A session that joined before begins
    // anew.
    Result<Joined> join(Session& session, const std::string& user,
                        const std::optional<std::string>& cursor);
    void leave(Session& session);
    // Forgets every session after telling it to close.
    void close_all(CloseCode code, const std::string& reason);

    std::size_t sessions() const { return seats_.size(); }
    // What a client that has seen everything so far would be given.
    std::string cursor() const { return encode_cursor(history_.position()); }

private:
    struct Seat {
        std::string user;
        Timestamp joined;
        bool from_now = true;  // joined without a cursor: events from before are not for it
        Cursor ahead;          // what its cursor has and this process has not read yet
        std::unique_ptr<Timer> catch_up;
    };

    void publish(engine::PushMessage message);
    void hand_out(const PublicationPtr& event, bool refilling);
    bool is_for(Seat& seat, const Publication& event, bool refilling);
    std::string cursor_for(const Seat& seat) const;
    Result<void> check_limits(const Session& session, const std::string& user) const;
    void resume(Joined& joined, Seat& seat, const Cursor& cursor);
    void fill_gap(Joined& joined, History::Resumed resumed, const Seat& seat) const;
    void watch_catching_up(Session& session, Seat& seat);
    bool is_warming_up(const Cursor& cursor) const;
    void close(Session& session, CloseCode code, const std::string& reason);
    void expire();

    Runtime& runtime_;
    GatewaySection config_;
    std::chrono::nanoseconds started_;
    History history_;
    std::unordered_map<Session*, Seat> seats_;
    std::unordered_map<std::string, std::vector<Session*>> by_user_;
    std::unique_ptr<Timer> expiry_;
    std::shared_ptr<Gauge> session_gauge_;
    std::shared_ptr<Counter> sent_;
    std::shared_ptr<Counter> replayed_;
    std::shared_ptr<Counter> offline_;
    std::shared_ptr<Counter> slow_;
};

}  // namespace millrace::gateway
