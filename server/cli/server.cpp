#include "cli/server.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <utility>

#include "cli/options.hpp"
#include "cli/version.hpp"
#include "engine/backoff.hpp"
#include "transport/embedded/embedded_transport.hpp"
#include "transport/kafka/kafka_transport.hpp"

namespace millrace::cli {
namespace {

constexpr milliseconds kStopGrace{10'000};  // beyond the drain: for a handler that does not return

std::string url_of(const ListenAddress& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "",
                       address.port);
}

}  // namespace

Server::Server(const Blueprint& blueprint)
    : blueprint_(blueprint),
      config_(blueprint.config()),
      data_(config_.server.data_dir, runtime_.random()),
      build_info_(
          metrics_.gauge("millrace_build_info", "1, with the version", {{"version", kVersion}})),
      transport_(make_transport()),
      hub_(runtime_, config_.gateway, metrics_),
      http_(runtime_, config_.server.limits),
      crashes_(config_.server.data_dir),
      supervisor_(
          {runtime_, *transport_, metrics_, blueprint.reader(), hub_, http_,
           [&blueprint](std::string_view topic, std::string_view event) {
               return blueprint.check_event(topic, event);
           },
           config_.server.data_dir, "", config_.gateway.resume_age,
           config_.kafka.drain_timeout * 3 / 4, config_.cluster == ClusterKind::kAcceptUnmovedState,
           &crashes_, [this](const std::string& reason) { give_up(reason); }},
          config_.kafka.group_prefix, blueprint.handlers()),
      letters_({runtime_, *transport_, blueprint.reader(), config_.server.data_dir, "",
                config_.dead_letters,
                [this](const std::string& handler, engine::RedriveRecord record,
                       Callback<Result<void>> done) {
                    supervisor_.redrive(handler, std::move(record), std::move(done));
                }}),
      reload_({runtime_, metrics_, supervisor_, blueprint}),
      plugin_watch_(runtime_, blueprint.plugins().directories(), [this] { reload_.plugins(); }),
      admin_token_(data_.admin_token(config_.server.admin_token)),
      signals_(runtime_.context(), SIGTERM, SIGINT, SIGHUP) {
    std::signal(SIGPIPE, SIG_IGN);
    engine::install_crash_signals();
    build_info_->set(1);
    gateway_ = std::make_unique<gateway::Gateway>(gateway::GatewayParts{
        runtime_, config_, *transport_, *this, blueprint.reader(), blueprint.schemas(), metrics_,
        hub_, letters_, admin_token_, kVersion});
}

Server::~Server() = default;

std::unique_ptr<Transport> Server::make_transport() {
    switch (config_.transport) {
        case TransportKind::kEmbedded:
            return std::make_unique<EmbeddedTransport>(runtime_, config_.embedded,
                                                       config_.server.data_dir + "/log");
        case TransportKind::kKafka:
            return std::make_unique<KafkaTransport>(runtime_, config_.kafka,
                                                    data_.installation_id());
    }
    return nullptr;
}

int Server::run() {
    auto bound = gateway_->listen();
    if (!bound) throw ErrorException(bound.error());
    bound_ = std::move(*bound);
    if (config_.gateway.auth == GatewaySection::Auth::kNone) {
        log::warn("gateway",
                  "gateway.auth.mode is none: whoever reaches {} is whom they say they are "
                  "(development only)",
                  url_of(bound_.http));
    }
    // Brokers may be away for long, and /readyz tells of it; the embedded log is part of this
    // server.
    if (config_.transport != TransportKind::kEmbedded) announce();
    wait_for_signal();
    open_transport();
    runtime_.run();
    return code_;
}

void Server::announce() {
    if (std::exchange(announced_, true)) return;
    const std::string http = url_of(bound_.http);
    const std::string admin = url_of(bound_.admin);
    std::printf("millrace ready %s admin %s\n", http.c_str(), admin.c_str());
    std::fflush(stdout);
    if (!isatty(STDOUT_FILENO)) return;
    std::printf(
        "\n  console   %s/#token=%s\n"
        "  send      script/sample-events task-events | curl -sS --data-binary @- -H "
        "'Content-Type: application/x-ndjson' %s/v1/topics/task-events/events\n"
        "  watch     curl -N '%s/v1/stream?user=user-123'\n"
        "  ask       %s query audit events limit=5\n"
        "  stop      Ctrl-C\n\n",
        admin.c_str(), admin_token_.c_str(), http.c_str(), http.c_str(), "build/release/millrace");
    std::fflush(stdout);
}

void Server::open_transport() {
    transport_->open(blueprint_.topics(), [this](const Result<void>& opened) {
        if (stopping_) return;
        if (opened) {
            open_trouble_.clear();
            announce();
            log::info("server", "the {} transport is open, {} handlers start", transport_->name(),
                      blueprint_.handlers().size());
            supervisor_.start();
            return;
        }
        open_trouble_ = opened.error().message;
        const auto delay =
            engine::backoff(engine::kOutsideRetry, ++open_failures_, runtime_.random());
        log::error("server", "{} (again in {} ms)", open_trouble_, delay.count());
        open_timer_ = runtime_.loop().after(delay, [this] { open_transport(); });
    });
}

void Server::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error) return;
        if (signal == SIGHUP) {
            log::info("server", "SIGHUP: configuration and plugins are read again");
            if (!stopping_) reload_.everything([](const Result<std::string>&) {});
        } else if (stopping_) {
            log::warn("server", "second signal: leaving at once");
            std::_Exit(128 + signal);
        } else {
            log::info("server",
                      "signal {}: draining, at most {} ms (a second signal exits at once)", signal,
                      config_.server.drain_timeout.count());
            stop();
        }
        wait_for_signal();
    });
}

// The others drain; then the process ends, without the threads that will not.
void Server::give_up(const std::string& reason) {
    if (stopping_) return;
    log::error("server",
               "{}. The others drain, then this process ends with code {}, to be started again",
               reason, kStuck);
    code_ = kStuck;
    stop();
}

void Server::stop() {
    stopping_ = true;
    reload_.stop();
    open_timer_.reset();
    stop_timer_ = runtime_.loop().after(config_.server.drain_timeout + kStopGrace, [this] {
        log::error("server",
                   "not stopped in time: a handler does not return. Leaving; what was not "
                   "committed is read again");
        std::_Exit(code_ == kDone ? kFailed : code_);
    });
    gateway_->stop_accepting();
    supervisor_.stop(config_.server.drain_timeout, [this] {
        gateway_->close(milliseconds(2'000), [this] {
            if (code_ == kStuck) return stopped();
            transport_->close([this] { stopped(); });
        });
    });
}

void Server::stopped() {
    log::info("server", "stopped");
    if (code_ == kStuck) std::_Exit(code_);
    runtime_.stop();
}

void Server::status(Callback<std::string> done) {
    runtime_.loop().post([this, done = std::move(done)] { done(supervisor_.status()); });
}

void Server::query(const std::string& handler, const std::string& question,
                   std::vector<std::pair<std::string, std::string>> parameters,
                   Callback<Result<std::string>> done) {
    supervisor_.query(handler, question, std::move(parameters), std::move(done));
}

void Server::replay(const std::string& handler, const engine::ReplayRequest& request,
                    Callback<Result<std::string>> done) {
    supervisor_.replay(handler, request, std::move(done));
}

void Server::resume(const std::string& handler, const engine::ResumeRequest& request,
                    Callback<Result<std::string>> done) {
    supervisor_.resume(handler, request, std::move(done));
}

void Server::restart(const std::string& handler, Callback<Result<std::string>> done) {
    supervisor_.restart(handler, std::move(done));
}

void Server::reload(Callback<Result<std::string>> done) {
    if (stopping_) return done(fail(ErrorCode::kUnavailable, "the server is stopping"));
    reload_.everything(std::move(done));
}

std::vector<std::string> Server::unready() const {
    if (stopping_) return {"the server is stopping"};
    if (!open_trouble_.empty()) return {open_trouble_};
    return supervisor_.unready();
}

}  // namespace millrace::cli
