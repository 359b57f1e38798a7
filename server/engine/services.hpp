// Services: what a handler may ask of its shard, during a call and inside the shard's transaction.
//
// Thread rule: the shard's strand; `complete` and `log` from any thread. Ownership: lives as long
// as its shard. What a call made is gathered here and taken by the shard when the call has ended
// (`end_call`). Errors: Result; a disk that failed is noted apart, because then nobody is to blame.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/metrics.hpp"
#include "engine/handler.hpp"
#include "engine/input.hpp"
#include "engine/outside.hpp"
#include "engine/state_file.hpp"

namespace millrace::engine {

// What the call is for.
struct CallContext {
    const Input* input = nullptr;  // nullptr: no input, so no effects
    sqlite::Trust trust = sqlite::Trust::kPlugin;
    std::chrono::nanoseconds deadline{std::chrono::nanoseconds::max()};
};

// What a call did, beside its SQL.
struct CallEffects {
    std::vector<EffectOrigin> events;
    bool calls = false;
    bool timers = false;
    bool wrote = false;  // changed anything at all
    bool disk_failed = false;
    bool transaction_lost = false;
    bool refused_late = false;  // a service was refused because the time was over
};

struct ServicesSetup {
    std::string handler;
    std::string shard;
    bool may_push = false;
    Clock& clock;
    Metrics& metrics;
    PushSink& push;
    std::function<Result<void>(std::string_view topic, std::string_view event)> check_event;
    std::function<void(CompletionToken, std::string)> complete;
    const std::map<TopicPartition, OriginState>& origins;
};

class Services final : public ShardServices {
public:
    explicit Services(ServicesSetup setup) : setup_(std::move(setup)) {}

    // nullptr: the handler keeps no state.
    void set_state(StateFile* state) { state_ = state; }
    void begin_call(CallContext context);
    CallEffects end_call();
    // What the disk refused in the last call, if it did.
    const std::optional<Error>& disk_error() const { return disk_error_; }
    // Before the state file closes.
    void drop_statements() { statements_.clear(); }

    Timestamp now() const override { return setup_.clock.now(); }
    void log(log::Level level, std::string_view message) override;
    void count(std::string_view metric, double amount) override;
    Result<std::int64_t> exec(std::string_view sql, std::span<const sqlite::Value> parameters,
                              const RowCallback& row) override;
    Result<std::string> publish(const PublishRequest& request) override;
    Result<void> call(const CallRequest& request) override;
    Result<void> set_timer(std::string_view id, std::string_view key, Timestamp due,
                           std::string_view payload) override;
    Result<bool> cancel_timer(std::string_view id) override;
    Result<void> push(const PushRequest& request) override;
    void complete(CompletionToken token, std::string payload) override {
        setup_.complete(token, std::move(payload));
    }
    Result<void> origins(const std::function<void(const OriginCounts&)>& each) override;

private:
    bool has_effects() const { return context_.input != nullptr; }
    Result<void> permit(std::string_view service, bool effect);
    Result<void> permit_in_time(std::string_view service);
    Result<sqlite::Statement> take_statement(std::string_view sql);
    void keep_statement(std::string_view sql, sqlite::Statement statement);
    Result<std::int64_t> run(sqlite::Statement& statement,
                             std::span<const sqlite::Value> parameters, const RowCallback& row);
    std::string next_effect_id();
    Error note(Error error);

    ServicesSetup setup_;
    StateFile* state_ = nullptr;
    bool in_call_ = false;
    CallContext context_;
    CallEffects effects_;
    std::optional<Error> disk_error_;
    std::int64_t next_effect_ = 0;
    std::unordered_map<std::string, sqlite::Statement> statements_;
    std::map<std::string, std::shared_ptr<Counter>, std::less<>> counters_;
};

}  // namespace millrace::engine
