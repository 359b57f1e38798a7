// History: the recent events of every user, and what may be promised about them.
//
// A ring per user, bounded by number, bytes and age, and by bytes over all users. For each
// partition it knows the `floor` (from there on nothing is forgotten that a user's last offset
// would tell) and the `next` offset. A resume is answered with the whole gap or not at all: what
// was dropped from a user's ring is remembered by its highest offset, which outlives the bodies. A
// user that is forgotten altogether raises the floors above what it had.
//
// Thread rule: the loop thread. Ownership: everything; publications are shared with sessions. It
// cannot fail; a topic that was deleted and made anew shows as `kRecreated`, by timestamps and
// checksums (broker's topic ids are not to be had).
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/types.hpp"
#include "engine/outside.hpp"
#include "gateway/cursor.hpp"
#include "gateway/publication.hpp"

namespace millrace::gateway {

struct HistoryLimits {
    milliseconds age{3'600'000};
    std::size_t events = 1'000;    // per user
    std::size_t bytes = 1U << 20;  // per user
    std::size_t total_bytes = 256U << 20;
};

class History {
public:
    explicit History(HistoryLimits limits) : limits_(limits) {}

    enum class Opening {
        kContinues = 1,  // new, or reading goes on at or below where it had come
        kGap,            // reading begins above: what lies between was never seen, and is given up
    };
    Opening opened(const TopicPartition& origin, Offset floor, Timestamp now);
    void advanced(const TopicPartition& origin, Offset next);

    struct Added {
        enum class Kind {
            kNew = 1,
            kKnown,      // read again
            kRecreated,  // another log under the old name; its history was dropped, this is its
                         // first event
        } kind = Kind::kKnown;
        PublicationPtr publication;  // unless kKnown
        bool refilling = false;      // older than the opening: not news for those who begin now
    };
    Added add(engine::PushMessage message, Timestamp now);

    // A user with sessions is not forgotten, so that `previous` stays true for them.
    void hold(const std::string& user);
    void release(const std::string& user);
    // Drops what is older than the age; also done bit by bit by `add`.
    void expire(Timestamp now);

    // Everything below was seen.
    const Cursor& position() const { return position_; }
    std::vector<std::pair<TopicPartition, Offset>> floors() const;
    bool knows(const TopicPartition& origin) const { return index_.contains(origin); }
    bool has_partitions() const { return !partitions_.empty(); }

    struct Resumed {
        enum class Verdict { kWhole = 1, kTooOld, kRecreated } verdict = Verdict::kWhole;
        std::vector<PublicationPtr> gap;  // in the order in which they arrived
        Cursor from;                      // where the gap begins, for every known partition
        Cursor ahead;                     // positions that this process has not reached yet
    };
    Resumed resume(const std::string& user, const Cursor& cursor) const;

    std::size_t bytes() const { return bytes_; }
    std::size_t users() const { return users_.size(); }

private:
    struct User;
    struct Stored {
        PublicationPtr publication;
        User* user;
        std::size_t partition;
    };
    using Events = std::list<Stored>;
    struct UserPartition {
        std::size_t partition;
        Offset last;
        Offset lost{-1};  // the highest offset that was dropped
    };
    struct User {
        std::string name;
        std::deque<Events::iterator> events;
        std::size_t bytes = 0;
        std::vector<UserPartition> partitions;
        Timestamp newest;
        int holds = 0;
        std::list<User*>::iterator order;
    };
    struct Log {
        std::shared_ptr<const TopicPartition> origin;
        Offset floor;
        Timestamp opened_at;
        Timestamp active_at;  // opened, or the last event
        bool refilling = true;
        std::deque<Fingerprint> recent;  // of the last records, ascending
        CursorPosition* position;        // in position_
    };

    Log& log_of(const TopicPartition& origin, Timestamp now);
    Added::Kind compare_known(const Log& log, const Fingerprint& seen) const;
    void forget_log(Log& log, std::size_t partition, Offset floor);
    PublicationPtr store(engine::PushMessage message, std::size_t partition, Timestamp now);
    User& user_of(const std::string& name);
    static UserPartition* find(User& user, std::size_t partition);
    void enforce_limits(User& user, Timestamp now);
    void drop_oldest_of(User& user);
    void drop_oldest_user(Timestamp now);
    void forget_user(User& user);
    static bool contradicts(const Log& log, const Fingerprint& seen);

    HistoryLimits limits_;
    Cursor position_;
    std::vector<Log> partitions_;
    std::unordered_map<TopicPartition, std::size_t> index_;
    Events events_;  // of all users, in order of arrival
    std::unordered_map<std::string, std::unique_ptr<User>> users_;
    std::list<User*> by_age_;  // longest without an event first
    std::size_t bytes_ = 0;
};

}  // namespace millrace::gateway
