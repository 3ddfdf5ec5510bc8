/* What a query can see of a table that is read in order, from its WHERE and LIMIT: what is outside
 * need not be read. Never too little: what is not understood does not narrow it. */
#ifndef CORE_SQL_RANGE_H
#define CORE_SQL_RANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SQL_RANGE_TEXT_MAX = 64 };

/* The columns that narrow it; NULL: there is none such. */
struct sql_range_columns {
    const char *time;
    const char *number; /* BIGINT; rows come in its order */
    const char *text;   /* VARCHAR */
};

struct sql_range {
    int64_t since_ms;                  /* INT64_MIN: no bound */
    int64_t until_ms;                  /* INT64_MAX: no bound */
    int64_t first, last;               /* of the number; INT64_MIN, INT64_MAX: no bound */
    char text[SQL_RANGE_TEXT_MAX + 1]; /* that the text equals; "": any */
    int64_t rows;                      /* that many of what is inside suffice; -1: all are needed */
    bool backwards;                    /* the last ones by the number, else the first */
};

/* `query` as sql_ast_read() gives it. Only for a SELECT from this table alone, whose conditions are
 * joined by AND. `now_ms` is what now() stands for. */
void sql_range_of(const json_t *query, const char *schema, const char *table,
                  const struct sql_range_columns *columns, int64_t now_ms, struct sql_range *out);

#endif
