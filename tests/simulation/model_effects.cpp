// What the model does through its services: rows, events, timers, calls.
#include <fmt/format.h>

#include "simulation/model_instance.hpp"
#include "simulation/sim_http.hpp"

namespace millrace::simulation {

using engine::MessageInput;
using engine::Outcome;
using engine::OutcomeKind;

std::string_view user_of(const MessageInput& input) {
    return input.event.envelope.user_id.value_or("");
}

Result<void> ModelInstance::write(const Row& row) {
    const sqlite::Value values[] = {
        row.what,
        row.id,
        row.version,
        row.user,
        row.origin == nullptr ? std::string_view() : std::string_view(row.origin->topic),
        std::int64_t{row.origin == nullptr ? -1 : row.origin->partition.value},
        row.offset.value};
    auto done = services_.exec(
        "INSERT INTO log(what, id, version, user, topic, partition, offset) VALUES(?1, ?2, ?3, ?4, "
        "?5, ?6, ?7)",
        values, {});
    if (!done) return done.error();
    return {};
}

Outcome ModelInstance::effect(const MessageInput& input) {
    if (!stateful()) return {};
    auto done = write({"effect", serial_of(input), "", user_of(input), &input.origin,
                       input.event.record->offset});
    return done ? Outcome{} : retry(done.error().message);
}

Result<void> ModelInstance::publish_one(std::string_view topic, std::string_view user,
                                        std::string_view serial, int index) {
    const std::string event = fmt::format(
        R"({{"event_type":"created","task_id":"{}","user_id":"{}","task_data":{{"title":"{} {}"}}}})",
        serial, user, setup_.handler, index);
    auto published = services_.publish({topic, user, event});
    if (!published) return published.error();
    return {};
}

Outcome ModelInstance::publish(const MessageInput& input, const Script& script,
                               std::string_view topic) {
    const std::string serial = serial_of(input);
    for (int i = 0; i < script.count; ++i) {
        auto done = publish_one(topic, user_of(input), serial, i);
        if (!done) return retry(done.error().message);
    }
    return effect(input);
}

Outcome ModelInstance::set_timer(const MessageInput& input, const Script& script) {
    const std::string serial = serial_of(input);
    const std::string user(user_of(input));
    const std::string id = script.act == Act::kTimer ? "of " + user : "own " + serial;
    const std::string payload = script.to_text() + "|" + serial;
    auto set = services_.set_timer(id, user, services_.now() + milliseconds(script.delay), payload);
    if (set) set = write({"set", id, serial, user, &input.origin, {}});
    if (!set) return retry(set.error().message);
    return effect(input);
}

Outcome ModelInstance::cancel_timer(const MessageInput& input) {
    const std::string user(user_of(input));
    const std::string id = "of " + user;
    auto cancelled = services_.cancel_timer(id);
    if (!cancelled) return retry(cancelled.error().message);
    auto done = write({*cancelled ? "cancelled" : "missed", id, "", user, nullptr, {}});
    if (!done) return retry(done.error().message);
    return effect(input);
}

Outcome ModelInstance::on_timer(const engine::TimerInput& input) {
    const CallScope scope(*this);
    const auto bar = input.payload.find('|');
    const Script script = Script::from_text(input.payload.substr(0, bar));
    const std::string serial(input.payload.substr(bar + 1));
    if (script.act == Act::kTimerDie) return {OutcomeKind::kDeadLetter, "dies", {}};
    if (script.act == Act::kTimerFlaky) {
        if (input.attempt <= count_of(script.times)) return retry("flaky");
        auto published = publish_one("out", input.key, input.id, 0);
        if (!published) return retry(published.error().message);
    }
    auto done = write({"fired", input.id, serial, input.key, nullptr, {}});
    return done ? Outcome{} : retry(done.error().message);
}

Outcome ModelInstance::call(const MessageInput& input, const Script& script) {
    const std::string user(user_of(input));
    const std::string url = SimHttp::url_of(setup_.handler, shard_);
    for (int i = 0; i < script.count; ++i) {
        const std::string id = fmt::format("{}.{}", serial_of(input), i);
        auto done = services_.call({id, user, "POST", url, {}, "", script.to_text()});
        if (done) done = write({"asked", id, "", user, &input.origin, {}});
        if (!done) return retry(done.error().message);
    }
    return effect(input);
}

Outcome ModelInstance::on_response(const engine::ResponseInput& input) {
    const CallScope scope(*this);
    const Script script = Script::from_text(input.payload);
    if (script.act == Act::kCallDie) return {OutcomeKind::kDeadLetter, "dies", {}};
    auto done =
        write({"answered", input.call_id, std::to_string(input.status), input.key, nullptr, {}});
    return done ? Outcome{} : retry(done.error().message);
}

}  // namespace millrace::simulation
