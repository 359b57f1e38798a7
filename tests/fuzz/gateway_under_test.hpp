// GatewayUnderTest: the gateway's own connection code over one end of a socket pair, with a log in
// memory and handlers that answer at once. What a peer says is given as pieces; what it hears is
// returned when the connection has ended.
//
// One thread, which is the loop; payloads are parsed on the gateway's pool as always. Ends the
// program where a connection does not end, or leaves something behind in the server's accounts.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/asio_runtime.hpp"
#include "engine/letter_desk.hpp"
#include "fuzz/check.hpp"
#include "gateway/connection.hpp"
#include "gateway/gateway.hpp"
#include "gateway/server_state.hpp"
#include "support/memory_transport.hpp"
#include "support/temporary_directory.hpp"

namespace millrace::fuzz {

struct AnsweringHandlers final : gateway::HandlerDirectory {
    void status(Callback<std::string> done) override { done(R"({"handlers":[]})"); }
    void query(const std::string& handler, const std::string&,
               std::vector<std::pair<std::string, std::string>>,
               Callback<Result<std::string>> done) override {
        if (handler == "audit") return done("{}");
        done(fail(ErrorCode::kNotFound, "there is no handler '" + handler + "'"));
    }
    void replay(const std::string& handler, const engine::ReplayRequest&,
                Callback<Result<std::string>> done) override {
        query(handler, {}, {}, std::move(done));
    }
    void resume(const std::string& handler, const engine::ResumeRequest&,
                Callback<Result<std::string>> done) override {
        query(handler, {}, {}, std::move(done));
    }
    void restart(const std::string& handler, Callback<Result<std::string>> done) override {
        query(handler, {}, {}, std::move(done));
    }
    void reload(Callback<Result<std::string>> done) override {
        query({}, {}, {}, std::move(done));
    }
    std::vector<std::string> unready() const override { return {}; }
};

class GatewayUnderTest {
public:
    static constexpr const char* kToken = "secret";
    static constexpr const char* kUser = "7";

    GatewayUnderTest()
        : transport(runtime),
          schemas(SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas")),
          reader(ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr),
                 schemas, declare_topics()),
          hub(runtime, config.gateway, metrics),
          letters({runtime, transport, reader, directory.path(), "", config.dead_letters,
                   [this](const std::string&, engine::RedriveRecord, Callback<Result<void>> done) {
                       runtime.loop().post([done] { done({}); });
                   }}),
          state(std::make_shared<gateway::ServerState>(
              gateway::GatewayParts{runtime, config, transport, handlers, reader, schemas, metrics,
                                    hub, letters, kToken, "1"})) {
        hub.opened({"task-updates", {0}}, Offset{0});
        for (std::int64_t offset = 0; offset < 3; ++offset) push(offset);
    }

    std::string converse(const std::vector<std::string_view>& pieces, bool is_admin) {
        open(is_admin);
        for (const std::string_view piece : pieces) say(piece);
        ::shutdown(peer_, SHUT_WR);
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        while (!has_ended_ || !state->live.empty()) {
            check(std::chrono::steady_clock::now() < deadline, "a connection ends with its peer");
            runtime.context().run_one_for(kStep);
            hear();
        }
        settle();
        ::close(peer_);
        check(state->http_connections == 0, "no connection is counted that is gone");
        check(state->pending_body_bytes == 0, "no body is counted that is gone");
        check(hub.sessions() == 0, "no session stays that is gone");
        return std::exchange(heard_, {});
    }

    AsioRuntime runtime;
    Metrics metrics;
    ServerConfig config;
    testing::MemoryTransport transport;
    AnsweringHandlers handlers;
    SchemaSet schemas;
    EnvelopeReader reader;
    gateway::Hub hub;
    testing::TemporaryDirectory directory;
    engine::LetterDesk letters;
    std::shared_ptr<gateway::ServerState> state;

private:
    static constexpr std::chrono::seconds kPatience{20};
    static constexpr std::chrono::milliseconds kStep{20};

    std::vector<TopicReading> declare_topics() {
        std::vector<TopicReading> readings;
        for (const auto& [name, schema, strict] :
             {std::tuple{"task-events", "task-event", false}, {"strict", "task-event", true}}) {
            TopicSection topic;
            topic.name = name;
            topic.schema = schema;
            topic.strict = strict;
            config.topics.push_back(topic);
            transport.make_topic(name, 2);
            readings.push_back({name, schema, strict});
        }
        return readings;
    }
    void push(std::int64_t offset) {
        hub.push({kUser,
                  {"task-updates", {0}},
                  Offset{offset},
                  runtime.clock().now(),
                  "id",
                  std::nullopt,
                  "updated",
                  R"({"user_id":"7"})"});
    }
    void open(bool is_admin) {
        int ends[2];
        check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "there are descriptors");
        peer_ = ends[1];
        ::fcntl(peer_, F_SETFL, O_NONBLOCK);
        has_ended_ = false;
        runtime.context().restart();
        boost::asio::ip::tcp::socket socket(runtime.context(), boost::asio::ip::tcp::v4(), ends[0]);
        boost::asio::co_spawn(runtime.context(),
                              gateway::serve_connection(state, std::move(socket), is_admin),
                              [this](const std::exception_ptr& error) {
                                  check(error == nullptr, "a connection does not throw");
                                  has_ended_ = true;
                              });
    }
    // What the server will not take any more is lost, as it is on a network.
    void say(std::string_view piece) {
        while (!piece.empty() && !has_ended_) {
            const auto sent = ::send(peer_, piece.data(), piece.size(), MSG_NOSIGNAL);
            if (sent > 0) piece.remove_prefix(static_cast<std::size_t>(sent));
            if (sent < 0 && errno != EAGAIN) return;
            settle();
        }
    }
    // Everything that can happen now.
    void settle() {
        while (runtime.context().poll() > 0) hear();
        hear();
    }
    void hear() {
        char bytes[16'384];
        for (ssize_t size = 0; (size = ::recv(peer_, bytes, sizeof bytes, 0)) > 0;)
            heard_.append(bytes, static_cast<std::size_t>(size));
    }

    int peer_ = -1;
    bool has_ended_ = false;
    std::string heard_;
};

}  // namespace millrace::fuzz
