/* Snapshots of the tables that a query names, each at its version, one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/delta_prune.h"
#include "role/query_internal.h"

/* Statistics: the planner's conditions as the Delta log takes them. */
static void query_prune(const struct sql_table *view, const struct sql_filter *filters, size_t n,
                        bool *keep)
{
    static const enum delta_op ops[] = {
        [SQL_OP_EQ] = DELTA_OP_EQ,     [SQL_OP_LT] = DELTA_OP_LT,
        [SQL_OP_LE] = DELTA_OP_LE,     [SQL_OP_GT] = DELTA_OP_GT,
        [SQL_OP_GE] = DELTA_OP_GE,     [SQL_OP_IS_NULL] = DELTA_OP_IS_NULL,
        [SQL_OP_PREFIX] = DELTA_OP_GE, [SQL_OP_IS_NOT_NULL] = DELTA_OP_IS_NOT_NULL,
        [SQL_OP_IN] = DELTA_OP_IN,
    };
    const struct query_table *table = view->ctx;
    struct delta_conjunct *conjuncts = mem_calloc(n + 1, sizeof *conjuncts);
    for (size_t i = 0; i < n; i++)
        conjuncts[i] =
            (struct delta_conjunct){filters[i].column, ops[filters[i].op],
                                    (const char *const *)filters[i].values, filters[i].values_n};
    struct delta_prune *prune = delta_prune_new(table->view, conjuncts, n);
    for (size_t f = 0; f < table->files_n; f++)
        keep[f] = delta_prune_judge(prune, &table->delta[f]) != DELTA_NONE_MATCH;
    delta_prune_free(prune);
    free(conjuncts);
}

/* The names of all tables, for "did you mean". */
static void query_on_list(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    const struct sql_ref *ref = &q->refs.refs[q->tables_got];
    const char *name = q->tables[q->tables_got].name;
    const char *best = NULL;
    unsigned best_distance = 4;
    for (size_t i = 0; result->code == 0 && i < result->tables_n; i++) {
        unsigned distance = str_distance(result->tables[i].name, name);
        if (distance < best_distance && distance < strlen(name)) {
            best = result->tables[i].name;
            best_distance = distance;
        }
    }
    char *hint = best != NULL ? mem_printf("did you mean \"%s\"?", best)
                              : mem_strdup("SHOW TABLES lists the tables");
    query_fail(q, ERR_NOT_FOUND, sql_at_shift(ref->at, q->source_from, q->source_to), hint,
               "there is no table \"%s\"", name);
    free(hint);
}

static void query_on_snapshot(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    const struct sql_ref *ref = &q->refs.refs[q->tables_got];
    q->call = NULL;
    if (result->code == ERR_NOT_FOUND && ref->at_unit[0] == '\0') {
        q->call = tables_list(node_lake(q->role->node)->tables, query_on_list, q);
        return;
    }
    if (result->code < 0) {
        query_fail(q, result->code, sql_at_shift(ref->at, q->source_from, q->source_to), NULL, "%s",
                   result->text);
        return;
    }
    struct query_table *table = &q->tables[q->tables_got];
    query_table_take(table, result);
    query_table_files(table);
    q->views[q->tables_got] = (struct sql_table){.name = table->name,
                                                 .columns = table->columns,
                                                 .columns_n = query_table_columns(table),
                                                 .files = table->files,
                                                 .files_n = table->files_n,
                                                 .prune = query_prune,
                                                 .ctx = table};
    q->tables_got++;
    query_snapshots(q);
}

/* "2024-01-31", "2024-01-31 12:00:00" or RFC 3339; without a zone it is UTC. */
static int query_parse_time(const char *text, int64_t *ms)
{
    char full[64];
    size_t len = strlen(text);
    if (len >= 40)
        return ERR_INVALID;
    snprintf(full, sizeof full, "%s", text);
    if (len == 10)
        snprintf(full, sizeof full, "%.10sT00:00:00Z", text);
    else if (len > 10) {
        full[10] = 'T';
        if (strpbrk(full + 11, "Z+-") == NULL)
            snprintf(full + len, sizeof full - len, "Z");
    }
    return clock_parse_rfc3339(full, ms);
}

void query_snapshots(struct query *q)
{
    if (q->tables_got == q->refs.n) {
        q->next(q);
        return;
    }
    const struct sql_ref *ref = &q->refs.refs[q->tables_got];
    if (query_cluster_is(ref->schema)) {
        query_cluster_snapshot(q, ref);
        return;
    }
    uint64_t version = DELTA_NO_VERSION;
    int64_t at_ms = 0;
    if ((strcmp(ref->at_unit, "VERSION") == 0 &&
         str_parse_u64(ref->at_text, 0, UINT64_MAX - 1, &version) < 0) ||
        (strcmp(ref->at_unit, "TIMESTAMP") == 0 && query_parse_time(ref->at_text, &at_ms) < 0)) {
        query_fail(q, ERR_INVALID, sql_at_shift(ref->at, q->source_from, q->source_to),
                   "AT (VERSION => 3), AT (TIMESTAMP => '2025-01-31 12:00:00')",
                   "\"%s\" is no version of a table", ref->at_text);
        return;
    }
    q->tables[q->tables_got].name = query_table_name(ref->schema, ref->name);
    q->call = tables_snapshot(node_lake(q->role->node)->tables, q->tables[q->tables_got].name,
                              version, at_ms, query_on_snapshot, q);
}

bool query_may_write(struct query *q)
{
    const struct query_table *table = &q->target_table;
    const struct delta_metadata *metadata = delta_view_metadata(table->view);
    enum sql_kind kind = q->statement.kind;
    const char *only = delta_metadata_property(metadata, DELTA_APPEND_ONLY);
    bool removes = kind == SQL_DELETE || kind == SQL_UPDATE || q->replaces;
    struct error e;
    if (delta_protocol_check_write(delta_view_protocol(table->view), metadata, &e) < 0) {
        query_fail(q, e.code, q->statement.table.at, NULL, "%s", e.text);
        return false;
    }
    if (removes && only != NULL && strcasecmp(only, "true") == 0) {
        query_fail(q, ERR_UNSUPPORTED, q->statement.table.at, "INSERT adds rows",
                   "table \"%s\" takes new rows only (" DELTA_APPEND_ONLY ")", table->name);
        return false;
    }
    return true;
}

static void query_on_target(void *arg, const struct tables_result *result)
{
    struct query *q = arg;
    q->call = NULL;
    if (result->code < 0) {
        query_fail(q, result->code, q->statement.table.at,
                   result->code == ERR_NOT_FOUND ? "SHOW TABLES lists the tables" : NULL, "%s",
                   result->text);
        return;
    }
    query_table_take(&q->target_table, result);
    if (q->statement.kind == SQL_DESCRIBE || query_may_write(q))
        q->next(q);
}

void query_snapshot(struct query *q, const char *name, struct query_table *out, query_next_fn next)
{
    query_table_done(out);
    out->name = mem_strdup(name);
    q->next = next;
    q->call = tables_snapshot(node_lake(q->role->node)->tables, name, DELTA_NO_VERSION, 0,
                              query_on_target, q);
}
