// ledger: what the kill tests count by. A row and an event for each record it takes, in the order
// it takes them; a timer for some, a retry for others, a dead letter for the rest.
//
// An event's title is its fate:
//     ok      a row, and an event to the topic `effects`
//     retry   the first attempt fails after it has written
//     later   as ok, and the same once more from a timer
//     dead    writes, then asks for the dead letter
//     never   fails at each attempt
//     hang    does not return in time (`timeout`, 5 s) at any attempt
// Both `retry` and `dead` write before they fail: a row that survives that is a fault.
#include <chrono>
#include <millrace/plugin.hpp>
#include <string>
#include <thread>

namespace {

class Ledger final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {
            .name = "ledger",
            .version = "1.0.0",
            .description = "Keeps account of what it was given, for tests.",
            .state_version = 1,
            .options = {
                millrace::Option::text("effects", "the topic of its events").or_else("effects")}};
    }

    static void migrate(millrace::Context& context, std::uint32_t /*from_version*/) {
        context.exec(
            "CREATE TABLE effects(sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, user TEXT NOT "
            "NULL, task TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset "
            "INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL) STRICT");
    }

    explicit Ledger(const millrace::Setup& setup)
        : Handler(setup), effects_(setup.options.text("effects")) {}

    millrace::Outcome on_message(const millrace::Event& event) override {
        const std::string user(event.user().value_or(""));
        const std::string task(event.task().value_or(""));
        const std::string fate(event.field("title").value_or(""));
        context().exec(
            "INSERT INTO effects(kind, user, task, topic, partition, offset, attempt, at)"
            " VALUES('record', ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            user, task, event.topic(), event.partition(), event.offset(), event.attempt(),
            context().now());
        tell("record", user, task);
        if (fate == "retry" && event.attempt() == 1)
            return millrace::retry("its first attempt fails", std::chrono::milliseconds(20));
        if (fate == "never") return millrace::retry("it always fails");
        if (fate == "hang") std::this_thread::sleep_for(std::chrono::milliseconds(5'500));
        if (fate == "dead") return millrace::dead_letter("it is to die");
        if (fate == "later")
            context().set_timer(task, user, context().now() + std::chrono::milliseconds(300), user);
        return millrace::ack();
    }

    millrace::Outcome on_timer(const millrace::Timer& timer) override {
        const std::string user(timer.payload());
        const std::string task(timer.id());
        context().exec(
            "INSERT INTO effects(kind, user, task, topic, partition, offset, attempt, at)"
            " VALUES('timer', ?1, ?2, '', -1, -1, ?3, ?4)",
            user, task, timer.attempt(), context().now());
        tell("timer", user, task);
        return millrace::ack();
    }

private:
    void tell(std::string_view kind, const std::string& user, const std::string& task) {
        context().publish(
            effects_, user,
            millrace::Json::object({{"kind", kind}, {"user_id", user}, {"of", task}}).dump());
    }

    std::string effects_;
};

}  // namespace

MILLRACE_PLUGIN(Ledger)
