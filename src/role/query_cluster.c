/* Happy path: pages of a list are asked of the leader one after the other; their objects become
 * lines with the table's columns. Rows that belong to an item (tasks to a job, commits to a table)
 * come from a request for each item of the list. */
#include "role/query_cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/sql_range.h"
#include "role/api_json.h"
#include "role/leader_request.h"
#include "role/query_internal.h"

/* ---- the tables ------------------------------------------------------------------------------ */

/* GET path; `cursor` of the last row is the next page's parameter. */
struct query_cluster_list {
    const char *path;
    const char *parameter; /* NULL: one page is all */
    const char *cursor;
    unsigned limit;
};

struct query_cluster_table {
    const char *name;
    const struct query_cluster_list *list;
    const char *item; /* of the list: names what `path` of `each` goes between; NULL: no items */
    const struct query_cluster_list *each; /* path: what follows the item */
    const struct sql_column *columns;
    size_t columns_n;
    bool ranged; /* the list takes since and until, for the column "time" */
};

#define TEXT     "VARCHAR"
#define TEXTS    "VARCHAR[]"
#define INTEGER  "BIGINT"
#define REAL     "DOUBLE"
#define BOOLEAN  "BOOLEAN"
#define TIME     "TIMESTAMP WITH TIME ZONE"
#define TEXT_MAP "MAP(VARCHAR, VARCHAR)"

static const struct sql_column query_nodes_columns[] = {
    {"name", TEXT, false},
    {"id", INTEGER, false},
    {"state", TEXT, false},
    {"roles", TEXTS, false},
    {"kind", TEXT, false},
    {"leader", BOOLEAN, false},
    {"address", TEXT, false},
    {"api_address", TEXT, false},
    {"slots", INTEGER, false},
    {"slots_used", INTEGER, false},
    {"cpu_percent", REAL, false},
    {"load", REAL, false},
    {"memory_total_bytes", INTEGER, false},
    {"memory_available_bytes", INTEGER, false},
    {"disk_total_bytes", INTEGER, false},
    {"disk_free_bytes", INTEGER, false},
    {"disk_full", BOOLEAN, false},
    {"rss_bytes", INTEGER, false},
    {"tasks_running", INTEGER, false},
    {"tasks_queued", INTEGER, false},
    {"rtt_ms", REAL, false},
    {"uptime_ms", INTEGER, false},
    {"labels", TEXTS, false},
    {"draining", BOOLEAN, false},
    {"drain_reason", TEXT, false},
    {"last_seen", TIME, false},
    {"joined_at", TIME, false},
    {"version", TEXT, false},
};

static const struct sql_column query_jobs_columns[] = {
    {"id", TEXT, false},
    {"seq", INTEGER, false},
    {"name", TEXT, false},
    {"user", TEXT, false},
    {"state", TEXT, false},
    {"reason", TEXT, false},
    {"elements", INTEGER, false},
    {"running", INTEGER, false},
    {"completed", INTEGER, false},
    {"failed", INTEGER, false},
    {"cancelled", INTEGER, false},
    {"pending", INTEGER, false},
    {"priority", INTEGER, false},
    {"submitted_at", TIME, false},
    {"started_at", TIME, false},
    {"ended_at", TIME, false},
    {"wall_ms", INTEGER, false},
    {"array", TEXT, false},
    {"array_limit", INTEGER, false},
    {"commands", TEXTS, false},
    {"argv", TEXTS, false},
    {"selector", TEXT, false},
    {"cpus", INTEGER, false},
    {"memory_bytes", INTEGER, false},
    {"time_limit_ms", INTEGER, false},
    {"retries", INTEGER, false},
    {"after", TEXTS, false},
    {"idempotency_key", TEXT, false},
};

static const struct sql_column query_tasks_columns[] = {
    {"id", TEXT, false},
    {"job", TEXT, false},
    {"index", INTEGER, false},
    {"attempt", INTEGER, false},
    {"state", TEXT, false},
    {"node", TEXT, false},
    {"code", TEXT, false},
    {"reason", TEXT, false},
    {"exit_code", INTEGER, false},
    {"signal", INTEGER, false},
    {"assigned_at", TIME, false},
    {"started_at", TIME, false},
    {"ended_at", TIME, false},
    {"wall_ms", INTEGER, false},
    {"user_ms", INTEGER, false},
    {"system_ms", INTEGER, false},
    {"rss_max_bytes", INTEGER, false},
    {"stdout_bytes", INTEGER, false},
    {"stderr_bytes", INTEGER, false},
};

static const struct sql_column query_tables_columns[] = {
    {"name", TEXT, false},       {"id", TEXT, false},           {"place", TEXT, false},
    {"version", INTEGER, false}, {"published", INTEGER, false}, {"owned", BOOLEAN, false},
    {"created_at", TIME, false}, {"changed_at", TIME, false},   {"read_only", TEXT, false},
};

static const struct sql_column query_commits_columns[] = {
    {"table_name", TEXT, false},
    {"version", INTEGER, false},
    {"at", TIME, false},
    {"operation", TEXT, false},
    {"user", TEXT, false},
    {"txn_id", TEXT, false},
    {"files_added", INTEGER, false},
    {"files_removed", INTEGER, false},
    {"rows_added", INTEGER, false},
    {"bytes_added", INTEGER, false},
};

static const struct sql_column query_settings_columns[] = {
    {"node", TEXT, false},
    {"name", TEXT, false},
    {"value", TEXT, false},
    {"description", TEXT, false},
};

static const struct sql_column query_metrics_columns[] = {
    {"node", TEXT, false},
    {"name", TEXT, false},
    {"labels", TEXT_MAP, false},
    {"value", REAL, false},
};

static const struct sql_column query_events_columns[] = {
    {"time", TIME, false},  {"id", TEXT, false},    {"kind", TEXT, false},
    {"level", TEXT, false}, {"node", TEXT, false},  {"text", TEXT, false},
    {"by", TEXT, false},    {"cause", TEXT, false}, {"table_name", TEXT, false},
    {"key", TEXT, false},   {"row", TEXT, false},
};

static const struct sql_column query_log_columns[] = {
    {"time", TIME, false}, {"node", TEXT, false}, {"level", TEXT, false},
    {"role", TEXT, false}, {"job", TEXT, false},  {"task", TEXT, false},
    {"peer", TEXT, false}, {"code", TEXT, false}, {"text", TEXT, false},
};

static const struct sql_column query_elections_columns[] = {
    {"group", TEXT, false},        {"leader", TEXT, false},     {"term", INTEGER, false},
    {"since", TIME, false},        {"state", TEXT, false},      {"reason", TEXT, false},
    {"elections", INTEGER, false}, {"members", INTEGER, false},
};

static const struct sql_column query_rollouts_columns[] = {
    {"id", TEXT, false},         {"kind", TEXT, false},         {"service", TEXT, false},
    {"model", TEXT, false},      {"state", TEXT, false},        {"step", INTEGER, false},
    {"steps_n", INTEGER, false}, {"steps", TEXT, false},        {"weight", INTEGER, false},
    {"by", TEXT, false},         {"reason", TEXT, false},       {"text", TEXT, false},
    {"txid", TEXT, false},       {"began_at", TIME, false},     {"since", TIME, false},
    {"ended_at", TIME, false},   {"switch_us", INTEGER, false},
};

static const struct query_cluster_list query_list_events = {"/api/events/rows", "after", "position",
                                                            1000};
static const struct query_cluster_list query_list_log = {"/api/events/rows?kind=log.record",
                                                         "after", "position", 1000};
static const struct query_cluster_list query_list_elections = {"/api/elections", NULL, NULL, 0};
static const struct query_cluster_list query_list_rollouts = {"/api/rollouts", NULL, NULL, 0};
static const struct query_cluster_list query_list_nodes = {"/api/nodes", NULL, NULL, 0};
static const struct query_cluster_list query_list_jobs = {"/api/jobs", "after", "seq", 500};
static const struct query_cluster_list query_list_tasks = {"/tasks?attempts=all", "after", "index",
                                                           2000};
static const struct query_cluster_list query_list_tables = {"/api/tables", NULL, NULL, 0};
static const struct query_cluster_list query_list_metrics = {"/api/metrics?nodes=all", NULL, NULL,
                                                             0};
static const struct query_cluster_list query_list_history = {"/history", "before", "version", 2000};

#define COLUMNS(list) (list), MEM_COUNT(list), false
#define RANGED(list)  (list), MEM_COUNT(list), true

static const struct query_cluster_table query_cluster_tables[] = {
    {"nodes", &query_list_nodes, NULL, NULL, COLUMNS(query_nodes_columns)},
    {"jobs", &query_list_jobs, NULL, NULL, COLUMNS(query_jobs_columns)},
    {"tasks", &query_list_jobs, "id", &query_list_tasks, COLUMNS(query_tasks_columns)},
    {"tables", &query_list_tables, NULL, NULL, COLUMNS(query_tables_columns)},
    {"commits", &query_list_tables, "name", &query_list_history, COLUMNS(query_commits_columns)},
    {"metrics", &query_list_metrics, NULL, NULL, COLUMNS(query_metrics_columns)},
    {"settings", NULL, NULL, NULL, COLUMNS(query_settings_columns)},
    {"events", &query_list_events, NULL, NULL, RANGED(query_events_columns)},
    {"log", &query_list_log, NULL, NULL, RANGED(query_log_columns)},
    {"elections", &query_list_elections, NULL, NULL, COLUMNS(query_elections_columns)},
    {"rollouts", &query_list_rollouts, NULL, NULL, COLUMNS(query_rollouts_columns)},
};

bool query_cluster_is(const char *schema)
{
    return schema != NULL && strcasecmp(schema, QUERY_CLUSTER_SCHEMA) == 0;
}

const struct query_cluster_table *query_cluster_find(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(query_cluster_tables); i++)
        if (strcasecmp(query_cluster_tables[i].name, name) == 0)
            return &query_cluster_tables[i];
    return NULL;
}

const char *query_cluster_names(void)
{
    return "cluster.nodes, cluster.jobs, cluster.tasks, cluster.tables, cluster.commits, "
           "cluster.metrics, cluster.settings, cluster.events, cluster.log, cluster.elections and "
           "cluster.rollouts are there";
}

const struct sql_column *query_cluster_columns(const struct query_cluster_table *table, size_t *n)
{
    *n = table->columns_n;
    return table->columns;
}

/* ---- loading --------------------------------------------------------------------------------- */

struct query_cluster_item {
    char *name;
    uint64_t last; /* of tasks: no index is larger */
};

struct query_cluster {
    struct query *q;
    const struct query_cluster_table *table;
    size_t at;
    query_cluster_fn fn;
    struct leader_request *request;
    struct loop_timer timer; /* for what needs no request */
    struct buf lines;
    size_t rows;
    struct query_cluster_item *items;
    size_t items_n, items_cap;
    size_t item;            /* that is asked for */
    bool in_items;          /* the list is done */
    bool has_cursor;        /* a page was read */
    uint64_t cursor;        /* of the last row */
    struct sql_range range; /* of time that the statement can see */
};

static void query_cluster_next(struct query_cluster *load);

static void query_cluster_free(struct query_cluster *load)
{
    if (load->request != NULL)
        leader_request_cancel(load->request);
    loop_timer_stop(&load->timer);
    for (size_t i = 0; i < load->items_n; i++)
        free(load->items[i].name);
    free(load->items);
    buf_done(&load->lines);
    free(load);
}

void query_cluster_cancel(struct query_cluster *load)
{
    if (load != NULL)
        query_cluster_free(load);
}

static void query_cluster_fail(struct query_cluster *load, int code, const char *hint,
                               const char *text)
{
    query_fail(load->q, code, load->at, hint, "cluster.%s: %s", load->table->name, text);
}

static void query_cluster_end(struct query_cluster *load)
{
    struct query *q = load->q;
    query_cluster_fn fn = load->fn;
    size_t rows = load->rows, len = 0;
    char *lines = buf_steal(&load->lines, &len);
    q->cluster = NULL;
    query_cluster_free(load);
    fn(q, lines, len, rows);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* False after query_fail(). */
static bool query_cluster_add(struct query_cluster *load, const json_t *object, const char *item)
{
    json_t *row = json_object();
    for (size_t i = 0; i < load->table->columns_n; i++) {
        const char *name = load->table->columns[i].name;
        if (item != NULL && strcmp(name, "table_name") == 0)
            (void)json_object_set_new_nocheck(row, name, api_json_text(item));
        else if (json_object_get(object, name) != NULL)
            (void)json_object_set_nocheck(row, name, json_object_get(object, name));
    }
    char *text = json_dumps(row, JSON_COMPACT);
    json_decref(row);
    int err = ++load->rows > QUERY_CLUSTER_ROWS_MAX ? ERR_TOO_LARGE : 0;
    if (err == 0)
        err = buf_append_str(&load->lines, text);
    if (err == 0)
        err = buf_append_byte(&load->lines, '\n');
    free(text);
    if (err < 0)
        query_cluster_fail(load, ERR_TOO_LARGE,
                           load->table->ranged ? "WHERE time > now() - INTERVAL 1 HOUR reads less"
                                               : "the API lists it in pages",
                           "more rows than a statement may read");
    return err == 0;
}

/* The largest number in "0-99,200-300:2%4". */
static uint64_t query_cluster_last_index(const char *array)
{
    uint64_t last = 0;
    while (array != NULL && *array != '\0' && *array != '%') {
        char *end;
        uint64_t number = strtoull(array, &end, 10);
        last = number > last ? number : last;
        array = end > array ? end : array + 1;
        if (*array == '-')
            array++;
    }
    return last;
}

static void query_cluster_add_item(struct query_cluster *load, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, load->table->item));
    if (name == NULL)
        return;
    MEM_GROW(load->items, load->items_cap, load->items_n + 1);
    load->items[load->items_n++] = (struct query_cluster_item){
        mem_strdup(name),
        query_cluster_last_index(json_string_value(json_object_get(object, "array")))};
}

/* Takes a page; whether there may be another one. */
static bool query_cluster_page(struct query_cluster *load, const json_t *page, bool *failed)
{
    const struct query_cluster_list *list = load->in_items ? load->table->each : load->table->list;
    const char *item = load->in_items ? load->items[load->item].name : NULL;
    bool has_items = load->table->item != NULL && !load->in_items;
    size_t n = json_array_size(page);
    for (size_t i = 0; i < n && !*failed; i++) {
        const json_t *object = json_array_get(page, i);
        if (has_items)
            query_cluster_add_item(load, object);
        else
            *failed = !query_cluster_add(load, object, item);
    }
    if (*failed || list->parameter == NULL)
        return false;
    const json_t *last = n > 0 ? json_object_get(json_array_get(page, n - 1), list->cursor) : NULL;
    uint64_t cursor = (uint64_t)json_integer_value(last);
    if (list != &query_list_tasks) {
        load->cursor = cursor;
        load->has_cursor = true;
        return n >= list->limit && cursor > 0;
    }
    /* Elements without attempts are left out: a page may be short, and isn't the last one. */
    uint64_t seen = load->has_cursor ? load->cursor + list->limit : list->limit - 1;
    load->cursor = n > 0 && (n >= list->limit || cursor > seen) ? cursor : seen;
    load->has_cursor = true;
    return load->cursor < load->items[load->item].last;
}

static void query_cluster_advance(struct query_cluster *load)
{
    load->has_cursor = false;
    if (load->in_items)
        load->item++;
    load->in_items = true;
    if (load->table->item == NULL || load->item == load->items_n)
        query_cluster_end(load);
    else
        query_cluster_next(load);
}

static void query_cluster_on_page(void *arg, json_t *json, const struct error *e)
{
    struct query_cluster *load = arg;
    bool failed = false;
    load->request = NULL;
    if (json == NULL && load->in_items && e->code == ERR_NOT_FOUND) {
        query_cluster_advance(load); /* has gone since the list */
        return;
    }
    if (json == NULL) {
        query_cluster_fail(load, e->code, "repeat the statement", e->text);
        return;
    }
    if (query_cluster_page(load, json, &failed))
        query_cluster_next(load);
    else if (!failed)
        query_cluster_advance(load);
}

/* A name in a path. */
static void query_cluster_encode(struct buf *path, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z') ||
                     strchr("-_.~", *c) != NULL;
        (void)(plain ? buf_append_byte(path, *c) : buf_printf(path, "%%%02X", *c));
    }
}

/* What the statement can see of it: the rest need not come. */
static void query_cluster_put_range(const struct query_cluster *load, struct buf *path)
{
    char time[CLOCK_RFC3339_MAX];
    if (load->range.since_ms > 0)
        (void)buf_printf(path, "&since=%s", clock_format_rfc3339(load->range.since_ms, time));
    if (load->range.until_ms < INT64_MAX)
        (void)buf_printf(path, "&until=%s", clock_format_rfc3339(load->range.until_ms, time));
}

static void query_cluster_next(struct query_cluster *load)
{
    const struct query_cluster_list *list = load->in_items ? load->table->each : load->table->list;
    struct buf path;
    buf_init(&path, 16384);
    (void)buf_append_str(&path, load->table->list->path);
    if (load->in_items) {
        (void)buf_append_byte(&path, '/');
        query_cluster_encode(&path, load->items[load->item].name);
        (void)buf_append_str(&path, list->path);
    }
    char mark = strchr(list->path, '?') != NULL ? '&' : '?';
    if (list->parameter != NULL)
        (void)buf_printf(&path, "%climit=%u", mark, list->limit);
    if (list->parameter != NULL && load->has_cursor)
        (void)buf_printf(&path, "&%s=%" PRIu64, list->parameter, load->cursor);
    if (load->table->ranged)
        query_cluster_put_range(load, &path);
    struct leader_request_spec spec = {
        .method = "GET", .path = buf_cstr(&path), .user = load->q->user};
    load->request = leader_request_start(load->q->role->node, &spec, query_cluster_on_page, load);
    buf_done(&path);
}

/* The settings of the node that answers. */
static void query_cluster_settings(void *arg)
{
    struct query_cluster *load = arg;
    const struct node_options *options = node_options(load->q->role->node);
    bool good = true;
    for (size_t i = 0; good && i < options->settings_n; i++) {
        const struct node_setting *setting = &options->settings[i];
        json_t *object = json_pack("{s:o,s:s,s:o,s:s}", "node", api_json_text(options->name),
                                   "name", setting->name, "value", api_json_text(setting->value),
                                   "description", setting->description);
        good = query_cluster_add(load, object, NULL);
        json_decref(object);
    }
    if (good)
        query_cluster_end(load);
}

struct query_cluster *query_cluster_load(struct query *q, const struct query_cluster_table *table,
                                         size_t at, query_cluster_fn fn)
{
    struct query_cluster *load = mem_zalloc(sizeof *load);
    load->q = q;
    load->table = table;
    load->at = at;
    load->fn = fn;
    buf_init(&load->lines, QUERY_CLUSTER_BYTES_MAX);
    sql_range_of(q->tree, QUERY_CLUSTER_SCHEMA, table->name, "time",
                 loop_wall_ms(node_loop(q->role->node)), &load->range);
    loop_timer_init(&load->timer, node_loop(q->role->node), query_cluster_settings, load);
    if (table->list != NULL)
        query_cluster_next(load);
    else
        loop_timer_start(&load->timer, 0);
    return load;
}
