// Supervisor: every handler of the configuration as a running consumer group, each on threads of
// its own.
//
// Thread rule: everything here is called, and calls back, on the loop thread. Ownership: the
// Supervisor owns its handlers' runs; transport, runtime, metrics and factories outlive it. Errors:
// a handler that cannot start is restarted with backoff and reported by `status` and `unready`; the
// others are not touched.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/metrics.hpp"
#include "core/result.hpp"
#include "core/runtime.hpp"
#include "engine/admin.hpp"
#include "engine/crash_journal.hpp"
#include "engine/handler.hpp"
#include "engine/inbox.hpp"
#include "engine/outside.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

// What the engine runs on; all of it outlives the Supervisor.
struct Surroundings {
    Runtime& runtime;
    Transport& transport;
    Metrics& metrics;
    const EnvelopeReader& reader;
    PushSink& push;
    HttpCaller& http;
    // Whether an event that a handler publishes to a topic is canonical: its schema.
    std::function<Result<void>(std::string_view topic, std::string_view event)> check_event;
    std::string data_dir;  // handlers keep their files in <data_dir>/handlers/<name>/
    std::string vfs;       // SQLite VFS; empty: the operating system's
    // How far back broadcast handlers begin: gateway.resume.age.
    milliseconds broadcast_lookback{0};
    // When partitions are taken away: how long their work may take to end. Below what the transport
    // waits.
    milliseconds revoke_timeout{15'000};
    // `cluster`: partitions come from servers whose state does not.
    bool accept_unmoved_state = false;
    CrashJournal* crashes = nullptr;  // none: crashes leave no trace
    // All threads of a handler are in calls that do not return: the process must end. Once.
    std::function<void(const std::string& reason)> give_up = nullptr;
};

struct HandlerSetup {
    HandlerSection section;
    std::shared_ptr<HandlerFactory> factory;
    std::map<std::string, std::string> dead_letters;  // topic → its dead-letter topic
};

class HandlerRun;

class Supervisor {
public:
    Supervisor(const Surroundings& surroundings, std::string group_prefix,
               std::vector<HandlerSetup> handlers);
    ~Supervisor();

    void start();
    // Stops intake, drains until the deadline, commits, leaves the groups, closes the files. Does
    // not wait for a handler that `give_up` told of.
    void stop(milliseconds deadline, std::function<void()> done);

    // The answer of GET /v1/handlers, JSON: {"handlers": [{"handler", "plugin", "version", "state"
    // (starting, running, restarting, down, quarantined, stopping, stopped), "reason",
    // "subscription", "topics", "threads", "shards", "inbox", "queue_records", "queue_bytes",
    // "outbox", "timers", "totals": {"acked", "skipped", "duplicates", "retries", "dead_lettered"},
    // "errors": [{"time", "class", "message", "topic", "partition", "offset"}, newest first],
    // "questions", "held": [text], "stuck": [{"shard", "call", "topic", "partition", "offset",
    // "since"}: calls over their time], "partitions": [{"topic", "partition", "position",
    // "committed", "end", "lag_records", "lag_seconds", "held", "bound" (the limit at which reading
    // stopped: its own, max_intervals or max_ahead, else the handler's, disk, max_outbox,
    // max_buffered or max_buffered_bytes, else max_in_flight while none more is run), "breaker" (open, closed), "waits_for" (null or {"what", "key", "reason" (retry,
    // pending, dead-letter, breaker), "attempt", "error", "since"})}]}]}. Rates are for the reader
    // to take from the totals of two answers.
    std::string status() const;
    // kNotFound: no such handler or question. The answer is the merged JSON with "shards".
    void query(const std::string& handler, const std::string& question,
               std::vector<std::pair<std::string, std::string>> parameters,
               Callback<Result<std::string>> done);
    // A dead letter goes back to the shard of the handler that it failed in; answered once it is
    // durable there. kNotFound: no such handler; kUnavailable: the shard is not here now; kInvalid:
    // the handler keeps no state or does not read the topic.
    void redrive(const std::string& handler, RedriveRecord record, Callback<Result<void>> done);
    // Each answers once, with the handler's name, state and the partitions concerned as in
    // `status`. kNotFound: no such handler or partition; kInvalid, kConflict: not so; kUnavailable:
    // not now.
    void replay(const std::string& handler, const ReplayRequest& request,
                Callback<Result<std::string>> done);
    void resume(const std::string& handler, const ResumeRequest& request,
                Callback<Result<std::string>> done);
    void restart(const std::string& handler, Callback<Result<std::string>> done);
    // Another version of the handler takes over its state while it runs: {"handler", "state",
    // "from", "to", "shards", "took_ms", "longest_hold_ms"}; one that was down is started with it.
    // On failure the old one goes on. kInvalid: not of the same kind, or it does not take the
    // state.
    void swap(const std::string& handler, std::shared_ptr<HandlerFactory> next,
              Callback<Result<std::string>> done);
    // Handlers come and go while the others run. Their names are unique.
    void add(HandlerSetup handler);
    // Drains until the deadline and forgets it; its state and its group's offsets stay.
    void remove(const std::string& handler, milliseconds deadline, std::function<void()> done);
    // Why the server is not ready, one line each; empty: ready.
    std::vector<std::string> unready() const;

private:
    HandlerRun* find(const std::string& handler) const;
    Error unknown(const std::string& handler) const;

    Surroundings surroundings_;
    std::string group_prefix_;
    bool started_ = false;
    std::vector<std::shared_ptr<HandlerRun>> runs_;
};

}  // namespace millrace::engine
