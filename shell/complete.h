/* What may stand at the cursor: words of commands, options, their values, names from the cluster.
 */
#ifndef SHELL_COMPLETE_H
#define SHELL_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

struct command;

enum { COMPLETE_ITEMS_MAX = 1000 };

enum complete_names {
    COMPLETE_NAMES_NODES,  /* node names */
    COMPLETE_NAMES_GROUPS, /* "@all", "@worker", ... */
    COMPLETE_NAMES_JOBS,
    COMPLETE_NAMES_KEYS,
    COMPLETE_NAMES_TABLES,
    COMPLETE_NAMES_COLUMNS,   /* of the table `of` */
    COMPLETE_NAMES_FUNCTIONS, /* of SQL */
    COMPLETE_NAMES_KEYWORDS,  /* of SQL, in small letters */
    COMPLETE_NAMES_VARIABLES, /* of the shell */
    COMPLETE_NAMES_TASKS,     /* elements of the job that the prefix names: ID_7 */
    COMPLETE_NAMES_MODELS,
    COMPLETE_NAMES_SERVICES,
    COMPLETE_NAMES_CHANNELS,
    COMPLETE_NAMES_TXNS,
    COMPLETE_NAMES_QUERIES, /* statements that run */
};

struct complete_item {
    char *text;  /* the word as it would stand, unquoted */
    char *about; /* a few words for people, may be NULL */
};

struct complete {
    struct complete_item *items; /* sorted, unique */
    size_t n;
    size_t cap;
    size_t from;  /* where in the line the word begins that an item replaces */
    bool is_open; /* more may follow without a space: a folder, a set of nodes, an option's '=' */
    char *prefix; /* unquoted text of that word, which every item begins with */
    bool is_sql;  /* items stand as they are, quotes included */
    bool leaves_files; /* files are not listed, but asked for: whoever shows the items lists them */
    bool wants_files;  /* a file may stand here, which was left out */
    bool is_meta;      /* in a backslash command, which has quotes of its own */
    const char *of;
};

/* Adds the names that the cluster has now; `add` ignores those that don't fit. May add nothing. */
typedef void (*complete_names_fn)(void *arg, enum complete_names kind, struct complete *complete);

/* Completes the word that ends at `point` bytes of `text`, which may hold several statements.
 * Release with complete_done. */
void complete_line(struct complete *complete, const char *text, size_t point,
                   complete_names_fn names, void *arg);
/* Completes the last of n > 0 words, the arguments of the program whose row is `program`: its
 * options, then a command. The items begin with the last word. */
void complete_words(struct complete *complete, const struct command *program,
                    const char *const *words, size_t n, complete_names_fn names, void *arg);
void complete_done(struct complete *complete);

/* For complete_names_fn: adds a name that begins with the prefix. */
void complete_add(struct complete *complete, const char *text, const char *about);

/* Malloc'ed longest beginning that all items share; NULL without items. */
char *complete_common(const struct complete *complete);

#endif
