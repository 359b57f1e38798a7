#include "simulation/model.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "events/time.hpp"

namespace millrace::simulation {
namespace {

using engine::MessageInput;
using engine::Outcome;
using engine::OutcomeKind;
using engine::ShardServices;

// One row of the table `log`.
struct Row {
    std::string_view what;
    std::string_view id;
    std::string_view version;
    std::string_view user;
    const TopicPartition* origin = nullptr;
    Offset offset{-1};
};

Result<void> write(ShardServices& services, const Row& row) {
    const sqlite::Value values[] = {
        row.what,
        row.id,
        row.version,
        row.user,
        row.origin == nullptr ? std::string_view() : std::string_view(row.origin->topic),
        std::int64_t{row.origin == nullptr ? -1 : row.origin->partition.value},
        row.offset.value};
    auto done = services.exec(
        "INSERT INTO log(what, id, version, user, topic, partition, offset) VALUES(?1, ?2, ?3, ?4, "
        "?5, ?6, ?7)",
        values, {});
    if (!done) return done.error();
    return {};
}

std::string word_for(const Outcome& outcome) {
    static constexpr const char* kWords[] = {"",      "ack",         "ignore",
                                             "retry", "dead letter", "pending"};
    const std::string word = kWords[static_cast<int>(outcome.kind)];
    return outcome.reason.empty() ? word : word + " (" + outcome.reason + ")";
}

Outcome retry(const std::string& why) { return {OutcomeKind::kRetry, why, {}}; }

std::string_view text_in(const boost::json::object* object, std::string_view name) {
    const auto* value = object == nullptr ? nullptr : object->if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return value->get_string();
}

class Instance final : public engine::HandlerInstance {
public:
    Instance(const ModelSetup& setup, std::string shard, ShardServices& services,
             SimStrand& completer)
        : setup_(setup), shard_(std::move(shard)), services_(services), completer_(completer) {}

    Outcome on_message(const MessageInput& input) override {
        const CallScope scope(*this);
        const Script script = Script::from_text(text_in(input.event.body, "title"));
        Outcome outcome = act(input, script);
        note(input, outcome);
        return outcome;
    }
    Outcome on_complete(const MessageInput& input, std::string_view payload) override {
        const CallScope scope(*this);
        const Script script = Script::from_text(text_in(input.event.body, "title"));
        if (payload != serial_of(input))
            setup_.witness.on_fault("the completion of another record: " + std::string(payload));
        if (script.act == Act::kPendingFlaky && input.attempt <= count_of(script.times))
            return retry("not yet");
        Outcome outcome = effect(input);
        note(input, outcome);
        return outcome;
    }
    Outcome on_timer(const engine::TimerInput& input) override;
    Outcome on_response(const engine::ResponseInput& input) override;
    bool on_rollback(RollbackScope) override { return setup_.keeps_instance; }
    Result<std::string> on_query(std::string_view,
                                 std::span<const std::pair<std::string, std::string>>) override {
        return std::string("{}");
    }

private:
    // Calls into one instance never overlap.
    class CallScope {
    public:
        explicit CallScope(Instance& instance) : instance_(instance) {
            if (std::exchange(instance.in_call_, true))
                instance.setup_.witness.on_fault("two calls into one instance at a time");
        }
        ~CallScope() { instance_.in_call_ = false; }
        CallScope(const CallScope&) = delete;
        CallScope& operator=(const CallScope&) = delete;

    private:
        Instance& instance_;
    };

    bool stateful() const { return setup_.state != engine::StateKind::kNone; }
    static std::uint32_t count_of(int times) { return static_cast<std::uint32_t>(times); }

    void note(const MessageInput& input, const Outcome& outcome) {
        setup_.witness.on_called({setup_.process, setup_.handler, shard_, input.origin,
                                  input.event.record->offset, serial_of(input), input.attempt,
                                  outcome.kind == OutcomeKind::kAck, word_for(outcome)});
    }
    Outcome effect(const MessageInput& input) {
        if (!stateful()) return {};
        auto done = write(services_, {"effect", serial_of(input), "", user_of(input), &input.origin,
                                      input.event.record->offset});
        return done ? Outcome{} : retry(done.error().message);
    }
    static std::string_view user_of(const MessageInput& input) {
        return input.event.envelope.user_id.value_or("");
    }
    Outcome act(const MessageInput& input, const Script& script);
    Outcome act_in_time(const MessageInput& input, const Script& script);
    Outcome act_with_state(const MessageInput& input, const Script& script);
    Outcome pend(const MessageInput& input, const Script& script);
    Outcome hang(const MessageInput& input, const Script& script);
    Outcome take_transaction(const MessageInput& input, std::string_view sql);
    Outcome publish(const MessageInput& input, const Script& script, std::string_view topic);
    Outcome set_timer(const MessageInput& input, const Script& script);
    Outcome cancel_timer(const MessageInput& input);
    Outcome call(const MessageInput& input, const Script& script);
    Result<void> publish_one(std::string_view topic, std::string_view user, std::string_view serial,
                             int index);
    void complete_later(const MessageInput& input, milliseconds delay);

    const ModelSetup& setup_;
    const std::string shard_;
    ShardServices& services_;
    SimStrand& completer_;
    bool in_call_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Outcome Instance::act(const MessageInput& input, const Script& script) {
    if (stateful()) return act_with_state(input, script);
    return script.needs_state() ? Outcome{} : act_in_time(input, script);
}

Outcome Instance::act_in_time(const MessageInput& input, const Script& script) {
    switch (script.act) {
        case Act::kIgnore:
            return {OutcomeKind::kIgnore, "", {}};
        case Act::kFlaky:
            if (input.attempt <= count_of(script.times)) return retry("flaky");
            return effect(input);
        case Act::kDie:
            (void)effect(input);
            return {OutcomeKind::kDeadLetter, "dies", {}};
        case Act::kExhaust:
            (void)effect(input);
            return retry("never");
        case Act::kPending:
        case Act::kPendingLate:
        case Act::kPendingTwice:
        case Act::kPendingNever:
        case Act::kPendingFlaky:
            return pend(input, script);
        case Act::kSlow:
            setup_.scheduler.sleep(milliseconds(script.delay));
            return effect(input);
        case Act::kHang:
        case Act::kHangInSql:
            return hang(input, script);
        default:
            return effect(input);
    }
}

Outcome Instance::act_with_state(const MessageInput& input, const Script& script) {
    switch (script.act) {
        case Act::kPendingAfterWrite:
            (void)effect(input);
            return {OutcomeKind::kPending, "", {}};
        case Act::kOrRollback:
            return take_transaction(input, "INSERT OR ROLLBACK INTO fixed VALUES(1)");
        case Act::kRaiseRollback:
            return take_transaction(input, "INSERT INTO poison VALUES(2)");
        case Act::kPublish:
            return publish(input, script, "out");
        case Act::kPublishRefused:
            return publish(input, script, "refusing");
        case Act::kTimer:
        case Act::kTimerFlaky:
        case Act::kTimerDie:
            return set_timer(input, script);
        case Act::kTimerCancel:
            return cancel_timer(input);
        case Act::kCall:
        case Act::kCallDie:
            return call(input, script);
        default:
            return act_in_time(input, script);
    }
}

Outcome Instance::pend(const MessageInput& input, const Script& script) {
    const milliseconds soon(script.delay);
    switch (script.act) {
        case Act::kPendingLate:
            complete_later(input, input.attempt <= count_of(script.times)
                                      ? setup_.pending_timeout + soon
                                      : soon);
            break;
        case Act::kPendingTwice:
            complete_later(input, soon);
            complete_later(input, soon + milliseconds(5));
            break;
        case Act::kPendingNever:
            break;
        default:
            complete_later(input, soon);
    }
    return {OutcomeKind::kPending, "", {}};
}

void Instance::complete_later(const MessageInput& input, milliseconds delay) {
    completer_.later(delay, [&services = services_, token = input.token, serial = serial_of(input),
                             alive = std::weak_ptr(alive_)] {
        if (alive.lock()) services.complete(token, serial);
    });
}

Outcome Instance::hang(const MessageInput& input, const Script& script) {
    if (input.attempt > count_of(script.times)) return effect(input);
    const milliseconds long_enough = setup_.timeout + milliseconds(script.delay);
    if (script.act == Act::kHang || !stateful()) {
        setup_.scheduler.sleep(long_enough);
        return effect(input);
    }
    (void)effect(input);
    auto slow = services_.exec(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "LIMIT 4) SELECT x FROM c",
        {}, [&](const sqlite::Statement&) {
            setup_.scheduler.sleep(long_enough / 2);
            return true;
        });
    return slow ? Outcome{} : retry(slow.error().message);
}

// It acks whatever SQLite said: the engine has to see for itself.
Outcome Instance::take_transaction(const MessageInput& input, std::string_view sql) {
    (void)effect(input);
    (void)services_.exec(sql, {}, {});
    return {};
}

Result<void> Instance::publish_one(std::string_view topic, std::string_view user,
                                   std::string_view serial, int index) {
    const std::string event = fmt::format(
        R"({{"event_type":"created","task_id":"{}","user_id":"{}","task_data":{{"title":"{} {}"}}}})",
        serial, user, setup_.handler, index);
    auto published = services_.publish({topic, user, event});
    if (!published) return published.error();
    return {};
}

Outcome Instance::publish(const MessageInput& input, const Script& script, std::string_view topic) {
    const std::string serial = serial_of(input);
    for (int i = 0; i < script.count; ++i) {
        auto done = publish_one(topic, user_of(input), serial, i);
        if (!done) return retry(done.error().message);
    }
    return effect(input);
}

Outcome Instance::set_timer(const MessageInput& input, const Script& script) {
    const std::string serial = serial_of(input);
    const std::string user(user_of(input));
    const std::string id = script.act == Act::kTimer ? "of " + user : "own " + serial;
    const std::string payload = script.to_text() + "|" + serial;
    auto set = services_.set_timer(id, user, services_.now() + milliseconds(script.delay), payload);
    if (set) set = write(services_, {"set", id, serial, user, &input.origin, {}});
    if (!set) return retry(set.error().message);
    return effect(input);
}

Outcome Instance::cancel_timer(const MessageInput& input) {
    const std::string user(user_of(input));
    const std::string id = "of " + user;
    auto cancelled = services_.cancel_timer(id);
    if (!cancelled) return retry(cancelled.error().message);
    auto done = write(services_, {*cancelled ? "cancelled" : "missed", id, "", user, nullptr, {}});
    if (!done) return retry(done.error().message);
    return effect(input);
}

Outcome Instance::on_timer(const engine::TimerInput& input) {
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
    auto done = write(services_, {"fired", input.id, serial, input.key, nullptr, {}});
    return done ? Outcome{} : retry(done.error().message);
}

Outcome Instance::call(const MessageInput& input, const Script& script) {
    const std::string user(user_of(input));
    for (int i = 0; i < script.count; ++i) {
        const std::string id = fmt::format("{}.{}", serial_of(input), i);
        auto done =
            services_.call({id, user, "POST", "http://simulated/", {}, "", script.to_text()});
        if (done) done = write(services_, {"asked", id, "", user, &input.origin, {}});
        if (!done) return retry(done.error().message);
    }
    return effect(input);
}

Outcome Instance::on_response(const engine::ResponseInput& input) {
    const CallScope scope(*this);
    const Script script = Script::from_text(input.payload);
    if (script.act == Act::kCallDie) return {OutcomeKind::kDeadLetter, "dies", {}};
    auto done =
        write(services_,
              {"answered", input.call_id, std::to_string(input.status), input.key, nullptr, {}});
    return done ? Outcome{} : retry(done.error().message);
}

}  // namespace

std::string serial_of(const MessageInput& input) {
    return std::string(input.event.envelope.task_id.value_or(""));
}

ModelFactory::ModelFactory(ModelSetup setup)
    : setup_(std::move(setup)),
      completer_(setup_.scheduler, setup_.process + ".completer", setup_.life) {
    traits_.state = setup_.state;
    traits_.state_version = 1;
    traits_.plugin = "model";
    traits_.version = "1";
}

Result<void> ModelFactory::migrate(ShardServices& services, std::uint32_t) {
    for (const char* sql :
         {"CREATE TABLE log(n INTEGER PRIMARY KEY, what TEXT, id TEXT, version TEXT, user TEXT, "
          "topic TEXT, partition INTEGER, offset INTEGER)",
          "CREATE TABLE fixed(id INTEGER PRIMARY KEY)", "INSERT INTO fixed VALUES(1)",
          "CREATE TABLE poison(id INTEGER PRIMARY KEY)",
          "CREATE TRIGGER poisoned BEFORE INSERT ON poison BEGIN SELECT RAISE(ROLLBACK, 'poison'); "
          "END"}) {
        auto done = services.exec(sql, {}, {});
        if (!done) return done.error();
    }
    return {};
}

Result<std::unique_ptr<engine::HandlerInstance>> ModelFactory::create(
    const engine::ShardIdentity& shard, ShardServices& services) {
    return std::unique_ptr<engine::HandlerInstance>(
        std::make_unique<Instance>(setup_, shard.shard, services, completer_));
}

Result<std::string> ModelFactory::merge(std::string_view,
                                        std::span<const std::pair<std::string, std::string>>,
                                        std::span<const std::string>) {
    return std::string("{}");
}

}  // namespace millrace::simulation
