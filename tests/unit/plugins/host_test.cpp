#include "plugins/host.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "events/schemas.hpp"
#include "plugins/host_services.hpp"
#include "support/fake_services.hpp"

namespace millrace::plugins {
namespace {

using engine::OutcomeKind;
using testing::FakeServices;

// A plugin whose callbacks do what the test says.
struct Script {
    const millrace_host_api* api = nullptr;
    millrace_host* host = nullptr;
    std::string config;
    std::string shard;
    std::string handler;
    bool refuse = false;
    std::function<std::uint32_t(const millrace_event&)> on_message;
    std::function<std::uint32_t(const millrace_event&, std::string_view)> on_complete;
    std::function<int(std::string_view, millrace_out*)> on_query;
    std::vector<std::string> called;
};
Script* script = nullptr;

millrace_plugin_api script_table() {
    millrace_plugin_api table{};
    table.struct_size = sizeof table;
    table.abi_major = MILLRACE_ABI_MAJOR;
    table.name = "script";
    table.version = "2.0";
    table.state = MILLRACE_STATE_PER_USER;
    table.subscription = MILLRACE_SUBSCRIPTION_GROUP;
    table.input = MILLRACE_INPUT_EVENT;
    table.state_version = 3;
    table.migrate = [](millrace_host* host, const millrace_migration* migration) {
        script->called.push_back("migrate " + std::to_string(migration->from_version) + " to " +
                                 std::to_string(migration->to_version));
        if (!script->refuse) return static_cast<int>(MILLRACE_OK);
        script->api->fail(host, to_abi("no such table"));
        return static_cast<int>(MILLRACE_ERROR);
    };
    table.create = [](millrace_host* host, const millrace_setup* setup) -> millrace_instance* {
        script->host = host;
        script->config = to_view(setup->config);
        script->shard = to_view(setup->shard);
        script->handler = to_view(setup->handler);
        if (!script->refuse) return reinterpret_cast<millrace_instance*>(script);
        script->api->fail(host, to_abi("no address"));
        return nullptr;
    };
    table.destroy = [](millrace_instance*) { script->called.emplace_back("destroy"); };
    table.on_message = [](millrace_instance*, const millrace_event* event) {
        return script->on_message(*event);
    };
    table.on_complete = [](millrace_instance*, const millrace_event* event, millrace_str payload) {
        return script->on_complete(*event, to_view(payload));
    };
    table.on_query = [](millrace_instance*, const millrace_query* query, millrace_out* out) {
        return script->on_query(to_view(query->question), out);
    };
    table.stop = [](millrace_instance*) { script->called.emplace_back("stop"); };
    return table;
}

class HostTest : public ::testing::Test {
protected:
    HostTest()
        : schemas_(SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas")),
          reader_(ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr),
                  schemas_, {{"task-events", "task-event", false}}) {
        script = &script_;
        static millrace_plugin_api table;
        table = script_table();
        const Library library{[](const millrace_host_api* api) -> const millrace_plugin_api* {
                                  script->api = api;
                                  return &table;
                              },
                              "script.so",
                              "",
                              {}};
        factory_ = std::make_unique<PluginFactory>(*Plugin::make(library), "handler", R"({"a":1})");
        batch_ = reader_.decode_one(
            "task-events",
            R"({"event_id":"6e6f4b0e-5f0c-4d52-8a0e-0d7a43d6f3a1","event_type":"task.completed","user_id":7,"task_id":"42",)"
            R"("timestamp":"2026-02-10T08:00:00.5Z","task_data":{"title":"Milk","tags":["a"],"priority":null}})",
            {{"traceparent", "00-1"}});
    }
    ~HostTest() override {
        instance_.reset();
        script = nullptr;
    }

    void create() { instance_ = factory_->create({"handler", "2"}, services_).value(); }
    engine::MessageInput input() const {
        return {origin_, batch_->events.at(0), reader_, 1, {77, 1}};
    }
    engine::Outcome send(std::function<std::uint32_t(const millrace_event&)> body) {
        if (!instance_) create();
        script_.on_message = std::move(body);
        return instance_->on_message(input());
    }
    const millrace_host_api& api() const { return *script_.api; }
    millrace_host* host() const { return script_.host; }

    Script script_;
    SchemaSet schemas_;
    EnvelopeReader reader_;
    FakeServices services_;
    std::unique_ptr<PluginFactory> factory_;
    TopicPartition origin_{"task-events", Partition{2}};
    DecodedBatchPtr batch_;
    std::unique_ptr<engine::HandlerInstance> instance_;
};

TEST_F(HostTest, an_instance_is_made_with_its_config_and_shard_and_ends_in_order) {
    create();
    EXPECT_EQ(script_.config, R"({"a":1})");
    EXPECT_EQ(script_.shard, "2");
    EXPECT_EQ(script_.handler, "handler");
    instance_.reset();
    EXPECT_EQ(script_.called, (std::vector<std::string>{"stop", "destroy"}));
}

TEST_F(HostTest, a_create_that_fails_says_why_and_destroys_nothing) {
    script_.refuse = true;
    const auto made = factory_->create({"handler", "2"}, services_);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, "script 2.0: create failed for shard 2: no address");
    EXPECT_TRUE(script_.called.empty());
}

// What an older part of the interface gives is taken as far as it goes; what a newer one adds is
// left where it is.
struct NewerOption {
    millrace_option option;
    std::uint64_t later;
};

TEST(PluginTable, elements_of_a_newer_interface_are_found_by_their_size) {
    static Script none;
    script = &none;
    static NewerOption options[2] = {};
    options[0].option.name = "first";
    options[1].option.name = "second";
    for (NewerOption& each : options) each.option.type = MILLRACE_OPTION_TEXT;
    static millrace_plugin_api table;
    table = script_table();
    table.struct_size = sizeof table + 64;
    table.options = &options[0].option;
    table.option_count = 2;
    table.option_size = sizeof(NewerOption);
    const auto load = [] {
        return Plugin::make(
            {[](const millrace_host_api*) -> const millrace_plugin_api* { return &table; },
             "script.so",
             "",
             {}});
    };
    const auto plugin = *load();
    EXPECT_STREQ(plugin->options()[1].name, "second");
    EXPECT_EQ(plugin->api().option_size, sizeof(millrace_option));
    table.option_size = 0;
    EXPECT_EQ(load().error().message, "`option_size` is 0, it must be sizeof(millrace_option)");
    script = nullptr;
}

TEST_F(HostTest, a_struct_that_is_shorter_than_it_ever_was_is_invalid) {
    send([&](const millrace_event&) {
        millrace_timer timer{sizeof timer, to_abi("t"), to_abi("7"), to_abi("p"), 5, 0, 0};
        timer.struct_size = offsetof(millrace_timer, due);
        EXPECT_EQ(api().timer_set(host(), &timer), MILLRACE_INVALID);
        millrace_publication update{};
        EXPECT_EQ(api().publish(host(), &update), MILLRACE_INVALID);
        millrace_call call{};
        EXPECT_EQ(api().call(host(), &call), MILLRACE_INVALID);
        EXPECT_NE(to_view(api().last_error(host())).find("call"), std::string_view::npos);
        return MILLRACE_ACK;
    });
    EXPECT_TRUE(services_.asked.empty());
}

TEST_F(HostTest, a_migration_is_told_the_version_and_may_fail) {
    EXPECT_TRUE(factory_->migrate(services_, 2));
    EXPECT_EQ(script_.called, std::vector<std::string>{"migrate 2 to 3"});
    script_.refuse = true;
    EXPECT_EQ(factory_->migrate(services_, 2).error().message,
              "script 2.0: cannot bring its tables from version 2 to 3: no such table");
}

TEST_F(HostTest, the_event_arrives_with_its_record_and_envelope) {
    send([&](const millrace_event& event) {
        EXPECT_EQ(to_view(event.topic), "task-events");
        EXPECT_EQ(event.partition, 2);
        EXPECT_EQ(event.key.data, nullptr);
        EXPECT_EQ(to_view(event.id), "6e6f4b0e-5f0c-4d52-8a0e-0d7a43d6f3a1");
        EXPECT_EQ(event.flags, 0U);
        EXPECT_EQ(to_view(event.type), "completed");
        EXPECT_EQ(to_view(event.full_type), "task.completed");
        EXPECT_EQ(to_view(event.user_id), "7");
        EXPECT_EQ(to_view(event.task_id), "42");
        EXPECT_EQ(event.time, 1'770'710'400'500'000);
        EXPECT_EQ(event.header_count, 1U);
        EXPECT_EQ(to_view(event.headers[0].value), "00-1");
        EXPECT_EQ(event.token.opaque[0], 77U);
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, fields_stay_valid_until_the_callback_returns) {
    send([&](const millrace_event& event) {
        millrace_str title{};
        millrace_str changes{};
        EXPECT_EQ(api().field(host(), &event, to_abi("title"), &title), MILLRACE_OK);
        EXPECT_EQ(api().field(host(), &event, to_abi("no_such_field"), &changes),
                  MILLRACE_NOT_FOUND);
        EXPECT_EQ(to_view(title), "Milk");
        millrace_event other = event;
        other.opaque = &other;
        EXPECT_EQ(api().field(host(), &other, to_abi("title"), &title), MILLRACE_DENIED);
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, each_outcome_is_passed_on_with_its_reason) {
    const auto returning = [this](std::uint32_t kind, const char* reason) {
        return send([=, this](const millrace_event&) {
            if (reason != nullptr) api().fail(host(), to_abi(reason));
            api().retry_after(host(), 250);
            return kind;
        });
    };
    EXPECT_EQ(returning(MILLRACE_ACK, nullptr).kind, OutcomeKind::kAck);
    EXPECT_EQ(returning(MILLRACE_IGNORE, "no user").reason, "no user");
    EXPECT_EQ(returning(MILLRACE_RETRY, "busy").retry_after, milliseconds(250));
    EXPECT_EQ(returning(MILLRACE_DEAD_LETTER, "broken").reason, "broken");
    EXPECT_EQ(returning(MILLRACE_DEAD_LETTER, nullptr).reason, "the handler gave no reason");
    EXPECT_EQ(returning(MILLRACE_PENDING, nullptr).kind, OutcomeKind::kPending);
}

TEST_F(HostTest, what_is_no_outcome_is_a_dead_letter) {
    for (const std::uint32_t kind : {0U, 6U, 0xffffffffU}) {
        const auto outcome = send([kind](const millrace_event&) { return kind; });
        EXPECT_EQ(outcome.kind, OutcomeKind::kDeadLetter);
        EXPECT_EQ(outcome.reason,
                  "the handler returned " + std::to_string(kind) + ", which is no outcome");
    }
}

TEST_F(HostTest, a_callback_that_is_not_there_dead_letters) {
    create();
    EXPECT_EQ(instance_->on_timer({"t", "k", "", {}, 1}).reason, "the plugin has no on_timer");
    EXPECT_EQ(instance_->on_response({"c", "k", "", 200, "", 1}).reason,
              "the plugin has no on_response");
    EXPECT_TRUE(instance_->on_rollback(engine::HandlerInstance::RollbackScope::kInput));
    EXPECT_FALSE(instance_->on_rollback(engine::HandlerInstance::RollbackScope::kBatch));
}

TEST_F(HostTest, a_completion_may_not_be_pending_again) {
    create();
    script_.on_complete = [](const millrace_event&, std::string_view payload) {
        EXPECT_EQ(payload, "done");
        return MILLRACE_PENDING;
    };
    EXPECT_EQ(instance_->on_complete(input(), "done").kind, OutcomeKind::kDeadLetter);
}

TEST_F(HostTest, sql_takes_and_gives_every_type_of_value) {
    send([&](const millrace_event&) {
        const auto text = to_abi("ä");
        const millrace_value values[] = {
            {MILLRACE_VALUE_INTEGER, 0, -5, 0, {}},    {MILLRACE_VALUE_REAL, 0, 0, 2.5, {}},
            {MILLRACE_VALUE_TEXT, 0, 0, 0, text},      {MILLRACE_VALUE_BLOB, 0, 0, 0, {"\0x", 2}},
            {MILLRACE_VALUE_NULL, 0, 0, 0, {}},        {MILLRACE_VALUE_TEXT, 0, 0, 0, {nullptr, 0}},
            {MILLRACE_VALUE_TEXT, 0, 0, 0, to_abi("")}};
        const auto row = [](void* seen, const millrace_value* columns, std::size_t count) {
            *static_cast<std::vector<millrace_value>*>(seen) = {columns, columns + count};
            EXPECT_EQ(to_view(columns[2].text), "ä");
            EXPECT_EQ(to_view(columns[3].text), std::string_view("\0x", 2));
            return 0;
        };
        std::vector<millrace_value> seen;
        EXPECT_EQ(api().exec(host(), to_abi("SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"), values, 7, row,
                             &seen, nullptr),
                  MILLRACE_OK);
        std::vector<std::uint32_t> types;
        for (const auto& value : seen) types.push_back(value.type);
        EXPECT_EQ(types, (std::vector<std::uint32_t>{MILLRACE_VALUE_INTEGER, MILLRACE_VALUE_REAL,
                                                     MILLRACE_VALUE_TEXT, MILLRACE_VALUE_BLOB,
                                                     MILLRACE_VALUE_NULL, MILLRACE_VALUE_NULL,
                                                     MILLRACE_VALUE_TEXT}));
        EXPECT_EQ(seen[0].integer, -5);
        EXPECT_EQ(seen[1].real, 2.5);
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, rows_end_when_the_plugin_has_enough_and_changes_are_counted) {
    send([&](const millrace_event&) {
        int rows = 0;
        const auto row = [](void* count, const millrace_value*, std::size_t) {
            return ++*static_cast<int*>(count) == 2 ? 1 : 0;
        };
        EXPECT_EQ(api().exec(host(), to_abi("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3"),
                             nullptr, 0, row, &rows, nullptr),
                  MILLRACE_OK);
        EXPECT_EQ(rows, 2);
        std::int64_t changed = 0;
        EXPECT_EQ(api().exec(host(), to_abi("INSERT INTO t VALUES(1), (2)"), nullptr, 0, nullptr,
                             nullptr, &changed),
                  MILLRACE_OK);
        EXPECT_EQ(changed, 2);
        EXPECT_EQ(api().exec(host(), to_abi("INSERT INTO t VALUES(1)"), nullptr, 0, nullptr,
                             nullptr, nullptr),
                  MILLRACE_CONSTRAINT);
        EXPECT_NE(to_view(api().last_error(host())).find("UNIQUE"), std::string_view::npos);
        EXPECT_EQ(api().exec(host(), to_abi("COMMIT"), nullptr, 0, nullptr, nullptr, nullptr),
                  MILLRACE_DENIED);
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, effects_are_asked_of_the_shard) {
    send([&](const millrace_event& event) {
        const millrace_publication update{sizeof update, to_abi("task-updates"), to_abi("7"),
                                          to_abi("{}")};
        EXPECT_EQ(api().publish(host(), &update), MILLRACE_OK);
        const millrace_timer timer{sizeof timer, to_abi("t"), to_abi("7"), to_abi("p"), 5, 0, 0};
        EXPECT_EQ(api().timer_set(host(), &timer), MILLRACE_OK);
        EXPECT_EQ(api().timer_cancel(host(), to_abi("t")), MILLRACE_OK);
        EXPECT_EQ(api().timer_cancel(host(), to_abi("t")), MILLRACE_NOT_FOUND);
        EXPECT_EQ(api().push(host(), &event, to_abi("7"), event.value), MILLRACE_DENIED);
        api().count(host(), to_abi("made"), 2);
        EXPECT_EQ(api().now(host()), 1'000'000);
        return MILLRACE_ACK;
    });
    EXPECT_EQ(services_.asked,
              (std::vector<std::string>{"publish task-updates 7 {}", "set_timer t 7 5 p",
                                        "cancel_timer t", "cancel_timer t",
                                        "push 7 task-events/2 completed", "count made"}));
}

TEST_F(HostTest, a_field_that_says_nothing_is_told_from_one_that_is_not_there) {
    send([&](const millrace_event& event) {
        const auto field = [&](const char* name) {
            millrace_str value{};
            return api().field(host(), &event, to_abi(name), &value);
        };
        EXPECT_EQ(field("description"), MILLRACE_NOT_FOUND);
        EXPECT_EQ(field("priority"), MILLRACE_NOTHING);
        EXPECT_EQ(field("title"), MILLRACE_OK);
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, an_event_that_its_schema_refuses_is_invalid_and_not_just_an_error) {
    send([&](const millrace_event&) {
        const millrace_publication refused{sizeof refused, to_abi("refused"), to_abi("7"),
                                           to_abi("{}")};
        EXPECT_EQ(api().publish(host(), &refused), MILLRACE_INVALID);
        EXPECT_EQ(to_view(api().last_error(host())), "its schema refuses it");
        return MILLRACE_ACK;
    });
}

TEST_F(HostTest, services_are_refused_outside_a_callback_and_on_other_threads) {
    create();
    EXPECT_EQ(api().timer_cancel(host(), to_abi("t")), MILLRACE_DENIED);
    send([&](const millrace_event&) {
        std::thread([&] {
            EXPECT_EQ(api().timer_cancel(host(), to_abi("t")), MILLRACE_DENIED);
            EXPECT_EQ(api().exec(host(), to_abi("SELECT 1"), nullptr, 0, nullptr, nullptr, nullptr),
                      MILLRACE_DENIED);
            api().fail(host(), to_abi("from elsewhere"));
            EXPECT_FALSE(to_view(api().last_error(host())).empty());
        }).join();
        return MILLRACE_ACK;
    });
    EXPECT_TRUE(services_.asked.empty());
}

TEST_F(HostTest, a_completion_from_any_thread_reaches_the_shard_until_the_instance_is_gone) {
    create();
    const auto complete = [this] { api().complete(host(), {{77, 1}}, to_abi("answer")); };
    std::thread(complete).join();
    EXPECT_EQ(services_.asked, std::vector<std::string>{"complete 77/1 answer"});
    millrace_host* const gone = host();
    instance_.reset();
    std::thread(complete).join();
    api().log(gone, MILLRACE_LOG_INFO, to_abi("still here"));
    EXPECT_EQ(services_.asked.size(), 1U);
    create();
    EXPECT_NE(host(), gone) << "a late completion would reach the next instance";
}

TEST_F(HostTest, a_question_is_answered_in_json_or_refused) {
    create();
    const auto ask = [this](std::function<int(std::string_view, millrace_out*)> body) {
        script_.on_query = std::move(body);
        return instance_->on_query("q", {});
    };
    EXPECT_EQ(ask([&](std::string_view question, millrace_out* out) {
                  EXPECT_EQ(question, "q");
                  api().write(out, to_abi(R"({"items":)"));
                  api().write(out, to_abi("[1]}"));
                  return MILLRACE_OK;
              }).value(),
              R"({"items":[1]})");
    EXPECT_EQ(ask([](auto, auto*) { return MILLRACE_NOT_FOUND; }).error().code,
              ErrorCode::kNotFound);
    const auto wrong = ask([&](auto, auto*) {
        api().fail(host(), to_abi("'limit' is 0"));
        return MILLRACE_CONSTRAINT;
    });
    EXPECT_EQ(wrong.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(wrong.error().message, "'limit' is 0");
    EXPECT_EQ(ask([&](auto, millrace_out* out) {
                  api().write(out, to_abi("not json"));
                  return MILLRACE_OK;
              })
                  .error()
                  .code,
              ErrorCode::kInternal);
}

TEST_F(HostTest, without_a_merge_the_items_are_joined) {
    const std::vector<std::string> answers{R"({"items":[1,{"a":"x"}]})", R"({"items":[]})",
                                           R"({"items":[2]})"};
    EXPECT_EQ(factory_->merge("q", {}, answers).value(), R"({"items":[1,{"a":"x"},2]})");
    EXPECT_EQ(factory_->merge("q", {}, {}).value(), R"({"items":[]})");
    const std::vector<std::string> none{R"({"rows":[]})"};
    EXPECT_EQ(factory_->merge("q", {}, none).error().code, ErrorCode::kInternal);
}

TEST_F(HostTest, origins_tell_what_the_shard_counted) {
    services_.counts = {{"task-events", Partition{1}}, Offset{3}, Offset{9}, 4, 1, 1, 1};
    send([&](const millrace_event&) {
        millrace_origin seen{};
        const auto each = [](void* to, const millrace_origin* origin) {
            *static_cast<millrace_origin*>(to) = *origin;
            return 0;
        };
        EXPECT_EQ(api().origins(host(), each, &seen), MILLRACE_OK);
        EXPECT_EQ(to_view(seen.topic), "task-events");
        EXPECT_EQ(std::tuple(seen.partition, seen.first, seen.last, seen.acked, seen.dead_lettered),
                  std::tuple(1, 3, 9, 4, 1));
        return MILLRACE_ACK;
    });
}

}  // namespace
}  // namespace millrace::plugins
