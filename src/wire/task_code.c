#include "wire/task_code.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static const struct {
    const char *name;
    const char *text;
} task_codes[] = {
#define TASK_CODE_ROW(symbol, number, name, text) [number] = {name, text},
    TASK_CODE_LIST(TASK_CODE_ROW)
#undef TASK_CODE_ROW
};

const char *task_code_name(unsigned code)
{
    return code < MEM_COUNT(task_codes) ? task_codes[code].name : "unknown";
}

const char *task_code_text(unsigned code)
{
    return code < MEM_COUNT(task_codes) ? task_codes[code].text : "unknown";
}
