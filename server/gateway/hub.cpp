#include "gateway/hub.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "events/ids.hpp"

namespace millrace::gateway {
namespace {

using namespace std::chrono_literals;

constexpr milliseconds kWarmUp = 10s;  // after the start, the push topics may not be assigned yet
constexpr milliseconds kCatchUp = 5s;  // another instance may be this far ahead of us, not more
constexpr milliseconds kExpiry = 10s;
constexpr milliseconds kClockSkew =
    100ms;  // of a producer, when it is asked what came after a session began

constexpr const char* kDeliveriesHelp =
    "Events for users' screens: sent to a session, replayed from a cursor, offline (no session), "
    "slow (session closed)";

HistoryLimits limits_of(const GatewaySection& config) {
    return {config.resume_age, config.resume_events, config.resume_bytes,
            config.resume_total_bytes};
}

}  // namespace

Hub::Hub(Runtime& runtime, const GatewaySection& config, Metrics& metrics)
    : runtime_(runtime),
      config_(config),
      started_(runtime.clock().monotonic()),
      history_(limits_of(config)),
      session_gauge_(metrics.gauge("millrace_sessions", "Connected WebSocket and SSE clients")) {
    const auto deliveries = [&](const char* result) {
        return metrics.counter("millrace_deliveries_total", kDeliveriesHelp, {{"result", result}});
    };
    sent_ = deliveries("sent");
    replayed_ = deliveries("replayed");
    offline_ = deliveries("offline");
    slow_ = deliveries("slow");
    runtime_.loop().post([this] { expire(); });
}

Hub::~Hub() = default;

void Hub::opened(const TopicPartition& origin, Offset floor) {
    runtime_.loop().post([this, origin, floor] {
        if (history_.opened(origin, floor, runtime_.clock().now()) == History::Opening::kContinues)
            return;
        close_all(
            CloseCode::kCursorTooOld,
            fmt::format("events of {} before offset {} were lost to retention; load the state anew",
                        to_string(origin), floor.value));
    });
}

void Hub::push(engine::PushMessage message) {
    runtime_.loop().post(
        [this, message = std::move(message)]() mutable { publish(std::move(message)); });
}

void Hub::advanced(const TopicPartition& origin, Offset next) {
    runtime_.loop().post([this, origin, next] { history_.advanced(origin, next); });
}

// What was read stays good for a resume; when reading goes on, `opened` says where.
void Hub::closed(const TopicPartition&) {}

void Hub::publish(engine::PushMessage message) {
    const TopicPartition origin = message.origin;
    const History::Added added = history_.add(std::move(message), runtime_.clock().now());
    if (added.kind == History::Added::Kind::kRecreated) {
        close_all(CloseCode::kEpochChanged,
                  fmt::format("{} was made anew; load the state anew", to_string(origin)));
    }
    if (added.publication) hand_out(added.publication, added.refilling);
}

void Hub::hand_out(const PublicationPtr& event, bool refilling) {
    const std::string& user = event->user;
    const auto found = by_user_.find(user);
    if (found == by_user_.end()) {
        offline_->add();
        return;
    }
    std::optional<Delivery> shared;
    const std::vector<Session*> sessions = found->second;
    for (Session* session : sessions) {
        Seat& seat = seats_.at(session);
        if (!is_for(seat, *event, refilling)) continue;
        if (!shared) shared.emplace(event, cursor());
        const bool taken = seat.ahead.empty() ? session->deliver(*shared)
                                              : session->deliver(Delivery(event, cursor_for(seat)));
        (taken ? sent_ : slow_)->add();
        if (!taken) leave(*session);
    }
}

bool Hub::is_for(Seat& seat, const Publication& event, bool refilling) {
    if (seat.from_now && refilling && event.record_timestamp < seat.joined - kClockSkew)
        return false;
    const auto ahead = seat.ahead.find(*event.origin);
    return ahead == seat.ahead.end() || event.offset >= ahead->second.next;
}

std::string Hub::cursor_for(const Seat& seat) const {
    Cursor cursor = history_.position();
    for (const auto& [origin, position] : seat.ahead) {
        auto& ours = cursor[origin];
        if (ours.next < position.next) ours = position;
    }
    return encode_cursor(cursor);
}

Result<Joined> Hub::join(Session& session, const std::string& user,
                         const std::optional<std::string>& cursor_text) {
    if (auto checked = check_limits(session, user); !checked) return checked.error();
    const auto cursor = cursor_text ? decode_cursor(*cursor_text) : std::nullopt;
    if (cursor && is_warming_up(*cursor)) {
        return fail(ErrorCode::kUnavailable,
                    "the server has just started and has not read the recent events yet; come back "
                    "in a second");
    }
    leave(session);
    Seat& seat = seats_[&session];
    seat.user = user;
    seat.joined = runtime_.clock().now();
    by_user_[user].push_back(&session);
    history_.hold(user);
    session_gauge_->set(static_cast<double>(seats_.size()));

    Joined joined;
    joined.session = random_uuid(runtime_.random());
    if (cursor) {
        resume(joined, seat, *cursor);
        watch_catching_up(session, seat);
    } else if (cursor_text) {
        joined.reason = "unreadable";
    }
    if (joined.cursor.empty()) joined.cursor = cursor_for(seat);
    joined.floor = history_.floors();
    return joined;
}

Result<void> Hub::check_limits(const Session& session, const std::string& user) const {
    if (seats_.contains(const_cast<Session*>(&session))) return {};
    if (seats_.size() >= config_.max_sessions) {
        return fail(
            ErrorCode::kFull,
            fmt::format(
                "this server has its {} sessions (gateway.limits.max_sessions); come back later",
                config_.max_sessions));
    }
    const auto found = by_user_.find(user);
    if (found != by_user_.end() && found->second.size() >= config_.max_sessions_per_user) {
        return fail(ErrorCode::kFull,
                    fmt::format("this user has {} sessions (gateway.limits.max_sessions_per_user); "
                                "close one of them",
                                config_.max_sessions_per_user));
    }
    return {};
}

void Hub::resume(Joined& joined, Seat& seat, const Cursor& cursor) {
    History::Resumed resumed = history_.resume(seat.user, cursor);
    switch (resumed.verdict) {
        case History::Resumed::Verdict::kTooOld:
            joined.reason = "cursor too old";
            return;
        case History::Resumed::Verdict::kRecreated:
            joined.reason = "epoch changed";
            return;
        case History::Resumed::Verdict::kWhole:
            break;
    }
    joined.recovered = true;
    seat.from_now = false;
    seat.ahead = resumed.ahead;
    Cursor begin = resumed.from;
    joined.cursor = encode_cursor(begin);
    fill_gap(joined, std::move(resumed), seat);
    replayed_->add(static_cast<double>(joined.gap.size()));
}

void Hub::fill_gap(Joined& joined, History::Resumed resumed, const Seat& seat) const {
    for (const PublicationPtr& event : resumed.gap) {
        resumed.from[*event->origin] = CursorPosition{event->offset.next(), event->fingerprint()};
        const bool is_last = event == resumed.gap.back();
        joined.gap.emplace_back(event, is_last ? cursor_for(seat) : encode_cursor(resumed.from));
    }
}

// A position that is not reached in time belongs to a log that is no more.
void Hub::watch_catching_up(Session& session, Seat& seat) {
    if (seat.ahead.empty()) return;
    seat.catch_up = runtime_.loop().after(kCatchUp, [this, &session, &seat] {
        std::erase_if(seat.ahead, [this](const auto& entry) {
            const auto ours = history_.position().find(entry.first);
            return ours != history_.position().end() && ours->second.next >= entry.second.next;
        });
        if (seat.ahead.empty()) return;
        const std::string origin = to_string(seat.ahead.begin()->first);
        close(
            session, CloseCode::kEpochChanged,
            fmt::format(
                "the cursor is past the end of {}: it belongs to an older log; load the state anew",
                origin));
    });
}

bool Hub::is_warming_up(const Cursor& cursor) const {
    if (runtime_.clock().monotonic() - started_ > kWarmUp) return false;
    return std::ranges::any_of(cursor,
                               [this](const auto& entry) { return !history_.knows(entry.first); });
}

void Hub::close(Session& session, CloseCode code, const std::string& reason) {
    session.close(code, reason);
    leave(session);
}

void Hub::leave(Session& session) {
    const auto found = seats_.find(&session);
    if (found == seats_.end()) return;
    const std::string user = found->second.user;
    auto& sessions = by_user_[user];
    std::erase(sessions, &session);
    if (sessions.empty()) by_user_.erase(user);
    history_.release(user);
    seats_.erase(found);
    session_gauge_->set(static_cast<double>(seats_.size()));
}

void Hub::close_all(CloseCode code, const std::string& reason) {
    std::vector<Session*> sessions;
    sessions.reserve(seats_.size());
    for (const auto& [session, seat] : seats_) sessions.push_back(session);
    for (Session* session : sessions) close(*session, code, reason);
}

void Hub::expire() {
    history_.expire(runtime_.clock().now());
    expiry_ = runtime_.loop().after(kExpiry, [this] { expire(); });
}

}  // namespace millrace::gateway
