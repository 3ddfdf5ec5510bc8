/* Files on their way to the cluster. */
#ifndef SHELL_UPLOAD_H
#define SHELL_UPLOAD_H

#include <stdbool.h>

#include <jansson.h>

#include "shell/shell.h"

struct upload {
    json_t *answer; /* of POST /api/files: id, name, bytes, xxh */
    bool is_executable;
};

/* Sends the regular file `path` under `name` (NULL: its last part). 0, or an exit status after
 * saying what went wrong; then there is no answer. */
int upload_file(struct shell *shell, const char *path, const char *name, struct upload *upload);
void upload_done(struct upload *upload);

#endif
