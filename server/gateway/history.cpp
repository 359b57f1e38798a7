#include "gateway/history.hpp"

#include <algorithm>

#include "core/crc32.hpp"
#include "events/time.hpp"
#include "gateway/encoding.hpp"

namespace millrace::gateway {
namespace {

// Fingerprints kept per partition (24 bytes each), to notice that a topic was made anew; for an
// older offset a later time tells. Not for the configuration: nobody's events depend on it.
constexpr std::size_t kMaxRecent = 4'096;
constexpr milliseconds kRefillPause{1'000};
constexpr std::size_t kUserBytes = 400;  // a user without events

std::string_view without_byte_order_mark(std::string_view text) {
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

const Fingerprint* find_recent(const std::deque<Fingerprint>& recent, Offset offset) {
    const auto found = std::ranges::lower_bound(recent, offset, {}, &Fingerprint::offset);
    return found != recent.end() && found->offset == offset ? &*found : nullptr;
}

}  // namespace

History::Opening History::opened(const TopicPartition& origin, Offset floor, Timestamp now) {
    const bool known = knows(origin);
    Log& log = log_of(origin, now);
    if (!known) {
        log.floor = log.position->next = floor;
        return Opening::kContinues;
    }
    if (floor <= log.position->next) return Opening::kContinues;
    forget_log(log, index_.at(origin), floor);
    return Opening::kGap;
}

void History::advanced(const TopicPartition& origin, Offset next) {
    const auto found = index_.find(origin);
    if (found == index_.end()) return;
    Log& log = partitions_[found->second];
    log.position->next = std::max(log.position->next, next);
}

History::Log& History::log_of(const TopicPartition& origin, Timestamp now) {
    const auto [found, is_new] = index_.try_emplace(origin, partitions_.size());
    if (is_new) {
        partitions_.push_back(Log{.origin = std::make_shared<const TopicPartition>(origin),
                                  .floor = {},
                                  .opened_at = now,
                                  .active_at = now,
                                  .refilling = true,
                                  .recent = {},
                                  .position = &position_[origin]});
    }
    return partitions_[found->second];
}

History::Added History::add(engine::PushMessage message, Timestamp now) {
    Log& log = log_of(message.origin, now);
    const std::size_t partition = index_.at(message.origin);
    Added added{Added::Kind::kNew, nullptr, false};
    if (message.offset < log.position->next) {
        const Fingerprint seen{message.offset, to_epoch_ms(message.record_timestamp),
                               crc32(without_byte_order_mark(message.data))};
        added.kind = compare_known(log, seen);
        if (added.kind == Added::Kind::kKnown) return added;
        forget_log(log, partition, message.offset);
    }
    // A pause means that the past has been read: a producer's clock that is behind must not hide
    // its events.
    if (message.record_timestamp >= log.opened_at || now - log.active_at > kRefillPause)
        log.refilling = false;
    log.active_at = now;
    added.refilling = log.refilling;
    added.publication = store(std::move(message), partition, now);
    return added;
}

// Read again, or another record at an old offset? Where the fingerprint is gone, a lower offset
// with a later time tells.
History::Added::Kind History::compare_known(const Log& log, const Fingerprint& seen) const {
    if (log.recent.empty()) return Added::Kind::kKnown;
    if (seen.offset >= log.recent.front().offset) {
        return contradicts(log, seen) ? Added::Kind::kRecreated : Added::Kind::kKnown;
    }
    return seen.timestamp_ms > log.recent.back().timestamp_ms ? Added::Kind::kRecreated
                                                              : Added::Kind::kKnown;
}

bool History::contradicts(const Log& log, const Fingerprint& seen) {
    if (log.recent.empty() || seen.offset < log.recent.front().offset ||
        seen.offset >= log.position->next)
        return false;
    const Fingerprint* known = find_recent(log.recent, seen.offset);
    return known == nullptr || *known != seen;
}

void History::forget_log(Log& log, std::size_t partition, Offset floor) {
    for (auto event = events_.begin(); event != events_.end();) {
        const auto current = event++;
        if (current->partition != partition) continue;
        User& user = *current->user;
        std::erase(user.events, current);
        user.bytes -= current->publication->bytes();
        bytes_ -= current->publication->bytes();
        events_.erase(current);
    }
    for (auto& [name, user] : users_) {
        std::erase_if(user->partitions,
                      [&](const UserPartition& entry) { return entry.partition == partition; });
    }
    log.recent.clear();
    log.floor = floor;
    *log.position = CursorPosition{floor, std::nullopt};
}

PublicationPtr History::store(engine::PushMessage message, std::size_t partition, Timestamp now) {
    Log& log = partitions_[partition];
    User& user = user_of(message.user);
    UserPartition* entry = find(user, partition);
    auto event = std::make_shared<Publication>();
    event->user = user.name;
    event->origin = log.origin;
    event->offset = message.offset;
    if (entry != nullptr) event->previous = entry->last;
    event->record_timestamp = message.record_timestamp;
    event->id = std::move(message.event_id);
    event->type = std::move(message.event_type);
    event->time = message.event_time;
    event->data = without_byte_order_mark(message.data);
    event->crc = crc32(event->data);

    if (entry == nullptr)
        entry = &user.partitions.emplace_back(UserPartition{partition, {}, Offset{-1}});
    entry->last = event->offset;
    *log.position = CursorPosition{event->offset.next(), event->fingerprint()};
    log.recent.push_back(event->fingerprint());
    if (log.recent.size() > kMaxRecent) log.recent.pop_front();

    user.newest = std::max(user.newest, message.record_timestamp);
    by_age_.splice(by_age_.end(), by_age_, user.order);
    user.events.push_back(events_.insert(events_.end(), Stored{event, &user, partition}));
    user.bytes += event->bytes();
    bytes_ += event->bytes();
    enforce_limits(user, now);
    return event;
}

History::User& History::user_of(const std::string& name) {
    auto& user = users_[name];
    if (!user) {
        user = std::make_unique<User>();
        user->name = name;
        user->order = by_age_.insert(by_age_.end(), user.get());
        bytes_ += kUserBytes + name.size();
    }
    return *user;
}

History::UserPartition* History::find(User& user, std::size_t partition) {
    const auto found = std::ranges::find(user.partitions, partition, &UserPartition::partition);
    return found == user.partitions.end() ? nullptr : &*found;
}

void History::enforce_limits(User& user, Timestamp now) {
    while (user.events.size() > limits_.events ||
           (user.bytes > limits_.bytes && !user.events.empty())) {
        drop_oldest_of(user);
    }
    // Whoever has nothing left to resume is forgotten before others lose what they have.
    for (std::size_t tries = users_.size() + events_.size();
         bytes_ > limits_.total_bytes && tries > 0; --tries) {
        if (events_.empty() || by_age_.front()->events.empty()) {
            drop_oldest_user(now);
        } else {
            drop_oldest_of(*events_.front().user);
        }
    }
}

void History::expire(Timestamp now) {
    const Timestamp oldest = now - limits_.age;
    while (!events_.empty() && events_.front().publication->record_timestamp < oldest) {
        drop_oldest_of(*events_.front().user);
    }
    for (std::size_t tries = users_.size(); tries > 0 && by_age_.front()->newest < oldest; --tries)
        drop_oldest_user(now);
}

void History::drop_oldest_of(User& user) {
    const Events::iterator event = user.events.front();
    user.events.pop_front();
    UserPartition* entry = find(user, event->partition);
    entry->lost = std::max(entry->lost, event->publication->offset);
    const std::size_t size = event->publication->bytes();
    user.bytes -= size;
    bytes_ -= size;
    events_.erase(event);
}

// One with sessions goes to the end of the line instead.
void History::drop_oldest_user(Timestamp now) {
    User& user = *by_age_.front();
    if (user.holds == 0) {
        forget_user(user);
        return;
    }
    user.newest = now;
    by_age_.splice(by_age_.end(), by_age_, user.order);
}

void History::forget_user(User& user) {
    while (!user.events.empty()) drop_oldest_of(user);
    for (const UserPartition& entry : user.partitions) {
        Log& log = partitions_[entry.partition];
        log.floor = std::max(log.floor, entry.last.next());
    }
    bytes_ -= kUserBytes + user.name.size();
    by_age_.erase(user.order);
    users_.erase(users_.find(user.name));
}

void History::hold(const std::string& user) { ++user_of(user).holds; }

void History::release(const std::string& user) {
    const auto found = users_.find(user);
    if (found == users_.end() || --found->second->holds > 0) return;
    // Nothing was ever pushed to it: nothing is forgotten with it.
    if (found->second->partitions.empty()) forget_user(*found->second);
}

std::vector<std::pair<TopicPartition, Offset>> History::floors() const {
    std::vector<std::pair<TopicPartition, Offset>> floors;
    for (const auto& [origin, position] : position_)
        floors.emplace_back(origin, partitions_[index_.at(origin)].floor);
    return floors;
}

History::Resumed History::resume(const std::string& user, const Cursor& cursor) const {
    Resumed resumed;
    const auto found = users_.find(user);
    const User* known = found == users_.end() ? nullptr : found->second.get();
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const Log& log = partitions_[i];
        const auto given = cursor.find(*log.origin);
        const CursorPosition from = given == cursor.end() ? CursorPosition{} : given->second;
        if (from.last && contradicts(log, *from.last)) {
            resumed.verdict = Resumed::Verdict::kRecreated;
            return resumed;
        }
        if (from.next < log.floor) resumed.verdict = Resumed::Verdict::kTooOld;
        if (from.next > log.position->next) resumed.ahead.emplace(*log.origin, from);
        resumed.from.emplace(*log.origin, from);
        if (known == nullptr) continue;
        const auto entry = std::ranges::find(known->partitions, i, &UserPartition::partition);
        if (entry != known->partitions.end() && entry->lost >= from.next)
            resumed.verdict = Resumed::Verdict::kTooOld;
    }
    if (resumed.verdict != Resumed::Verdict::kWhole || known == nullptr) return resumed;
    for (const auto& event : known->events) {
        if (event->publication->offset >= resumed.from.at(*event->publication->origin).next) {
            resumed.gap.push_back(event->publication);
        }
    }
    return resumed;
}

}  // namespace millrace::gateway
