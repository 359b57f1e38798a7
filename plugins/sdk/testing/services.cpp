#include <algorithm>
#include <cstring>
#include <millrace/event.hpp>

#include "state.hpp"

namespace millrace::sdk {
namespace {

FakeHost::State& of(millrace_host* host) { return *reinterpret_cast<FakeHost::State*>(host); }
std::string copy(millrace_str text) { return std::string(to_view(text)); }

void host_log(millrace_host* host, std::uint32_t level, millrace_str message) {
    static constexpr const char* kNames[] = {"", "debug: ", "info: ", "warn: ", "error: "};
    const std::lock_guard lock(of(host).mutex);
    of(host).logs.push_back(kNames[std::min<std::uint32_t>(level, 4)] + copy(message));
}
std::int64_t host_now(millrace_host* host) {
    return of(host).is_open() ? to_microseconds(of(host).now) : 0;
}
void host_count(millrace_host* host, millrace_str metric, double amount) {
    if (of(host).is_open()) of(host).counts[copy(metric)] += amount;
}
void host_write(millrace_out* out, millrace_str text) {
    reinterpret_cast<std::string*>(out)->append(to_view(text));
}

struct Found {
    int status = MILLRACE_NOT_FOUND;
    std::string text = {};
};

Found find_field(const EventSpec& event, const std::string& name) {
    if (const auto given = event.fields.find(name); given != event.fields.end())
        return {MILLRACE_OK, given->second};
    if (event.nothing.contains(name)) return {MILLRACE_NOTHING};
    const Json value = Json::parse(event.value.value_or("{}"));
    const Json* found = value.find(name);
    if (const Json* data = value.find("task_data"); !found && data) found = data->find(name);
    if (!found) return {};
    if (found->is_null()) return {MILLRACE_NOTHING};
    return {MILLRACE_OK, found->is_text() ? std::string(*found->text()) : found->dump()};
}

int host_field(millrace_host* host, const millrace_event* event, millrace_str name,
               millrace_str* value) {
    FakeHost::State& state = of(host);
    if (!state.is_open()) return MILLRACE_DENIED;
    if (!state.event || event->opaque != state.event)
        return state.refuse(MILLRACE_DENIED, "field: not the event being handled");
    const Found found = find_field(*state.event, copy(name));
    if (found.status != MILLRACE_OK)
        return state.refuse(found.status, "no field '" + copy(name) + "'");
    *value = to_abi(state.scratch.emplace_back(found.text));
    return MILLRACE_OK;
}

void bind(sqlite3_stmt* statement, int index, const millrace_value& value) {
    const auto size = value.text.size;
    switch (value.type) {
        case MILLRACE_VALUE_INTEGER:
            sqlite3_bind_int64(statement, index, value.integer);
            break;
        case MILLRACE_VALUE_REAL:
            sqlite3_bind_double(statement, index, value.real);
            break;
        case MILLRACE_VALUE_TEXT:
            sqlite3_bind_text64(statement, index, value.text.data, size, SQLITE_TRANSIENT,
                                SQLITE_UTF8);
            break;
        case MILLRACE_VALUE_BLOB:
            sqlite3_bind_blob64(statement, index, value.text.data, size, SQLITE_TRANSIENT);
            break;
        default:
            sqlite3_bind_null(statement, index);
    }
}

millrace_value column(sqlite3_stmt* statement, int index) {
    millrace_value value{};
    const auto size = [&] {
        return static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
    };
    switch (sqlite3_column_type(statement, index)) {
        case SQLITE_INTEGER:
            value.type = MILLRACE_VALUE_INTEGER;
            value.integer = sqlite3_column_int64(statement, index);
            break;
        case SQLITE_FLOAT:
            value.type = MILLRACE_VALUE_REAL;
            value.real = sqlite3_column_double(statement, index);
            break;
        case SQLITE_TEXT:
            value.type = MILLRACE_VALUE_TEXT;
            value.text.data = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
            value.text.size = size();
            break;
        case SQLITE_BLOB:
            value.type = MILLRACE_VALUE_BLOB;
            value.text.data = static_cast<const char*>(sqlite3_column_blob(statement, index));
            value.text.size = size();
            break;
        default:
            break;
    }
    return value;
}

int step_through(sqlite3_stmt* statement, millrace_row_callback row, void* context) {
    const int count = sqlite3_column_count(statement);
    std::vector<millrace_value> columns(static_cast<std::size_t>(count));
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < count; ++i) columns[static_cast<std::size_t>(i)] = column(statement, i);
        if (row && row(context, columns.data(), columns.size()) != 0) return SQLITE_DONE;
    }
    return code;
}

int host_exec(millrace_host* host, millrace_str sql, const millrace_value* parameters,
              std::size_t parameter_count, millrace_row_callback row, void* context,
              std::int64_t* changed) {
    FakeHost::State& state = of(host);
    if (!state.is_open()) return MILLRACE_DENIED;
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const std::int64_t before = sqlite3_total_changes64(state.database);
    int code =
        sqlite3_prepare_v2(state.database, sql.data, static_cast<int>(sql.size), &statement, &tail);
    if (code == SQLITE_OK &&
        static_cast<int>(parameter_count) != sqlite3_bind_parameter_count(statement)) {
        sqlite3_finalize(statement);
        return state.refuse(
            MILLRACE_ERROR,
            "exec: another number of parameters than the statement has: " + copy(sql));
    }
    for (std::size_t i = 0; code == SQLITE_OK && i < parameter_count; ++i)
        bind(statement, static_cast<int>(i) + 1, parameters[i]);
    if (code == SQLITE_OK) code = step_through(statement, row, context);
    const std::string message = sqlite3_errmsg(state.database);
    sqlite3_finalize(statement);
    const std::int64_t changes = sqlite3_total_changes64(state.database) - before;
    state.wrote = state.wrote || changes > 0;
    if (changed) *changed = changes;
    if (code == SQLITE_DONE) return MILLRACE_OK;
    const int status = code == SQLITE_AUTH                  ? MILLRACE_DENIED
                       : (code & 0xff) == SQLITE_CONSTRAINT ? MILLRACE_CONSTRAINT
                                                            : MILLRACE_ERROR;
    return state.refuse(status, "exec: " + message + ": " + copy(sql));
}

millrace_str host_last_error(millrace_host* host) {
    static constexpr std::string_view kOutside =
        "services are for the thread of the running callback only";
    return to_abi(of(host).is_open() ? std::string_view(of(host).last_error) : kOutside);
}

// Why this handler may not have effects; empty: it may.
std::string no_effects(const FakeHost::State& state) {
    if (state.api->state == MILLRACE_STATE_NONE) return "a handler without state has no effects";
    if (state.access != Access::kWrite) return "no effects outside an input";
    return {};
}

// Whether an effect is possible now and its struct whole; else last_error says why not.
template <class T>
int permit(FakeHost::State& state, const char* service, const T* given) {
    if (!state.is_open()) return MILLRACE_DENIED;
    if (const auto why = no_effects(state); !why.empty())
        return state.refuse(MILLRACE_DENIED, service + (": " + why));
    if (given->struct_size < sizeof *given)
        return state.refuse(MILLRACE_INVALID, std::string(service) + ": a wrong `struct_size`");
    state.wrote = true;
    return MILLRACE_OK;
}

int host_publish(millrace_host* host, const millrace_publication* given) {
    FakeHost::State& state = of(host);
    if (const int status = permit(state, "publish", given)) return status;
    const std::string topic = copy(given->topic);
    const auto refused = state.refused_topics.find(topic);
    if (refused != state.refused_topics.end() && !refused->second.empty())
        return state.refuse(MILLRACE_INVALID, "publish: " + refused->second);
    try {
        Json json = Json::parse(to_view(given->event));
        if (!json.is_object())
            return state.refuse(MILLRACE_INVALID, "publish: the event is not a JSON object");
        state.effects.published.push_back({topic, copy(given->key), std::move(json)});
    } catch (const JsonError& error) {
        return state.refuse(MILLRACE_INVALID, std::string("publish: ") + error.what());
    }
    return MILLRACE_OK;
}

int host_call(millrace_host* host, const millrace_call* call) {
    FakeHost::State& state = of(host);
    if (const int status = permit(state, "call", call)) return status;
    const auto url = to_view(call->url);
    if (!url.starts_with("http://") && !url.starts_with("https://"))
        return state.refuse(MILLRACE_INVALID, "call: '" + copy(call->url) +
                                                  "' is not an http:// or https:// address");
    Called called{copy(call->id),   copy(call->key),    copy(call->method), copy(call->url), {},
                  copy(call->body), copy(call->payload)};
    for (std::size_t i = 0; i < call->header_count; ++i) {
        called.headers.emplace_back(copy(call->headers[i].name), copy(call->headers[i].value));
    }
    state.effects.calls.push_back(std::move(called));
    return MILLRACE_OK;
}

int host_timer_set(millrace_host* host, const millrace_timer* given) {
    FakeHost::State& state = of(host);
    if (const int status = permit(state, "timer_set", given)) return status;
    state.effects.timers.insert_or_assign(
        copy(given->id),
        SetTimer{copy(given->key), from_microseconds(given->due), copy(given->payload)});
    return MILLRACE_OK;
}

int host_timer_cancel(millrace_host* host, millrace_str id) {
    FakeHost::State& state = of(host);
    if (!state.is_open()) return MILLRACE_DENIED;
    if (const auto why = no_effects(state); !why.empty())
        return state.refuse(MILLRACE_DENIED, "timer_cancel: " + why);
    const bool erased = state.effects.timers.erase(copy(id)) > 0;
    state.wrote = state.wrote || erased;
    return erased ? MILLRACE_OK : state.refuse(MILLRACE_NOT_FOUND, "no timer '" + copy(id) + "'");
}

int host_push(millrace_host* host, const millrace_event*, millrace_str user, millrace_str data) {
    FakeHost::State& state = of(host);
    if (!state.is_open()) return MILLRACE_DENIED;
    if (state.api->subscription != MILLRACE_SUBSCRIPTION_BROADCAST)
        return state.refuse(MILLRACE_DENIED, "push: only broadcast handlers may");
    state.effects.pushed.push_back({copy(user), copy(data)});
    return MILLRACE_OK;
}

void host_complete(millrace_host* host, millrace_token token, millrace_str payload) {
    const std::lock_guard lock(of(host).mutex);
    of(host).completions.emplace_back(token, copy(payload));
    of(host).completed.notify_all();
}
void host_fail(millrace_host* host, millrace_str reason) {
    if (of(host).is_open()) of(host).failure = copy(reason);
}
void host_retry_after(millrace_host* host, std::uint32_t milliseconds) {
    if (of(host).is_open()) of(host).retry_after = std::chrono::milliseconds(milliseconds);
}

int host_origins(millrace_host* host, millrace_origin_callback each, void* context) {
    if (!of(host).is_open()) return MILLRACE_DENIED;
    for (TestOrigin& origin : of(host).origins) {
        origin.counts.struct_size = sizeof origin.counts;
        origin.counts.topic = to_abi(origin.topic);
        if (each(context, &origin.counts) != 0) break;
    }
    return MILLRACE_OK;
}

bool is_host_table(const char* name) { return name && name[0] == '_'; }

}  // namespace

int authorize(void* context, int action, const char* first, const char* second, const char*,
              const char*) {
    const auto& state = *static_cast<const FakeHost::State*>(context);
    if (state.trusted) return SQLITE_OK;
    switch (action) {
        case SQLITE_TRANSACTION:
        case SQLITE_SAVEPOINT:
        case SQLITE_ATTACH:
        case SQLITE_DETACH:
        case SQLITE_PRAGMA:
        case SQLITE_CREATE_VTABLE:
            return SQLITE_DENY;
        case SQLITE_READ:
        case SQLITE_SELECT:
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE:
            return is_host_table(first) ? SQLITE_DENY : SQLITE_OK;
        case SQLITE_INSERT:
        case SQLITE_UPDATE:
        case SQLITE_DELETE: {
            if (is_host_table(first) || state.access == Access::kRead) return SQLITE_DENY;
            const bool schema = first && std::strncmp(first, "sqlite_", 7) == 0;
            return schema && state.access != Access::kSchema ? SQLITE_DENY : SQLITE_OK;
        }
        default:
            return state.access == Access::kSchema && !is_host_table(first) &&
                           !is_host_table(second)
                       ? SQLITE_OK
                       : SQLITE_DENY;
    }
}

const millrace_host_api& host_table() {
    static const millrace_host_api kApi = {.struct_size = sizeof(millrace_host_api),
                                           .abi_major = MILLRACE_ABI_MAJOR,
                                           .abi_minor = MILLRACE_ABI_MINOR,
                                           .log = host_log,
                                           .complete = host_complete,
                                           .now = host_now,
                                           .count = host_count,
                                           .fail = host_fail,
                                           .retry_after = host_retry_after,
                                           .last_error = host_last_error,
                                           .write = host_write,
                                           .field = host_field,
                                           .exec = host_exec,
                                           .publish = host_publish,
                                           .call = host_call,
                                           .timer_set = host_timer_set,
                                           .timer_cancel = host_timer_cancel,
                                           .push = host_push,
                                           .origins = host_origins};
    return kApi;
}

}  // namespace millrace::sdk
