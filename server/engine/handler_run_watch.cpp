// Calls into a handler that do not return: interrupted, named, and in the end the process's end.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/handler_run.hpp"
#include "events/time.hpp"

namespace millrace::engine {
namespace {

// Often enough for the timeout to be kept within a tenth, seldom enough to cost nothing.
constexpr milliseconds kLeastWatch{10};
constexpr milliseconds kMostWatch{1'000};

}  // namespace

void HandlerRun::watch() {
    const auto interval = std::clamp(section().timeout / 10, kLeastWatch, kMostWatch);
    watch_timer_ = surroundings_.runtime.loop().after(interval, [this] { watch(); });
    for (std::size_t i = 0; i < shards_.size(); ++i) watch_shard(i, shards_[i]);
    check_stuck();
}

void HandlerRun::watch_shard(std::size_t index, const std::shared_ptr<Shard>& shard) {
    auto running = shard ? shard->watch() : std::nullopt;
    const auto known = overdue_.find(index);
    if (known != overdue_.end() && running && running->started == known->second.call.started)
        return;
    if (known != overdue_.end()) {
        overdue_.erase(known);
        on_held(index, "call", "");
    }
    if (!running) return;
    Clock& clock = surroundings_.runtime.clock();
    OverdueCall call;
    call.shard = shard->identity().shard;
    call.since = clock.now() - std::chrono::duration_cast<Timestamp::duration>(clock.monotonic() -
                                                                               running->started);
    call.text = fmt::format("a call into the handler has not returned since {}: shard {}, {}",
                            format_time(call.since), call.shard, to_string(running->place));
    call.call = std::move(*running);
    log::error("engine", "{}: {}", name(), call.text);
    on_held(index, "call", call.text);
    overdue_[index] = std::move(call);
}

// Every thread that the handler could run on is taken.
void HandlerRun::check_stuck() {
    if (gave_up_ || overdue_.empty()) return;
    const auto now = surroundings_.runtime.clock().monotonic();
    const auto stuck = std::ranges::count_if(overdue_, [&](const auto& each) {
        return now - each.second.call.started >= section().stuck_exit;
    });
    const auto shards = std::ranges::count_if(shards_, [](const auto& shard) { return !!shard; });
    if (stuck < std::min<std::ptrdiff_t>(threads_, shards)) return;
    gave_up_ = true;
    const std::string reason = fmt::format(
        "handler {} is stuck: all its threads are in calls that have not returned for "
        "{} s (stuck_exit); {}",
        name(), section().stuck_exit.count() / 1'000, overdue_.begin()->second.text);
    log::error("engine", "{}", reason);
    if (surroundings_.give_up) surroundings_.give_up(reason);
}

}  // namespace millrace::engine
