// Context: the services of the server, for one instance of a handler.
//
// Threads: only inside a callback, on its thread; `log` and a Completer alone from any thread at
// any time. Effects (exec, publish, call, timers) commit together with the input when the callback
// returns ack(), and are undone otherwise. Errors: ServiceError; let it pass, and the input is
// retried or dead-lettered as its status deserves.
#pragma once

#include <millrace/abi.h>

#include <concepts>
#include <cstdint>
#include <exception>
#include <millrace/event.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace millrace {
inline namespace sdk {

class ServiceError : public std::runtime_error {
public:
    ServiceError(int status, const std::string& message)
        : std::runtime_error(message), status_(status) {}
    int status() const { return status_; }  // millrace_status

private:
    int status_;
};

// A parameter of SQL. nullptr, or an optional without a value: NULL. Times are microseconds since
// the epoch.
inline millrace_value to_value(std::nullptr_t) { return {}; }
inline millrace_value to_value(std::integral auto value) {
    return {.type = MILLRACE_VALUE_INTEGER,
            .reserved = 0,
            .integer = static_cast<std::int64_t>(value),
            .real = 0,
            .text = {}};
}
inline millrace_value to_value(double value) {
    return {.type = MILLRACE_VALUE_REAL, .reserved = 0, .integer = 0, .real = value, .text = {}};
}
inline millrace_value to_value(std::string_view value) {
    return {
        .type = MILLRACE_VALUE_TEXT, .reserved = 0, .integer = 0, .real = 0, .text = to_abi(value)};
}
inline millrace_value to_value(const std::string& value) {
    return to_value(std::string_view(value));
}
inline millrace_value to_value(const char* value) { return to_value(std::string_view(value)); }
inline millrace_value to_value(Time value) { return to_value(to_microseconds(value)); }
inline millrace_value to_value(const millrace_value& value) { return value; }
template <class T>
millrace_value to_value(const std::optional<T>& value) {
    return value ? to_value(*value) : millrace_value{};
}
// Bytes rather than text.
inline millrace_value blob(std::string_view bytes) {
    return {
        .type = MILLRACE_VALUE_BLOB, .reserved = 0, .integer = 0, .real = 0, .text = to_abi(bytes)};
}

// A row of a SELECT, columns from 0. Valid inside the lambda.
class Row {
public:
    explicit Row(std::span<const millrace_value> columns) : columns_(columns) {}
    std::size_t size() const { return columns_.size(); }
    bool is_null(std::size_t column) const { return columns_[column].type == MILLRACE_VALUE_NULL; }
    std::int64_t integer(std::size_t column) const { return columns_[column].integer; }
    double real(std::size_t column) const { return columns_[column].real; }
    std::string_view text(std::size_t column) const { return to_view(columns_[column].text); }
    std::optional<std::string_view> optional_text(std::size_t column) const {
        return is_null(column) ? std::nullopt : std::optional(text(column));
    }
    std::optional<std::int64_t> optional_integer(std::size_t column) const {
        return is_null(column) ? std::nullopt : std::optional(integer(column));
    }
    Time time(std::size_t column) const { return from_microseconds(integer(column)); }

private:
    std::span<const millrace_value> columns_;
};

// An HTTP request, sent after the commit, at least once, with an Idempotency-Key.
struct Call {
    std::string_view id;   // the handler's name for it; comes back with the response
    std::string_view key;  // the lane of the response: usually the user
    std::string_view method = "POST";
    std::string_view url;
    std::vector<std::pair<std::string_view, std::string_view>> headers = {};
    std::string_view body = {};
    std::string_view payload = {};  // comes back with the response
};

// What became of the records of one partition. Offsets of -1: none yet.
struct Origin {
    std::string topic;
    std::int32_t partition;
    std::int64_t first;
    std::int64_t last;
    std::int64_t acked;
    std::int64_t skipped;
    std::int64_t duplicates;
    std::int64_t dead_lettered;

    static Origin from(const millrace_origin& origin) {
        return {std::string(to_view(origin.topic)),
                origin.partition,
                origin.first,
                origin.last,
                origin.acked,
                origin.skipped,
                origin.duplicates,
                origin.dead_lettered};
    }
};

// Decides an input that returned pending(). Any thread, any time; after the instance is gone it
// does nothing. Copy it freely.
class Completer {
public:
    Completer(const millrace_host_api& api, millrace_host* host) : api_(&api), host_(host) {}
    void complete(Token token, std::string_view payload) const {
        api_->complete(host_, token, to_abi(payload));
    }

private:
    const millrace_host_api* api_;
    millrace_host* host_;
};

class Context {
public:
    Context(const millrace_host_api& api, millrace_host* host) : api_(&api), host_(host) {}

    void debug(std::string_view message) const {
        api_->log(host_, MILLRACE_LOG_DEBUG, to_abi(message));
    }
    void info(std::string_view message) const {
        api_->log(host_, MILLRACE_LOG_INFO, to_abi(message));
    }
    void warn(std::string_view message) const {
        api_->log(host_, MILLRACE_LOG_WARN, to_abi(message));
    }
    void error(std::string_view message) const {
        api_->log(host_, MILLRACE_LOG_ERROR, to_abi(message));
    }

    // The server's clock; tests move it.
    Time now() const { return from_microseconds(api_->now(host_)); }
    // Adds to millrace_plugin_<metric>_total{handler}. Lower case, digits, underscores.
    void count(std::string_view metric, double amount = 1) const {
        api_->count(host_, to_abi(metric), amount);
    }

    // SQL in the shard's own transaction, parameters ?1, ?2 ... Returns the number of rows changed.
    template <class... Parameters>
    std::int64_t exec(std::string_view sql, const Parameters&... parameters) const {
        return run(sql, nullptr, nullptr, parameters...);
    }
    // Calls `each(const Row&)` for every row; one that returns bool ends it with false.
    template <std::invocable<const Row&> Each, class... Parameters>
    void query(std::string_view sql, Each&& each, const Parameters&... parameters) const {
        using Callable = std::remove_reference_t<Each>;
        Rows<Callable> rows{each, nullptr};
        run(sql, &Rows<Callable>::take, &rows, parameters...);
        if (rows.thrown) std::rethrow_exception(rows.thrown);
    }
    // The same for SQL whose parameters are known at run time only: to_value() makes them, and
    // views what it is given.
    template <std::invocable<const Row&> Each>
    void query_values(std::string_view sql, Each&& each,
                      std::span<const millrace_value> values) const {
        using Callable = std::remove_reference_t<Each>;
        Rows<Callable> rows{each, nullptr};
        check(api_->exec(host_, to_abi(sql), values.data(), values.size(), &Rows<Callable>::take,
                         &rows, nullptr));
        if (rows.thrown) std::rethrow_exception(rows.thrown);
    }
    // The first column of the first row. nullopt: no row, or NULL.
    template <class... Parameters>
    std::optional<std::int64_t> integer(std::string_view sql,
                                        const Parameters&... parameters) const {
        std::optional<std::int64_t> found;
        query(
            sql,
            [&found](const Row& row) {
                found = row.optional_integer(0);
                return false;
            },
            parameters...);
        return found;
    }
    template <class... Parameters>
    std::optional<std::string> text(std::string_view sql, const Parameters&... parameters) const {
        std::optional<std::string> found;
        query(
            sql,
            [&found](const Row& row) {
                found = row.optional_text(0);
                return false;
            },
            parameters...);
        return found;
    }

    // A JSON object as an event; event_id (derived: a replay sends the same), schema_version and
    // timestamp are set where they are missing. Sent after the commit, confirmed by all replicas.
    void publish(std::string_view topic, std::string_view key, std::string_view event) const {
        const millrace_publication publication{sizeof publication, to_abi(topic), to_abi(key),
                                               to_abi(event)};
        check(api_->publish(host_, &publication));
    }
    void call(const Call& call) const {
        std::vector<millrace_header> headers;
        for (const auto& [name, value] : call.headers)
            headers.push_back({to_abi(name), to_abi(value)});
        const millrace_call request{sizeof request,      to_abi(call.id),   to_abi(call.key),
                                    to_abi(call.method), to_abi(call.url),  headers.data(),
                                    headers.size(),      to_abi(call.body), to_abi(call.payload)};
        check(api_->call(host_, &request));
    }
    // A durable timer; one of the same id is replaced. Fires in the lane of `key`, also after a
    // restart.
    void set_timer(std::string_view id, std::string_view key, Time due,
                   std::string_view payload = {}) const {
        const millrace_timer timer{
            sizeof timer, to_abi(id), to_abi(key), to_abi(payload), to_microseconds(due), 0, 0};
        check(api_->timer_set(host_, &timer));
    }
    // False: there was none.
    bool cancel_timer(std::string_view id) const {
        const int status = api_->timer_cancel(host_, to_abi(id));
        if (status != MILLRACE_NOT_FOUND) check(status);
        return status == MILLRACE_OK;
    }
    // Broadcast handlers: to the WebSocket and SSE sessions of `user`.
    void push(const Event& event, std::string_view user, std::string_view data) const {
        check(api_->push(host_, &event.abi(), to_abi(user), to_abi(data)));
    }
    // In on_query: the partitions whose records this shard has seen.
    std::vector<Origin> origins() const {
        std::vector<Origin> all;
        const auto take = [](void* to, const millrace_origin* origin) noexcept {
            static_cast<std::vector<Origin>*>(to)->push_back(Origin::from(*origin));
            return 0;
        };
        check(api_->origins(host_, take, &all));
        return all;
    }
    Completer completer() const { return {*api_, host_}; }

    const millrace_host_api& api() const { return *api_; }
    millrace_host* host() const { return host_; }

private:
    template <class Each>
    struct Rows {
        Each& each;
        std::exception_ptr thrown;

        static int take(void* self, const millrace_value* columns, std::size_t count) noexcept {
            Rows& rows = *static_cast<Rows*>(self);
            try {
                const Row row({columns, count});
                if constexpr (std::is_same_v<std::invoke_result_t<Each&, const Row&>, bool>)
                    return rows.each(row) ? 0 : 1;
                else
                    return rows.each(row), 0;
            } catch (...) {
                rows.thrown = std::current_exception();
                return 1;
            }
        }
    };

    template <class... Parameters>
    std::int64_t run(std::string_view sql, millrace_row_callback row, void* state,
                     const Parameters&... parameters) const {
        const millrace_value values[] = {to_value(parameters)..., millrace_value{}};
        std::int64_t changed = 0;
        check(api_->exec(host_, to_abi(sql), values, sizeof...(parameters), row, state, &changed));
        return changed;
    }
    void check(int status) const {
        if (status != MILLRACE_OK)
            throw ServiceError(status, std::string(to_view(api_->last_error(host_))));
    }

    const millrace_host_api* api_;
    millrace_host* host_;
};

}  // namespace sdk
}  // namespace millrace
