#define BREAK(api) (api)->subscription = MILLRACE_SUBSCRIPTION_BROADCAST
#include "good.h"
