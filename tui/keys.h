/* Keys and commands: one table from which come dispatch, the help overlay, the completion of `:`
 * and the man page. A row is reached by its key in its context, or by its name behind `:`. */
#ifndef TUI_KEYS_H
#define TUI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct app;

enum keys_context {
    KEYS_EVERYWHERE,
    KEYS_TIME,
    KEYS_LIST,
    KEYS_LOG,
    KEYS_NODES,
    KEYS_ELECTIONS,
    KEYS_JOBS,
    KEYS_TASKS,
    KEYS_QUERIES,
    KEYS_ROLLOUTS,
    KEYS_CHAT,
    KEYS_CONTEXTS,
};

struct keys_row {
    enum keys_context context;
    uint32_t key;         /* 0: only by its name */
    uint32_t also;        /* another key, or 0 */
    const char *name;     /* of the command */
    const char *argument; /* placeholder; NULL: takes none */
    const char *help;
    bool is_short; /* in the foot of the screen too */
    bool changes;  /* the cluster: refused when read only, and in the past */
    /* `argument` is NULL when a key called. */
    void (*run)(struct app *app, const char *argument);
};

extern const struct keys_row keys_table[];
extern const size_t keys_n;

/* Title of a context: "in lists". */
const char *keys_context_title(enum keys_context context);

/* "Ctrl-S", "PgUp", "/" */
enum { KEYS_NAME_MAX = 16 };
const char *keys_name(uint32_t key, char out[static KEYS_NAME_MAX]);

/* The row of a key in the first of `contexts` that has it; NULL when none has. */
const struct keys_row *keys_find(uint32_t key, const enum keys_context *contexts, size_t n);
/* The row of a command by the beginning of its name, if that is unique among the contexts, or
 * exact. *n_matches tells how many there are. */
const struct keys_row *keys_find_name(const char *name, size_t len,
                                      const enum keys_context *contexts, size_t n,
                                      size_t *n_matches);

/* The table as a section of a man page (mdoc), and as JSON. */
void keys_print_man(struct buf *b);

#endif
