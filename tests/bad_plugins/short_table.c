#define BREAK(api) (api)->struct_size = offsetof(millrace_plugin_api, on_message)
#include "good.h"
