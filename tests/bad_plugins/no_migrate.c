#define BREAK(api) (api)->state_version = 1
#include "good.h"
