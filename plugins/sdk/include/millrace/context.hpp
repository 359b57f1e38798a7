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
#include <millrace/detail/format.hpp>
#include <millrace/event.hpp>
#include <millrace/row.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
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

#ifdef MILLRACE_HAS_FORMAT
    // info("{} is due at {}", task, when): checked when it is compiled.
    template <class First, class... Rest>
    void debug(detail::FormatString<First, Rest...> text, First&& first, Rest&&... rest) const {
        debug(detail::format(text, std::forward<First>(first), std::forward<Rest>(rest)...));
    }
    template <class First, class... Rest>
    void info(detail::FormatString<First, Rest...> text, First&& first, Rest&&... rest) const {
        info(detail::format(text, std::forward<First>(first), std::forward<Rest>(rest)...));
    }
    template <class First, class... Rest>
    void warn(detail::FormatString<First, Rest...> text, First&& first, Rest&&... rest) const {
        warn(detail::format(text, std::forward<First>(first), std::forward<Rest>(rest)...));
    }
    template <class First, class... Rest>
    void error(detail::FormatString<First, Rest...> text, First&& first, Rest&&... rest) const {
        error(detail::format(text, std::forward<First>(first), std::forward<Rest>(rest)...));
    }
#endif

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
    // The rows as tuples, which own what they hold. Row says what a column may be.
    //     for (const auto& [user, times] : context().query<std::string, std::int64_t>(sql, since))
    template <class First, class... Rest, class... Parameters>
    std::vector<std::tuple<First, Rest...>> query(std::string_view sql,
                                                  const Parameters&... parameters) const {
        static_assert(detail::kOwns<First> && (detail::kOwns<Rest> && ...),
                      "a view does not outlive its row: use std::string");
        std::vector<std::tuple<First, Rest...>> rows;
        query(
            sql, [&rows](const Row& row) { rows.push_back(row.as<First, Rest...>()); },
            parameters...);
        return rows;
    }
    // The first row; of one column its value. nullopt: no row.
    //     const auto times = context().first<std::int64_t>("SELECT times ... WHERE user = ?1",
    //     user)
    template <class First, class... Rest, class... Parameters>
    auto first(std::string_view sql, const Parameters&... parameters) const {
        static_assert(detail::kOwns<First> && (detail::kOwns<Rest> && ...),
                      "a view does not outlive its row: use std::string");
        using Tuple = std::tuple<First, Rest...>;
        std::optional<std::conditional_t<sizeof...(Rest) == 0, First, Tuple>> found;
        query(
            sql,
            [&found](const Row& row) {
                if constexpr (sizeof...(Rest) == 0)
                    found.emplace(std::get<0>(row.as<First>()));
                else
                    found.emplace(row.as<First, Rest...>());
                return false;
            },
            parameters...);
        return found;
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
