#define BREAK(api) (api)->on_message = NULL
#include "good.h"
