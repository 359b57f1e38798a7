#include "plugins/host_services.hpp"

#include <fmt/format.h>

#include <boost/container/small_vector.hpp>
#include <exception>
#include <utility>

#include "events/field_state.hpp"
#include "plugins/host_handle.hpp"
#include "plugins/received.hpp"

namespace millrace::plugins {
namespace {

constexpr std::size_t kUsualColumns = 16;

using AbiRow = boost::container::small_vector<millrace_value, kUsualColumns>;

int refuse(millrace_host* host, int status, std::string why) {
    host->last_error = std::move(why);
    return status;
}

int to_status(ErrorCode code) {
    switch (code) {
        case ErrorCode::kDenied:
            return MILLRACE_DENIED;
        case ErrorCode::kTimeout:
        case ErrorCode::kCancelled:
            return MILLRACE_TIMEOUT;
        case ErrorCode::kNotFound:
            return MILLRACE_NOT_FOUND;
        case ErrorCode::kConflict:
            return MILLRACE_CONSTRAINT;
        case ErrorCode::kInvalid:
        case ErrorCode::kUnavailable:
        case ErrorCode::kFull:
        case ErrorCode::kIo:
        case ErrorCode::kCorrupt:
        case ErrorCode::kInternal:
        case ErrorCode::kTooLarge:
            break;
    }
    return MILLRACE_ERROR;
}

int refuse(millrace_host* host, const Error& error) {
    return refuse(host, to_status(error.code), error.message);
}

// A request that is wrong stays wrong: no retry mends it.
int refuse_request(millrace_host* host, const Error& error) {
    if (error.code == ErrorCode::kInvalid) return refuse(host, MILLRACE_INVALID, error.message);
    return refuse(host, error);
}

bool is_callers_thread(const millrace_host* host) {
    return host->caller.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

// Runs a service for the callback that is running on this thread.
template <class Body>
int serve(millrace_host* host, Body&& body) noexcept {
    if (!is_callers_thread(host) || host->services == nullptr) return MILLRACE_DENIED;
    try {
        return body(*host->services);
    } catch (const std::exception& error) {
        host->last_error.assign("the server failed");
        log::error("plugins", "{}: a service failed: {}", host->handler, error.what());
    }
    return MILLRACE_ERROR;
}

log::Level to_level(std::uint32_t level) {
    if (level <= MILLRACE_LOG_DEBUG) return log::Level::kDebug;
    if (level == MILLRACE_LOG_INFO) return log::Level::kInfo;
    return level == MILLRACE_LOG_WARN ? log::Level::kWarn : log::Level::kError;
}

void host_log(millrace_host* host, std::uint32_t level, millrace_str message) noexcept {
    if (!log::enabled(to_level(level))) return;
    const std::lock_guard lock(host->mutex);
    if (host->services != nullptr) {
        host->services->log(to_level(level), to_view(message));
    } else {
        log::write(to_level(level), host->handler, to_view(message));
    }
}

std::int64_t host_now(millrace_host* host) noexcept {
    std::int64_t now = 0;
    serve(host, [&now](engine::ShardServices& services) {
        now = services.now().time_since_epoch().count();
        return MILLRACE_OK;
    });
    return now;
}

void host_count(millrace_host* host, millrace_str metric, double amount) noexcept {
    serve(host, [&](engine::ShardServices& services) {
        services.count(to_view(metric), amount);
        return MILLRACE_OK;
    });
}

void host_write(millrace_out* out, millrace_str text) noexcept {
    if (out->text.size() + text.size > out->limit) {
        out->overflow = true;
    } else {
        out->text.append(to_view(text));
    }
}

// The input whose event this is; nullptr: not the one being handled.
const engine::MessageInput* input_of(const millrace_host* host, const millrace_event* event) {
    return event != nullptr && event->opaque == host->input ? host->input : nullptr;
}

int refuse_field(millrace_host* host, FieldState state, millrace_str name) {
    if (state == FieldState::kNothing)
        return refuse(host, MILLRACE_NOTHING,
                      fmt::format("field: the event has nothing in '{}'", to_view(name)));
    return refuse(host, MILLRACE_NOT_FOUND,
                  fmt::format("field: the event has no '{}'", to_view(name)));
}

int host_field(millrace_host* host, const millrace_event* event, millrace_str name,
               millrace_str* value) noexcept {
    return serve(host, [&](engine::ShardServices&) {
        const engine::MessageInput* input = input_of(host, event);
        if (input == nullptr)
            return refuse(host, MILLRACE_DENIED, "field: this is not the event being handled");
        std::string scratch;
        const auto found = input->reader.field(input->event, to_view(name), scratch);
        if (!found) return refuse_field(host, field_state(input->event, to_view(name)), name);
        const bool is_made =
            found->data() >= scratch.data() && found->data() <= scratch.data() + scratch.size();
        // Moving a short text moves its bytes, so the view is taken from where they end up.
        *value = is_made ? to_abi(host->made.emplace_back(*found)) : to_abi(*found);
        return static_cast<int>(MILLRACE_OK);
    });
}

sqlite::Value to_value(const millrace_value& value) {
    switch (value.type) {
        case MILLRACE_VALUE_INTEGER:
            return value.integer;
        case MILLRACE_VALUE_REAL:
            return value.real;
        case MILLRACE_VALUE_TEXT:
            if (value.text.data == nullptr) return std::monostate{};
            return to_view(value.text);
        case MILLRACE_VALUE_BLOB:
            if (value.text.data == nullptr) return std::monostate{};
            return std::as_bytes(std::span(value.text.data, value.text.size));
        default:
            return std::monostate{};
    }
}

millrace_value to_abi_value(const sqlite::Value& value) {
    millrace_value out{};
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        out.type = MILLRACE_VALUE_INTEGER;
        out.integer = *integer;
    } else if (const auto* real = std::get_if<double>(&value)) {
        out.type = MILLRACE_VALUE_REAL;
        out.real = *real;
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
        out.type = MILLRACE_VALUE_TEXT;
        out.text = to_abi(*text);
    } else if (const auto* blob = std::get_if<std::span<const std::byte>>(&value)) {
        out.type = MILLRACE_VALUE_BLOB;
        out.text = to_abi({reinterpret_cast<const char*>(blob->data()), blob->size()});
    }
    return out;
}

// One pointer to it fits into a RowCallback without an allocation.
struct RowSink {
    millrace_row_callback row;
    void* context;
    AbiRow columns;

    bool take(const sqlite::Statement& statement) {
        columns.clear();
        for (int i = 0; i < statement.column_count(); ++i)
            columns.push_back(to_abi_value(statement.value(i)));
        return row(context, columns.data(), columns.size()) == 0;
    }
};

int host_exec(millrace_host* host, millrace_str sql, const millrace_value* parameters,
              std::size_t parameter_count, millrace_row_callback row, void* context,
              std::int64_t* changed) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        boost::container::small_vector<sqlite::Value, kUsualColumns> values;
        for (std::size_t i = 0; i < parameter_count; ++i) values.push_back(to_value(parameters[i]));
        RowSink sink{row, context, {}};
        engine::RowCallback each;
        if (row != nullptr)
            each = [to = &sink](const sqlite::Statement& statement) { return to->take(statement); };
        auto done = services.exec(to_view(sql), {values.data(), values.size()}, each);
        if (!done) return refuse(host, done.error());
        if (changed != nullptr) *changed = *done;
        return static_cast<int>(MILLRACE_OK);
    });
}

millrace_str host_last_error(millrace_host* host) noexcept {
    static constexpr std::string_view kOutside =
        "services are for the thread of the running callback only";
    return to_abi(is_callers_thread(host) ? std::string_view(host->last_error) : kOutside);
}

int refuse_short(millrace_host* host, const char* service) {
    return refuse(
        host, MILLRACE_INVALID,
        fmt::format("{}: what it was given says no `struct_size` that there ever was", service));
}

int host_publish(millrace_host* host, const millrace_publication* given) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        const auto publication = receive(given);
        if (!publication) return refuse_short(host, "publish");
        auto published = services.publish(
            {to_view(publication->topic), to_view(publication->key), to_view(publication->event)});
        return published ? static_cast<int>(MILLRACE_OK) : refuse_request(host, published.error());
    });
}

int host_call(millrace_host* host, const millrace_call* given) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        const auto call = receive(given);
        if (!call) return refuse_short(host, "call");
        std::vector<std::pair<std::string_view, std::string_view>> headers;
        for (const millrace_header& header : std::span(call->headers, call->header_count)) {
            headers.emplace_back(to_view(header.name), to_view(header.value));
        }
        auto requested = services.call({to_view(call->id), to_view(call->key),
                                        to_view(call->method), to_view(call->url), headers,
                                        to_view(call->body), to_view(call->payload)});
        return requested ? static_cast<int>(MILLRACE_OK) : refuse_request(host, requested.error());
    });
}

int host_timer_set(millrace_host* host, const millrace_timer* given) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        const auto timer = receive(given);
        if (!timer) return refuse_short(host, "timer_set");
        const Timestamp when{std::chrono::microseconds(timer->due)};
        auto set = services.set_timer(to_view(timer->id), to_view(timer->key), when,
                                      to_view(timer->payload));
        return set ? static_cast<int>(MILLRACE_OK) : refuse(host, set.error());
    });
}

int host_timer_cancel(millrace_host* host, millrace_str id) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        auto cancelled = services.cancel_timer(to_view(id));
        if (!cancelled) return refuse(host, cancelled.error());
        if (*cancelled) return static_cast<int>(MILLRACE_OK);
        return refuse(host, MILLRACE_NOT_FOUND,
                      fmt::format("timer_cancel: no timer '{}'", to_view(id)));
    });
}

int host_push(millrace_host* host, const millrace_event* event, millrace_str user,
              millrace_str data) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        const engine::MessageInput* input = input_of(host, event);
        if (input == nullptr)
            return refuse(host, MILLRACE_DENIED, "push: this is not the event being handled");
        const DecodedEvent& decoded = input->event;
        auto pushed =
            services.push({to_view(user), input->origin, decoded.record->offset,
                           decoded.record->timestamp, decoded.effective_id,
                           decoded.envelope.timestamp, decoded.envelope.event_type, to_view(data)});
        return pushed ? static_cast<int>(MILLRACE_OK) : refuse(host, pushed.error());
    });
}

void host_complete(millrace_host* host, millrace_token token, millrace_str payload) noexcept {
    const std::lock_guard lock(host->mutex);
    if (host->services != nullptr)
        host->services->complete({token.opaque[0], static_cast<std::uint32_t>(token.opaque[1])},
                                 std::string(to_view(payload)));
}

void host_fail(millrace_host* host, millrace_str reason) noexcept {
    if (is_callers_thread(host)) host->failure.assign(to_view(reason));
}

void host_retry_after(millrace_host* host, std::uint32_t delay) noexcept {
    if (is_callers_thread(host)) host->retry_after = milliseconds(delay);
}

int host_origins(millrace_host* host, millrace_origin_callback each, void* context) noexcept {
    return serve(host, [&](engine::ShardServices& services) {
        bool enough = false;
        auto told = services.origins([&](const engine::OriginCounts& counts) {
            if (enough) return;
            const millrace_origin origin{.struct_size = sizeof origin,
                                         .topic = to_abi(counts.origin.topic),
                                         .first = counts.first.value,
                                         .last = counts.last.value,
                                         .acked = counts.acked,
                                         .skipped = counts.skipped,
                                         .duplicates = counts.duplicates,
                                         .dead_lettered = counts.dead_lettered,
                                         .partition = counts.origin.partition.value,
                                         .reserved = 0};
            enough = each(context, &origin) != 0;
        });
        return told ? static_cast<int>(MILLRACE_OK) : refuse(host, told.error());
    });
}

}  // namespace

const millrace_host_api& host_services() {
    static constexpr millrace_host_api kServices = {
        .struct_size = sizeof(millrace_host_api),
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
        .origins = host_origins,
    };
    return kServices;
}

}  // namespace millrace::plugins
