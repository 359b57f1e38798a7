/* A plugin of interface 1.0, built with the header beside it alone. It uses every service and every
 * callback once, so that a later server that breaks one of them fails a test. Not to be changed. */
#include <stdlib.h>
#include <string.h>

#include "abi.h"

struct millrace_instance {
    millrace_host* host;
    int32_t rollbacks;
};

static const millrace_host_api* api;

static int equals(millrace_str text, const char* other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static millrace_value text_value(millrace_str text) {
    millrace_value value = {.type = MILLRACE_VALUE_TEXT, .text = text};
    return value;
}

static int32_t note(millrace_host* host, const char* what, millrace_str text) {
    const millrace_str name = {what, strlen(what)};
    const millrace_value values[] = {text_value(name), text_value(text)};
    int64_t changed = 0;
    const int32_t status = api->exec(host, MILLRACE_STR("INSERT INTO notes VALUES(?1, ?2)"), values,
                                     2, NULL, NULL, &changed);
    return status == MILLRACE_OK && changed != 1 ? MILLRACE_ERROR : status;
}

static int32_t migrate(millrace_host* host, const millrace_migration* migration) {
    if (migration->from_version != 0 || migration->to_version != 1) return MILLRACE_INVALID;
    return api->exec(host, MILLRACE_STR("CREATE TABLE notes(what TEXT PRIMARY KEY, text TEXT)"),
                     NULL, 0, NULL, NULL, NULL);
}

static millrace_instance* create(millrace_host* host, const millrace_setup* setup) {
    millrace_instance* self = calloc(1, sizeof *self);
    if (self == NULL || !equals(setup->config, "{\"mode\":\"all\"}")) {
        api->fail(host, MILLRACE_STR("not the options it expects"));
        free(self);
        return NULL;
    }
    self->host = host;
    api->log(host, MILLRACE_LOG_INFO, setup->shard);
    return self;
}

static void destroy(millrace_instance* self) { free(self); }

static uint32_t have_effects(millrace_instance* self, const millrace_event* event) {
    millrace_host* host = self->host;
    millrace_str title;
    if (api->field(host, event, MILLRACE_STR("title"), &title) != MILLRACE_OK ||
        note(host, "title", title) != MILLRACE_OK)
        return MILLRACE_DEAD_LETTER;
    const millrace_publication update = {.struct_size = sizeof update,
                                         .topic = MILLRACE_STR("task-updates"),
                                         .key = event->user_id,
                                         .event = MILLRACE_STR("{\"event_type\":\"updated\"}")};
    const millrace_header header = {MILLRACE_STR("Accept"), MILLRACE_STR("text/plain")};
    const millrace_call call = {.struct_size = sizeof call,
                                .id = MILLRACE_STR("ask"),
                                .key = event->user_id,
                                .method = MILLRACE_STR("POST"),
                                .url = MILLRACE_STR("http://127.0.0.1/"),
                                .headers = &header,
                                .header_count = 1};
    const millrace_timer timer = {.struct_size = sizeof timer,
                                  .id = MILLRACE_STR("wake"),
                                  .key = event->user_id,
                                  .payload = event->task_id,
                                  .due = api->now(host) + 5000000};
    if (api->publish(host, &update) != MILLRACE_OK || api->call(host, &call) != MILLRACE_OK ||
        api->timer_set(host, &timer) != MILLRACE_OK ||
        api->timer_cancel(host, MILLRACE_STR("no such timer")) != MILLRACE_NOT_FOUND ||
        api->push(host, event, event->user_id, event->value) != MILLRACE_DENIED ||
        api->last_error(host).size == 0)
        return MILLRACE_DEAD_LETTER;
    api->count(host, MILLRACE_STR("handled"), 1);
    return MILLRACE_ACK;
}

static uint32_t on_message(millrace_instance* self, const millrace_event* event) {
    if (equals(event->type, "created")) return have_effects(self, event);
    if (equals(event->type, "completed")) {
        api->complete(self->host, event->token, MILLRACE_STR("done"));
        return MILLRACE_PENDING;
    }
    if (equals(event->type, "deleted")) {
        api->fail(self->host, MILLRACE_STR("later"));
        api->retry_after(self->host, 250);
        return MILLRACE_RETRY;
    }
    return MILLRACE_IGNORE;
}

static uint32_t noted(millrace_instance* self, const char* what, millrace_str text) {
    return note(self->host, what, text) == MILLRACE_OK ? MILLRACE_ACK : MILLRACE_DEAD_LETTER;
}

static uint32_t on_timer(millrace_instance* self, const millrace_timer* timer) {
    return noted(self, "timer", timer->payload);
}

static uint32_t on_response(millrace_instance* self, const millrace_response* response) {
    return noted(self, response->status == 200 ? "response" : "no response", response->body);
}

static uint32_t on_complete(millrace_instance* self, const millrace_event* event,
                            millrace_str payload) {
    return equals(event->type, "completed") ? noted(self, "completion", payload)
                                            : MILLRACE_DEAD_LETTER;
}

static void on_rollback(millrace_instance* self, uint32_t scope) {
    self->rollbacks += scope == MILLRACE_ROLLBACK_INPUT || scope == MILLRACE_ROLLBACK_BATCH;
}

static int32_t write_row(void* out, const millrace_value* columns, size_t count) {
    if (count != 2) return 1;
    api->write(out, MILLRACE_STR("\""));
    api->write(out, columns[0].text);
    api->write(out, MILLRACE_STR(":"));
    api->write(out, columns[1].text);
    api->write(out, MILLRACE_STR("\","));
    return 0;
}

static int32_t write_origin(void* out, const millrace_origin* origin) {
    api->write(out, MILLRACE_STR("\""));
    api->write(out, origin->topic);
    api->write(out, origin->acked == 4 ? MILLRACE_STR(":4\"") : MILLRACE_STR(":?\""));
    return 0;
}

static int32_t on_query(millrace_instance* self, const millrace_query* query, millrace_out* out) {
    if (!equals(query->question, "notes")) return MILLRACE_NOT_FOUND;
    if (query->parameter_count == 1 && !equals(query->parameters[0].value, "all")) {
        api->fail(self->host, MILLRACE_STR("'which' must be all"));
        return MILLRACE_CONSTRAINT;
    }
    if (self->rollbacks != 1) return MILLRACE_ERROR;
    api->write(out, MILLRACE_STR("["));
    const int32_t status = api->exec(self->host, MILLRACE_STR("SELECT what, text FROM notes"), NULL,
                                     0, write_row, out, NULL);
    if (status != MILLRACE_OK) return status;
    if (api->origins(self->host, write_origin, out) != MILLRACE_OK) return MILLRACE_ERROR;
    api->write(out, MILLRACE_STR("]"));
    return MILLRACE_OK;
}

static int32_t merge(const millrace_query* query, const millrace_str* answers, size_t answer_count,
                     millrace_out* out) {
    if (!equals(query->question, "notes") || answer_count == 0) return MILLRACE_ERROR;
    api->write(out, answers[answer_count - 1]);
    return MILLRACE_OK;
}

static void stop(millrace_instance* self) {
    api->log(self->host, MILLRACE_LOG_WARN, MILLRACE_STR("stops"));
}

static void check(millrace_str config, millrace_option_fault_callback fault, void* context) {
    const millrace_option_fault found = {.struct_size = sizeof found,
                                         .option = MILLRACE_STR("mode"),
                                         .item = -1,
                                         .expected = MILLRACE_STR("all")};
    if (!equals(config, "{\"mode\":\"all\"}")) fault(context, &found);
}

static const millrace_option options[] = {{.name = "mode",
                                           .description = "Which.",
                                           .default_value = "all",
                                           .choices = "some|all",
                                           .type = MILLRACE_OPTION_CHOICE,
                                           .flags = 0}};
static const millrace_question questions[] = {
    {.name = "notes", .parameters = "which", .description = "What happened."},
    {.name = "unknown", .parameters = ""}};

static const millrace_plugin_api table = {.struct_size = sizeof table,
                                          .abi_major = MILLRACE_ABI_MAJOR,
                                          .abi_minor = MILLRACE_ABI_MINOR,
                                          .name = "released",
                                          .version = "1.0.0",
                                          .description = "Uses all of interface 1.0.",
                                          .state = MILLRACE_STATE_PER_USER,
                                          .subscription = MILLRACE_SUBSCRIPTION_GROUP,
                                          .input = MILLRACE_INPUT_EVENT,
                                          .state_version = 1,
                                          .options = options,
                                          .option_count = sizeof options / sizeof *options,
                                          .option_size = sizeof *options,
                                          .questions = questions,
                                          .question_count = sizeof questions / sizeof *questions,
                                          .question_size = sizeof *questions,
                                          .check = check,
                                          .migrate = migrate,
                                          .create = create,
                                          .destroy = destroy,
                                          .on_message = on_message,
                                          .on_timer = on_timer,
                                          .on_response = on_response,
                                          .on_complete = on_complete,
                                          .on_rollback = on_rollback,
                                          .on_query = on_query,
                                          .merge = merge,
                                          .stop = stop};

const millrace_plugin_api* millrace_plugin(const millrace_host_api* host) {
    if (host->abi_major != MILLRACE_ABI_MAJOR || host->struct_size < sizeof *host) return NULL;
    api = host;
    return &table;
}
