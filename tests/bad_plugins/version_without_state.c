#define BREAK(api) (api)->state = MILLRACE_STATE_NONE, (api)->state_version = 1
#include "good.h"
