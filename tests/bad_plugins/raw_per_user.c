#define BREAK(api) (api)->input = MILLRACE_RAW
#include "good.h"
