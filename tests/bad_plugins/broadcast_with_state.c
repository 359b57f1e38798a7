#define BREAK(api) (api)->subscription = MILLRACE_BROADCAST
#include "good.h"
