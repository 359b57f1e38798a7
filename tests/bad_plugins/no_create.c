#define BREAK(api) (api)->create = NULL
#include "good.h"
