// What the command line says; filled by cli.cpp, read by the commands. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/config/server_config.hpp"

namespace millrace::cli {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kStuck = 3;  // serve: a handler does not return; to be started again

// Of commands that speak to a running server.
struct Remote {
    std::string server;    // empty: $MILLRACE_SERVER, else the default admin address
    std::string data_dir;  // where the admin token lies; empty: ./data
    bool json = false;     // for programs
};

struct PublishOptions {
    Remote remote;
    std::string topic;
    std::string file = "-";
    std::string key;
};

struct TailOptions {
    Remote remote;
    std::string topic;
    bool from_earliest = false;
    std::string user;
    std::int64_t count = 0;  // 0: until interrupted
};

struct QueryOptions {
    Remote remote;
    std::string handler;
    std::string question;
    std::vector<std::string> parameters;  // key=value
};

// replay, resume or restart of a handler.
struct HandlerCommandOptions {
    Remote remote;
    std::string handler;
    std::string from;  // replay
    std::string topic;
    std::string partition;
    bool accept = false;  // resume
    bool restart = false;
};

struct DlqOptions {
    Remote remote;
    std::string topic;  // or its dead-letter topic
    // As the API names them: class, handler, user, key, id, at, from, to.
    std::vector<std::pair<std::string, std::string>> filters;
    bool all = false;  // also those that were redriven or discarded
    bool dry_run = false;
    std::uint64_t limit = 0;  // 0: all
    std::uint32_t rate = 0;   // letters a second; 0: what the server allows
};

struct InspectOptions {
    std::string file;
    bool json = false;
    bool markdown = false;  // as docs/HANDLERS.md has it
};

// Each blocks until it is done and returns the exit code.
int serve(const ConfigSource& source);
int check(const ConfigSource& source, bool json);
int publish(const PublishOptions& options);
int tail(const TailOptions& options);
int query(const QueryOptions& options);
int list_topics(const Remote& remote);
int list_handlers(const Remote& remote);
int replay_handler(const HandlerCommandOptions& options);
int resume_handler(const HandlerCommandOptions& options);
int restart_handler(const HandlerCommandOptions& options);
int list_letters(const DlqOptions& options);
int show_letters(const DlqOptions& options);
int redrive_letters(const DlqOptions& options);
int discard_letters(const DlqOptions& options);
int list_plugins(const ConfigSource& source, bool json);
int inspect_plugin(const InspectOptions& options);
int new_plugin(const std::string& name);

}  // namespace millrace::cli
