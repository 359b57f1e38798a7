#define BREAK(api) (api)->destroy = NULL
#include "good.h"
