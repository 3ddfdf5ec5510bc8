/* What a statement over a report is, by its words: DuckDB reads those that are queries. */
#ifndef CLIENT_CLIENT_REPLAY_STATEMENT_H
#define CLIENT_CLIENT_REPLAY_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/client_replay_internal.h"
#include "wire/message.h"

enum client_replay_statement_kind {
    CLIENT_REPLAY_STATEMENT_NONE, /* nothing but blanks and comments */
    CLIENT_REPLAY_STATEMENT_QUERY,
    CLIENT_REPLAY_STATEMENT_SHOW,     /* SHOW TABLES */
    CLIENT_REPLAY_STATEMENT_DESCRIBE, /* `table` */
    CLIENT_REPLAY_STATEMENT_LACKS,    /* asks for a table of clusters that no report has */
    CLIENT_REPLAY_STATEMENT_CHANGE,   /* anything else */
};

struct client_replay_statement {
    enum client_replay_statement_kind kind;
    size_t query; /* where it begins, behind EXPLAIN */
    Wire__SqlExplain explain;
    bool wants[CLIENT_REPLAY_TABLES]; /* tables that it names */
    const struct client_replay_table *table;
    size_t at;   /* LACKS, CHANGE: what is wrong */
    char *lacks; /* "cluster.metrics" */
};

void client_replay_statement_read(const char *text, struct client_replay_statement *statement);
void client_replay_statement_done(struct client_replay_statement *statement);

#endif
