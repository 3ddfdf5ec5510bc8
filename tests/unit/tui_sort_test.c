/* Every column of every list orders by its values, upwards and downwards, whatever they look like:
 * 9 before 10, 950ms before 2s, 1.5M behind 900K. What a cell says is read back here, so that a
 * column which sorts by its texts is found. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/nodeset.h"
#include "tests/unit/generated.h"
#include "tui/app.h"

enum { ROWS = 24, RUNS = 6, FRAME_BYTES_MAX = 1 << 20 };

#define AT "2026-11-20T20:00:00.000Z"

static const char *const numbers[] = {"cpu_percent",
                                      "load",
                                      "tasks_running",
                                      "slots",
                                      "rtt_ms",
                                      "uptime_ms",
                                      "members",
                                      "term",
                                      "elections",
                                      "completed",
                                      "elements",
                                      "running",
                                      "pending",
                                      "failed",
                                      "cancelled",
                                      "index",
                                      "user_ms",
                                      "system_ms",
                                      "wall_ms",
                                      "exit_code",
                                      "rss_max_bytes",
                                      "stdout_bytes",
                                      "stderr_bytes",
                                      "rows",
                                      "bytes",
                                      "tasks",
                                      "tasks_done",
                                      "weight",
                                      "step",
                                      "steps_n",
                                      "memory_total_bytes",
                                      "memory_available_bytes",
                                      "disk_total_bytes",
                                      "disk_free_bytes",
                                      "attempt",
                                      "lag",
                                      "files",
                                      "stages",
                                      "stages_done",
                                      "version_n"};
static const char *const times[] = {"last_seen", "started_at", "submitted_at", "since",
                                    "began_at",  "ended_at",   "joined_at"};
static const char *const texts[] = {"state",  "version", "address", "user", "sql",  "text",
                                    "reason", "model",   "kind",    "node", "role", "leader"};

/* The lists, with what must be gone into for them to be there. */
static const struct {
    const struct view *view;
    const char *subject;
    const char *table;
    const char *key; /* its rows' key, but a number and the closing quote */
} lists[] = {
    {&view_nodes, NULL, "nodes", "\"name\":\"w"},
    {&view_elections, NULL, "elections", "\"group\":\"w"},
    {&view_jobs, NULL, "jobs", "\"id\":\"w"},
    {&view_tasks, "w0", "tasks", "\"job\":\"w0\",\"id\":\"w0_"},
    {&view_queries, NULL, "queries", "\"query\":\"w"},
    {&view_stages, "w0", "stages", "\"query\":\"w0\",\"stage\":\"w"},
    {&view_rollouts, NULL, "rollouts", "\"service\":\"w"},
};

/* Of all magnitudes. */
static double number(struct generated *g)
{
    double n = (double)prng_below(&g->prng, 1000);
    for (uint64_t i = prng_below(&g->prng, 4); i > 0; i--)
        n *= 37;
    return n / (double)(1 + 9 * prng_below(&g->prng, 2));
}

static void put_row(struct generated *g, const char *key, int i, struct buf *b)
{
    char at[CLOCK_RFC3339_MAX];
    int64_t now_ms;
    (void)buf_append_byte(b, '{');
    (void)buf_printf(b, "%s%d\"", key, i);
    for (size_t k = 0; k < MEM_COUNT(numbers); k++)
        if (prng_below(&g->prng, 4) > 0)
            (void)buf_printf(b, ",\"%s\":%.1f", numbers[k], number(g));
    assert_int_equal(clock_parse_rfc3339(AT, &now_ms), 0);
    for (size_t k = 0; k < MEM_COUNT(times); k++)
        if (prng_below(&g->prng, 4) > 0)
            (void)buf_printf(b, ",\"%s\":\"%s\"", times[k],
                             clock_format_rfc3339(now_ms - (int64_t)(number(g) * 1000), at));
    for (size_t k = 0; k < MEM_COUNT(texts); k++)
        if (prng_below(&g->prng, 4) > 0)
            (void)buf_printf(b, ",\"%s\":\"w%d\"", texts[k], (int)prng_below(&g->prng, 30));
    (void)buf_append_byte(b, '}');
}

static struct model *make(struct generated *g)
{
    struct model *model = model_new();
    struct error e;
    struct buf b;
    buf_init(&b, FRAME_BYTES_MAX);
    (void)buf_append_str(&b, "{\"at\":\"" AT "\",\"cursor\":\"c\"");
    for (size_t t = 0; t < MEM_COUNT(lists); t++) {
        (void)buf_printf(&b, ",\"%s\":[", lists[t].table);
        for (int i = 0; i < ROWS; i++) {
            if (i > 0)
                (void)buf_append_byte(&b, ',');
            put_row(g, lists[t].key, i, &b);
        }
        (void)buf_append_byte(&b, ']');
    }
    (void)buf_append_byte(&b, '}');
    assert_int_equal(model_read_frame(model, buf_cstr(&b), b.len, &e), 0);
    buf_done(&b);
    return model;
}

/* What "4m05s", "1.5M", "12%", "3/8" say. False for other texts. */
static bool quantity(const char *text, double *value)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"ms", 0.001},
                 {"s", 1},
                 {"m", 60},
                 {"h", 3600},
                 {"d", 86400},
                 {"K", 1024},
                 {"M", 1048576},
                 {"G", 1073741824.0},
                 {"T", 1024 * 1073741824.0},
                 {"%", 1},
                 {" B", 1}};
    *value = 0;
    if (*text < '0' || *text > '9')
        return false;
    while (*text >= '0' && *text <= '9') {
        char *end;
        double factor = 1, n = strtod(text, &end);
        for (size_t i = 0; i < MEM_COUNT(units); i++) {
            if (strncmp(end, units[i].unit, strlen(units[i].unit)) != 0)
                continue;
            factor = units[i].factor;
            end += strlen(units[i].unit);
            break;
        }
        *value += n * factor;
        text = end;
    }
    return *text == '\0' || *text == '/' || *text == 'i' || *text == 'B';
}

struct seen {
    struct list_cell cell;
    double value;
    bool is_quantity;
    const void *row;
};

/* The column's cells from above to below; true when all that say something are quantities. */
static bool see(struct list *list, int column, struct seen *seen, size_t *n)
{
    bool all = true;
    *n = 0;
    list_home(list);
    for (size_t i = 0; i < list->n; i++, list_move(list, 1)) {
        struct seen *s = &seen[(*n)++];
        *s = (struct seen){.row = list_selected(list)};
        list->source->cell(list->arg, s->row, column, &s->cell);
        s->is_quantity = quantity(s->cell.text, &s->value);
        all = all && (s->is_quantity || s->cell.text[0] == '\0');
    }
    return all;
}

static size_t place_of(const struct list *list, const void *row)
{
    const void **rows;
    size_t n = list->source->rows(list->arg, &rows);
    for (size_t i = 0; i < n; i++)
        if (rows[i] == row)
            return i;
    return SIZE_MAX;
}

static void check_order(struct generated *g, struct list *list, int column, bool descending)
{
    struct seen seen[ROWS];
    size_t n;
    const char *name = list->source->columns[column].name;
    list_sort_by_column(list, column, descending);
    bool is_numeric = see(list, column, seen, &n);
    generated_check(g, n > 0, "%s: no rows", name);
    for (size_t i = 1; i < n; i++) {
        const struct seen *a = &seen[i - 1], *b = &seen[i];
        bool is_empty = a->cell.text[0] == '\0';
        generated_check(g, !is_empty || b->cell.text[0] == '\0', "%s: '%s' behind an empty one",
                        name, b->cell.text);
        if (is_empty || b->cell.text[0] == '\0')
            continue;
        double rc = is_numeric ? a->value - b->value
                    : a->cell.has_number && b->cell.has_number
                        ? a->cell.number - b->cell.number
                        : nodeset_compare_names(a->cell.text, b->cell.text);
        generated_check(g, descending ? rc >= 0 : rc <= 0, "%s %s: '%s' before '%s'", name,
                        descending ? "down" : "up", a->cell.text, b->cell.text);
        bool is_tie = a->cell.has_number == b->cell.has_number &&
                      (a->cell.has_number ? a->cell.number == b->cell.number
                                          : strcmp(a->cell.text, b->cell.text) == 0);
        generated_check(g, !is_tie || place_of(list, a->row) < place_of(list, b->row),
                        "%s: '%s' and its like have changed places", name, a->cell.text);
    }
}

static void every_column_orders_by_its_values(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, RUNS);
    while (generated_next(&g)) {
        struct app app;
        struct model *model = make(&g);
        app_init(&app, model, NULL, NULL);
        for (size_t t = 0; t < MEM_COUNT(lists); t++) {
            if (lists[t].subject == NULL)
                assert_true(app_show(&app, lists[t].view->name));
            else
                (void)app_enter(&app, lists[t].view, lists[t].subject, lists[t].subject);
            app_update(&app);
            struct list *list = &app_place(&app)->list;
            for (int c = 0; list->source->columns[c].name != NULL; c++)
                for (int down = 0; down <= 1 && !list->source->columns[c].is_drawn; down++)
                    check_order(&g, list, c, down != 0);
        }
        app_done(&app);
        model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_column_orders_by_its_values)};
    (void)setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
