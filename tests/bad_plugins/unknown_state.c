#define BREAK(api) (api)->state = 9
#include "good.h"
