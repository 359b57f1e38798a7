#include "engine/call_slot.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstring>

namespace millrace::engine {
namespace {

constinit thread_local CallSlot* current_slot = nullptr;

// FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return hash;
}

template <std::size_t size>
void copy_cut(std::array<char, size>& to, std::string_view text) {
    to.fill('\0');
    std::ranges::copy(text.substr(0, size - 1), to.begin());
}

// Of a file: whatever its bytes are.
template <std::size_t size>
std::string text_of(const std::array<char, size>& from) {
    return {from.begin(), std::ranges::find(from, '\0')};
}

}  // namespace

CallView make_position(CallKind kind, std::string_view name, Partition partition, Offset offset) {
    const bool cut = name.size() > CallSlot::kNameBytes;
    return {kind, name.substr(0, CallSlot::kNameBytes), cut ? hash_of(name) : 0, partition, offset};
}

CallPlace keep(const CallView& position) {
    return {position.kind, std::string(position.name), position.name_hash, position.partition,
            position.offset};
}

CallView view(const CallPlace& place) {
    return {place.kind, place.name, place.name_hash, place.partition, place.offset};
}

std::string to_string(const CallPlace& place) {
    switch (place.kind) {
        case CallKind::kRecord:
            return fmt::format("{}/{} offset {}", place.name, place.partition.value,
                               place.offset.value);
        case CallKind::kTimer:
            return fmt::format("timer {}", place.name);
        case CallKind::kResponse:
            return fmt::format("the response to call {}", place.name);
        case CallKind::kInbox:
            return fmt::format("row {} of the inbox, from {}/{}", place.offset.value, place.name,
                               place.partition.value);
        case CallKind::kMigrate:
            return "migrate";
        case CallKind::kCreate:
            return "create";
        case CallKind::kQuery:
            return fmt::format("the question {}", place.name);
        case CallKind::kRollback:
            return "on_rollback";
        case CallKind::kStop:
            return "stop";
        case CallKind::kNone:
            break;
    }
    return "nothing";
}

void CallSlot::assign(std::string_view handler, std::string_view shard) {
    copy_cut(handler_, handler);
    copy_cut(shard_, shard);
    signal_ = 0;
    started_ns_ = 0;
}

// Stores only, each of them behind the one before: plain ones on the machines that we know.
void CallSlot::begin(const CallView& position, std::chrono::nanoseconds now) noexcept {
    constexpr auto order = std::memory_order_release;
    const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, order);
    kind_.store(static_cast<std::uint32_t>(position.kind), order);
    partition_.store(position.partition.value, order);
    offset_.store(position.offset.value, order);
    name_hash_.store(position.name_hash, order);
    write_name(position.name);
    started_ns_.store(std::max<std::int64_t>(1, now.count()), order);
    sequence_.store(sequence + 2, order);
    current_slot = this;
}

void CallSlot::end() noexcept {
    current_slot = nullptr;
    started_ns_.store(0, std::memory_order_release);
}

void CallSlot::write_name(std::string_view name) noexcept {
    name = name.substr(0, kNameBytes);
    name_size_.store(static_cast<std::uint32_t>(name.size()), std::memory_order_release);
    for (std::size_t word = 0; word * 8 < name.size(); ++word) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, name.data() + word * 8,
                    std::min<std::size_t>(8, name.size() - word * 8));
        name_[word].store(bytes, std::memory_order_release);
    }
}

CallPlace CallSlot::read_place() const {
    CallPlace place;
    place.kind = static_cast<CallKind>(kind_.load());
    place.partition = {partition_.load()};
    place.offset = {offset_.load()};
    place.name_hash = name_hash_.load();
    std::array<std::uint64_t, kNameWords> words{};
    for (std::size_t i = 0; i < kNameWords; ++i) words[i] = name_[i].load();
    place.name.resize(std::min<std::size_t>(name_size_.load(), kNameBytes));
    std::memcpy(place.name.data(), words.data(), place.name.size());
    return place;
}

std::optional<CallSlot::Running> CallSlot::running() const {
    for (;;) {
        const std::uint64_t before = sequence_.load();
        Running running{read_place(), started()};
        if (running.started.count() == 0) return std::nullopt;
        if (before % 2 == 0 && sequence_.load() == before) return running;
    }
}

CallSlot* CallSlot::of_this_thread() noexcept { return current_slot; }

void CallSlot::mark_crashed(int signal) noexcept {
    if (signal_.load() != 0 || started_ns_.load() == 0) return;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    crashed_us_ = static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
    signal_ = signal;
}

std::optional<CallSlot::Crash> CallSlot::crash() const {
    const int signal = signal_.load();
    if (signal == 0) return std::nullopt;
    return Crash{signal, Timestamp(std::chrono::microseconds(crashed_us_.load())),
                 text_of(handler_), text_of(shard_), read_place()};
}

}  // namespace millrace::engine
