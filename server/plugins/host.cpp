#include "plugins/host.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>
#include <vector>

#include "plugins/host_handle.hpp"
#include "plugins/host_services.hpp"

namespace millrace::plugins {
namespace {

using engine::MessageInput;
using engine::Outcome;
using engine::OutcomeKind;
using Parameters = std::span<const std::pair<std::string, std::string>>;

millrace_str to_abi(const std::optional<std::string_view>& text) {
    return text ? plugins::to_abi(*text) : millrace_str{nullptr, 0};
}

void fill_record(const MessageInput& input, std::vector<millrace_header>& headers,
                 millrace_event& event) {
    const Record& record = *input.event.record;
    headers.clear();
    for (const Header& header : record.headers) {
        headers.push_back({plugins::to_abi(header.name), plugins::to_abi(header.value)});
    }
    event.topic = plugins::to_abi(input.origin.topic);
    event.partition = input.origin.partition.value;
    event.offset = record.offset.value;
    event.record_time = record.timestamp.time_since_epoch().count();
    event.key = to_abi(record.key);
    event.value = to_abi(record.value);
    event.headers = headers.data();
    event.header_count = headers.size();
}

millrace_event make_event(const MessageInput& input, std::vector<millrace_header>& headers) {
    millrace_event event{};
    event.struct_size = sizeof event;
    fill_record(input, headers, event);
    const Envelope& envelope = input.event.envelope;
    event.id = plugins::to_abi(input.event.effective_id);
    event.flags = envelope.event_id ? 0 : MILLRACE_EVENT_ID_IS_DERIVED;
    event.type = plugins::to_abi(envelope.event_type);
    event.full_type = plugins::to_abi(envelope.full_type);
    event.schema_version = static_cast<std::uint32_t>(envelope.schema_version);
    event.user_id = to_abi(envelope.user_id);
    event.task_id = to_abi(envelope.task_id);
    event.time =
        envelope.timestamp ? envelope.timestamp->time_since_epoch().count() : MILLRACE_NO_TIME;
    event.attempt = input.attempt;
    event.token = {{input.token.input, input.token.attempt}};
    event.opaque = &input;
    return event;
}

std::vector<millrace_parameter> to_params(Parameters parameters) {
    std::vector<millrace_parameter> params;
    for (const auto& [name, value] : parameters)
        params.push_back({plugins::to_abi(name), plugins::to_abi(value)});
    return params;
}

std::string reason_of(const millrace_host* host, std::string_view otherwise) {
    return host->failure.empty() ? std::string(otherwise) : host->failure;
}

Outcome to_outcome(const millrace_host* host, std::uint32_t kind) {
    switch (kind) {
        case MILLRACE_ACK:
            return {OutcomeKind::kAck, {}, {}};
        case MILLRACE_IGNORE:
            return {OutcomeKind::kIgnore, host->failure, {}};
        case MILLRACE_RETRY:
            return {OutcomeKind::kRetry, reason_of(host, "the handler gave no reason"),
                    host->retry_after};
        case MILLRACE_DEAD_LETTER:
            return {OutcomeKind::kDeadLetter, reason_of(host, "the handler gave no reason"), {}};
        case MILLRACE_PENDING:
            return {OutcomeKind::kPending, {}, {}};
        default:
            return {OutcomeKind::kDeadLetter,
                    fmt::format("the handler returned {}, which is no outcome", kind),
                    {}};
    }
}

// A plugin must not throw. What leaves it all the same ends here, as a failure of this call.
template <class Call, class Otherwise>
auto guarded(std::string& failure, Otherwise otherwise, Call call) -> decltype(call()) {
    try {
        return call();
    } catch (const std::exception& error) {
        failure = fmt::format("an exception left it: {}", error.what());
    } catch (...) {
        failure = "an exception left it";
    }
    return otherwise;
}

Outcome missing(std::string_view callback) {
    return {OutcomeKind::kDeadLetter, fmt::format("the plugin has no {}", callback), {}};
}

Error answer_error(int status, const millrace_host* host, std::string_view plugin,
                   std::string_view question) {
    if (status == MILLRACE_NOT_FOUND) {
        return fail(ErrorCode::kNotFound, fmt::format("{} does not answer '{}'", plugin, question));
    }
    if (status == MILLRACE_CONSTRAINT)
        return fail(ErrorCode::kInvalid, reason_of(host, "a parameter is wrong"));
    return fail(ErrorCode::kInternal, fmt::format("{} failed at '{}': {}", plugin, question,
                                                  reason_of(host, "it gave no reason")));
}

// An answer goes into others' JSON, so what is not JSON must not leave.
Result<std::string> check_answer(millrace_out& out, std::string_view plugin,
                                 std::string_view question) {
    if (out.overflow) {
        return fail(ErrorCode::kFull, fmt::format("{}: the answer to '{}' is larger than {} bytes "
                                                  "(server.limits.max_answer_bytes): ask for less",
                                                  plugin, question, out.limit));
    }
    boost::system::error_code fault;
    boost::json::monotonic_resource memory;
    (void)boost::json::parse(out.text, fault, &memory);
    if (fault)
        return fail(ErrorCode::kInternal,
                    fmt::format("{}: the answer to '{}' is not JSON", plugin, question));
    return std::move(out.text);
}

Result<std::string> join_items(std::span<const std::string> answers) {
    boost::json::array items;
    for (const std::string& answer : answers) {
        boost::system::error_code fault;
        boost::json::value value = boost::json::parse(answer, fault);
        auto* object = fault ? nullptr : value.if_object();
        auto* found = object == nullptr ? nullptr : object->if_contains("items");
        if (found == nullptr || !found->is_array()) {
            return fail(ErrorCode::kInternal,
                        "an answer without `items`: the plugin needs a `merge`");
        }
        for (boost::json::value& item : found->get_array()) items.push_back(std::move(item));
    }
    return boost::json::serialize(boost::json::object{{"items", std::move(items)}});
}

class PluginInstance final : public engine::HandlerInstance {
public:
    PluginInstance(std::shared_ptr<const Plugin> plugin, const std::string& handler,
                   std::uint64_t max_answer_bytes, engine::ShardServices& services)
        : plugin_(std::move(plugin)),
          api_(plugin_->api()),
          max_answer_bytes_(max_answer_bytes),
          handle_(handler, services) {}

    ~PluginInstance() override {
        if (instance_ == nullptr) return;
        const CallbackScope scope(host());
        (void)guarded(host()->failure, 0, [this] {
            if (api_.stop != nullptr) api_.stop(instance_);
            return 0;
        });
        (void)guarded(host()->failure, 0, [this] { return api_.destroy(instance_), 0; });
    }

    Result<void> start(const std::string& config, const std::string& handler,
                       const std::string& shard) {
        const CallbackScope scope(host());
        const millrace_setup setup{sizeof setup, plugins::to_abi(handler), plugins::to_abi(shard),
                                   plugins::to_abi(config)};
        instance_ = guarded(host()->failure, nullptr, [&] { return api_.create(host(), &setup); });
        if (instance_ != nullptr) return {};
        return fail(ErrorCode::kInvalid,
                    fmt::format("{} {}: create failed for shard {}: {}", plugin_->name(),
                                plugin_->version(), shard, reason_of(host(), "it gave no reason")));
    }

    Outcome on_message(const MessageInput& input) override {
        const CallbackScope scope(host(), &input);
        const millrace_event event = make_event(input, host()->headers);
        return decided([&] { return api_.on_message(instance_, &event); });
    }

    Outcome on_timer(const engine::TimerInput& input) override {
        if (api_.on_timer == nullptr) return missing("on_timer");
        const CallbackScope scope(host());
        const millrace_timer timer{sizeof timer,
                                   plugins::to_abi(input.id),
                                   plugins::to_abi(input.key),
                                   plugins::to_abi(input.payload),
                                   input.due.time_since_epoch().count(),
                                   input.attempt,
                                   0};
        return decided([&] { return api_.on_timer(instance_, &timer); });
    }

    Outcome on_response(const engine::ResponseInput& input) override {
        if (api_.on_response == nullptr) return missing("on_response");
        const CallbackScope scope(host());
        const millrace_response response{sizeof response,
                                         plugins::to_abi(input.call_id),
                                         plugins::to_abi(input.key),
                                         plugins::to_abi(input.payload),
                                         plugins::to_abi(input.body),
                                         input.status,
                                         input.tries};
        return decided([&] { return api_.on_response(instance_, &response); });
    }

    Outcome on_complete(const MessageInput& input, std::string_view payload) override {
        if (api_.on_complete == nullptr) return missing("on_complete");
        const CallbackScope scope(host(), &input);
        const millrace_event event = make_event(input, host()->headers);
        Outcome outcome =
            decided([&] { return api_.on_complete(instance_, &event, plugins::to_abi(payload)); });
        if (outcome.kind == OutcomeKind::kPending)
            return {OutcomeKind::kDeadLetter, "on_complete returned pending: it must decide", {}};
        return outcome;
    }

    bool on_rollback(RollbackScope scope) override {
        if (api_.on_rollback == nullptr) return scope == RollbackScope::kInput;
        const CallbackScope callback(host());
        return guarded(host()->failure, false, [&] {
            api_.on_rollback(instance_, scope == RollbackScope::kInput ? MILLRACE_ROLLBACK_INPUT
                                                                       : MILLRACE_ROLLBACK_BATCH);
            return true;
        });
    }

    Result<std::string> on_query(std::string_view question, Parameters parameters) override {
        if (api_.on_query == nullptr)
            return answer_error(MILLRACE_NOT_FOUND, host(), plugin_->name(), question);
        const CallbackScope scope(host());
        const auto params = to_params(parameters);
        const millrace_query query{sizeof query, plugins::to_abi(question), params.data(),
                                   params.size()};
        millrace_out out{max_answer_bytes_};
        const int status = guarded(host()->failure, std::int32_t{MILLRACE_ERROR},
                                   [&] { return api_.on_query(instance_, &query, &out); });
        if (status != MILLRACE_OK) return answer_error(status, host(), plugin_->name(), question);
        return check_answer(out, plugin_->name(), question);
    }

private:
    millrace_host* host() const { return handle_.get(); }
    template <class Call>
    Outcome decided(Call call) {
        return to_outcome(
            host(), guarded(host()->failure, std::uint32_t{MILLRACE_DEAD_LETTER}, std::move(call)));
    }

    std::shared_ptr<const Plugin> plugin_;
    const millrace_plugin_api& api_;
    std::uint64_t max_answer_bytes_;
    HostHandle handle_;
    millrace_instance* instance_ = nullptr;
};

}  // namespace

PluginFactory::PluginFactory(std::shared_ptr<const Plugin> plugin, std::string handler,
                             std::string config, std::uint64_t max_answer_bytes)
    : plugin_(std::move(plugin)),
      handler_(std::move(handler)),
      config_(std::move(config)),
      max_answer_bytes_(max_answer_bytes) {}

Result<void> PluginFactory::migrate(engine::ShardServices& services, std::uint32_t from_version) {
    if (plugin_->api().migrate == nullptr) return {};
    const HostHandle handle(handler_, services);
    const CallbackScope scope(handle.get());
    const millrace_migration migration{sizeof migration, from_version,
                                       plugin_->traits().state_version};
    const int status = guarded(handle.get()->failure, std::int32_t{MILLRACE_ERROR}, [&] {
        return plugin_->api().migrate(handle.get(), &migration);
    });
    if (status == MILLRACE_OK) return {};
    return fail(
        ErrorCode::kInvalid,
        fmt::format("{} {}: cannot bring its tables from version {} to {}: {}", plugin_->name(),
                    plugin_->version(), from_version, plugin_->traits().state_version,
                    reason_of(handle.get(), "it gave no reason")));
}

Result<std::unique_ptr<engine::HandlerInstance>> PluginFactory::create(
    const engine::ShardIdentity& shard, engine::ShardServices& services) {
    auto instance =
        std::make_unique<PluginInstance>(plugin_, handler_, max_answer_bytes_, services);
    auto started = instance->start(config_, handler_, shard.shard);
    if (!started) return started.error();
    return std::unique_ptr<engine::HandlerInstance>(std::move(instance));
}

Result<std::string> PluginFactory::merge(std::string_view question, Parameters parameters,
                                         std::span<const std::string> answers) {
    if (plugin_->api().merge == nullptr) return join_items(answers);
    const auto params = to_params(parameters);
    std::vector<millrace_str> texts;
    for (const std::string& answer : answers) texts.push_back(plugins::to_abi(answer));
    millrace_out out{max_answer_bytes_};
    const millrace_query query{sizeof query, plugins::to_abi(question), params.data(),
                               params.size()};
    const int status = guarded(out.text, std::int32_t{MILLRACE_ERROR}, [&] {
        return plugin_->api().merge(&query, texts.data(), texts.size(), &out);
    });
    if (status == MILLRACE_OK) return check_answer(out, plugin_->name(), question);
    return fail(ErrorCode::kInternal, fmt::format("{} cannot merge the answers to '{}': {}",
                                                  plugin_->name(), question, out.text));
}

}  // namespace millrace::plugins
