#include <millrace/abi.h>
const millrace_plugin_api* millrace_plugin(const millrace_host_api* host) {
    (void)host;
    return NULL;
}
