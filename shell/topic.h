/* What help tells besides commands: topics such as the form of statements, and statements of SQL.
 * `help NAME` shows a row, clustersh(1) has the topics, clustersh-sql(7) the statements. */
#ifndef SHELL_TOPIC_H
#define SHELL_TOPIC_H

#include <stddef.h>

#include "base/buf.h"
#include "shell/command.h"

struct topic {
    const char *name;     /* NULL ends a table */
    const char *summary;  /* small letter, no full stop */
    const char *synopsis; /* lines of syntax; NULL for none */
    const char *text;     /* paragraphs */
    struct command_example examples[COMMAND_EXAMPLES_MAX];
};

extern const struct topic topic_shell[]; /* statements, nodes, output, ... */
extern const struct topic topic_sql[];   /* SELECT, CREATE TABLE, ... */

/* The topic whose name is the words, whatever their case, or begins with them and no other does.
 * NULL when there is none. */
const struct topic *topic_find(const char *const *words, size_t n);

/* For a terminal of `width` columns. */
void topic_help(const struct topic *topic, size_t width, struct buf *b);
/* A line for each topic of a table. */
void topic_list(const struct topic *table, size_t width, struct buf *b);

#endif
