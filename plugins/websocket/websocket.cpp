// websocket: pushes every event, as it was published, to the WebSocket and SSE sessions of its
// user.
//
//     handlers:
//       websocket: {plugin: websocket, topics: [task-updates]}
//
// Every server reads all partitions (broadcast), because a user's sessions may be on any of them.
// No state: positions are the gateway's cursors. An event without a user is for nobody's screen and
// is skipped.
#include <millrace/plugin.hpp>

namespace {

class Websocket final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {.name = "websocket",
                .version = "1.0.0",
                .description = "Pushes events to the screens of their user.",
                .state = millrace::State::kNone,
                .subscription = millrace::Subscription::kBroadcast};
    }
    explicit Websocket(const millrace::Setup& setup) : Handler(setup) {}

    millrace::Outcome on_message(const millrace::Event& event) override {
        if (!event.user()) return millrace::ignore("the event names no user");
        if (!event.value()) return millrace::ignore("the record has no value");
        context().push(event, *event.user(), *event.value());
        return millrace::ack();
    }
};

}  // namespace

MILLRACE_PLUGIN(Websocket)
