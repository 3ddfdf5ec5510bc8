/* The prompt's text, from a format with %-escapes and what is known of the cluster already. */
#ifndef SHELL_PROMPT_H
#define SHELL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "shell/statement.h"
#include "shell/vars.h"

enum { PROMPT_TEXT_MAX = 1024 };

#define PROMPT_FIRST   "clustersh %N%S%R> "
#define PROMPT_FURTHER "%9R> "

struct prompt_facts {
    const json_t *status; /* answer of GET /api/status; NULL: no connection */
    const json_t *nodes;  /* of GET /api/nodes, may be old; NULL: not known */
    const char *endpoint;
    int64_t replay_ms;      /* the moment of a replay; 0: there is a cluster */
    enum statement_end end; /* how what was typed so far ends */
    bool is_further;        /* a further line of a statement */
    bool is_skipped;        /* by \if */
    bool has_failed;        /* the last statement */
    bool is_read_only;      /* the cluster refused a change for want of disk */
    bool has_color;
    size_t width; /* of the first line's prompt, for %w */
};

/* The escapes: %n node, %N the same and a blank, %l leader, %S who leads and what is wrong, in a
 * replay its time, in colour, %s the same without, %R what is open ('...', a quote, '*' a comment,
 * '(' a bracket, '@' skipped by \if; empty at the beginning of a statement), %x '!' behind a
 * statement that failed, %E endpoint, %i id of the cluster, %t term, %v version, %T time, %w blanks
 * of the first prompt's width, %[ and %] around what does not move the cursor, %:NAME: a variable,
 * %`COMMAND` the first line that it writes, %NNN (0 first) a character in octal, %%. A number
 * without 0 first is the least width. What stands around invisible text is \001 and \002, as
 * readline wants it. */
void prompt_format(const char *format, const struct prompt_facts *facts, const struct vars *vars,
                   char out[static PROMPT_TEXT_MAX]);

/* The columns of a prompt's last line. */
size_t prompt_width(const char *prompt);

#endif
