#include <gtest/gtest.h>

#include <millrace/background.hpp>
#include <millrace/plugin.hpp>
#include <millrace/testing.hpp>
#include <thread>

namespace {

using namespace millrace;

bool is_spoken(std::string_view url) {
    if (url == "throw") throw std::runtime_error("no network");
    return url.starts_with("http://");
}

// Does what the event's type says.
class Probe final : public Handler {
public:
    static Description describe() {
        return {
            .name = "probe",
            .version = "1.0.0",
            .description = "Does what it is told.",
            .state_version = 1,
            .options =
                {Option::duration("wait", "how long").or_else("5m"),
                 Option::list("words", "some").or_else("[a, 'b c']"),
                 Option::integer("threads", "own").or_else("1").between(0, 8),
                 Option::integer("waiting", "for them").or_else("10").between(1, 10),
                 Option::choice("mode", "skip|all", "which").or_else("skip"),
                 Option::text("url", "where").or_else("http://x").must_be(is_spoken, "http://..."),
                 Option::list("keys", "some")
                     .must_be([](auto key) { return key.size() > 1; }, "two letters")
                     .secret()},
            .questions = {{"rows", {"limit", "write"}}}};
    }
    static void migrate(Context& context, std::uint32_t) {
        context.exec("CREATE TABLE rows(id INTEGER PRIMARY KEY, text TEXT) STRICT");
    }
    explicit Probe(const Setup& setup) : Handler(setup), options_(setup.options) {}

    Outcome on_message(const Event& event) override {
        const std::string_view type = event.type();
        ++seen_;
        if (type == "pending") {
            context().completer().complete(event.token(), "+the answer");
            return pending();
        }
        if (type == "background")
            return background_.run(event, [title = std::string(*event.field("title"))] {
                if (title == "throw") throw std::runtime_error("no such title");
                return "the answer from elsewhere";
            });
        context().exec("INSERT INTO rows(text) VALUES(?1)", event.field("title"));
        context().publish("task-updates", "7", R"({"event_type":"updated"})");
        context().set_timer("wake", "7", context().now() + options_.duration("wait"), "payload");
        context().call({.id = "call", .key = "7", .url = "http://127.0.0.1/"});
        if (type == "retry") return retry("later", std::chrono::seconds(2));
        if (type == "throw") throw std::runtime_error("thrown");
        if (type == "pragma") context().exec("PRAGMA journal_mode");
        if (type == "begin") context().exec("COMMIT");
        if (type == "ddl") context().exec("CREATE TABLE other(id INTEGER PRIMARY KEY)");
        if (type == "constraint") context().exec("INSERT INTO rows(id) VALUES(1), (1)");
        if (type == "typed") return count_rows();
        if (type == "log") {
            context().info("{} has {:.1f}", event.field("title").value_or("none"), 2.25);
            context().warn("{} stays as it is");
        }
        if (type == "fields") {
            const bool read = event.integer_field("count") == 5 && event.boolean_field("done") &&
                              !event.integer_field("title") && !event.boolean_field("title");
            return read ? ack() : dead_letter("the fields are not what they are");
        }
        if (type == "late pending") return pending();
        if (type == "no outcome") return {0};
        if (type == "thread") return exec_elsewhere();
        if (type == "or rollback") {
            context().exec("INSERT OR ROLLBACK INTO rows(id) VALUES(1), (1)");
        }
        if (type == "address") context().call({.id = "x", .key = "7", .url = "gopher://x"});
        context().info("event " + std::to_string(seen_));
        return ack();
    }
    Outcome on_timer(const Timer& timer) override {
        context().exec("INSERT INTO rows(text) VALUES(?1)", timer.payload());
        return ack();
    }
    Outcome on_response(const Response& response) override {
        return response.succeeded() ? ack() : retry(response.body());
    }
    Outcome on_complete(const Event& event, std::string_view payload) override {
        context().exec("INSERT INTO rows(text) VALUES(?1)",
                       result_of(payload) + " to " + std::string(event.id()));
        return ack();
    }
    std::optional<std::string> on_query(std::string_view question,
                                        const Parameters& parameters) override {
        if (question != "rows") return std::nullopt;
        const auto limit = parameters.integer("limit", 1, 10).value_or(10);
        if (parameters.text("write")) context().exec("DELETE FROM rows");
        Json items = Json::array();
        context().query(
            "SELECT text FROM rows LIMIT ?1",
            [&](const Row& row) { items.push_back(row.optional_text(0)); }, limit);
        return items.dump();
    }

    void stop() { background_.stop(); }

private:
    Outcome exec_elsewhere() {
        int status = MILLRACE_OK;
        std::thread([&] {
            try {
                context().exec("DELETE FROM rows");
            } catch (const ServiceError& error) {
                status = error.status();
            }
        }).join();
        return status == MILLRACE_DENIED ? ack() : dead_letter("another thread was let in");
    }
    Outcome count_rows() {
        std::string all;
        for (const auto& [id, text] : context().query<std::int64_t, std::optional<std::string>>(
                 "SELECT id, text FROM rows WHERE id >= ?1 ORDER BY id", 0))
            all += std::to_string(id) + text.value_or("-");
        const auto count = context().first<int>("SELECT count(*) FROM rows");
        const auto [least, most] =
            context().first<int, int>("SELECT min(id), max(id) FROM rows").value();
        const auto none = context().first<std::string>("SELECT text FROM rows WHERE id = ?1", 99);
        context().info(all + " of " + std::to_string(count.value()) + " from " +
                       std::to_string(least) + " to " + std::to_string(most) +
                       (none ? " and more" : ""));
        context().query<std::int64_t>("SELECT text FROM rows");
        return ack();
    }

    Options options_;
    int seen_ = 0;
    Background background_{context(), static_cast<std::size_t>(options_.integer("threads")),
                           static_cast<std::size_t>(options_.integer("waiting"))};
};

Handled send(FakeHost& host, const char* type) {
    return host.send({.type = type, .user = "7", .fields = {{"title", "milk"}}});
}

TEST(Handler, the_effects_of_an_acked_event_stay) {
    FakeHost host;
    EXPECT_EQ(send(host, "ack").kind, MILLRACE_ACK);
    EXPECT_EQ(host.sql("SELECT text FROM rows"), "milk");
    EXPECT_EQ(host.published().size(), 1U);
    EXPECT_EQ(host.timers().at("wake").due, host.now() + std::chrono::minutes(5));
    EXPECT_EQ(host.calls().size(), 1U);
}

TEST(Handler, the_effects_of_any_other_outcome_are_undone) {
    for (const char* type : {"retry", "throw", "pragma", "begin", "ddl", "constraint", "pending",
                             "late pending", "no outcome", "or rollback", "address"}) {
        FakeHost host;
        EXPECT_NE(send(host, type).kind, MILLRACE_ACK) << type;
        EXPECT_EQ(host.sql("SELECT count(*) FROM rows"), "0") << type;
        EXPECT_TRUE(host.published().empty() && host.timers().empty() && host.calls().empty())
            << type;
    }
}

TEST(Handler, rows_come_typed_and_a_wrong_type_dead_letters) {
    FakeHost host;
    const Handled handled = send(host, "typed");
    EXPECT_EQ(host.logs().back(), "info: 1milk of 1 from 1 to 1");
    EXPECT_EQ(handled.kind, MILLRACE_DEAD_LETTER);
    EXPECT_EQ(handled.reason, "column 0 is a text, expected an integer");
}

TEST(Handler, messages_are_formatted_and_plain_ones_stay_as_they_are) {
    FakeHost host;
    EXPECT_EQ(send(host, "log").kind, MILLRACE_ACK);
    EXPECT_EQ(host.logs(), (std::vector<std::string>{"info: milk has 2.2",
                                                     "warn: {} stays as it is", "info: event 1"}));
}

TEST(Handler, fields_are_read_as_their_type_or_not_at_all) {
    FakeHost host;
    EventSpec event{.type = "fields", .user = "7"};
    event.fields = {{"title", "milk"}, {"count", "5"}, {"done", "true"}};
    EXPECT_EQ(host.send(event).kind, MILLRACE_ACK);
}

TEST(Handler, an_outcome_brings_its_reason_and_delay) {
    FakeHost host;
    const Handled handled = send(host, "retry");
    EXPECT_EQ(handled.kind, MILLRACE_RETRY);
    EXPECT_EQ(handled.reason, "later");
    EXPECT_EQ(handled.retry_after, std::chrono::seconds(2));
}

TEST(Handler, an_exception_dead_letters_with_its_text) {
    FakeHost host;
    const Handled handled = send(host, "throw");
    EXPECT_EQ(handled.kind, MILLRACE_DEAD_LETTER);
    EXPECT_EQ(handled.reason, "thrown");
}

TEST(Handler, what_the_server_refuses_dead_letters_and_says_so) {
    for (const char* type : {"pragma", "begin", "ddl", "constraint"}) {
        FakeHost host;
        const Handled handled = send(host, type);
        EXPECT_EQ(handled.kind, MILLRACE_DEAD_LETTER) << type;
        EXPECT_NE(handled.reason.find("exec: "), std::string::npos) << handled.reason;
    }
}

TEST(Handler, an_event_that_its_schema_refuses_dead_letters_at_once) {
    FakeHost host;
    host.refuse_publish("task-updates", "/user_id: is too long");
    const Handled handled = send(host, "ack");
    EXPECT_EQ(handled.kind, MILLRACE_DEAD_LETTER);
    EXPECT_NE(handled.reason.find("/user_id: is too long"), std::string::npos) << handled.reason;
    host.refuse_publish("task-updates", "");
    EXPECT_EQ(send(host, "ack").kind, MILLRACE_ACK);
}

TEST(Handler, a_timer_fires_when_it_is_due_and_once) {
    FakeHost host;
    send(host, "ack");
    EXPECT_TRUE(host.advance(std::chrono::minutes(4)).empty());
    EXPECT_EQ(host.advance(std::chrono::minutes(1)).size(), 1U);
    EXPECT_TRUE(host.advance(std::chrono::hours(1)).empty());
    EXPECT_EQ(host.sql("SELECT text FROM rows WHERE id = 2"), "payload");
}

TEST(Handler, a_response_that_is_retried_leaves_its_call) {
    FakeHost host;
    send(host, "ack");
    EXPECT_EQ(host.respond("call", 500, "broken").reason, "broken");
    EXPECT_EQ(host.respond("call", 204).kind, MILLRACE_ACK);
    EXPECT_THROW(host.respond("call", 204), std::runtime_error);
}

TEST(Handler, a_completion_decides_a_pending_event_once) {
    FakeHost host;
    send(host, "pending");
    EXPECT_EQ(host.run_completions().size(), 1U);
    EXPECT_EQ(host.sql("SELECT text FROM rows"), "the answer to event-0");
    EXPECT_TRUE(host.run_completions().empty());
}

TEST(Handler, pending_after_effects_and_no_outcome_dead_letter_as_in_the_server) {
    FakeHost host;
    const Handled late = send(host, "late pending");
    EXPECT_EQ(late.kind, MILLRACE_DEAD_LETTER);
    EXPECT_EQ(late.reason,
              "returned pending after it had made effects, or where it cannot be pending");
    EXPECT_EQ(send(host, "no outcome").reason, "the handler returned 0, which is no outcome");
}

TEST(Handler, services_are_closed_to_other_threads) {
    FakeHost host;
    EXPECT_EQ(send(host, "thread").kind, MILLRACE_ACK);
}

TEST(Handler, an_address_that_is_none_dead_letters) {
    FakeHost host;
    const Handled handled = send(host, "address");
    EXPECT_EQ(handled.kind, MILLRACE_DEAD_LETTER);
    EXPECT_NE(handled.reason.find("gopher://x"), std::string::npos) << handled.reason;
}

TEST(Handler, work_of_its_own_threads_comes_back_as_a_completion) {
    FakeHost host;
    EXPECT_EQ(send(host, "background").kind, MILLRACE_PENDING);
    EXPECT_EQ(host.wait_for_completions(1).at(0).kind, MILLRACE_ACK);
    EXPECT_EQ(host.sql("SELECT text FROM rows"), "the answer from elsewhere to event-0");
    host.send({.type = "background", .user = "7", .fields = {{"title", "throw"}}});
    const Handled failed = host.wait_for_completions(1).at(0);
    EXPECT_EQ(failed.kind, MILLRACE_DEAD_LETTER);
    EXPECT_EQ(failed.reason, "no such title");
    EXPECT_THROW(host.wait_for_completions(1, std::chrono::milliseconds(1)), std::runtime_error);
}

TEST(Handler, work_that_finds_no_room_asks_for_a_retry) {
    FakeHost host({{"threads", "0"}, {"waiting", "1"}});
    EXPECT_EQ(send(host, "background").kind, MILLRACE_PENDING);
    EXPECT_EQ(send(host, "background").kind, MILLRACE_RETRY);
}

TEST(Handler, a_batch_that_is_rolled_back_takes_the_instance_with_it) {
    FakeHost host;
    host.begin_batch();
    send(host, "ack");
    send(host, "throw");
    host.commit_batch();
    EXPECT_EQ(host.sql("SELECT count(*) FROM rows"), "1");
    host.begin_batch();
    send(host, "ack");
    EXPECT_EQ(host.logs().back(), "info: event 3");
    host.roll_back_batch();
    EXPECT_EQ(host.sql("SELECT count(*) FROM rows"), "1");
    EXPECT_EQ(host.published().size(), 1U);
    send(host, "ack");
    EXPECT_EQ(host.logs().back(), "info: event 1") << "memory of what was undone";
}

TEST(Handler, a_statement_that_takes_the_transaction_away_takes_the_batch) {
    FakeHost host;
    host.begin_batch();
    send(host, "ack");
    EXPECT_EQ(send(host, "or rollback").reason, "its statement took the transaction away");
    EXPECT_EQ(host.sql("SELECT count(*) FROM rows"), "0");
    EXPECT_TRUE(host.published().empty());
}

TEST(Handler, a_question_reads_and_cannot_write) {
    FakeHost host;
    send(host, "ack");
    EXPECT_EQ(host.query("rows"), R"(["milk"])");
    EXPECT_THROW(host.query("rows", {{"write", "1"}}), std::runtime_error);
    EXPECT_EQ(host.sql("SELECT count(*) FROM rows"), "1");
    EXPECT_THROW(host.query("unknown"), std::runtime_error);
    EXPECT_THROW(host.query("rows", {{"limt", "1"}}), std::runtime_error);
    try {
        host.query("rows", {{"limit", "11"}});
        FAIL() << "a wrong parameter was taken";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "'limit' is '11', it must be a whole number from 1 to 10");
    }
}

TEST(Handler, options_have_their_defaults_and_wrong_ones_are_refused) {
    EXPECT_NO_THROW(FakeHost({{"mode", "all"}, {"wait", "250ms"}}));
    EXPECT_THROW(FakeHost({{"mode", "some"}}), std::runtime_error);
    EXPECT_THROW(FakeHost({{"wait", "long"}}), std::runtime_error);
    EXPECT_THROW(FakeHost({{"wat", "5m"}}), std::runtime_error);
}

std::string refusal_of(const FakeHost::Texts& options) {
    try {
        const FakeHost host(options);
        return "taken";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

TEST(Handler, an_option_is_checked_by_its_own_idea_of_what_is_good) {
    EXPECT_EQ(refusal_of({{"url", "http://y"}, {"keys", "[ab, cd]"}}), "taken");
    EXPECT_EQ(refusal_of({{"url", "gopher://y"}}), "option 'url' is wrong, expected http://...");
    EXPECT_EQ(refusal_of({{"url", "throw"}}),
              "option 'url' cannot be checked: no network, expected http://...");
    EXPECT_EQ(refusal_of({{"keys", "[ab, c]"}}),
              "option 'keys' is not of the right form, expected two letters");
}

TEST(Handler, the_check_says_which_item_and_never_shows_a_secret) {
    millrace_host_api host{};
    host.struct_size = sizeof host;
    host.abi_major = MILLRACE_ABI_MAJOR;
    const millrace_plugin_api* api = millrace_plugin(&host);
    ASSERT_NE(api, nullptr);
    std::vector<std::pair<std::string, std::int64_t>> faults;
    api->check(
        to_abi(
            R"({"wait":1,"threads":1,"waiting":1,"words":[],"mode":"skip","url":"x","keys":["ab","c"]})"),
        [](void* context, const millrace_option_fault* fault) {
            const bool shows = fault->what.data == nullptr;
            static_cast<decltype(faults)*>(context)->emplace_back(
                std::string(to_view(fault->option)) + (shows ? " shown" : " hidden"), fault->item);
        },
        &faults);
    EXPECT_EQ(faults, (std::vector<std::pair<std::string, std::int64_t>>{{"url shown", -1},
                                                                         {"keys hidden", 1}}));
}

TEST(Options, every_type_is_read_as_it_was_declared) {
    const Options options(R"({"wait":300000,"words":["a","b c"],"mode":"skip","url":null})");
    EXPECT_EQ(options.duration("wait"), std::chrono::minutes(5));
    EXPECT_EQ(options.list("words"), (std::vector<std::string>{"a", "b c"}));
    EXPECT_FALSE(options.has("url"));
    EXPECT_EQ(options.text_or("url", "none"), "none");
    EXPECT_THROW(options.text("wait"), std::logic_error);
    EXPECT_THROW(options.text("undeclared"), std::logic_error);
}

TEST(Plugin, a_server_of_another_major_is_refused) {
    millrace_host_api host{};
    host.struct_size = sizeof host;
    host.abi_major = MILLRACE_ABI_MAJOR + 1;
    EXPECT_EQ(millrace_plugin(&host), nullptr);
    host.abi_major = MILLRACE_ABI_MAJOR;
    host.struct_size = sizeof host - sizeof(void*);
    EXPECT_EQ(millrace_plugin(&host), nullptr);
}

}  // namespace

MILLRACE_PLUGIN(Probe)
