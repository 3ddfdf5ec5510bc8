/* What an exec is to run: from JSON to ExecStart. */
#ifndef ROLE_EXEC_SPEC_H
#define ROLE_EXEC_SPEC_H

#include <jansson.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"

enum {
    EXEC_SPEC_ARGV_MAX = 4096,
    EXEC_SPEC_ENV_MAX = 1000,
    EXEC_SPEC_TIME_LIMIT_MS_MAX = 7 * 24 * 3600 * 1000,
};

/* Reads "argv" or "command" (one of them), "env", "time_limit_ms"; `others` (NULL-terminated) are
 * further keys that may be there. On success *out is the caller's, to be freed with
 * wire__exec_start__free_unpacked(). ERR_INVALID names the key. */
int exec_spec_parse(const json_t *body, const char *const *others, Wire__ExecStart **out,
                    struct error *e);

#endif
