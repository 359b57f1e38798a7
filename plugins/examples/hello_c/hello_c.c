/* hello_c: the hello example in plain C, against <millrace/abi.h> alone. Shows options, storage, a
 * question, and how SQLite reads and writes JSON for a plugin that has no library for it.
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -I../../sdk/include -o hello_c.so hello_c.c
 */
#include <millrace/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct millrace_instance {
    millrace_host* host;
    char greeting[256];
};

static const millrace_host_api* api;

static int32_t run(millrace_host* host, millrace_str sql, millrace_str parameter,
                   millrace_row_callback row, void* context) {
    const millrace_value value = {.type = MILLRACE_VALUE_TEXT, .text = parameter};
    return api->exec(host, sql, &value, parameter.data != NULL, row, context, NULL);
}

static const millrace_str none = {NULL, 0};

static int32_t migrate(millrace_host* host, const millrace_migration* migration) {
    (void)migration;
    return run(host,
               MILLRACE_STR("CREATE TABLE greeted(user TEXT PRIMARY KEY, times INTEGER NOT NULL)"
                            " WITHOUT ROWID"),
               none, NULL, NULL);
}

static int32_t take_greeting(void* context, const millrace_value* columns, size_t count) {
    millrace_instance* self = context;
    snprintf(self->greeting, sizeof self->greeting, "%.*s", count ? (int)columns[0].text.size : 0,
             columns[0].text.data);
    return 0;
}

static millrace_instance* create(millrace_host* host, const millrace_setup* setup) {
    millrace_instance* self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    self->host = host;
    if (run(host, MILLRACE_STR("SELECT ?1 ->> 'greeting'"), setup->config, take_greeting, self) ==
        MILLRACE_OK)
        return self;
    api->fail(host, api->last_error(host));
    free(self);
    return NULL;
}

static void destroy(millrace_instance* self) { free(self); }

static uint32_t on_message(millrace_instance* self, const millrace_event* event) {
    if (event->user_id.data == NULL) {
        api->fail(self->host, MILLRACE_STR("nobody to greet"));
        return MILLRACE_IGNORE;
    }
    if (run(self->host,
            MILLRACE_STR("INSERT INTO greeted VALUES(?1, 1)"
                         " ON CONFLICT DO UPDATE SET times = times + 1"),
            event->user_id, NULL, NULL) != MILLRACE_OK) {
        api->fail(self->host, api->last_error(self->host));
        return MILLRACE_RETRY;
    }
    char line[512];
    const int size = snprintf(line, sizeof line, "%s, %.*s", self->greeting,
                              (int)event->user_id.size, event->user_id.data);
    api->log(self->host, MILLRACE_LOG_INFO,
             (millrace_str){line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1});
    return MILLRACE_ACK;
}

static int32_t write_answer(void* out, const millrace_value* columns, size_t count) {
    if (count == 1) api->write(out, columns[0].text);
    return 0;
}

static int32_t on_query(millrace_instance* self, const millrace_query* query, millrace_out* out) {
    (void)query; /* the server asks for what is in `questions` only */
    return run(self->host,
               MILLRACE_STR("SELECT json_object('items', json_group_array(json_object('user', user,"
                            " 'times', times))) FROM (SELECT * FROM greeted ORDER BY user)"),
               none, write_answer, out);
}

static const millrace_option options[] = {{.name = "greeting",
                                           .description = "What it says.",
                                           .default_value = "Hello",
                                           .type = MILLRACE_OPTION_TEXT}};
static const millrace_question questions[] = {
    {.name = "greeted", .parameters = "", .description = "Who was greeted, and how often."}};

static const millrace_plugin_api table = {.struct_size = sizeof table,
                                          .abi_major = MILLRACE_ABI_MAJOR,
                                          .abi_minor = MILLRACE_ABI_MINOR,
                                          .name = "hello_c",
                                          .version = "1.0.0",
                                          .description = "Greets the user of every event, in C.",
                                          .state = MILLRACE_STATE_PER_USER,
                                          .subscription = MILLRACE_SUBSCRIPTION_GROUP,
                                          .input = MILLRACE_INPUT_EVENT,
                                          .state_version = 1,
                                          .options = options,
                                          .option_count = 1,
                                          .option_size = sizeof(millrace_option),
                                          .questions = questions,
                                          .question_count = 1,
                                          .question_size = sizeof(millrace_question),
                                          .migrate = migrate,
                                          .create = create,
                                          .destroy = destroy,
                                          .on_message = on_message,
                                          .on_query = on_query};

const millrace_plugin_api* millrace_plugin(const millrace_host_api* host) {
    if (host->abi_major != MILLRACE_ABI_MAJOR) return NULL;
    api = host;
    return &table;
}
