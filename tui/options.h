/* The options of clustertop: one table from which the parser, --help and the man page come. */
#ifndef TUI_OPTIONS_H
#define TUI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

struct options {
    const char *server;
    const char *token_file, *ca, *cert, *key;
    const char *replay;
    const char *view;
    int64_t interval_ms; /* between frames at least */
    bool readonly;
    bool once;
    bool json;
    bool ascii;
    bool no_color;
    bool no_mouse;
    int theme; /* enum theme; -1: not given */
    bool help;
    bool version;
    const char *dump_man; /* a manual page, or list */
};

/* Texts are borrowed from `argv`. ERR_INVALID with what is wrong. */
int options_parse(struct options *options, int argc, const char *const *argv, struct error *e);
void options_print_help(struct buf *b);
/* Parts of the man page: lines of SYNOPSIS, a list of the options. */
void options_man_synopsis(struct buf *b);
void options_print_man(struct buf *b);
/* Prints what the last of `words`, behind the program's name, may become, as clusterd --complete
 * does: "TEXT\tABOUT" a line, then ":" with 'f' where a file may stand. */
void options_complete(const char *const *words, size_t n, FILE *out);

#endif
