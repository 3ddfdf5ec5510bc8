/* What stands behind \copy. */
#ifndef SHELL_COPY_SPEC_H
#define SHELL_COPY_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "shell/format.h"

struct copy_spec {
    char *what;    /* table, as SQL writes it; or a query, without its parentheses */
    char *columns; /* "(a, b)" behind the table, or NULL */
    bool is_query;
    bool is_from;
    char *place; /* file or command; NULL: standard input or output */
    bool is_command;
    enum format format;
    bool has_header;
    bool header_given;
    char delimiter;
    char *null; /* NULL: the format's own */
};

/* Reads TABLE [(COLUMNS)] | (QUERY) FROM | TO 'FILE' | PROGRAM 'COMMAND' | STDIN | STDOUT
 * [WITH] [(OPTION [VALUE], ...)]. ERR_INVALID with what is wrong. Release in any case. */
int copy_spec_parse(struct copy_spec *spec, const char *text, struct error *e);
void copy_spec_done(struct copy_spec *spec);

#endif
