#include <algorithm>
#include <millrace/event.hpp>
#include <stdexcept>

#include "state.hpp"

namespace millrace::sdk {
namespace {

millrace_str optional_text(const std::optional<std::string>& text) {
    return text ? to_abi(*text) : millrace_str{nullptr, 0};
}

// The C view of an EventSpec.
struct AbiEvent {
    AbiEvent(const EventSpec& spec, millrace_token token) {
        for (const auto& [name, value] : spec.headers)
            headers.push_back({to_abi(name), to_abi(value)});
        event.struct_size = sizeof event;
        event.topic = to_abi(spec.topic);
        event.partition = spec.partition;
        event.offset = spec.offset.value_or(0);
        event.record_time = spec.time ? to_microseconds(*spec.time) : 0;
        event.key = optional_text(spec.key);
        event.value = optional_text(spec.value);
        event.headers = headers.data();
        event.header_count = headers.size();
        event.id = to_abi(spec.id);
        event.flags = spec.id_is_derived ? MILLRACE_EVENT_ID_IS_DERIVED : 0;
        event.type = to_abi(spec.type);
        event.full_type = to_abi(spec.full_type.empty() ? spec.type : spec.full_type);
        event.schema_version = spec.schema_version;
        event.user_id = optional_text(spec.user);
        event.task_id = optional_text(spec.task);
        event.time = spec.time ? to_microseconds(*spec.time) : MILLRACE_NO_TIME;
        event.attempt = spec.attempt;
        event.token = token;
        event.opaque = &spec;
    }
    std::vector<millrace_header> headers;
    millrace_event event{};
};

std::vector<millrace_parameter> to_params(const FakeHost::Texts& texts) {
    std::vector<millrace_parameter> parameters;
    for (const auto& [name, value] : texts) parameters.push_back({to_abi(name), to_abi(value)});
    return parameters;
}

// As the server: what the question does not know is refused.
void check_parameters(const millrace_plugin_api& api, std::string_view question,
                      const FakeHost::Texts& parameters) {
    for (std::size_t i = 0; i < api.question_count; ++i) {
        const char* known = api.questions[i].parameters;
        if (question != api.questions[i].name || known == nullptr) continue;
        for (const auto& [name, value] : parameters) {
            if (("|" + std::string(known) + "|").find("|" + name + "|") == std::string::npos)
                throw std::runtime_error("there is no parameter '" + name + "'");
        }
    }
}

millrace_out* to_out(std::string& text) { return reinterpret_cast<millrace_out*>(&text); }

}  // namespace

EventSpec task_event(std::string type, std::string user, std::string task, Json task_data) {
    static int made = 0;
    EventSpec event;
    event.id = "00000000-0000-4000-8000-" + std::to_string(100'000'000'000 + ++made);
    event.value = Json::object({{"event_id", event.id},
                                {"event_type", type},
                                {"schema_version", 1},
                                {"task_id", task},
                                {"user_id", user},
                                {"task_data", std::move(task_data)}})
                      .dump();
    event.type = std::move(type);
    event.key = user;
    event.user = std::move(user);
    event.task = std::move(task);
    return event;
}

FakeHost::State::State(Plugin plugin, const Texts& options, std::string shard_name)
    : shard(std::move(shard_name)) {
    api = plugin(&host_table());
    if (!api) throw std::runtime_error("the plugin refused this host");
    config = make_config(*api, options);
    if (sqlite3_open(":memory:", &database) != SQLITE_OK)
        throw std::runtime_error("cannot open SQLite in memory");
    sqlite3_set_authorizer(database, &authorize, this);
}

FakeHost::State::~State() {
    destroy();
    sqlite3_close(database);
}

void FakeHost::State::execute(const char* sql) {
    trusted = true;
    const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
    trusted = false;
    if (code != SQLITE_OK)
        throw std::runtime_error(std::string(sql) + ": " + sqlite3_errmsg(database));
}

int FakeHost::State::refuse(int status, std::string why) {
    last_error = std::move(why);
    return status;
}

std::uint32_t FakeHost::State::lacks(const char* callback) {
    failure = std::string("the plugin has no ") + callback;
    return MILLRACE_DEAD_LETTER;
}

void FakeHost::State::create() {
    failure.clear();
    const CallbackScope scope(*this);
    const millrace_setup setup{sizeof setup, to_abi(api->name), to_abi(shard), to_abi(config)};
    instance = api->create(host(), &setup);
    if (!instance) throw std::runtime_error("create failed: " + failure);
}

void FakeHost::State::destroy() {
    if (!instance) return;
    const CallbackScope scope(*this);
    if (api->stop) api->stop(instance);
    api->destroy(std::exchange(instance, nullptr));
}

std::uint32_t FakeHost::State::judge(std::uint32_t returned, bool may_be_pending) {
    if (returned < MILLRACE_ACK || returned > MILLRACE_PENDING) {
        failure = "the handler returned " + std::to_string(returned) + ", which is no outcome";
    } else if (returned == MILLRACE_PENDING && (wrote || !may_be_pending)) {
        failure = "returned pending after it had made effects, or where it cannot be pending";
    } else {
        return returned;
    }
    return MILLRACE_DEAD_LETTER;
}

void FakeHost::State::tell_rollback(std::uint32_t scope) {
    if (api->on_rollback) {
        const CallbackScope callback(*this);
        api->on_rollback(instance, scope);
    } else if (scope == MILLRACE_ROLLBACK_BATCH) {
        destroy();
        create();
    }
}

template <class Body>
Handled FakeHost::State::run(bool may_be_pending, Body&& body) {
    const Effects before = effects;
    failure.clear();
    retry_after.reset();
    wrote = false;
    execute("SAVEPOINT input");
    std::uint32_t kind = 0;
    {
        const CallbackScope scope(*this);
        kind = judge(body(), may_be_pending);
    }
    if (sqlite3_get_autocommit(database) != 0) {
        effects = before_batch ? *std::exchange(before_batch, std::nullopt) : before;
        tell_rollback(MILLRACE_ROLLBACK_BATCH);
        return {MILLRACE_DEAD_LETTER, "its statement took the transaction away", {}};
    }
    if (kind != MILLRACE_ACK) {
        execute("ROLLBACK TO input");
        effects = before;
    }
    execute("RELEASE input");
    Handled handled{kind, failure, retry_after};
    if (kind != MILLRACE_ACK && kind != MILLRACE_PENDING) tell_rollback(MILLRACE_ROLLBACK_INPUT);
    return handled;
}

FakeHost::FakeHost(Plugin plugin, const Texts& options, std::string shard)
    : state_(std::make_unique<State>(plugin, options, std::move(shard))) {
    if (state_->api->state_version > 0 && state_->api->migrate) migrate(0);
    state_->create();
}

void FakeHost::migrate_as(std::uint32_t from_version, const std::vector<std::string>& statements) {
    state_->destroy();
    for (const std::string& statement : statements) state_->execute(statement.c_str());
    migrate(from_version);
    state_->create();
}

void FakeHost::migrate(std::uint32_t from_version) {
    State& state = *state_;
    const CallbackScope scope(state);
    state.access = Access::kSchema;
    const millrace_migration migration{sizeof migration, from_version, state.api->state_version};
    const int status = state.api->migrate(state.host(), &migration);
    state.access = Access::kWrite;
    if (status != MILLRACE_OK) throw std::runtime_error("migrate failed: " + state.failure);
    const auto keyless =
        sql("SELECT name FROM sqlite_schema s WHERE type = 'table' AND NOT EXISTS"
            " (SELECT 1 FROM pragma_table_info(s.name) WHERE pk > 0)");
    if (keyless) throw std::runtime_error("table '" + *keyless + "' has no PRIMARY KEY");
}

FakeHost::~FakeHost() = default;

Handled FakeHost::send(const EventSpec& given) {
    State& state = *state_;
    EventSpec spec = given;
    std::int64_t& next = state.next_offset[{spec.topic, spec.partition}];
    if (!spec.offset) spec.offset = next;
    next = std::max(next, *spec.offset + 1);
    if (spec.id.empty()) spec.id = "event-" + std::to_string(*spec.offset);
    const millrace_token token{{state.next_token++, spec.attempt}};
    const AbiEvent event(spec, token);
    const Handled handled = state.run(true, [&] {
        state.event = &spec;
        return state.api->on_message(state.instance, &event.event);
    });
    if (handled.kind == MILLRACE_PENDING) state.pending.emplace(token.opaque[0], spec);
    return handled;
}

std::vector<Handled> FakeHost::advance(std::chrono::microseconds by) {
    State& state = *state_;
    const Time until = state.now + by;
    std::vector<Handled> outcomes;
    std::vector<std::string> failed;
    for (;;) {
        auto first = state.effects.timers.end();
        for (auto timer = state.effects.timers.begin(); timer != state.effects.timers.end();
             ++timer) {
            if (timer->second.due > until || std::ranges::count(failed, timer->first)) continue;
            if (first == state.effects.timers.end() || timer->second.due < first->second.due)
                first = timer;
        }
        if (first == state.effects.timers.end()) break;
        const auto [id, timer] = *first;
        state.now = std::max(state.now, timer.due);
        outcomes.push_back(state.run(false, [&, &name = id, &set = timer]() -> std::uint32_t {
            state.effects.timers.erase(name);
            const millrace_timer fired{sizeof fired,
                                       to_abi(name),
                                       to_abi(set.key),
                                       to_abi(set.payload),
                                       to_microseconds(set.due),
                                       1,
                                       0};
            if (!state.api->on_timer) return state.lacks("on_timer");
            return state.api->on_timer(state.instance, &fired);
        }));
        if (outcomes.back().kind != MILLRACE_ACK) failed.push_back(id);
    }
    state.now = until;
    return outcomes;
}

Handled FakeHost::respond(std::string_view call_id, int status, std::string_view body,
                          std::uint32_t tries) {
    State& state = *state_;
    const auto found = std::ranges::find(state.effects.calls, call_id, &Called::id);
    if (found == state.effects.calls.end())
        throw std::runtime_error("there was no call '" + std::string(call_id) + "'");
    const Called call = *found;
    return state.run(false, [&]() -> std::uint32_t {
        state.effects.calls.erase(std::ranges::find(state.effects.calls, call_id, &Called::id));
        const millrace_response response{sizeof response,
                                         to_abi(call.id),
                                         to_abi(call.key),
                                         to_abi(call.payload),
                                         to_abi(body),
                                         status,
                                         tries};
        if (!state.api->on_response) return state.lacks("on_response");
        return state.api->on_response(state.instance, &response);
    });
}

std::vector<Handled> FakeHost::run_completions() {
    State& state = *state_;
    std::deque<std::pair<millrace_token, std::string>> completions;
    {
        const std::lock_guard lock(state.mutex);
        completions.swap(state.completions);
    }
    std::vector<Handled> outcomes;
    for (const auto& [token, payload] : completions) {
        const auto found = state.pending.find(token.opaque[0]);
        if (found == state.pending.end()) continue;
        const EventSpec spec = found->second;
        state.pending.erase(found);
        const AbiEvent event(spec, token);
        outcomes.push_back(state.run(false, [&, &text = payload]() -> std::uint32_t {
            state.event = &spec;
            if (!state.api->on_complete) return state.lacks("on_complete");
            return state.api->on_complete(state.instance, &event.event, to_abi(text));
        }));
    }
    return outcomes;
}

std::vector<Handled> FakeHost::wait_for_completions(std::size_t count,
                                                    std::chrono::milliseconds patience) {
    std::unique_lock lock(state_->mutex);
    if (!state_->completed.wait_for(lock, patience,
                                    [&] { return state_->completions.size() >= count; }))
        throw std::runtime_error("only " + std::to_string(state_->completions.size()) +
                                 " completions came");
    lock.unlock();
    return run_completions();
}

void FakeHost::begin_batch() {
    state_->execute("BEGIN");
    state_->before_batch = state_->effects;
}

void FakeHost::commit_batch() {
    state_->execute("COMMIT");
    state_->before_batch.reset();
}

void FakeHost::roll_back_batch() {
    state_->execute("ROLLBACK");
    state_->effects = *std::exchange(state_->before_batch, std::nullopt);
    state_->tell_rollback(MILLRACE_ROLLBACK_BATCH);
}

std::string FakeHost::query_shard(std::string_view question, const Texts& parameters) {
    State& state = *state_;
    check_parameters(*state.api, question, parameters);
    const auto params = to_params(parameters);
    const millrace_query query{sizeof query, to_abi(question), params.data(), params.size()};
    std::string answer;
    state.failure.clear();
    const CallbackScope scope(state);
    state.access = Access::kRead;
    const int status = state.api->on_query(state.instance, &query, to_out(answer));
    state.access = Access::kWrite;
    if (status == MILLRACE_NOT_FOUND)
        throw std::runtime_error("no question '" + std::string(question) + "'");
    if (status != MILLRACE_OK) throw std::runtime_error(state.failure);
    return answer;
}

std::string FakeHost::merge(std::string_view question, const Texts& parameters,
                            const std::vector<std::string>& answers) {
    const auto params = to_params(parameters);
    std::vector<millrace_str> texts;
    for (const std::string& answer : answers) texts.push_back(to_abi(answer));
    std::string merged;
    const millrace_query query{sizeof query, to_abi(question), params.data(), params.size()};
    const int status = state_->api->merge(&query, texts.data(), texts.size(), to_out(merged));
    if (status != MILLRACE_OK) throw std::runtime_error("merge failed: " + merged);
    return merged;
}

std::string FakeHost::query(std::string_view question, const Texts& parameters) {
    std::string answer = query_shard(question, parameters);
    return state_->api->merge ? merge(question, parameters, {std::move(answer)}) : answer;
}

void FakeHost::restart() {
    state_->destroy();
    state_->create();
}

void FakeHost::refuse_publish(std::string topic, std::string why) {
    state_->refused_topics[std::move(topic)] = std::move(why);
}

void FakeHost::add_origin(const millrace_origin& counts, std::string topic) {
    state_->origins.push_back({counts, std::move(topic)});
}

std::optional<std::string> FakeHost::sql(const std::string& select) {
    sqlite3_stmt* statement = nullptr;
    std::optional<std::string> found;
    state_->trusted = true;
    const int code = sqlite3_prepare_v2(state_->database, select.c_str(), -1, &statement, nullptr);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        found = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    state_->trusted = false;
    if (code != SQLITE_OK)
        throw std::runtime_error(select + ": " + sqlite3_errmsg(state_->database));
    return found;
}

void FakeHost::change(const std::string& statement) {
    if (sqlite3_exec(state_->database, statement.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK)
        return;
    throw std::runtime_error(statement + ": " + sqlite3_errmsg(state_->database));
}

Time FakeHost::now() const { return state_->now; }
void FakeHost::set_now(Time now) { state_->now = now; }
std::vector<Published>& FakeHost::published() { return state_->effects.published; }
std::vector<Called>& FakeHost::calls() { return state_->effects.calls; }
std::map<std::string, SetTimer>& FakeHost::timers() { return state_->effects.timers; }
std::vector<Pushed>& FakeHost::pushed() { return state_->effects.pushed; }
std::vector<std::string>& FakeHost::logs() { return state_->logs; }
double FakeHost::counted(const std::string& metric) const {
    const auto found = state_->counts.find(metric);
    return found == state_->counts.end() ? 0 : found->second;
}

}  // namespace millrace::sdk
