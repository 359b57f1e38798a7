#include <millrace/abi.h>
static const millrace_option options[] = {
    {.name = "depth", .type = MILLRACE_OPTION_INTEGER, .minimum = 2, .maximum = 1}};
#define BREAK(api)                                                                    \
    (api)->options = options, (api)->option_count = sizeof options / sizeof *options, \
    (api)->option_size = sizeof *options
#include "good.h"
