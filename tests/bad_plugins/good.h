/* A table without a fault. Each bad plugin takes it and breaks one thing:
 *
 *     #define BREAK(api) (api)->create = NULL
 *     #include "good.h"
 */
#include <millrace/abi.h>

static int anything;

static millrace_instance* create(millrace_host* host, const millrace_setup* setup) {
    (void)host, (void)setup;
    return (millrace_instance*)&anything;
}
static void destroy(millrace_instance* instance) { (void)instance; }
static uint32_t on_message(millrace_instance* instance, const millrace_event* event) {
    (void)instance, (void)event;
    return MILLRACE_ACK;
}

static millrace_plugin_api table = {
    .struct_size = sizeof table,
    .abi_major = MILLRACE_ABI_MAJOR,
    .abi_minor = MILLRACE_ABI_MINOR,
    .name = "bad",
    .version = "1.0.0",
    .description = "Wrong in one way.",
    .state = MILLRACE_STATE_PER_USER,
    .subscription = MILLRACE_SUBSCRIPTION_GROUP,
    .input = MILLRACE_INPUT_EVENT,
    .create = create,
    .destroy = destroy,
    .on_message = on_message,
};

const millrace_plugin_api* millrace_plugin(const millrace_host_api* host) {
    (void)host;
    BREAK(&table);
    return &table;
}
