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

}  // namespace millrace::cli
