// rogue: does on the bare interface what its authors should not. Each event's title says what: see
// `misdeeds`. Before that it writes a row, so that a row which survives tells on the server.
#include <millrace/abi.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

struct millrace_instance {
    millrace_host* host;
    std::int64_t rows_in_memory = 0;  // never forgotten: there is no on_rollback
};

namespace {

const millrace_host_api* api = nullptr;

millrace_str to(std::string_view text) { return {text.data(), text.size()}; }
std::string_view from(millrace_str text) { return {text.data, text.size}; }

std::int32_t exec(millrace_host* host, std::string_view sql, std::string_view parameter = {}) {
    millrace_value value{};
    value.type = MILLRACE_VALUE_TEXT;
    value.text = to(parameter);
    return api->exec(host, to(sql), &value, parameter.empty() ? 0 : 1, nullptr, nullptr, nullptr);
}

// Counts whether the service was refused, as it must be.
void note_refusal(millrace_host* host, std::int32_t status) {
    api->count(host, to(status < MILLRACE_OK ? "refused" : "let_through"), 1);
}

void complete_from_another_thread(millrace_host* host, millrace_token token, int times) {
    std::thread([host, token, times] {
        for (int i = 0; i < times; ++i) api->complete(host, token, to("done"));
    }).detach();
}

std::uint32_t throws(millrace_instance*, const millrace_event*) {
    throw std::runtime_error("thrown by the rogue");
}
std::uint32_t throws_a_number(millrace_instance*, const millrace_event*) { throw 42; }
std::uint32_t returns_zero(millrace_instance*, const millrace_event*) { return 0; }
std::uint32_t returns_99(millrace_instance*, const millrace_event*) { return 99; }
std::uint32_t pends_after_a_write(millrace_instance*, const millrace_event*) {
    return MILLRACE_PENDING;
}
std::uint32_t commits(millrace_instance* self, const millrace_event*) {
    for (const char* sql : {"COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT s", "PRAGMA synchronous=OFF",
                            "ATTACH ':memory:' AS other", "DROP TABLE rows"})
        note_refusal(self->host, exec(self->host, sql));
    return MILLRACE_ACK;
}
std::uint32_t writes_host_tables(millrace_instance* self, const millrace_event*) {
    for (const char* sql : {"DELETE FROM _origins", "UPDATE _meta SET value = '9'",
                            "INSERT INTO _events(sequence) VALUES(1)", "DELETE FROM sqlite_master"})
        note_refusal(self->host, exec(self->host, sql));
    return MILLRACE_ACK;
}
std::uint32_t rolls_back(millrace_instance* self, const millrace_event*) {
    (void)exec(self->host, "INSERT OR ROLLBACK INTO fixed VALUES(1)");
    return MILLRACE_ACK;
}
std::uint32_t uses_services_elsewhere(millrace_instance* self, const millrace_event*) {
    std::int32_t status = MILLRACE_OK;
    std::thread([&] {
        status = exec(self->host, "INSERT INTO rows VALUES('from elsewhere')");
    }).join();
    note_refusal(self->host, status);
    return MILLRACE_ACK;
}
std::uint32_t leaks(millrace_instance*, const millrace_event*) {
    static std::atomic<void*> last;
    last = std::malloc(std::size_t{1} << 20U);
    return MILLRACE_ACK;
}
std::uint32_t is_good(millrace_instance*, const millrace_event*) { return MILLRACE_ACK; }

using Misdeed = std::uint32_t (*)(millrace_instance*, const millrace_event*);
const std::map<std::string_view, Misdeed> misdeeds = {
    {"throws", throws},
    {"throws a number", throws_a_number},
    {"returns 0", returns_zero},
    {"returns 99", returns_99},
    {"pends after a write", pends_after_a_write},
    {"commits", commits},
    {"writes host tables", writes_host_tables},
    {"rolls back", rolls_back},
    {"uses services elsewhere", uses_services_elsewhere},
    {"leaks", leaks},
    {"is good", is_good},
};

// Without a write before, which is not allowed.
std::uint32_t pend(millrace_instance* self, const millrace_event* event, std::string_view how) {
    if (how == "completes twice") complete_from_another_thread(self->host, event->token, 2);
    if (how == "completes garbage") {
        millrace_token garbage = event->token;
        garbage.opaque[0] ^= 0xdeadbeefU;
        garbage.opaque[1] ^= 0xdeadbeefU;
        complete_from_another_thread(self->host, garbage, 1);
        complete_from_another_thread(self->host, event->token, 1);
    }
    return MILLRACE_PENDING;  // "never completes": that is all
}

std::uint32_t write_row(millrace_instance* self, const millrace_event* event) {
    ++self->rows_in_memory;
    return exec(self->host, "INSERT INTO rows VALUES(?1)", from(event->task_id)) == MILLRACE_OK
               ? MILLRACE_ACK
               : MILLRACE_RETRY;
}

std::int32_t migrate(millrace_host* host, const millrace_migration*) {
    const bool made = exec(host, "CREATE TABLE rows(task TEXT PRIMARY KEY)") == MILLRACE_OK &&
                      exec(host, "CREATE TABLE fixed(id INTEGER PRIMARY KEY)") == MILLRACE_OK &&
                      exec(host, "INSERT INTO fixed VALUES(1)") == MILLRACE_OK;
    return made ? MILLRACE_OK : MILLRACE_ERROR;
}

millrace_instance* create(millrace_host* host, const millrace_setup* setup) {
    if (from(setup->config).find("\"throw\"") != std::string_view::npos)
        throw std::runtime_error("thrown by create");
    if (from(setup->config).find("\"fail\"") != std::string_view::npos) return nullptr;
    return new millrace_instance{host};
}
void destroy(millrace_instance* self) { delete self; }

std::uint32_t on_message(millrace_instance* self, const millrace_event* event) {
    millrace_str title{};
    if (api->field(self->host, event, to("title"), &title) != MILLRACE_OK) return MILLRACE_IGNORE;
    const auto misdeed = misdeeds.find(from(title));
    if (misdeed == misdeeds.end()) return pend(self, event, from(title));
    const std::uint32_t written = write_row(self, event);
    return written == MILLRACE_ACK ? misdeed->second(self, event) : written;
}

std::uint32_t on_complete(millrace_instance* self, const millrace_event* event, millrace_str) {
    return write_row(self, event);
}

std::int32_t add_row(void* out, const millrace_value* columns, std::size_t) {
    api->write(static_cast<millrace_out*>(out), columns[0].text);
    return 0;
}

// In memory and in the table, which must be as many.
std::int32_t on_query(millrace_instance* self, const millrace_query* query, millrace_out* out) {
    if (from(query->question) == "throws") throw std::runtime_error("thrown by a question");
    const std::string sql =
        "SELECT json_object('items', json_array(json_object('tasks', coalesce(json_group_array("
        "task), json('[]')), 'in_memory', " +
        std::to_string(self->rows_in_memory) + "))) FROM rows";
    return api->exec(self->host, to(sql), nullptr, 0, add_row, out, nullptr);
}

const millrace_option options[] = {
    {"create", "what create does", "works", "works|fail|throw", MILLRACE_OPTION_CHOICE, 0, 0, 0}};
const millrace_question questions[] = {{"rows", "", nullptr}, {"throws", "", nullptr}};

}  // namespace

extern "C" MILLRACE_EXPORT const millrace_plugin_api* millrace_plugin(
    const millrace_host_api* host) {
    api = host;
    static millrace_plugin_api table{};
    table.struct_size = sizeof table;
    table.abi_major = MILLRACE_ABI_MAJOR;
    table.abi_minor = MILLRACE_ABI_MINOR;
    table.name = "rogue";
    table.version = "1.0.0";
    table.description = "Does what its authors should not.";
    table.state = MILLRACE_STATE_PER_USER;
    table.subscription = MILLRACE_SUBSCRIPTION_GROUP;
    table.input = MILLRACE_INPUT_EVENT;
    table.state_version = 1;
    table.options = options;
    table.option_count = std::size(options);
    table.option_size = sizeof(millrace_option);
    table.questions = questions;
    table.question_count = std::size(questions);
    table.question_size = sizeof(millrace_question);
    table.migrate = migrate;
    table.create = create;
    table.destroy = destroy;
    table.on_message = on_message;
    table.on_complete = on_complete;
    table.on_query = on_query;
    return &table;
}
