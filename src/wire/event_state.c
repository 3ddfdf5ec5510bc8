/* Happy path: a row is kept as text, which is what frames are made of; a patch parses it, changes
 * its fields and prints it again. */
#include "wire/event_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/mem.h"
#include "base/nodeset.h"

const struct event_state_table event_state_tables[] = {
    {"nodes", "name", NULL},
    {"elections", "group", NULL},
    {"raft", "name", NULL},
    {"jobs", "id", NULL},
    {"queries", "query", NULL},
    {"stages", "query", "stage"},
    {"rollouts", "service", NULL},
    {"routing", "node", "service"},
    {"transactions", "txid", NULL},
    {"chat", "name", NULL},
    {NULL, NULL, NULL},
};

struct event_state_row {
    char *key;
    char *text;
    size_t len;
    UT_hash_handle hh;
};

enum { EVENT_STATE_TABLES = sizeof event_state_tables / sizeof event_state_tables[0] - 1 };

struct event_state {
    struct event_state_row *rows[EVENT_STATE_TABLES];
    size_t n;
    size_t bytes;
    uint64_t refused;
};

static int event_state_find(const char *name)
{
    for (int i = 0; i < EVENT_STATE_TABLES; i++)
        if (strcmp(event_state_tables[i].name, name) == 0)
            return i;
    return -1;
}

const struct event_state_table *event_state_table(const char *name)
{
    int at = event_state_find(name);
    return at >= 0 ? &event_state_tables[at] : NULL;
}

/* A field of a key as text. */
static bool event_state_part(const json_t *row, const char *field, char *out, size_t size)
{
    const json_t *value = json_object_get(row, field);
    int n = -1;
    if (json_is_string(value))
        n = snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        n = snprintf(out, size, "%lld", (long long)json_integer_value(value));
    return n > 0 && (size_t)n < size;
}

int event_state_key(const struct event_state_table *table, const json_t *row,
                    char out[static EVENT_STATE_KEY_MAX])
{
    if (!event_state_part(row, table->key, out, EVENT_STATE_KEY_MAX))
        return ERR_INVALID;
    size_t len = strlen(out);
    if (table->key2 == NULL)
        return 0;
    if (len + 2 >= EVENT_STATE_KEY_MAX)
        return ERR_INVALID;
    out[len++] = '/';
    return event_state_part(row, table->key2, out + len, EVENT_STATE_KEY_MAX - len) ? 0
                                                                                    : ERR_INVALID;
}

struct event_state *event_state_new(void)
{
    return mem_zalloc(sizeof(struct event_state));
}

static void event_state_drop(struct event_state *state, int table, struct event_state_row *row)
{
    HASH_DEL(state->rows[table], row);
    state->n--;
    state->bytes -= row->len;
    free(row->key);
    free(row->text);
    free(row);
}

void event_state_clear(struct event_state *state)
{
    struct event_state_row *row;
    struct event_state_row *next;
    for (int i = 0; i < EVENT_STATE_TABLES; i++)
        HASH_ITER (hh, state->rows[i], row, next)
            event_state_drop(state, i, row);
    state->refused = 0;
}

void event_state_free(struct event_state *state)
{
    if (state == NULL)
        return;
    event_state_clear(state);
    free(state);
}

static struct event_state_row *event_state_get(const struct event_state *state, int table,
                                               const char *key)
{
    struct event_state_row *row = NULL;
    HASH_FIND_STR(state->rows[table], key, row);
    return row;
}

/* A new row has the fields of its key, whatever the patch says. */
static json_t *event_state_fresh(const struct event_state_table *table, const char *key)
{
    json_t *fields = json_object();
    const char *slash = table->key2 != NULL ? strchr(key, '/') : NULL;
    size_t len = slash != NULL ? (size_t)(slash - key) : strlen(key);
    (void)json_object_set_new(fields, table->key, json_stringn(key, len));
    if (slash != NULL)
        (void)json_object_set_new(fields, table->key2, json_string(slash + 1));
    return fields;
}

/* Sees to it that a frame with this row has it under `key` again, whatever a patch said of the
 * key's fields; false when that can't be. */
static bool event_state_set_key(const struct event_state_table *table, const char *key, json_t *row)
{
    char found[EVENT_STATE_KEY_MAX];
    if (event_state_key(table, row, found) == 0 && strcmp(found, key) == 0)
        return true;
    json_t *fields = event_state_fresh(table, key);
    (void)json_object_update(row, fields);
    json_decref(fields);
    return event_state_key(table, row, found) == 0 && strcmp(found, key) == 0;
}

static int event_state_put(struct event_state *state, int table, const char *key,
                           struct event_state_row *row, char *text)
{
    size_t len = strlen(text);
    size_t before = row != NULL ? row->len : 0;
    if (len <= 2 || len > EVENT_STATE_ROW_MAX ||
        state->bytes - before + len > EVENT_STATE_BYTES_MAX ||
        (row == NULL && state->n >= EVENT_STATE_ROWS_MAX)) {
        free(text);
        return ERR_TOO_LARGE;
    }
    if (row == NULL) {
        row = mem_zalloc(sizeof *row);
        row->key = mem_strdup(key);
        HASH_ADD_KEYPTR(hh, state->rows[table], row->key, strlen(row->key), row);
        state->n++;
    }
    free(row->text);
    row->text = text;
    row->len = len;
    state->bytes += len - before;
    return 0;
}

static int event_state_refuse(struct event_state *state, int err)
{
    state->refused++;
    return err;
}

int event_state_patch(struct event_state *state, const char *table_name, const char *key,
                      const json_t *fields, bool gone)
{
    int table = event_state_find(table_name);
    if (table < 0)
        return 0;
    if (strlen(key) >= EVENT_STATE_KEY_MAX)
        return event_state_refuse(state, ERR_INVALID);
    struct event_state_row *row = event_state_get(state, table, key);
    if (gone) {
        if (row != NULL)
            event_state_drop(state, table, row);
        return 0;
    }
    json_t *merged = row != NULL ? json_loadb(row->text, row->len, 0, NULL) : NULL;
    if (merged == NULL)
        merged = event_state_fresh(&event_state_tables[table], key);
    if (json_is_object(fields))
        (void)json_object_update(merged, (json_t *)(uintptr_t)fields);
    char *text = event_state_set_key(&event_state_tables[table], key, merged)
                     ? json_dumps(merged, JSON_COMPACT | JSON_REAL_PRECISION(6))
                     : NULL;
    json_decref(merged);
    int err = text == NULL ? ERR_INVALID : event_state_put(state, table, key, row, text);
    return err < 0 ? event_state_refuse(state, err) : 0;
}

int event_state_apply(struct event_state *state, const char *json, size_t len)
{
    json_t *event = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
    const char *table = json_string_value(json_object_get(event, "table"));
    const char *key = json_string_value(json_object_get(event, "key"));
    int err = !json_is_object(event) ? ERR_INVALID : 0;
    if (err == 0 && table != NULL && key != NULL)
        err = event_state_patch(state, table, key, json_object_get(event, "row"),
                                json_is_true(json_object_get(event, "gone")));
    json_decref(event);
    return err;
}

int event_state_load(struct event_state *state, const json_t *frame)
{
    char key[EVENT_STATE_KEY_MAX];
    event_state_clear(state);
    if (!json_is_object(frame))
        return ERR_INVALID;
    json_int_t before = json_integer_value(json_object_get(frame, "left_out"));
    state->refused = before > 0 ? (uint64_t)before : 0;
    for (int i = 0; i < EVENT_STATE_TABLES; i++) {
        const struct event_state_table *table = &event_state_tables[i];
        const json_t *rows = json_object_get(frame, table->name);
        size_t n = json_array_size(rows);
        for (size_t k = 0; k < n; k++) {
            const json_t *row = json_array_get(rows, k);
            if (event_state_key(table, row, key) == 0)
                (void)event_state_patch(state, table->name, key, row, false);
            else
                (void)event_state_refuse(state, ERR_INVALID);
        }
    }
    return 0;
}

uint64_t event_state_refused(const struct event_state *state)
{
    return state->refused;
}

const char *event_state_row(const struct event_state *state, const char *table, const char *key)
{
    int at = event_state_find(table);
    const struct event_state_row *row = at >= 0 ? event_state_get(state, at, key) : NULL;
    return row != NULL ? row->text : NULL;
}

size_t event_state_rows(const struct event_state *state, const char *table)
{
    int at = event_state_find(table);
    return at >= 0 ? HASH_COUNT(state->rows[at]) : 0;
}

void event_state_each(struct event_state *state, const char *table, event_state_fn fn, void *arg)
{
    int at = event_state_find(table);
    struct event_state_row *row;
    struct event_state_row *next;
    if (at < 0)
        return;
    HASH_ITER (hh, state->rows[at], row, next)
        fn(arg, row->key, row->text);
}

static int event_state_compare(const void *a, const void *b)
{
    const struct event_state_row *const *x = a;
    const struct event_state_row *const *y = b;
    return nodeset_compare_names((*x)->key, (*y)->key);
}

static int event_state_print_table(const struct event_state *state, int table,
                                   event_state_more_fn more, void *arg, struct buf *out)
{
    const char *name = event_state_tables[table].name;
    size_t n = HASH_COUNT(state->rows[table]), at = 0;
    struct event_state_row **sorted = mem_calloc(n + 1, sizeof *sorted);
    struct event_state_row *row;
    struct event_state_row *next;
    HASH_ITER (hh, state->rows[table], row, next)
        sorted[at++] = row;
    qsort(sorted, n, sizeof *sorted, event_state_compare);
    int err = buf_printf(out, "%s\"%s\":[", table > 0 ? "," : "", name);
    for (size_t i = 0; i < n && err == 0; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0) /* all but the closing brace */
            err = buf_append(out, sorted[i]->text, sorted[i]->len - 1);
        if (err == 0 && more != NULL)
            more(arg, name, sorted[i]->key, out);
        if (err == 0)
            err = buf_append_byte(out, '}');
    }
    free(sorted);
    return err < 0 ? err : buf_append_byte(out, ']');
}

int event_state_print(const struct event_state *state, event_state_more_fn more, void *arg,
                      struct buf *out)
{
    int err = 0;
    for (int i = 0; i < EVENT_STATE_TABLES && err == 0; i++)
        err = event_state_print_table(state, i, more, arg, out);
    if (err == 0 && state->refused > 0)
        err = buf_printf(out, ",\"left_out\":%llu", (unsigned long long)state->refused);
    return err;
}
