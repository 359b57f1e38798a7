#define BREAK(api) (api)->subscription = 0
#include "good.h"
