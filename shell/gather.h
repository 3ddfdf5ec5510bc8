/* What a command wrote on many nodes: kept node by node, equal outputs told once. */
#ifndef SHELL_GATHER_H
#define SHELL_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"

enum {
    GATHER_NODES_MAX = 65536,
    GATHER_BYTES_MAX = 64 * 1024 * 1024, /* of one node's stream */
};

enum gather_stream { GATHER_STDOUT, GATHER_STDERR, GATHER_STREAMS };

struct gather_node {
    char *name;
    struct buf output[GATHER_STREAMS];
    bool is_cut; /* past GATHER_BYTES_MAX */
    bool started;
    bool ended;
    bool failed;   /* never ran there, or was lost */
    int exit_code; /* 128 + signal when it was killed */
    int64_t wall_ms;
    char *code; /* API's name of what went wrong; "ok"; "" while it runs */
    char *text; /* what went wrong, as a sentence; "" for nothing */
};

struct gather {
    struct gather_node **nodes; /* in order of appearance */
    size_t n;
    size_t cap;
    struct gather_node *last; /* looked up */
};

void gather_init(struct gather *g);
void gather_done(struct gather *g);

/* The node of this name, new if it was not known; NULL past GATHER_NODES_MAX. */
struct gather_node *gather_node(struct gather *g, const char *name);

/* Appends the stream's outputs: a header with the folded set of nodes, then their common text,
 * largest set first. Nodes that wrote nothing are left out. With one group that is every node and
 * `plain`, no header. On a terminal the text is clean of what that would obey. */
void gather_format(const struct gather *g, enum gather_stream stream, bool has_color,
                   bool on_terminal, struct buf *b);

/* Says how it ended there; copies the texts (NULL allowed). */
void gather_end(struct gather_node *node, const char *code, const char *text);

/* Folded names of the nodes that are not over yet, at most `max` bytes; "" when all are. */
void gather_waiting(const struct gather *g, char *out, size_t max);
size_t gather_count_over(const struct gather *g);

/* One line for each way of failing: "n[2-3]: exit status 3". */
void gather_failures(const struct gather *g, struct buf *b);

/* Greatest exit code; FAILED (3) where a node failed without one. */
int gather_status(const struct gather *g);

/* An array with an object for each node: node, state, exit_code, code, text, wall_ms, stdout,
 * stderr. */
json_t *gather_json(const struct gather *g);
json_t *gather_node_json(const struct gather_node *node);

#endif
