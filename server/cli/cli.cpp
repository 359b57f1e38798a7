#include "cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <memory>

#include "cli/options.hpp"
#include "cli/version.hpp"

namespace millrace::cli {
namespace {

// What every parsed command leaves: what to run, and the values it runs on.
struct Parsed {
    ConfigSource source;
    std::vector<std::string> settings;
    std::string data_dir;
    bool json = false;
    Remote remote;
    PublishOptions publish;
    TailOptions tail;
    QueryOptions query;
    HandlerCommandOptions command;
    DlqOptions dlq;
    InspectOptions inspect;
    std::string plugin_name;
    std::string from = "latest";
};

void add_config_options(CLI::App& command, Parsed& parsed) {
    command.add_option("--config", parsed.source.file,
                       "The configuration; else $MILLRACE_CONFIG, config/millrace.yaml, "
                       "/etc/millrace/millrace.yaml");
    command
        .add_option("--set", parsed.settings,
                    "key.path=value, over file and environment; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--data-dir", parsed.data_dir,
                       "Where state and log are kept (server.data_dir)");
    command
        .add_option("--plugin-dir", parsed.source.plugin_dirs,
                    "Where plugins are looked for; may be repeated")
        ->allow_extra_args(false);
}

void add_remote_options(CLI::App& command, Parsed& parsed) {
    command.add_option("--server", parsed.remote.server,
                       "The server's admin address; else $MILLRACE_SERVER, http://127.0.0.1:8081");
    command.add_option("--data-dir", parsed.remote.data_dir,
                       "Where its admin-token lies, unless $MILLRACE_ADMIN_TOKEN is set (./data)");
    command.add_flag("--json", parsed.remote.json, "Output for programs");
}

void finish_source(Parsed& parsed) {
    for (const auto& setting : parsed.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos || equals == 0)
            throw CLI::ValidationError("--set", "'" + setting + "' is not key.path=value");
        parsed.source.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
    if (!parsed.data_dir.empty()) parsed.source.data_dir = parsed.data_dir;
}

void add_server_commands(CLI::App& app, Parsed& parsed, int& code) {
    auto* serve_command = app.add_subcommand("serve", "Run the server");
    add_config_options(*serve_command, parsed);
    serve_command->callback([&] {
        finish_source(parsed);
        code = serve(parsed.source);
    });
    auto* check_command =
        app.add_subcommand("check", "Check configuration, schemas and plugins; nothing is started");
    add_config_options(*check_command, parsed);
    check_command->add_flag("--json", parsed.json, "Output for programs");
    check_command->callback([&] {
        finish_source(parsed);
        code = check(parsed.source, parsed.json);
    });
    auto* version_command = app.add_subcommand("version", "Print the version");
    version_command->add_flag("--json", parsed.json, "Output for programs");
    version_command->callback(
        [&] { std::printf(parsed.json ? "{\"version\":\"%s\"}\n" : "millrace %s\n", kVersion); });
}

void add_topic_commands(CLI::App& app, Parsed& parsed, int& code) {
    auto* publish_command = app.add_subcommand(
        "publish", "Send events, one JSON object a line; waits until they are confirmed");
    publish_command->add_option("topic", parsed.publish.topic, "The topic")->required();
    publish_command->add_option("file", parsed.publish.file, "The file; - reads standard input");
    publish_command->add_option("--key", parsed.publish.key,
                                "Key of every record; else the event's user");
    add_remote_options(*publish_command, parsed);
    publish_command->callback([&] {
        parsed.publish.remote = parsed.remote;
        code = publish(parsed.publish);
    });
    auto* tail_command = app.add_subcommand("tail", "Show a topic's records as they come");
    tail_command->add_option("topic", parsed.tail.topic, "The topic")->required();
    tail_command->add_option("--from", parsed.from, "Where to begin")
        ->check(CLI::IsMember({"earliest", "latest"}));
    tail_command->add_option("--user", parsed.tail.user, "Only this user's");
    tail_command->add_option("--count", parsed.tail.count, "Stop after so many")
        ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max(),
                           "a whole number from 1 on"));
    add_remote_options(*tail_command, parsed);
    tail_command->callback([&] {
        parsed.tail.remote = parsed.remote;
        parsed.tail.from_earliest = parsed.from == "earliest";
        code = tail(parsed.tail);
    });
    auto* topics = app.add_subcommand("topics", "Topics")->require_subcommand(1);
    auto* list = topics->add_subcommand("list", "What is there, with partitions and sizes");
    add_remote_options(*list, parsed);
    list->callback([&] { code = list_topics(parsed.remote); });
}

// One that acts on a running handler.
CLI::App* add_handler_command(CLI::App& handlers, const char* name, const char* help,
                              Parsed& parsed) {
    auto* command = handlers.add_subcommand(name, help);
    command->add_option("handler", parsed.command.handler, "The handler")->required();
    add_remote_options(*command, parsed);
    return command;
}

void add_partition_options(CLI::App& command, Parsed& parsed) {
    command.add_option("--topic", parsed.command.topic, "Only this topic's partitions");
    command.add_option("--partition", parsed.command.partition, "Only this partition")
        ->check(CLI::NonNegativeNumber);
}

void add_handler_commands_of_people(CLI::App& handlers, Parsed& parsed, int& code) {
    const auto run = [&parsed, &code](int (*command)(const HandlerCommandOptions&)) {
        return [&parsed, &code, command] {
            parsed.command.remote = parsed.remote;
            code = command(parsed.command);
        };
    };
    auto* replay = add_handler_command(handlers, "replay",
                                       "Process records again: its position goes back", parsed);
    replay
        ->add_option("--from", parsed.command.from,
                     "earliest, an offset (of one partition), or a time (2026-02-10T08:00:00Z)")
        ->required();
    add_partition_options(*replay, parsed);
    replay->callback(run(&replay_handler));
    auto* resume = add_handler_command(
        handlers, "resume", "Go on with a handler that is down, or with what is held", parsed);
    add_partition_options(*resume, parsed);
    auto* accept =
        resume->add_flag("--accept", parsed.command.accept, "Take the log as it is and go on");
    resume->add_flag("--restart", parsed.command.restart, "Read again from the handler's `start`")
        ->excludes(accept);
    resume->callback(run(&resume_handler));
    auto* restart = add_handler_command(handlers, "restart",
                                        "Stop and start one handler; nothing is lost", parsed);
    restart->callback(run(&restart_handler));
}

void add_handler_commands(CLI::App& app, Parsed& parsed, int& code) {
    auto* handlers = app.add_subcommand("handlers", "Handlers")->require_subcommand(1);
    auto* list = handlers->add_subcommand("list", "Each handler with its state, lag and errors");
    add_remote_options(*list, parsed);
    list->callback([&] { code = list_handlers(parsed.remote); });
    add_handler_commands_of_people(*handlers, parsed, code);
    auto* query_command =
        app.add_subcommand("query", "Ask a handler: millrace query audit events user=7");
    query_command->add_option("handler", parsed.query.handler, "The handler")->required();
    query_command->add_option("question", parsed.query.question, "One of its questions")
        ->required();
    query_command->add_option("parameters", parsed.query.parameters, "key=value");
    add_remote_options(*query_command, parsed);
    query_command->callback([&] {
        parsed.query.remote = parsed.remote;
        code = query(parsed.query);
    });
}

CLI::App& add_dlq_command(CLI::App& dlq, Parsed& parsed, int& code, const char* name,
                          const char* what, int (*act)(const DlqOptions&)) {
    static constexpr std::pair<const char*, const char*> kFilters[] = {
        {"class", "Only of this error class: undecodable, schema, handler, retries-exhausted, ..."},
        {"handler", "Only of this handler"},
        {"user", "Only of this user"},
        {"key", "Only of this record key"},
        {"id", "Only this one"},
        {"at", "Only the one at PARTITION:OFFSET of the dead-letter topic"},
        {"from", "Only those written since; a time, or how long ago (2h)"},
        {"to", "Only those written before"}};
    auto* command = dlq.add_subcommand(name, what);
    command->add_option("topic", parsed.dlq.topic, "The topic, or its dead-letter topic")
        ->required();
    parsed.dlq.filters.resize(std::size(kFilters));
    for (std::size_t i = 0; i < std::size(kFilters); ++i) {
        parsed.dlq.filters[i].first = kFilters[i].first;
        command->add_option(std::string("--") + kFilters[i].first, parsed.dlq.filters[i].second,
                            kFilters[i].second);
    }
    command->add_flag("--all", parsed.dlq.all, "Also those that were redriven or discarded");
    command->add_option("--limit", parsed.dlq.limit, "At most so many");
    add_remote_options(*command, parsed);
    command->callback([&parsed, &code, act] {
        parsed.dlq.remote = parsed.remote;
        code = act(parsed.dlq);
    });
    return *command;
}

void add_dlq_commands(CLI::App& app, Parsed& parsed, int& code) {
    auto* dlq = app.add_subcommand("dlq", "Dead letters")->require_subcommand(1);
    add_dlq_command(*dlq, parsed, code, "list", "The open ones, oldest first", &list_letters);
    add_dlq_command(*dlq, parsed, code, "show", "The same with key, value and headers",
                    &show_letters);
    auto& redrive = add_dlq_command(*dlq, parsed, code, "redrive",
                                    "Give them back to the handler that failed", &redrive_letters);
    redrive.add_flag("--dry-run", parsed.dlq.dry_run, "Say which, do nothing");
    redrive.add_option("--rate", parsed.dlq.rate, "Letters a second, at most");
    auto& discard =
        add_dlq_command(*dlq, parsed, code, "discard",
                        "Show them as open no longer; they stay in their topic", &discard_letters);
    discard.add_flag("--dry-run", parsed.dlq.dry_run, "Say which, do nothing");
}

void add_plugin_commands(CLI::App& app, Parsed& parsed, int& code) {
    auto* plugin = app.add_subcommand("plugin", "Plugins, without a server")->require_subcommand(1);
    auto* list =
        plugin->add_subcommand("list", "Those in the plugin directories, and what is wrong");
    add_config_options(*list, parsed);
    list->add_flag("--json", parsed.json, "Output for programs");
    list->callback([&] {
        finish_source(parsed);
        code = list_plugins(parsed.source, parsed.json);
    });
    auto* inspect = plugin->add_subcommand(
        "inspect", "Its options with defaults and limits, its questions, or why it is refused");
    inspect->add_option("file", parsed.inspect.file, "The .so")->required();
    auto* json = inspect->add_flag("--json", parsed.inspect.json, "Output for programs");
    inspect->add_flag("--markdown", parsed.inspect.markdown, "A section for documentation")
        ->excludes(json);
    inspect->callback([&] { code = inspect_plugin(parsed.inspect); });
    auto* create = plugin->add_subcommand(
        "new", "Write a project for a plugin of this name into a folder of this name");
    create->add_option("name", parsed.plugin_name, "a-z, 0-9, _ and -")->required();
    create->callback([&] { code = new_plugin(parsed.plugin_name); });
}

}  // namespace

int run(int argc, char** argv) {
    CLI::App app("Millrace: brings Kafka topics to handlers, and events to screens.", "millrace");
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("millrace ") + kVersion);
    Parsed parsed;
    int code = kDone;
    add_server_commands(app, parsed, code);
    add_topic_commands(app, parsed, code);
    add_handler_commands(app, parsed, code);
    add_dlq_commands(app, parsed, code);
    add_plugin_commands(app, parsed, code);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kWrongUsage;
    }
    return code;
}

}  // namespace millrace::cli
