#include "tests/lib/sql_oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

enum { SQL_ORACLE_TEXT_MAX = 256 * 1024 * 1024 };

/* DuckDB. */

void sql_oracle_init(struct sql_oracle *o)
{
    *o = (struct sql_oracle){0};
    assert_int_equal(duckdb_open(NULL, &o->db), DuckDBSuccess);
    assert_int_equal(duckdb_connect(o->db, &o->connection), DuckDBSuccess);
    sql_oracle_exec(o, "SET threads = 1");
    sql_oracle_exec(o, "CREATE SCHEMA data");
}

void sql_oracle_done(struct sql_oracle *o)
{
    for (size_t i = 0; i < o->tables_n; i++) {
        for (size_t c = 0; c < o->tables[i].columns_n; c++) {
            free((char *)o->tables[i].columns[c].name);
            free((char *)o->tables[i].columns[c].type);
        }
        free((void *)o->tables[i].columns);
        free((void *)o->tables[i].files);
        free(o->names[i]);
    }
    duckdb_disconnect(&o->connection);
    duckdb_close(&o->db);
}

/* Rows of text; NULL and *error (malloc'ed) on failure. */
struct rows {
    char ***cells;
    size_t n, columns;
};

static void rows_done(struct rows *rows)
{
    for (size_t r = 0; r < rows->n; r++) {
        for (size_t c = 0; c < rows->columns; c++)
            free(rows->cells[r][c]);
        free(rows->cells[r]);
    }
    free(rows->cells);
    *rows = (struct rows){0};
}

static int query(struct sql_oracle *o, const char *sql, struct rows *rows, char **error)
{
    duckdb_result result;
    *rows = (struct rows){0};
    if (duckdb_query(o->connection, sql, &result) != DuckDBSuccess) {
        *error = mem_strdup(duckdb_result_error(&result));
        duckdb_destroy_result(&result);
        return -1;
    }
    rows->n = (size_t)duckdb_row_count(&result);
    rows->columns = (size_t)duckdb_column_count(&result);
    rows->cells = mem_calloc(rows->n + 1, sizeof *rows->cells);
    for (size_t r = 0; r < rows->n; r++) {
        rows->cells[r] = mem_calloc(rows->columns + 1, sizeof **rows->cells);
        for (size_t c = 0; c < rows->columns; c++) {
            char *text = duckdb_value_varchar(&result, c, r);
            rows->cells[r][c] = text != NULL ? mem_strdup(text) : NULL;
            duckdb_free(text);
        }
    }
    duckdb_destroy_result(&result);
    return 0;
}

static int exec(struct sql_oracle *o, const char *sql, char **error)
{
    struct rows rows;
    int code = query(o, sql, &rows, error);
    rows_done(&rows);
    return code;
}

void sql_oracle_exec(struct sql_oracle *o, const char *sql)
{
    char *error = NULL;
    if (exec(o, sql, &error) < 0)
        fail_msg("%s\n%s", sql, error);
}

void sql_oracle_table(struct sql_oracle *o, const char *name, size_t files)
{
    struct rows rows;
    char *error = NULL;
    char *sql = mem_printf("SELECT column_name, column_type FROM (DESCRIBE \"%s\")", name);
    if (query(o, sql, &rows, &error) < 0)
        fail_msg("%s", error);
    free(sql);
    assert_true(o->tables_n < SQL_ORACLE_TABLES_MAX);
    struct sql_table *table = &o->tables[o->tables_n];
    o->names[o->tables_n] = mem_strdup(name);
    struct sql_column *columns = mem_calloc(rows.n + 1, sizeof *columns);
    for (size_t i = 0; i < rows.n; i++)
        columns[i] =
            (struct sql_column){mem_strdup(rows.cells[i][0]), mem_strdup(rows.cells[i][1]), false};
    struct sql_file *list = mem_calloc(files + 1, sizeof *list);
    *table = (struct sql_table){o->names[o->tables_n], columns, rows.n, list, files, NULL, o};
    o->tables_n++;
    rows_done(&rows);
    sql = mem_printf("CREATE TABLE data.\"%s\" AS FROM \"%s\"; DROP TABLE \"%s\"; CREATE VIEW "
                     "\"%s\" AS FROM data.\"%s\"",
                     name, name, name, name, name);
    sql_oracle_exec(o, sql);
    free(sql);
    for (size_t f = 0; f < files; f++) {
        sql =
            mem_printf("CREATE TABLE \"%s#%zu\" AS SELECT * FROM data.\"%s\" WHERE rowid * %zu // "
                       "greatest(1, (SELECT count(*) FROM data.\"%s\")) = %zu",
                       name, f, name, files, name, f);
        sql_oracle_exec(o, sql);
        free(sql);
        sql = mem_printf("SELECT count(*) FROM \"%s#%zu\"", name, f);
        if (query(o, sql, &rows, &error) < 0)
            fail_msg("%s", error);
        list[f].rows = atoll(rows.cells[0][0]);
        list[f].bytes =
            (uint64_t)list[f].rows * columns[0].name[0] % 7 + (uint64_t)list[f].rows * 8;
        rows_done(&rows);
        free(sql);
    }
}

/* A file is pruned when none of its rows passes all filters: nothing more can be left out. */
static void prune(const struct sql_table *table, const struct sql_filter *filters, size_t n,
                  bool *keep)
{
    static const char *const ops[] = {[SQL_OP_EQ] = "=",
                                      [SQL_OP_LT] = "<",
                                      [SQL_OP_LE] = "<=",
                                      [SQL_OP_GT] = ">",
                                      [SQL_OP_GE] = ">="};
    struct sql_oracle *o = table->ctx;
    struct buf where;
    buf_init(&where, SQL_ORACLE_TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct sql_filter *f = &filters[i];
        const char *column = table->columns[f->column].name;
        if (i > 0)
            (void)buf_append_str(&where, " AND ");
        if (f->op == SQL_OP_IS_NULL || f->op == SQL_OP_IS_NOT_NULL) {
            (void)buf_printf(&where, "\"%s\" IS %sNULL", column,
                             f->op == SQL_OP_IS_NULL ? "" : "NOT ");
        } else if (f->op == SQL_OP_PREFIX) {
            char *quoted = sql_quote_text(f->values[0]);
            (void)buf_printf(&where, "starts_with(\"%s\", %s)", column, quoted);
            free(quoted);
        } else {
            (void)buf_printf(&where, "(false");
            for (size_t v = 0; v < f->values_n; v++) {
                char *quoted = sql_quote_text(f->values[v]);
                bool number = strspn(f->values[v], "0123456789.-") == strlen(f->values[v]) &&
                              strchr(f->values[v] + 1, '-') == NULL;
                (void)buf_printf(&where, " OR \"%s\" %s %s", column,
                                 f->op == SQL_OP_IN ? "=" : ops[f->op],
                                 number ? f->values[v] : quoted);
                free(quoted);
            }
            (void)buf_append_str(&where, ")");
        }
    }
    for (size_t f = 0; f < table->files_n; f++) {
        struct rows rows;
        char *error = NULL;
        char *sql = mem_printf("SELECT count(*) FROM \"%s#%zu\" WHERE %s", table->name, f,
                               buf_cstr(&where));
        if (query(o, sql, &rows, &error) < 0)
            fail_msg("%s: %s", sql, error);
        keep[f] = strcmp(rows.cells[0][0], "0") != 0;
        rows_done(&rows);
        free(sql);
    }
    buf_done(&where);
}

/* Plans. */

int sql_oracle_parse(struct sql_oracle *o, const char *sql, json_t **tree, char **printed,
                     struct sql_error *e)
{
    struct rows rows;
    char *error = NULL;
    char *quoted = sql_quote_text(sql);
    char *call = mem_printf("SELECT json_serialize_sql(%s)", quoted);
    if (query(o, call, &rows, &error) < 0)
        fail_msg("%s: %s", sql, error);
    free(call);
    free(quoted);
    int code = sql_ast_read(rows.cells[0][0], strlen(rows.cells[0][0]), tree, e);
    *printed = NULL;
    if (code == 0) {
        quoted = sql_quote_text(rows.cells[0][0]);
        call = mem_printf("SELECT json_deserialize_sql(%s)", quoted);
        struct rows text;
        if (query(o, call, &text, &error) < 0)
            fail_msg("%s: %s", sql, error);
        *printed = mem_strdup(text.cells[0][0]);
        rows_done(&text);
        free(call);
        free(quoted);
    }
    rows_done(&rows);
    return code;
}

void sql_oracle_plan(struct sql_oracle *o, const char *sql, const struct sql_plan_options *options,
                     struct sql_plan *plan, struct sql_refs *refs, struct sql_table **tables)
{
    json_t *tree;
    char *printed;
    struct sql_error e = {0};
    if (sql_oracle_parse(o, sql, &tree, &printed, &e) < 0 ||
        sql_refs_collect(tree, false, refs, &e) < 0)
        fail_msg("%s: %s", sql, e.error.text);
    *tables = mem_calloc(refs->n + 1, sizeof **tables);
    for (size_t i = 0; i < refs->n; i++) {
        for (size_t t = 0; t < o->tables_n; t++) {
            if (strcasecmp(o->names[t], refs->refs[i].name) == 0)
                (*tables)[i] = o->tables[t];
        }
        if ((*tables)[i].name == NULL)
            fail_msg("%s: no table %s", sql, refs->refs[i].name);
        (*tables)[i].prune = prune;
    }
    char *before = sql_ast_write(tree);
    if (sql_plan_query(tree, printed, sql, refs, *tables, options, plan, &e) < 0)
        fail_msg("%s: %s", sql, e.error.text);
    char *after = sql_ast_write(tree);
    assert_string_equal(before, after);
    free(before);
    free(after);
    json_decref(tree);
    free(printed);
}

/* Running. */

struct run {
    struct sql_oracle *o;
    const struct sql_plan *plan;
    const struct sql_table *tables;
    size_t id;
    char *error;
};

static void append_union(struct buf *out, bool *first)
{
    (void)buf_append_str(out, *first ? "" : " UNION ALL ");
    *first = false;
}

static void input_table(struct run *r, const struct sql_stage *stage, size_t i, size_t task,
                        bool all, struct buf *out)
{
    const struct sql_input *input = &stage->inputs[i];
    const struct sql_table *table = &r->tables[input->index];
    struct buf columns;
    buf_init(&columns, SQL_ORACLE_TEXT_MAX);
    for (size_t c = 0; c < input->columns_n; c++)
        (void)buf_printf(&columns, "%s\"%s\"", c > 0 ? ", " : "",
                         table->columns[input->columns[c]].name);
    size_t begin = 0, end = input->files_n;
    if (input->split && !all) {
        begin = stage->first[i][task];
        end = stage->first[i][task + 1];
    }
    (void)buf_printf(out, "SELECT %s FROM data.\"%s\" WHERE false", buf_cstr(&columns),
                     table->name);
    for (size_t f = begin; f < end; f++)
        (void)buf_printf(out, " UNION ALL SELECT %s FROM \"%s#%zu\"", buf_cstr(&columns),
                         table->name, input->files[f]);
    buf_done(&columns);
}

static void input_stage(struct run *r, const struct sql_input *input, size_t task, bool all,
                        struct buf *out)
{
    const struct sql_stage *from = &r->plan->stages[input->index];
    bool first = true;
    for (size_t t = 0; t < from->tasks; t++) {
        for (size_t p = 0; p < from->partitions; p++) {
            if (input->split && !all && p != task)
                continue;
            append_union(out, &first);
            (void)buf_printf(out, "SELECT * FROM \"r%zu_%zu_%zu_%zu\"", r->id, input->index, t, p);
        }
    }
}

static int run_sql(struct run *r, const char *sql)
{
    return r->error == NULL ? exec(r->o, sql, &r->error) : -1;
}

/* One task: its views, its fragment as a table, the partitions of that. */
static void run_task(struct run *r, size_t index, size_t task, const char *fragment, bool all)
{
    const struct sql_stage *stage = &r->plan->stages[index];
    for (size_t i = 0; i < stage->inputs_n; i++) {
        const struct sql_input *input = &stage->inputs[i];
        struct buf view;
        buf_init(&view, SQL_ORACLE_TEXT_MAX);
        (void)buf_printf(&view, "CREATE OR REPLACE VIEW \"%s\" AS ", input->view);
        if (input->kind == SQL_INPUT_TABLE)
            input_table(r, stage, i, task, all, &view);
        else
            input_stage(r, input, task, all, &view);
        (void)run_sql(r, buf_cstr(&view));
        buf_done(&view);
    }
    char *quoted = sql_quote_text(fragment != NULL ? fragment : "");
    char *sql = stage->text != NULL
                    ? mem_printf("CREATE OR REPLACE TABLE \"r%zu\" AS %s", r->id, stage->text)
                    : mem_printf("CREATE OR REPLACE TABLE \"r%zu\" AS SELECT * FROM "
                                 "json_execute_serialized_sql(%s)",
                                 r->id, quoted);
    (void)run_sql(r, sql);
    free(sql);
    struct buf hash;
    buf_init(&hash, SQL_ORACLE_TEXT_MAX);
    for (size_t k = 0; k < stage->keys_n; k++)
        (void)buf_printf(&hash, "%s\"%s\"", k > 0 ? ", " : "", stage->keys[k]);
    for (size_t p = 0; p < stage->partitions; p++) {
        sql = stage->output == SQL_OUTPUT_HASH
                  ? mem_printf("CREATE OR REPLACE TABLE \"r%zu_%zu_%zu_%zu\" AS SELECT * FROM "
                               "\"r%zu\" WHERE "
                               "hash(%s) %% %zu = %zu",
                               r->id, index, task, p, r->id, buf_cstr(&hash), stage->partitions, p)
                  : mem_printf(
                        "CREATE OR REPLACE TABLE \"r%zu_%zu_%zu_%zu\" AS SELECT * FROM \"r%zu\"",
                        r->id, index, task, p, r->id);
        (void)run_sql(r, sql);
        free(sql);
    }
    for (size_t i = 0; i < stage->inputs_n; i++) {
        sql = stage->text != NULL ? mem_printf("CREATE OR REPLACE VIEW \"%s\" AS FROM data.\"%s\"",
                                               stage->inputs[i].view, stage->inputs[i].view)
                                  : mem_printf("DROP VIEW IF EXISTS \"%s\"", stage->inputs[i].view);
        char *ignored = NULL;
        (void)exec(r->o, sql, &ignored);
        free(ignored);
        free(sql);
    }
    buf_done(&hash);
    free(quoted);
}

/* Runs the stages into the table "answer"; with `alone`, those that may stand for the rest do. */
static void run_plan(struct run *r, bool alone)
{
    size_t last = r->plan->stages_n - 1;
    size_t tasks = r->plan->stages[last].tasks;
    for (size_t s = 0; s <= last && r->error == NULL; s++) {
        const struct sql_stage *stage = &r->plan->stages[s];
        if (alone && stage->alone != NULL) {
            run_task(r, s, 0, stage->alone, true);
            last = s;
            tasks = 1;
            break;
        }
        for (size_t t = 0; t < stage->tasks; t++)
            run_task(r, s, t, stage->fragment, false);
    }
    struct buf sql;
    buf_init(&sql, SQL_ORACLE_TEXT_MAX);
    (void)buf_append_str(&sql, "CREATE OR REPLACE TABLE answer AS ");
    bool first = true;
    for (size_t t = 0; t < tasks; t++) {
        append_union(&sql, &first);
        (void)buf_printf(&sql, "SELECT * FROM \"r%zu_%zu_%zu_0\"", r->id, last, t);
    }
    (void)run_sql(r, buf_cstr(&sql));
    buf_done(&sql);
}

static void drop_run(struct run *r)
{
    char *ignored = NULL;
    for (size_t s = 0; s < r->plan->stages_n; s++) {
        const struct sql_stage *stage = &r->plan->stages[s];
        for (size_t t = 0; t < stage->tasks; t++) {
            for (size_t p = 0; p < stage->partitions; p++) {
                char *sql = mem_printf("DROP TABLE IF EXISTS \"r%zu_%zu_%zu_%zu\"", r->id, s, t, p);
                (void)exec(r->o, sql, &ignored);
                free(sql);
            }
        }
    }
    char *sql = mem_printf("DROP TABLE IF EXISTS \"r%zu\"", r->id);
    (void)exec(r->o, sql, &ignored);
    free(sql);
    free(ignored);
}

/* Comparing. */

static size_t sort_columns;
static const bool *sort_floats;

static int compare_rows(const void *a, const void *b)
{
    char *const *left = *(char *const *const *)a;
    char *const *right = *(char *const *const *)b;
    for (int pass = 0; pass < 2; pass++) { /* doubles decide last: they may differ a little */
        for (size_t c = 0; c < sort_columns; c++) {
            if (sort_floats[c] != (pass == 1))
                continue;
            if (left[c] == NULL || right[c] == NULL) {
                if (left[c] != right[c])
                    return left[c] == NULL ? -1 : 1;
                continue;
            }
            int order = pass == 0
                            ? strcmp(left[c], right[c])
                            : (atof(left[c]) > atof(right[c])) - (atof(left[c]) < atof(right[c]));
            if (order != 0)
                return order;
        }
    }
    return 0;
}

static bool same_cell(const char *a, const char *b, bool is_float)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (strcmp(a, b) == 0)
        return true;
    double x = atof(a), y = atof(b);
    return is_float && fabs(x - y) <= 1e-9 * fmax(1, fmax(fabs(x), fabs(y)));
}

static char *differ(struct rows *want, struct rows *got, const struct rows *shape, bool ordered)
{
    if (want->n != got->n)
        return mem_printf("%zu rows instead of %zu", got->n, want->n);
    bool *floats = mem_calloc(want->columns + 1, sizeof *floats);
    for (size_t c = 0; c < want->columns; c++)
        floats[c] =
            strcmp(shape->cells[c][1], "DOUBLE") == 0 || strcmp(shape->cells[c][1], "FLOAT") == 0;
    sort_columns = want->columns;
    sort_floats = floats;
    if (!ordered) {
        qsort(want->cells, want->n, sizeof *want->cells, compare_rows);
        qsort(got->cells, got->n, sizeof *got->cells, compare_rows);
    }
    char *text = NULL;
    for (size_t r = 0; r < want->n && text == NULL; r++) {
        for (size_t c = 0; c < want->columns && text == NULL; c++) {
            if (!same_cell(want->cells[r][c], got->cells[r][c], floats[c]))
                text = mem_printf("row %zu, column %s: %s instead of %s", r, shape->cells[c][0],
                                  got->cells[r][c], want->cells[r][c]);
        }
    }
    free(floats);
    return text;
}

static char *compare(struct sql_oracle *o, const struct sql_plan *plan, bool ordered)
{
    struct rows wanted_shape, shape, want, got;
    char *error = NULL;
    if (query(o, "SELECT column_name, column_type FROM (DESCRIBE wanted)", &wanted_shape, &error) <
            0 ||
        query(o, "SELECT column_name, column_type FROM (DESCRIBE answer)", &shape, &error) < 0 ||
        query(o, "FROM wanted", &want, &error) < 0 || query(o, "FROM answer", &got, &error) < 0)
        fail_msg("%s", error);
    char *text = NULL;
    if (shape.n != wanted_shape.n)
        text = mem_printf("%zu columns instead of %zu", shape.n, wanted_shape.n);
    for (size_t c = 0; text == NULL && c < shape.n; c++) {
        bool same = plan->names != NULL || strcmp(shape.cells[c][0], wanted_shape.cells[c][0]) == 0;
        if (!same || strcmp(shape.cells[c][1], wanted_shape.cells[c][1]) != 0)
            text =
                mem_printf("column \"%s\" %s instead of \"%s\" %s", shape.cells[c][0],
                           shape.cells[c][1], wanted_shape.cells[c][0], wanted_shape.cells[c][1]);
    }
    if (text == NULL)
        text = differ(&want, &got, &shape, ordered);
    rows_done(&wanted_shape);
    rows_done(&shape);
    rows_done(&want);
    rows_done(&got);
    return text;
}

char *sql_oracle_check(struct sql_oracle *o, const char *sql,
                       const struct sql_plan_options *options, bool ordered,
                       struct sql_oracle_result *result)
{
    struct sql_plan plan;
    struct sql_refs refs;
    struct sql_table *tables;
    char *refused = NULL;
    char *text = NULL;
    sql_oracle_plan(o, sql, options, &plan, &refs, &tables);
    char *plain = mem_printf("CREATE OR REPLACE TABLE wanted AS %s", sql);
    (void)exec(o, plain, &refused);
    free(plain);
    int ways = 1;
    for (size_t s = 0; s < plan.stages_n; s++)
        ways += plan.stages[s].alone != NULL;
    for (int alone = 0; alone < ways && text == NULL; alone++) {
        struct run r = {o, &plan, tables, o->runs++, NULL};
        run_plan(&r, alone == 1);
        if (r.error != NULL && refused == NULL)
            text = mem_strdup(r.error);
        else if (r.error == NULL && refused != NULL)
            text = mem_printf("should be refused: %s", refused);
        else if (r.error == NULL)
            text = compare(o, &plan, ordered);
        free(r.error);
        drop_run(&r);
    }
    *result = (struct sql_oracle_result){.whole = plan.whole, .stages = plan.stages_n};
    for (size_t s = 0; s < plan.stages_n; s++)
        result->tasks += plan.stages[s].tasks;
    if (text != NULL) {
        char *explained = sql_plan_explain(&plan, &refs, tables);
        char *more = mem_printf("%s\n%s", text, explained);
        free(text);
        free(explained);
        text = more;
    }
    free(refused);
    sql_plan_done(&plan);
    sql_refs_done(&refs);
    free(tables);
    return text;
}
