/* Statements over one connection to POST /api/sql that is kept: for measurements. */
#ifndef BENCH_SQL_CLIENT_H
#define BENCH_SQL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql_client;

/* Endpoint is unix:PATH. The program ends with a message when that can't be reached. */
struct sql_client *sql_client_open(const char *endpoint);
void sql_client_close(struct sql_client *client);

struct sql_answer {
    double ms;       /* from the request to the end of the answer */
    uint64_t bytes;  /* of the answer's body */
    uint64_t rows;   /* as its last line says */
    bool has_tasks;  /* " tasks" is somewhere in its rows: a plan of several */
    char error[512]; /* "" when the statement was done */
};

/* Runs one statement and reads its answer to the end. */
void sql_client_run(struct sql_client *client, const char *sql, struct sql_answer *answer);

#endif
