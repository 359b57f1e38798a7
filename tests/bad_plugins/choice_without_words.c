#include <millrace/abi.h>
static const millrace_option options[] = {{.name = "mode", .type = MILLRACE_OPTION_CHOICE}};
#define BREAK(api)                                                                    \
    (api)->options = options, (api)->option_count = sizeof options / sizeof *options, \
    (api)->option_size = sizeof *options
#include "good.h"
