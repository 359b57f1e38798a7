#include "engine/services.hpp"

#include <algorithm>

#include "events/canonical.hpp"

namespace millrace::engine {
namespace {

// Kept prepared, per shard; above it they are prepared anew, so nothing but time depends on it.
constexpr std::size_t kMaxStatements = 256;
// Of a plugin's own (docs/PLUGINS.md): a metric for every user would outgrow any Prometheus.
constexpr std::size_t kMaxCounters = 256;

bool is_metric_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

bool is_disk_fault(const Error& error) {
    return error.code == ErrorCode::kFull || error.code == ErrorCode::kIo ||
           error.code == ErrorCode::kCorrupt;
}

// Statements of different trust are prepared under different rules, and must not stand in for each
// other.
std::string cache_key(sqlite::Trust trust, std::string_view sql) {
    std::string key(1, static_cast<char>('0' + static_cast<int>(trust)));
    return key.append(sql);
}

}  // namespace

void Services::begin_call(CallContext context) {
    context_ = std::move(context);
    effects_ = {};
    disk_error_.reset();
    next_effect_ = 0;
    in_call_ = true;
}

CallEffects Services::end_call() {
    in_call_ = false;
    return std::exchange(effects_, {});
}

void Services::log(log::Level level, std::string_view message) {
    if (log::enabled(level)) log::write(level, setup_.handler, message);
}

void Services::count(std::string_view metric, double amount) {
    auto found = counters_.find(metric);
    if (found == counters_.end()) {
        if (!is_metric_name(metric) || counters_.size() >= kMaxCounters || amount < 0) return;
        auto counter = setup_.metrics.counter(fmt::format("millrace_plugin_{}_total", metric),
                                              "Counted by a plugin", {{"handler", setup_.handler}});
        found = counters_.emplace(metric, std::move(counter)).first;
    }
    found->second->add(amount);
}

Result<void> Services::permit(std::string_view service, bool effect) {
    if (!in_call_)
        return fail(ErrorCode::kDenied, fmt::format("{}: only during a callback", service));
    if (state_ == nullptr)
        return fail(ErrorCode::kDenied,
                    fmt::format("{}: the handler declares state none", service));
    if (effect && !has_effects())
        return fail(ErrorCode::kDenied, fmt::format("{}: a question only reads", service));
    if (effects_.transaction_lost) {
        return fail(
            ErrorCode::kConflict,
            fmt::format("{}: an earlier statement of this callback took the transaction away",
                        service));
    }
    return permit_in_time(service);
}

Result<void> Services::permit_in_time(std::string_view service) {
    if (setup_.clock.monotonic() <= context_.deadline) return {};
    effects_.refused_late = true;
    return fail(
        ErrorCode::kTimeout,
        fmt::format("{}: the callback is over its time (`timeout` of the handler)", service));
}

Error Services::note(Error error) {
    if (is_disk_fault(error)) {
        effects_.disk_failed = true;
        disk_error_ = error;
    }
    return error;
}

Result<std::int64_t> Services::exec(std::string_view sql, std::span<const sqlite::Value> parameters,
                                    const RowCallback& row) {
    auto permitted = permit("exec", false);
    if (!permitted) return permitted.error();
    auto statement = take_statement(sql);
    if (!statement) return note(statement.error());
    const bool in_transaction = state_->in_transaction();
    auto changed = run(*statement, parameters, row);
    // SQLite takes it away by itself: a full disk, OR ROLLBACK, RAISE(ROLLBACK), an interrupt.
    effects_.transaction_lost = in_transaction && !state_->in_transaction();
    if (!changed) return note(changed.error());
    effects_.wrote = effects_.wrote || *changed > 0;
    keep_statement(sql, std::move(*statement));
    return changed;
}

Result<sqlite::Statement> Services::take_statement(std::string_view sql) {
    auto found = statements_.find(cache_key(context_.trust, sql));
    if (found == statements_.end()) return state_->database().prepare(sql, context_.trust);
    // Taken out while it runs: its row callback may run the same text again.
    sqlite::Statement statement = std::move(found->second);
    statements_.erase(found);
    return statement;
}

void Services::keep_statement(std::string_view sql, sqlite::Statement statement) {
    statement.reset();
    if (context_.trust == sqlite::Trust::kPluginSchema) return;
    if (statements_.size() >= kMaxStatements) statements_.clear();
    statements_[cache_key(context_.trust, sql)] = std::move(statement);
}

Result<std::int64_t> Services::run(sqlite::Statement& statement,
                                   std::span<const sqlite::Value> parameters,
                                   const RowCallback& row) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
        statement.bind_value(static_cast<int>(i) + 1, parameters[i]);
    const auto before = state_->database().total_changes();
    for (;;) {
        auto there = statement.step();
        if (!there) return there.error();
        if (!*there || (row && !row(statement))) break;
    }
    return state_->database().total_changes() - before;
}

std::string Services::next_effect_id() {
    return to_uuid(effect_identity(setup_.handler, *context_.input).add(next_effect_++).finish());
}

Result<std::string> Services::publish(const PublishRequest& request) {
    auto permitted = permit("publish", true);
    if (!permitted) return permitted.error();
    OutboxEvent event;
    event.event_id = next_effect_id();
    auto canonical = canonical_event(request.event, event.event_id, now());
    if (!canonical) return canonical.error();
    auto valid = setup_.check_event(request.topic, *canonical);
    if (!valid)
        return fail(valid.error().code,
                    fmt::format("publish to {}: {}", request.topic, valid.error().message));
    event.topic = request.topic;
    event.key = request.key;
    event.value = std::move(*canonical);
    event.hops = hops_of(*context_.input) + 1;
    event.traceparent = traceparent_of(*context_.input);
    event.created = now();
    event.from = effect_origin(*context_.input);
    auto added = state_->add_event(event);
    if (!added) return note(added.error());
    effects_.events.push_back(event.from);
    effects_.wrote = true;
    return event.event_id;
}

Result<void> Services::call(const CallRequest& request) {
    auto permitted = permit("call", true);
    if (!permitted) return permitted.error();
    if (!request.url.starts_with("http://") && !request.url.starts_with("https://")) {
        return fail(ErrorCode::kInvalid,
                    fmt::format("call: '{}' is not an http:// or https:// address", request.url));
    }
    OutboxCall call;
    call.id = request.id;
    call.key = request.key;
    call.method = request.method;
    call.url = request.url;
    for (const auto& [name, value] : request.headers) call.headers.emplace_back(name, value);
    call.body = request.body;
    call.payload = request.payload;
    call.idempotency_key = next_effect_id();
    call.created = now();
    call.from = source_of(*context_.input);
    auto added = state_->add_call(call);
    if (!added) return note(added.error());
    effects_.calls = true;
    effects_.wrote = true;
    return {};
}

Result<void> Services::set_timer(std::string_view id, std::string_view key, Timestamp due,
                                 std::string_view payload) {
    auto permitted = permit("set_timer", true);
    if (!permitted) return permitted.error();
    TimerRow timer{std::string(id),           std::string(key), due, std::string(payload), 0,
                   source_of(*context_.input)};
    auto set = state_->set_timer(timer);
    if (!set) return note(set.error());
    effects_.timers = true;
    effects_.wrote = true;
    return {};
}

Result<bool> Services::cancel_timer(std::string_view id) {
    auto permitted = permit("cancel_timer", true);
    if (!permitted) return permitted.error();
    auto removed = state_->remove_timer(id);
    if (!removed) return note(removed.error());
    effects_.wrote = effects_.wrote || *removed;
    return *removed;
}

Result<void> Services::push(const PushRequest& request) {
    if (!in_call_ || !has_effects())
        return fail(ErrorCode::kDenied, "push: only while handling an event");
    auto in_time = permit_in_time("push");
    if (!in_time) return in_time;
    if (!setup_.may_push) {
        return fail(ErrorCode::kDenied,
                    "push: only a broadcast handler reaches screens directly; publish to their "
                    "topic instead");
    }
    setup_.push.push({std::string(request.user), request.origin, request.offset,
                      request.record_timestamp, std::string(request.event_id), request.event_time,
                      std::string(request.event_type), std::string(request.data)});
    return {};
}

Result<void> Services::origins(const std::function<void(const OriginCounts&)>& each) {
    if (!in_call_) return fail(ErrorCode::kDenied, "origins: only during a callback");
    auto in_time = permit_in_time("origins");
    if (!in_time) return in_time;
    for (const auto& [origin, state] : setup_.origins) each(state.counts);
    return {};
}

}  // namespace millrace::engine
