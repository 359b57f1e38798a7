// FakeHost: a server small enough for a unit test. It runs the plugin that the test is linked with
// over a real SQLite in memory, with a clock that the test moves, and keeps what the handler asked
// for instead of sending it.
//
// As in the server, the effects of an input stay only if it was acked, statements that the server
// refuses are refused, and tables without a PRIMARY KEY fail. Not as in the server: there is no
// dedupe (send one event twice to see what the handler makes of it), no retry, no threads but the
// handler's own; `field` finds what the test put into EventSpec::fields (or `nothing`), else the
// member of that name in the value or in its `task_data`. Thread rule: one thread. Errors:
// std::runtime_error, for what the server would refuse too.
//
//     FakeHost host({{"greeting", "Hi"}});  // options, as they would stand in the YAML
//     EXPECT_EQ(host.send(task_event("created", "7", "42")).kind, MILLRACE_ACK);
//     EXPECT_EQ(host.query("greeted"), R"({"items":[{"user":"7","times":1}]})");
//
// Link: your plugin's sources, millrace::sdk_testing.
#pragma once

#include <millrace/abi.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <millrace/json.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {
inline namespace sdk {

struct EventSpec {
    std::string topic = "task-events";
    std::int32_t partition = 0;
    std::optional<std::int64_t> offset = {};  // nullopt: the next of its partition
    std::optional<std::string> key = {};
    std::optional<std::string> value = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string id = {};  // empty: made up
    bool id_is_derived = false;
    std::string type = {};
    std::string full_type = {};  // empty: as `type`
    std::uint32_t schema_version = 1;
    std::optional<std::string> user = {};
    std::optional<std::string> task = {};
    std::optional<Time> time = {};
    std::map<std::string, std::string> fields = {};
    std::set<std::string> nothing = {};  // fields that are there and say nothing: null, "none"
    std::uint32_t attempt = 1;
};

// A canonical TaskEvent.
EventSpec task_event(std::string type, std::string user, std::string task,
                     Json task_data = Json::object());

struct Handled {
    std::uint32_t kind = 0;  // millrace_outcome
    std::string reason;
    std::optional<std::chrono::milliseconds> retry_after;
};

struct Published {
    std::string topic;
    std::string key;
    Json event;
};
struct Called {
    std::string id;
    std::string key;
    std::string method;
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string payload;
};
struct SetTimer {
    std::string key;
    Time due;
    std::string payload;
};
struct Pushed {
    std::string user;
    std::string data;
};

class FakeHost {
public:
    using Plugin = const millrace_plugin_api* (*)(const millrace_host_api*);
    using Texts = std::map<std::string, std::string>;

    FakeHost() : FakeHost(Texts()) {}
    explicit FakeHost(std::initializer_list<Texts::value_type> options)
        : FakeHost(Texts(options)) {}
    explicit FakeHost(const Texts& options, std::string shard = "0")
        : FakeHost(&::millrace_plugin, options, std::move(shard)) {}
    FakeHost(Plugin plugin, const Texts& options, std::string shard);
    ~FakeHost();
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    Handled send(const EventSpec& event);
    // Moves the clock and fires, in order, the timers that are due; one that is not acked stays
    // set. The outcomes.
    std::vector<Handled> advance(std::chrono::microseconds by);
    // Answers the oldest call of this id.
    Handled respond(std::string_view call_id, int status, std::string_view body = {},
                    std::uint32_t tries = 1);
    // Runs on_complete for each completion that has come, in order of arrival.
    std::vector<Handled> run_completions();
    // The same once so many have come from threads of the handler's own. Throws when they do not.
    std::vector<Handled> wait_for_completions(
        std::size_t count, std::chrono::milliseconds patience = std::chrono::seconds(10));
    // Between begin and the end inputs are one batch, as in the server, which commits many at once:
    // rolled back, their effects are undone together, and the instance is told or made anew.
    void begin_batch();
    void commit_batch();
    void roll_back_batch();
    // The answer of this shard, merged as the server would if the plugin has a merge. Throws with
    // what the asker would be told.
    std::string query(std::string_view question, const Texts& parameters = {});
    // The answer before it is merged, and the merge of several.
    std::string query_shard(std::string_view question, const Texts& parameters = {});
    std::string merge(std::string_view question, const Texts& parameters,
                      const std::vector<std::string>& answers);
    // Makes the tables of an older version with these statements, and migrates them; with a new
    // instance.
    void migrate_as(std::uint32_t from_version, const std::vector<std::string>& statements);
    // A new instance over the same state, as after a restart.
    void restart();
    // From now on events for this topic are refused, as by its schema; an empty `why` ends that.
    void refuse_publish(std::string topic, std::string why);
    // What the `origins` service tells.
    void add_origin(const millrace_origin& counts, std::string topic);

    Time now() const;
    void set_now(Time now);
    // The first column of the first row of a SELECT, for checks. nullopt: no row, or NULL.
    std::optional<std::string> sql(const std::string& select);
    // Runs a statement in the plugin's name, outside any input. Throws what SQLite or the server's
    // rules say.
    void change(const std::string& statement);

    std::vector<Published>& published();
    std::vector<Called>& calls();
    std::map<std::string, SetTimer>& timers();
    std::vector<Pushed>& pushed();
    std::vector<std::string>& logs();  // "warn: text"; while no other thread logs
    double counted(const std::string& metric) const;

    struct State;

private:
    void migrate(std::uint32_t from_version);
    std::unique_ptr<State> state_;
};

}  // namespace sdk
}  // namespace millrace
