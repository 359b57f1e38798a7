#define BREAK(api) (api)->name = NULL
#include "good.h"
