#include <millrace/abi.h>
static const millrace_question questions[] = {{.name = "anything"}};
#define BREAK(api)                                           \
    (api)->questions = questions, (api)->question_count = 1, \
    (api)->question_size = sizeof *questions
#include "good.h"
