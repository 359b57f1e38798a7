// CallSlot: the call that a shard is making into its handler, written down where others can read
// it: the loop thread that watches the time, and, in a mapped file, the next process after a crash.
//
// Thread rule: `begin` and `end` on the shard's strand; `started` and `running` from any thread;
// `mark_crashed` from a signal handler of the thread that is in the call. Ownership: made in place,
// in memory of its own or in the file of the crash journal, which is why it has no pointers and its
// layout is fixed. Nothing here blocks or fails: text that is too long is cut, and told apart by
// its hash.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace millrace::engine {

enum class CallKind : std::uint32_t {
    kNone = 0,
    kRecord,    // topic, partition, offset
    kTimer,     // its id, and which of its firings
    kResponse,  // the call's id, and its row in the outbox
    kInbox,     // topic, partition, and the row in the inbox
    kMigrate,
    kCreate,
    kQuery,  // the question
    kRollback,
    kStop,
};

// Where a call stands. Two calls are at one position when they are equal.
template <class Text>
struct CallPosition {
    CallKind kind = CallKind::kNone;
    Text name{};                  // topic, timer, call or question; cut
    std::uint64_t name_hash = 0;  // of the whole name; 0: it was not cut
    Partition partition{-1};
    Offset offset{-1};
    auto operator<=>(const CallPosition&) const = default;
};

using CallView = CallPosition<std::string_view>;
using CallPlace = CallPosition<std::string>;

// Cuts the name.
CallView make_position(CallKind kind, std::string_view name, Partition partition = {-1},
                       Offset offset = {-1});
CallPlace keep(const CallView& position);
CallView view(const CallPlace& place);
// "task-events/2 offset 17", "timer t1", "create": for people.
std::string to_string(const CallPlace& place);

class alignas(64) CallSlot {
public:
    static constexpr std::size_t kNameBytes = 256;
    static constexpr std::size_t kShardBytes = 320;
    static constexpr std::size_t kHandlerBytes = 64;

    struct Running {
        CallPlace place;
        std::chrono::nanoseconds started{0};  // of the monotonic clock
    };
    struct Crash {
        int signal = 0;
        Timestamp time;
        std::string handler;
        std::string shard;
        CallPlace place;
    };

    // Whose it is; before the first call.
    void assign(std::string_view handler, std::string_view shard);

    void begin(const CallView& position, std::chrono::nanoseconds now) noexcept;
    void end() noexcept;

    // 0: no call.
    std::chrono::nanoseconds started() const noexcept {
        return std::chrono::nanoseconds(started_ns_.load());
    }
    std::optional<Running> running() const;

    // The slot of the call that this thread is in.
    static CallSlot* of_this_thread() noexcept;
    void mark_crashed(int signal) noexcept;
    // Of a process that has ended.
    std::optional<Crash> crash() const;

private:
    static constexpr std::size_t kNameWords = kNameBytes / 8;

    void write_name(std::string_view name) noexcept;
    CallPlace read_place() const;

    // Odd while a position is being written, so that a reader knows.
    std::atomic<std::uint64_t> sequence_{0};
    std::atomic<std::int64_t> started_ns_{0};
    std::atomic<std::int32_t> signal_{0};
    std::atomic<std::uint32_t> kind_{0};
    std::atomic<std::int32_t> partition_{0};
    std::atomic<std::uint32_t> name_size_{0};
    std::atomic<std::int64_t> offset_{0};
    std::atomic<std::uint64_t> name_hash_{0};
    std::atomic<std::int64_t> crashed_us_{0};
    std::array<std::atomic<std::uint64_t>, kNameWords> name_{};
    std::array<char, kHandlerBytes> handler_{};
    std::array<char, kShardBytes> shard_{};
};

static_assert(sizeof(CallSlot) <= 1024 && std::atomic<std::uint64_t>::is_always_lock_free);

// A call, for as long as it lives.
class CallScope {
public:
    CallScope(CallSlot& slot, const CallView& position, std::chrono::nanoseconds now) noexcept
        : slot_(slot) {
        slot_.begin(position, now);
    }
    ~CallScope() { slot_.end(); }
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    CallSlot& slot_;
};

}  // namespace millrace::engine
