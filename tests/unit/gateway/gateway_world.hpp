// GatewayWorld: a gateway on real sockets of the loopback interface, over a log in memory; and
// clients that can misbehave.
//
// The loop runs on a thread of its own; `on_loop` runs something there and waits for it. Clients
// are blocking, with a deadline on every read, so that a test fails rather than hangs.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "core/asio_runtime.hpp"
#include "engine/letter_desk.hpp"
#include "gateway/encoding.hpp"
#include "gateway/gateway.hpp"
#include "support/memory_transport.hpp"
#include "support/temporary_directory.hpp"

namespace millrace::gateway {

using boost::asio::ip::tcp;

struct Answer {
    int status = 0;
    std::string head;
    std::string body;
    boost::json::object json() const { return boost::json::parse(body).as_object(); }
};

// A blocking socket on which anything can be said.
class Client {
public:
    explicit Client(std::uint16_t port, int receive_buffer = 0) : socket_(context_) {
        socket_.open(tcp::v4());
        if (receive_buffer > 0)
            socket_.set_option(boost::asio::socket_base::receive_buffer_size(receive_buffer));
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
        const timeval patience{10, 0};
        setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }

    void send(std::string_view text) {
        boost::system::error_code ignored;
        boost::asio::write(socket_, boost::asio::buffer(text), ignored);
    }
    // False: the peer has closed, or said nothing for ten seconds.
    bool receive() {
        char bytes[16'384];
        const auto size = ::recv(socket_.native_handle(), bytes, sizeof bytes, 0);
        if (size <= 0) return false;
        received_.append(bytes, static_cast<std::size_t>(size));
        return true;
    }
    std::string take(std::size_t size) {
        while (received_.size() < size && receive()) {
        }
        std::string taken = received_.substr(0, size);
        received_.erase(0, taken.size());
        return taken;
    }
    std::string take_until(std::string_view mark) {
        std::size_t at = 0;
        while ((at = received_.find(mark)) == std::string::npos && receive()) {
        }
        return take(at == std::string::npos ? received_.size() : at + mark.size());
    }
    bool is_closed() {
        while (receive()) {
        }
        return errno != EAGAIN && errno != EWOULDBLOCK;
    }
    Answer answer() {
        Answer answer;
        answer.head = take_until("\r\n\r\n");
        if (answer.head.size() > 12) answer.status = std::stoi(answer.head.substr(9, 3));
        const auto length = lower_case(answer.head).find("content-length: ");
        if (length != std::string::npos)
            answer.body = take(std::stoul(answer.head.substr(length + 16)));
        return answer;
    }
    void close() { socket_.close(); }

private:
    boost::asio::io_context context_;
    tcp::socket socket_;
    std::string received_;
};

// A WebSocket client of RFC 6455, as small as can be.
class SocketClient : public Client {
public:
    SocketClient(std::uint16_t port, const std::string& target, const std::string& headers = "",
                 int receive_buffer = 0)
        : Client(port, receive_buffer) {
        send("GET " + target +
             " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
             headers + "\r\n");
        handshake = answer();
    }
    void say(const std::string& text, unsigned char opcode = 1) {
        std::string frame{static_cast<char>(0x80U | opcode)};
        if (text.size() < 126) {
            frame += static_cast<char>(0x80U | text.size());
        } else {
            frame += static_cast<char>(0x80U | 127U);
            for (unsigned shift = 64; shift > 0; shift -= 8)
                frame += static_cast<char>((text.size() >> (shift - 8)) & 0xffU);
        }
        frame.append(4, '\0');  // a mask of zeros
        send(frame + text);
    }
    // The next message, pings answered; empty when there is none. A close frame sets `close_code`.
    std::string hear() {
        while (true) {
            const std::string head = take(2);
            if (head.size() < 2) return "";
            std::size_t size = static_cast<unsigned char>(head[1]) & 127U;
            if (size >= 126) {
                const std::string length = take(size == 126 ? 2 : 8);
                size = 0;
                for (const char byte : length)
                    size = (size << 8U) | static_cast<unsigned char>(byte);
            }
            const std::string payload = take(size);
            const unsigned opcode = static_cast<unsigned char>(head[0]) & 15U;
            if (opcode == 1) return payload;
            if (opcode == 9) say(payload, 10);
            if (opcode != 8) continue;
            if (payload.size() >= 2)
                close_code = (static_cast<unsigned char>(payload[0]) << 8) |
                             static_cast<unsigned char>(payload[1]);
            return "";
        }
    }
    // The events of the next messages, arrays taken apart, until one has this type.
    boost::json::object hear_until(const std::string& type) {
        while (true) {
            if (waiting_.empty()) {
                const std::string text = hear();
                if (text.empty()) return {};
                const auto value = boost::json::parse(text);
                if (value.is_array())
                    waiting_ = value.get_array();
                else
                    waiting_.push_back(value);
            }
            const auto first = waiting_.front().as_object();
            waiting_.erase(waiting_.begin());
            if (first.at("type").as_string() == type) return first;
        }
    }

    Answer handshake;
    int close_code = 0;

private:
    boost::json::array waiting_;
};

struct KnownHandlers final : HandlerDirectory {
    void status(Callback<std::string> done) override { done(R"({"handlers":[{"handler":"audit"}]})"); }
    void query(const std::string& handler, const std::string& question,
               std::vector<std::pair<std::string, std::string>> parameters,
               Callback<Result<std::string>> done) override {
        if (handler == "silent") return;
        if (handler != "audit")
            return done(fail(ErrorCode::kNotFound, "there is no handler '" + handler + "'"));
        done("{\"question\":\"" + question +
             "\",\"parameters\":" + std::to_string(parameters.size()) + "}");
    }
    void replay(const std::string& handler, const engine::ReplayRequest& request,
                Callback<Result<std::string>> done) override {
        replays.push_back(request);
        command("replay", handler, done);
    }
    void resume(const std::string& handler, const engine::ResumeRequest& request,
                Callback<Result<std::string>> done) override {
        resumes.push_back(request);
        command("resume", handler, done);
    }
    void restart(const std::string& handler, Callback<Result<std::string>> done) override {
        command("restart", handler, done);
    }
    void reload(Callback<Result<std::string>> done) override { command("reload", "audit", done); }
    static void command(const std::string& name, const std::string& handler,
                        const Callback<Result<std::string>>& done) {
        if (handler != "audit")
            return done(fail(ErrorCode::kNotFound, "there is no handler '" + handler + "'"));
        done("{\"command\":\"" + name + "\"}");
    }
    std::vector<engine::ReplayRequest> replays;
    std::vector<engine::ResumeRequest> resumes;
    std::vector<std::string> unready() const override { return reasons; }
    std::vector<std::string> reasons;
};

class GatewayWorld {
public:
    GatewayWorld() : transport(runtime), schemas(SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas")) {
        config.server.http.port = config.server.admin.port = 0;
        for (const char* name : {"task-events", "task-updates"}) {
            TopicSection topic;
            topic.name = name;
            topic.schema = topic.name == "task-events" ? "task-event" : "task-update-event";
            topic.dead_letter = topic.name + "-dlq";
            config.topics.push_back(topic);
            transport.make_topic(name, 3);
        }
    }
    ~GatewayWorld() {
        if (!thread_.joinable()) return;
        std::promise<void> closed;
        on_loop([&] { gateway->close(milliseconds(2'000), [&] { closed.set_value(); }); });
        closed.get_future().wait_for(std::chrono::seconds(10));
        runtime.stop();
        thread_.join();
    }

    void start() {
        std::vector<TopicReading> readings;
        for (const auto& topic : config.topics)
            readings.push_back({topic.name, topic.schema, topic.strict});
        reader = std::make_unique<EnvelopeReader>(
            ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr), schemas,
            readings);
        hub = std::make_unique<Hub>(runtime, config.gateway, metrics);
        hub->opened({"task-updates", {0}}, Offset{0});
        letters = std::make_unique<engine::LetterDesk>(engine::LetterDeskSetup{
            runtime, transport, *reader, directory.path(), "", config.dead_letters,
            [this](const std::string& handler, engine::RedriveRecord record,
                   Callback<Result<void>> done) {
                redriven.emplace_back(handler, std::move(record));
                runtime.loop().post([this, done] { done(redrive_result); });
            }});
        gateway = std::make_unique<Gateway>(GatewayParts{runtime, config, transport, handlers,
                                                         *reader, schemas, metrics, *hub, *letters,
                                                         "secret", "1.2.3"});
        const auto bound = gateway->listen();
        ASSERT_TRUE(bound) << bound.error().message;
        port = bound->http.port;
        admin_port = bound->admin.port;
        thread_ = std::thread([this] { runtime.run(); });
    }

    void on_loop(const std::function<void()>& task) {
        std::promise<void> done;
        runtime.loop().post([&] {
            task();
            done.set_value();
        });
        done.get_future().wait();
    }

    template <class Question>
    auto on_loop_value(Question question) {
        decltype(question()) value{};
        on_loop([&] { value = question(); });
        return value;
    }

    Answer ask(const std::string& method, const std::string& target,
               const std::string& headers = "", const std::string& body = "") {
        Client client(port);
        client.send(
            method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
            (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") +
            "\r\n" + body);
        return client.answer();
    }
    Answer admin(const std::string& target,
                 const std::string& headers = "Authorization: Bearer secret\r\n") {
        Client client(admin_port);
        client.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
        return client.answer();
    }
    Answer command(const std::string& target,
                   const std::string& headers = "Authorization: Bearer secret\r\n") {
        Client client(admin_port);
        client.send("POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" +
                    headers + "\r\n");
        return client.answer();
    }
    void push(const std::string& user, std::int64_t offset, const std::string& data) {
        hub->push({user,
                   {"task-updates", {0}},
                   Offset{offset},
                   runtime.clock().now(),
                   "id",
                   std::nullopt,
                   "updated",
                   data});
    }
    double counted(const std::string& name, const Labels& labels) {
        return metrics.counter(name, "", labels)->value();
    }

    AsioRuntime runtime;
    Metrics metrics;
    ServerConfig config;
    testing::MemoryTransport transport;
    KnownHandlers handlers;
    SchemaSet schemas;
    std::unique_ptr<EnvelopeReader> reader;
    std::unique_ptr<Hub> hub;
    testing::TemporaryDirectory directory;
    std::unique_ptr<engine::LetterDesk> letters;
    std::vector<std::pair<std::string, engine::RedriveRecord>> redriven;
    Result<void> redrive_result;
    std::unique_ptr<Gateway> gateway;
    std::uint16_t port = 0;
    std::uint16_t admin_port = 0;

private:
    std::thread thread_;
};

}  // namespace millrace::gateway
