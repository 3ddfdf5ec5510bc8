/* The JSON lines of an exec, as docs/api.md has them. */
#ifndef ROLE_EXEC_LINE_H
#define ROLE_EXEC_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/cluster.pb-c.h"

/* Bytes of a character that a piece of output ended inside of. */
struct exec_line_rest {
    uint8_t bytes[4];
    size_t len;
};

/* Each appends one line, or fails with ERR_TOO_LARGE and leaves the buffer as it was. */
int exec_line_targets(struct buf *out, const char *const *nodes, size_t n);
int exec_line_started(struct buf *out, const char *node);
int exec_line_ended(struct buf *out, const char *node, const Wire__TaskReport *report);
int exec_line_failed(struct buf *out, const char *node, const char *code, const char *text);
int exec_line_done(struct buf *out, size_t ok, size_t failed);

/* Output as text, or as Base64 when it is not UTF-8 or has a NUL, which many readers of JSON do not
 * take. The beginning of a character at its end is put
 * into `rest`, to come before the next piece; `last`: nothing follows, it goes out as it is. No
 * line when there is nothing to show. `event` is "stdout" or "stderr". */
int exec_line_output(struct buf *out, const char *node, const char *event, const uint8_t *data,
                     size_t len, struct exec_line_rest *rest, bool last);

#endif
