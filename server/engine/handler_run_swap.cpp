// Another version of a handler takes over while it runs: tried on every shard first, and undone
// there, then taken over shard by shard.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kLookAgain{100};

std::string version_of(const HandlerFactory& factory) {
    return fmt::format("{} {}", factory.traits().plugin, factory.traits().version);
}

// What a running handler cannot change: where its state is, and what it reads how.
Result<void> check_kind(const HandlerTraits& is, const HandlerTraits& next) {
    const char* what = nullptr;
    if (next.plugin != is.plugin) what = "plugin";
    if (next.state != is.state) what = "state";
    if (next.broadcast != is.broadcast) what = "subscription";
    if (next.raw != is.raw) what = "input";
    if (what == nullptr) return {};
    return fail(ErrorCode::kInvalid,
                fmt::format("{} {} has another `{}` than {}, which runs: restart the server to use "
                            "it",
                            next.plugin, next.version, what, is.version));
}

double ms(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

struct HandlerRun::Swap {
    std::shared_ptr<HandlerFactory> before;
    std::shared_ptr<HandlerFactory> next;
    CommandAnswerPtr answer;
    std::chrono::nanoseconds started{0};
    std::chrono::nanoseconds longest{0};  // that inputs of a shard waited
    std::size_t left = 0;                 // of the trials
    std::size_t shards = 0;               // that have been taken over
    std::optional<Error> fault;
};

void HandlerRun::swap(std::shared_ptr<HandlerFactory> next, CommandAnswer::Done done) {
    begin_swap(std::make_shared<Swap>(Swap{{},
                                           std::move(next),
                                           owe(std::move(done)),
                                           surroundings_.runtime.clock().monotonic(),
                                           {},
                                           0,
                                           0,
                                           {}}));
}

void HandlerRun::begin_swap(const std::shared_ptr<Swap>& swap) {
    swap->before = setup_.factory;
    auto fits = check_kind(traits(), swap->next->traits());
    if (!fits) return swap->answer->tell(fits.error());
    if (state_ == RunState::kStopping || state_ == RunState::kStopped) {
        return swap->answer->tell(fail(ErrorCode::kUnavailable,
                                       fmt::format("handler {} is {}", name(), to_string(state_))));
    }
    if (is_down() || state_ == RunState::kQuarantined) return start_other(swap);
    if (state_ != RunState::kRunning || swapping_) {
        waiting_swap_ = surroundings_.runtime.loop().after(kLookAgain, [this, swap] {
            const auto expired = std::move(waiting_swap_);
            begin_swap(swap);
        });
        return;
    }
    swapping_ = true;
    try_version(swap);
}

// What kept the old version from running may be mended in this one.
void HandlerRun::start_other(const std::shared_ptr<Swap>& swap) {
    log::info("engine", "{}: {} is started instead of {}", name(), version_of(*swap->next),
              version_of(*swap->before));
    setup_.factory = swap->next;
    if (state_ == RunState::kQuarantined) return release_quarantine(swap->answer);
    start_again(swap->answer);
}

void HandlerRun::try_version(const std::shared_ptr<Swap>& swap) {
    swap->left = 1;
    auto one = [this, swap](const Result<void>& tried) {
        if (!tried && !swap->fault) swap->fault = tried.error();
        if (--swap->left > 0) return;
        if (swap->fault || state_ != RunState::kRunning) return swap_failed(swap);
        // Shards that are opened from now on begin with it.
        setup_.factory = swap->next;
        swap_shard(swap, 0);
    };
    for (const auto& shard : shards_) {
        if (!shard) continue;
        ++swap->left;
        shard->try_version(swap->next, one);
    }
    one({});
}

void HandlerRun::swap_shard(const std::shared_ptr<Swap>& swap, std::size_t index) {
    while (index < shards_.size() && !shards_[index]) ++index;
    if (index >= shards_.size()) return swapped(swap);
    shards_[index]->swap(swap->next,
                         [this, swap, index](const Result<std::chrono::nanoseconds>& held) {
                             if (!held) swap->fault = held.error();
                             if (!held || state_ != RunState::kRunning) return swap_failed(swap);
                             swap->longest = std::max(swap->longest, *held);
                             ++swap->shards;
                             swap_shard(swap, index + 1);
                         });
}

void HandlerRun::swapped(const std::shared_ptr<Swap>& swap) {
    swapping_ = false;
    const auto took = surroundings_.runtime.clock().monotonic() - swap->started;
    log::info("engine",
              "{}: {} has taken over from {}: {} shards in {:.1f} ms, none waited longer "
              "than {:.1f} ms",
              name(), version_of(*swap->next), swap->before->traits().version, swap->shards,
              ms(took), ms(swap->longest));
    count_swap("done");
    swap->answer->tell(
        boost::json::serialize(boost::json::object{{"handler", name()},
                                                   {"state", to_string(state_)},
                                                   {"from", swap->before->traits().version},
                                                   {"to", swap->next->traits().version},
                                                   {"shards", swap->shards},
                                                   {"took_ms", ms(took)},
                                                   {"longest_hold_ms", ms(swap->longest)}}));
}

// The old one goes on. Where tables were brought up to date it cannot: then the handler begins anew
// with the next one, as after a crash.
void HandlerRun::swap_failed(const std::shared_ptr<Swap>& swap) {
    swapping_ = false;
    const std::string reason =
        swap->fault ? swap->fault->message : std::string("the handler stopped meanwhile");
    count_swap("failed");
    const bool back = setup_.factory == swap->before ||
                      swap->next->traits().state_version == swap->before->traits().state_version;
    log::error(
        "engine", "{}: {} does not take over, {}: {}", name(), version_of(*swap->next),
        back ? swap->before->traits().version + " goes on" : "the handler begins anew with it",
        reason);
    const auto error = fail(swap->fault ? swap->fault->code : ErrorCode::kUnavailable, reason);
    swap->answer->tell(error);
    if (!back) return fail_run(error);
    if (std::exchange(setup_.factory, swap->before) == swap->before) return;
    for (const auto& shard : shards_) {
        if (!shard) continue;
        shard->swap(swap->before, [this](const Result<std::chrono::nanoseconds>& held) {
            if (!held && state_ == RunState::kRunning) fail_run(held.error());
        });
    }
}

void HandlerRun::count_swap(const char* outcome) {
    surroundings_.metrics
        .counter("millrace_plugin_swaps_total",
                 "Versions of a handler that took over, or failed to",
                 {{"handler", name()}, {"outcome", outcome}})
        ->add();
}

}  // namespace millrace::engine
