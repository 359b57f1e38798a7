#define BREAK(api) (api)->input = 3
#include "good.h"
