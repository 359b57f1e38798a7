// Server: the whole of a running Millrace: transport, engine and gateway on one loop, wired
// together here and nowhere else.
//
// Thread rule: `run` makes the calling thread the loop thread and returns the exit code. Errors:
// the constructor throws ErrorException when it cannot start (addresses, data directory); a
// transport that is away is not an error: the server waits for it, not ready, and says so.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <memory>
#include <string>

#include "cli/blueprint.hpp"
#include "cli/data_directory.hpp"
#include "cli/reload.hpp"
#include "core/asio_runtime.hpp"
#include "core/metrics.hpp"
#include "engine/letter_desk.hpp"
#include "gateway/gateway.hpp"
#include "gateway/http_client.hpp"
#include "plugins/plugin_watch.hpp"

namespace millrace::cli {

class Server final : private gateway::HandlerDirectory {
public:
    explicit Server(const Blueprint& blueprint);
    ~Server() override;

    int run();

private:
    void status(Callback<std::string> done) override;
    void query(const std::string& handler, const std::string& question,
               std::vector<std::pair<std::string, std::string>> parameters,
               Callback<Result<std::string>> done) override;
    void replay(const std::string& handler, const engine::ReplayRequest& request,
                Callback<Result<std::string>> done) override;
    void resume(const std::string& handler, const engine::ResumeRequest& request,
                Callback<Result<std::string>> done) override;
    void restart(const std::string& handler, Callback<Result<std::string>> done) override;
    void reload(Callback<Result<std::string>> done) override;
    std::vector<std::string> unready() const override;

    std::unique_ptr<Transport> make_transport();
    void announce();
    void open_transport();
    void wait_for_signal();
    void give_up(const std::string& reason);
    void stop();
    void stopped();

    const Blueprint& blueprint_;
    const ServerConfig& config_;
    AsioRuntime runtime_;
    DataDirectory data_;
    Metrics metrics_;
    std::shared_ptr<Gauge> build_info_;
    std::unique_ptr<Transport> transport_;
    gateway::Hub hub_;
    gateway::HttpClient http_;
    engine::CrashJournalFiles crashes_;
    engine::Supervisor supervisor_;
    engine::LetterDesk letters_;
    Reload reload_;
    plugins::PluginWatch plugin_watch_;
    std::string admin_token_;
    std::unique_ptr<gateway::Gateway> gateway_;
    gateway::Bound bound_;
    bool announced_ = false;
    boost::asio::signal_set signals_;
    std::unique_ptr<Timer> open_timer_;
    std::unique_ptr<Timer> stop_timer_;
    std::string open_trouble_ = "the transport is being opened";
    std::uint32_t open_failures_ = 0;
    bool stopping_ = false;
    int code_ = 0;
};

}  // namespace millrace::cli
