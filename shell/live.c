#include "shell/live.h"

#include <assert.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client.h"
#include "shell/interrupt.h"
#include "shell/shell.h"

enum {
    LIVE_TIMEOUT_MS = 2500,
    LIVE_ATTEMPT_MS = 1000, /* then another node is asked: one that starts or hangs is silent */
    LIVE_SQL_TIMEOUT_MS = 10000,
};

static const char *const live_paths[] = {
    [LIVE_STATUS] = "/api/status",
    [LIVE_NODES] = "/api/nodes?consistency=stale",
    [LIVE_JOBS] = "/api/jobs?limit=100&consistency=stale",
    [LIVE_KEYS] = "/api/kv?consistency=stale",
    [LIVE_TABLES] = "/api/tables",
    [LIVE_FUNCTIONS] = "/api/sql",
    [LIVE_KEYWORDS] = "/api/sql",
    [LIVE_MODELS] = "/api/models",
    [LIVE_ROLLOUTS] = "/api/rollouts",
    [LIVE_ROUTING] = "/api/routing",
    [LIVE_MESSAGES] = "/api/chat/messages",
    [LIVE_INDOUBT] = "/api/rollouts/indoubt",
    [LIVE_QUERIES] = "/api/sql?nodes=all",
};

/* What is asked by SQL; it never changes while the cluster runs one version. */
static const char *const live_sql[LIVE_KINDS] = {
    [LIVE_FUNCTIONS] = "SELECT DISTINCT function_name AS name, function_type AS type FROM "
                       "duckdb_functions() WHERE regexp_full_match(function_name, "
                       "'[a-z][a-z0-9_]*') ORDER BY 1",
    [LIVE_KEYWORDS] = "SELECT keyword_name AS name FROM duckdb_keywords() ORDER BY 1",
};

void live_init(struct live *live, struct shell *shell)
{
    *live = (struct live){0};
    for (int kind = 0; kind < LIVE_KINDS; kind++)
        live->items[kind] = (struct live_item){.shell = shell, .kind = (enum live_kind)kind};
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        live->columns[i] = (struct live_item){.shell = shell, .kind = LIVE_COLUMNS};
}

static void live_item_done(struct live_item *item)
{
    if (item->call != NULL)
        client_cancel(item->call);
    json_decref(item->value);
    free(item->path);
    free(item->sql);
    *item = (struct live_item){.shell = item->shell, .kind = item->kind};
}

void live_done(struct live *live)
{
    for (int kind = 0; kind < LIVE_KINDS; kind++)
        live_item_done(&live->items[kind]);
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        live_item_done(&live->columns[i]);
}

static void live_take_line(json_t *rows, json_t **names, const json_t *line)
{
    size_t i, k;
    const json_t *row, *cell;
    const json_t *columns = json_object_get(line, "columns");
    if (columns != NULL && *names == NULL)
        *names = json_incref((json_t *)(uintptr_t)columns);
    if (json_object_get(line, "seq") != NULL)
        (void)json_array_append(rows, (json_t *)(uintptr_t)line);
    json_array_foreach(json_object_get(line, "rows"), i, row)
    {
        json_t *object = json_object();
        json_array_foreach(row, k, cell)
        {
            const char *name =
                json_string_value(json_object_get(json_array_get(*names, k), "name"));
            (void)json_object_set(object, name != NULL ? name : "", (json_t *)(uintptr_t)cell);
        }
        (void)json_array_append_new(rows, object);
    }
}

/* Lines of JSON: the rows of SQL as objects, or messages. NULL for none. */
static json_t *live_read_lines(const char *bytes, size_t len)
{
    json_t *rows = json_array();
    json_t *names = NULL;
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        json_t *line = json_loadb(bytes, n, JSON_ALLOW_NUL, NULL);
        live_take_line(rows, &names, line);
        json_decref(line);
        n += end != NULL;
        bytes += n;
        len -= n;
    }
    json_decref(names);
    if (json_array_size(rows) > 0)
        return rows;
    json_decref(rows);
    return NULL;
}

static bool live_is_lines(const struct live_item *item)
{
    return item->sql != NULL || live_sql[item->kind] != NULL || item->kind == LIVE_MESSAGES;
}

/* The columns of a table from whatever answered, as an array of {name, type}. */
static json_t *live_columns_of(const struct live_item *item, json_t *value)
{
    size_t i;
    json_t *row;
    if (item->kind != LIVE_COLUMNS)
        return value;
    json_t *columns = item->sql != NULL ? value : json_object_get(value, "columns");
    json_incref(columns);
    json_array_foreach(columns, i, row)
    {
        json_t *name = json_object_get(row, "column_name");
        if (name != NULL)
            (void)json_object_set(row, "name", name);
        if (name != NULL)
            (void)json_object_set(row, "type", json_object_get(row, "column_type"));
    }
    json_decref(value);
    return columns;
}

static void live_on_done(void *arg, const struct client_reply *reply)
{
    struct live_item *item = arg;
    struct live *live = &item->shell->live;
    int64_t now_ms = clock_mono_ms();
    item->call = NULL;
    json_t *value = reply->code != 0      ? NULL
                    : live_is_lines(item) ? live_read_lines(reply->bytes, reply->bytes_len)
                                          : json_incref(reply->json);
    if (value != NULL)
        value = live_columns_of(item, value);
    if (value != NULL) {
        json_decref(item->value);
        item->value = value;
        item->fetched_ms = now_ms;
        item->failed_ms = 0;
        item->trouble[0] = '\0';
        if (item->kind == LIVE_NODES)
            client_learn(item->shell->client, item->value);
    } else {
        item->failed_ms = now_ms;
        (void)snprintf(item->trouble, sizeof item->trouble, "%s", reply->text);
        if (item->kind == LIVE_STATUS) {
            json_decref(item->value);
            item->value = NULL;
        }
    }
    if (item->kind == LIVE_STATUS)
        live->changes++;
}

static void live_item_fetch(struct live_item *item)
{
    const char *path = item->path != NULL ? item->path : live_paths[item->kind];
    const char *sql = item->sql != NULL ? item->sql : live_sql[item->kind];
    if (item->call != NULL || item->shell->client == NULL)
        return;
    static const struct client_handler handler = {.done = live_on_done};
    json_t *json = sql != NULL ? json_pack("{s:s}", "sql", sql) : NULL;
    char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    struct client_request request = {
        .method = sql != NULL ? "POST" : "GET",
        .path = sql != NULL ? "/api/sql" : path,
        .data = body,
        .data_len = body != NULL ? strlen(body) : 0,
        .repeatable = true,
        .body = live_is_lines(item) ? CLIENT_BODY_WHOLE : CLIENT_BODY_JSON,
        .attempt_ms = sql != NULL ? 0 : LIVE_ATTEMPT_MS,
        .timeout_ms = sql != NULL ? LIVE_SQL_TIMEOUT_MS : LIVE_TIMEOUT_MS,
    };
    item->call = client_start(item->shell->client, &request, &handler, item, NULL);
    free(body);
    json_decref(json);
}

void live_fetch(struct live *live, enum live_kind kind)
{
    live_item_fetch(&live->items[kind]);
}

static const json_t *live_item_get(struct live_item *item, int64_t wait_ms)
{
    int64_t now_ms = clock_mono_ms();
    bool is_fresh = item->value != NULL &&
                    (live_sql[item->kind] != NULL || now_ms - item->fetched_ms < LIVE_FRESH_MS);
    if (is_fresh || item->shell->client == NULL)
        return item->value;
    bool failed_lately = item->failed_ms != 0 && now_ms - item->failed_ms < LIVE_FAILED_MS;
    live_item_fetch(item);
    int64_t until_ms = now_ms + (failed_lately ? 0 : wait_ms);
    while (item->call != NULL && now_ms < until_ms && !interrupt_pending()) {
        struct pollfd p = {.fd = client_fd(item->shell->client), .events = POLLIN};
        if (poll(&p, 1, (int)(until_ms - now_ms)) > 0)
            client_dispatch(item->shell->client);
        now_ms = clock_mono_ms();
    }
    return item->value;
}

const json_t *live_get(struct live *live, enum live_kind kind, int64_t wait_ms)
{
    return live_item_get(&live->items[kind], wait_ms);
}

const json_t *live_get_columns(struct live *live, const char *table, int64_t wait_ms)
{
    struct live_item *item = NULL;
    struct buf path;
    buf_init(&path, 4096);
    (void)buf_append_str(&path, "/api/tables/");
    for (const unsigned char *c = (const unsigned char *)table; *c != '\0'; c++)
        (void)(isalnum(*c) || strchr("_-.", *c) != NULL ? buf_append_byte(&path, *c)
                                                        : buf_printf(&path, "%%%02X", *c));
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        if (live->columns[i].path != NULL && strcmp(live->columns[i].path, buf_cstr(&path)) == 0)
            item = &live->columns[i];
    if (item == NULL) {
        item = &live->columns[live->next_columns++ % LIVE_COLUMNS_TABLES];
        live_item_done(item);
        item->path = mem_strdup(buf_cstr(&path));
        if (str_starts_with(table, "cluster."))
            item->sql = mem_printf("DESCRIBE %s", table);
    }
    buf_done(&path);
    return live_item_get(item, wait_ms);
}
