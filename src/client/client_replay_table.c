/* The tables cluster.nodes, .jobs ... of a report: rows of the state at the moment, or lines of the
 * archive up to it, a piece at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "client/client_replay_internal.h"
#include "wire/cluster_rows.h"

enum { CLIENT_REPLAY_NAMES_BYTES = 1024 }; /* of the columns of events */

/* Rows */

static json_t *client_replay_table_tasks(const struct client_replay *replay)
{
    return client_replay_tasks(replay, NULL, CLIENT_REPLAY_ALL);
}

static json_t *client_replay_table_elections(const struct client_replay *replay)
{
    return client_replay_rows(replay, "elections");
}

static json_t *client_replay_table_rollouts(const struct client_replay *replay)
{
    return client_replay_rows(replay, "rollouts");
}

static json_t *client_replay_table_message(const json_t *line)
{
    return json_pack("{s:O*, s:O*, s:O*, s:O*, s:O*}", "seq", json_object_get(line, "seq"), "time",
                     json_object_get(line, "at"), "channel", json_object_get(line, "channel"),
                     "sender", json_object_get(line, "from"), "text",
                     json_object_get(line, "text"));
}

/* {"at","columns":[…],"nodes":{"n1":[…],…}} is a row for each node: yours, an array. */
static json_t *client_replay_table_vitals(const json_t *line)
{
    const json_t *columns = json_object_get(line, "columns");
    json_t *rows = json_array();
    const char *node;
    json_t *values;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(line, "nodes"), node, values)
    {
        if (!json_is_array(values))
            continue;
        json_t *row = json_pack("{s:O*, s:s, s:O*}", "time", json_object_get(line, "at"), "node",
                                node, "step_ms", json_object_get(line, "step_ms"));
        for (size_t i = 0; i < json_array_size(columns); i++) {
            const char *name = json_string_value(json_array_get(columns, i));
            if (name != NULL && json_is_number(json_array_get(values, i)))
                (void)json_object_set(row, name, json_array_get(values, i));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* Tables */

#define COLUMN(name, type) {name, type},
#define COLUMNS(table, list)                                                                       \
    static const char *const client_replay_##table##_columns[][2] = {list(COLUMN)};

COLUMNS(nodes, CLUSTER_NODES_COLUMNS)
COLUMNS(jobs, CLUSTER_JOBS_COLUMNS)
COLUMNS(tasks, CLUSTER_TASKS_COLUMNS)
COLUMNS(events, CLUSTER_EVENTS_COLUMNS)
COLUMNS(log, CLUSTER_LOG_COLUMNS)
COLUMNS(messages, CLUSTER_MESSAGES_COLUMNS)
COLUMNS(elections, CLUSTER_ELECTIONS_COLUMNS)
COLUMNS(rollouts, CLUSTER_ROLLOUTS_COLUMNS)
COLUMNS(vitals, CLUSTER_VITALS_COLUMNS)

#define TABLE(table)                                                                               \
    .name = #table, .columns = client_replay_##table##_columns,                                    \
    .columns_n = MEM_COUNT(client_replay_##table##_columns)

const struct client_replay_table client_replay_tables[CLIENT_REPLAY_TABLES] = {
    {TABLE(nodes), .rows = client_replay_nodes},
    {TABLE(jobs), .rows = client_replay_jobs},
    {TABLE(tasks), .rows = client_replay_table_tasks},
    {TABLE(elections), .rows = client_replay_table_elections},
    {TABLE(rollouts), .rows = client_replay_table_rollouts},
    {TABLE(events), .part = REPLAY_EVENTS},
    {TABLE(log), .part = REPLAY_EVENTS, .kind = "log.record"},
    {TABLE(messages), .part = REPLAY_MESSAGES, .row = client_replay_table_message},
    {TABLE(vitals), .part = REPLAY_VITALS, .row = client_replay_table_vitals},
};

const struct client_replay_table *client_replay_table(const char *name)
{
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++)
        if (strcasecmp(client_replay_tables[i].name, name) == 0)
            return &client_replay_tables[i];
    return NULL;
}

/* Files */

/* The columns of the table alone. */
static void client_replay_table_put(const struct client_replay_table *table, const json_t *object,
                                    FILE *file)
{
    json_t *row = json_object();
    for (size_t i = 0; i < table->columns_n; i++) {
        json_t *value = json_object_get(object, table->columns[i][0]);
        if (value != NULL)
            (void)json_object_set_nocheck(row, table->columns[i][0], value);
    }
    (void)json_dumpf(row, file, JSON_COMPACT | JSON_REAL_PRECISION(17));
    (void)putc('\n', file);
    json_decref(row);
}

/* Takes an object, an array of them, or NULL. */
static void client_replay_table_put_all(const struct client_replay_table *table, json_t *rows,
                                        FILE *file)
{
    size_t i;
    const json_t *row;
    if (json_is_object(rows))
        client_replay_table_put(table, rows, file);
    json_array_foreach(rows, i, row) client_replay_table_put(table, row, file);
    json_decref(rows);
}

/* Events are many: their texts are copied as they stand. */

struct client_replay_event_row {
    struct buf out;
    int64_t at_ms;
    bool has_kind; /* that of the table */
};

static bool client_replay_table_has(const struct client_replay_table *table, const char *column)
{
    for (size_t i = 0; i < table->columns_n; i++)
        if (strcmp(table->columns[i][0], column) == 0)
            return true;
    return false;
}

static void client_replay_table_put_text(const struct client_replay_table *table,
                                         const struct json_slice *key, const struct json_slice *raw,
                                         struct client_replay_event_row *row)
{
    const struct cluster_event_field *f = cluster_event_fields;
    while (f->key != NULL && !json_slice_is(key, f->key))
        f++;
    if (f->key == NULL || !client_replay_table_has(table, f->column))
        return;
    (void)buf_printf(&row->out, "%c\"%s\":", row->out.len == 0 ? '{' : ',', f->column);
    (void)buf_append(&row->out, raw->text, raw->len);
}

/* One member of an event; `raw` is its value. */
static void client_replay_table_take(const struct client_replay_table *table,
                                     const struct json_slice *key, enum json_kind kind,
                                     const struct json_slice *raw,
                                     struct client_replay_event_row *row)
{
    char at[CLOCK_RFC3339_MAX + 2];
    if (kind == JSON_KIND_OBJECT && json_slice_is(key, "row") &&
        client_replay_table_has(table, "row")) {
        (void)buf_append_str(&row->out, row->out.len == 0 ? "{\"row\":" : ",\"row\":");
        (void)json_text_append(&row->out, raw->text, raw->len);
    }
    if (kind != JSON_KIND_STRING)
        return;
    if (json_slice_is(key, "at") && raw->len < sizeof at) {
        memcpy(at, raw->text + 1, raw->len - 2);
        at[raw->len - 2] = '\0';
        (void)clock_parse_rfc3339(at, &row->at_ms);
    }
    if (table->kind != NULL && json_slice_is(key, "kind"))
        row->has_kind = raw->len == strlen(table->kind) + 2 &&
                        memcmp(raw->text + 1, table->kind, raw->len - 2) == 0;
    client_replay_table_put_text(table, key, raw, row);
}

static void client_replay_table_put_event(const struct client_replay *replay,
                                          const struct client_replay_table *table, const char *line,
                                          size_t len, FILE *file)
{
    struct client_replay_event_row row = {.at_ms = INT64_MAX, .has_kind = table->kind == NULL};
    struct json_scan s;
    struct json_slice key, raw;
    buf_init(&row.out, JSON_TEXT_FACTOR_MAX * len + CLIENT_REPLAY_NAMES_BYTES);
    json_scan_init(&s, line, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        enum json_kind kind = json_scan_peek(&s);
        if (json_scan_skip(&s, &raw))
            client_replay_table_take(table, &key, kind, &raw, &row);
    }
    if (json_scan_end(&s) && row.has_kind && row.at_ms <= replay->at_ms) {
        (void)fwrite(row.out.data, 1, row.out.len, file);
        (void)fputs("}\n", file);
    }
    json_scan_done(&s);
    buf_done(&row.out);
}

static void client_replay_table_put_line(const struct client_replay *replay,
                                         const struct client_replay_table *table, const char *line,
                                         size_t len, FILE *file)
{
    if (table->row == NULL) {
        client_replay_table_put_event(replay, table, line, len, file);
        return;
    }
    json_t *object =
        replay_line_at(line, len) <= replay->at_ms ? json_loadb(line, len, 0, NULL) : NULL;
    if (json_is_object(object))
        client_replay_table_put_all(table, table->row(object), file);
    json_decref(object);
}

int client_replay_table_write(const struct client_replay *replay,
                              const struct client_replay_table *table, size_t *offset, FILE *file)
{
    const struct replay_part *part = &replay->archive->parts[table->part];
    size_t begin = *offset, len;
    const char *line = NULL;
    if (table->rows != NULL)
        client_replay_table_put_all(table, table->rows(replay), file);
    for (unsigned n = 0; table->rows == NULL && n < CLIENT_REPLAY_PIECE_LINES &&
                         *offset - begin < CLIENT_REPLAY_PIECE_BYTES;
         n++) {
        line = replay_part_line(part, offset, &len);
        if (line == NULL)
            break;
        client_replay_table_put_line(replay, table, line, len, file);
    }
    if (line == NULL)
        *offset = SIZE_MAX;
    return !ferror(file) ? 0 : errno > 0 ? -errno : -EIO;
}
