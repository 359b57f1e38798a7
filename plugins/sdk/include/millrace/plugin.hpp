// Handler: the base of a handler written in C++, and MILLRACE_PLUGIN, which makes a plugin of it.
//
// The server makes one instance per shard. Its calls never overlap, but come from any thread of the
// handler's pool; instances overlap with one another. What a callback does through context()
// commits together with its input when it returns ack(), and is undone otherwise. An exception that
// leaves a callback dead-letters the input with what(), except a ServiceError that may pass
// (retried). Needs the standard library and nothing else. <millrace/abi.h> says the rest;
// docs/PLUGINS.md teaches it.
//
//     class Hello final : public millrace::Handler {
//     public:
//         static millrace::Description describe() {
//             return {.name = "hello", .version = "1.0.0", .description = "Greets."};
//         }
//         explicit Hello(const millrace::Setup& setup) : Handler(setup) {}
//         millrace::Outcome on_message(const millrace::Event& event) override {
//             context().info("hello " + std::string(event.user().value_or("nobody")));
//             return millrace::ack();
//         }
//     };
//     MILLRACE_PLUGIN(Hello)
//
// A handler may also have, with these very signatures:
//
//     // Its tables; needs state_version.
//     static void migrate(Context& context, std::uint32_t from_version);
//     // Forget what was derived from effects that were undone.
//     void on_rollback(Rollback scope);
//     // End own threads.
//     void stop();
//     // One answer of the shards' answers.
//     static std::string merge(std::string_view question, const Parameters& parameters,
//                              std::span<const std::string_view> answers);
#pragma once

#include <millrace/abi.h>

#include <chrono>
#include <cstdint>
#include <millrace/context.hpp>
#include <millrace/event.hpp>
#include <millrace/json.hpp>
#include <millrace/options.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {
inline namespace sdk {

enum class State {
    kPerUser = MILLRACE_STATE_PER_USER,
    kPerPartition = MILLRACE_STATE_PER_PARTITION,
    kNone = MILLRACE_STATE_NONE
};
enum class Subscription {
    kGroup = MILLRACE_SUBSCRIPTION_GROUP,
    kBroadcast = MILLRACE_SUBSCRIPTION_BROADCAST
};
enum class Input { kEvent = MILLRACE_INPUT_EVENT, kRaw = MILLRACE_INPUT_RAW };
enum class Rollback { kInput = MILLRACE_ROLLBACK_INPUT, kBatch = MILLRACE_ROLLBACK_BATCH };

// A question that on_query answers, and the names of its parameters. The server refuses others, so
// that a mistyped filter is not passed over: {"timers", {"user", "limit"}, "What fires next."}.
struct Question {
    Question(const char* its_name, std::vector<std::string> its_parameters = {},
             std::string its_description = {})
        : name(its_name),
          parameters(std::move(its_parameters)),
          description(std::move(its_description)) {}
    std::string name;
    std::vector<std::string> parameters;
    std::string description;  // a sentence; may be empty
};

// What a plugin says about itself, once, when it is loaded.
struct Description {
    std::string name;  // the YAML's `plugin:`
    std::string version;
    std::string description;  // one sentence
    State state = State::kPerUser;
    Subscription subscription = Subscription::kGroup;
    Input input = Input::kEvent;
    // Of the handler's own tables; a higher one than the file's calls migrate.
    std::uint32_t state_version = 0;
    std::vector<Option> options = {};
    std::vector<Question> questions = {};
    // What a handler of the plugin's name reads where the configuration has no handler of it. None:
    // it needs one.
    std::vector<std::string> topics = {};
};

struct Outcome {
    std::uint32_t kind;  // millrace_outcome
    std::string reason = {};
    std::optional<std::chrono::milliseconds> retry_after = {};
};

// Done: the effects commit.
inline Outcome ack() { return {MILLRACE_ACK}; }
// Nothing to do for this one (a field it needs is missing): acked without effects, counted as
// skipped.
inline Outcome ignore(std::string_view reason) { return {MILLRACE_IGNORE, std::string(reason)}; }
// Failed, may succeed later: again after a backoff, within the budget.
inline Outcome retry(std::string_view reason,
                     std::optional<std::chrono::milliseconds> after = std::nullopt) {
    return {MILLRACE_RETRY, std::string(reason), after};
}
// Failed for good: to the dead-letter topic.
inline Outcome dead_letter(std::string_view reason) {
    return {MILLRACE_DEAD_LETTER, std::string(reason)};
}
// Decided later through context().completer() with the event's token; make no effects before.
inline Outcome pending() { return {MILLRACE_PENDING}; }

struct Setup {
    Context& context;
    const Options& options;
    std::string_view shard;    // "0".."3", or "task-events-2"
    std::string_view handler;  // its name in the YAML: one plugin may serve several
};

class Handler {
public:
    explicit Handler(const Setup& setup) : context_(setup.context) {}
    virtual ~Handler() = default;
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

    virtual Outcome on_message(const Event& event) = 0;
    virtual Outcome on_timer(const Timer& timer) {
        return dead_letter("the handler has no on_timer for timer '" + std::string(timer.id()) +
                           "'");
    }
    virtual Outcome on_response(const Response& response) {
        return dead_letter("the handler has no on_response for call '" +
                           std::string(response.id()) + "'");
    }
    virtual Outcome on_complete(const Event&, std::string_view /*payload*/) {
        return dead_letter("the handler has no on_complete");
    }
    // Answers for this shard, as JSON. nullopt: no such question. BadParameter tells the asker what
    // is wrong.
    virtual std::optional<std::string> on_query(std::string_view /*question*/, const Parameters&) {
        return std::nullopt;
    }

protected:
    Context& context() { return context_; }

private:
    Context context_;
};

}  // namespace sdk
}  // namespace millrace

#include <millrace/detail/table.hpp>

// Once per plugin, outside any namespace.
#define MILLRACE_PLUGIN(Class)                                             \
    extern "C" MILLRACE_EXPORT const millrace_plugin_api* millrace_plugin( \
        const millrace_host_api* host) {                                   \
        return ::millrace::detail::Table<Class>::make(host);               \
    }
