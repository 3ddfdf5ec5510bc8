/* A table is a dense array of rows with an open-addressed index over it (linear probing, backward
 * shift on removal); the last row takes the place of a removed one. Tables are counted and copied
 * when one of several owners changes its own. */
#include "tui/model_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tui/model_text.h"

struct model_slot {
    uint32_t hash;
    uint32_t place; /* index + 1; 0: free */
};

struct model_rows {
    unsigned refs;
    uint64_t generation;
    struct model_row **rows;
    size_t n, cap;
    struct model_slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t hand;    /* where the search for an ended row goes on */
};

static uint64_t model_state_clock; /* of generations */

static const char *const model_table_names[] = {
#define MODEL_TABLE_NAME(symbol, name) name,
    MODEL_TABLE_LIST(MODEL_TABLE_NAME)
#undef MODEL_TABLE_NAME
};

const char *model_table_name(enum model_table table)
{
    assert(table < MODEL_TABLES);
    return model_table_names[table];
}

enum model_table model_table_from_name(const char *name, size_t len)
{
    for (enum model_table table = 0; table < MODEL_TABLES; table++)
        if (strlen(model_table_names[table]) == len &&
            memcmp(model_table_names[table], name, len) == 0)
            return table;
    return MODEL_TABLES;
}

/* Tables */

/* FNV-1a with a start that no one outside knows. */
static uint32_t model_hash(const char *key)
{
    static uint64_t start;
    if (start == 0)
        start = 0xcbf29ce484222325u ^ (uint64_t)clock_mono_us() ^ (uintptr_t)&start;
    uint64_t hash = start;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

static struct model_rows *model_rows_new(void)
{
    struct model_rows *rows = mem_zalloc(sizeof *rows);
    rows->refs = 1;
    rows->generation = ++model_state_clock;
    return rows;
}

static void model_rows_unref(struct model_rows *rows)
{
    if (rows == NULL || --rows->refs > 0)
        return;
    for (size_t i = 0; i < rows->n; i++)
        model_row_unref(rows->rows[i]);
    free(rows->rows);
    free(rows->slots);
    free(rows);
}

static struct model_rows *model_rows_dup(const struct model_rows *from)
{
    struct model_rows *rows = model_rows_new();
    rows->n = rows->cap = from->n;
    rows->n_slots = from->n_slots;
    rows->hand = from->hand;
    if (from->n > 0)
        rows->rows = mem_dup(from->rows, from->n * sizeof(struct model_row *));
    if (from->n_slots > 0)
        rows->slots = mem_dup(from->slots, from->n_slots * sizeof *from->slots);
    for (size_t i = 0; i < rows->n; i++)
        (void)model_row_ref(rows->rows[i]);
    return rows;
}

/* The slot of `key`, or the free one where it would stand. */
static size_t model_rows_slot(const struct model_rows *rows, const char *key, uint32_t hash)
{
    size_t mask = rows->n_slots - 1, i = hash & mask;
    for (;; i = (i + 1) & mask) {
        const struct model_slot *slot = &rows->slots[i];
        if (slot->place == 0 ||
            (slot->hash == hash && strcmp(model_row_key(rows->rows[slot->place - 1]), key) == 0))
            return i;
    }
}

static void model_rows_grow(struct model_rows *rows)
{
    size_t n_slots = rows->n_slots > 0 ? rows->n_slots * 2 : 16;
    struct model_slot *old = rows->slots;
    size_t n_old = rows->n_slots;
    rows->slots = mem_calloc(n_slots, sizeof *rows->slots);
    rows->n_slots = n_slots;
    for (size_t i = 0; i < n_old; i++) {
        size_t to = old[i].hash & (n_slots - 1);
        if (old[i].place == 0)
            continue;
        while (rows->slots[to].place != 0)
            to = (to + 1) & (n_slots - 1);
        rows->slots[to] = old[i];
    }
    free(old);
}

static struct model_row *model_rows_find(const struct model_rows *rows, const char *key)
{
    if (rows == NULL || rows->n == 0)
        return NULL;
    uint32_t place = rows->slots[model_rows_slot(rows, key, model_hash(key))].place;
    return place > 0 ? rows->rows[place - 1] : NULL;
}

/* Takes `row`. */
static void model_rows_put(struct model_rows *rows, struct model_row *row)
{
    if ((rows->n + 1) * 4 > rows->n_slots * 3)
        model_rows_grow(rows);
    uint32_t hash = model_hash(model_row_key(row));
    struct model_slot *slot = &rows->slots[model_rows_slot(rows, model_row_key(row), hash)];
    if (slot->place > 0) {
        model_row_unref(rows->rows[slot->place - 1]);
        rows->rows[slot->place - 1] = row;
        return;
    }
    MEM_GROW(rows->rows, rows->cap, rows->n + 1);
    rows->rows[rows->n++] = row;
    *slot = (struct model_slot){.hash = hash, .place = (uint32_t)rows->n};
}

static void model_rows_close_gap(struct model_rows *rows, size_t gap)
{
    size_t mask = rows->n_slots - 1;
    for (size_t i = (gap + 1) & mask; rows->slots[i].place != 0; i = (i + 1) & mask) {
        size_t home = rows->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        rows->slots[gap] = rows->slots[i];
        gap = i;
    }
    rows->slots[gap] = (struct model_slot){0};
}

static void model_rows_remove(struct model_rows *rows, const char *key)
{
    size_t at = model_rows_slot(rows, key, model_hash(key));
    size_t place = rows->slots[at].place;
    assert(place > 0);
    struct model_row *gone = rows->rows[place - 1], *last = rows->rows[rows->n - 1];
    if (gone != last) {
        const char *last_key = model_row_key(last);
        rows->slots[model_rows_slot(rows, last_key, model_hash(last_key))].place = (uint32_t)place;
        rows->rows[place - 1] = last;
    }
    rows->n--;
    model_rows_close_gap(rows, at);
    model_row_unref(gone);
}

static bool model_row_has_ended(const struct model_row *row)
{
    static const char *const ended[] = {"completed", "failed",  "cancelled",   "lost",
                                        "promoted",  "aborted", "rolled_back", "committed"};
    const char *state = model_row_text(row, "state");
    for (size_t i = 0; i < MEM_COUNT(ended); i++)
        if (strcmp(state, ended[i]) == 0)
            return true;
    return false;
}

/* Drops one row that has ended. False when a round has found none. */
static bool model_rows_make_room(struct model_rows *rows)
{
    for (size_t tried = 0; tried < rows->n; tried++) {
        if (rows->hand >= rows->n)
            rows->hand = 0;
        const struct model_row *row = rows->rows[rows->hand++];
        if (!model_row_has_ended(row))
            continue;
        model_rows_remove(rows, model_row_key(row));
        return true;
    }
    return false;
}

/* States */

void model_state_init(struct model_state *state)
{
    *state = (struct model_state){0};
    for (size_t i = 0; i < MODEL_TABLES; i++)
        state->tables[i] = model_rows_new();
}

void model_state_done(struct model_state *state)
{
    for (size_t i = 0; i < MODEL_TABLES; i++) {
        model_rows_unref(state->tables[i]);
        state->tables[i] = NULL;
    }
}

void model_state_copy(struct model_state *to, const struct model_state *from)
{
    for (size_t i = 0; i < MODEL_TABLES; i++) {
        from->tables[i]->refs++;
        model_rows_unref(to->tables[i]);
        to->tables[i] = from->tables[i];
    }
    to->at_ms = from->at_ms;
    to->refused = from->refused;
    to->left_out = from->left_out;
}

size_t model_state_count(const struct model_state *state, enum model_table table)
{
    return state->tables[table]->n;
}

const struct model_row *model_state_at(const struct model_state *state, enum model_table table,
                                       size_t i)
{
    assert(i < state->tables[table]->n);
    return state->tables[table]->rows[i];
}

const struct model_row *model_state_find(const struct model_state *state, enum model_table table,
                                         const char *key)
{
    return model_rows_find(state->tables[table], key);
}

uint64_t model_state_generation(const struct model_state *state, enum model_table table)
{
    return state->tables[table]->generation;
}

/* The table as ours alone, about to change. */
static struct model_rows *model_state_own(struct model_state *state, enum model_table table)
{
    struct model_rows *rows = state->tables[table];
    if (rows->refs > 1) {
        state->tables[table] = model_rows_dup(rows);
        rows->refs--;
        rows = state->tables[table];
    }
    rows->generation = ++model_state_clock;
    return rows;
}

/* Takes `row`. */
static bool model_state_put(struct model_state *state, enum model_table table,
                            struct model_row *row)
{
    struct model_rows *rows = model_state_own(state, table);
    if (rows->n >= MODEL_ROWS_MAX && model_rows_find(rows, model_row_key(row)) == NULL &&
        !model_rows_make_room(rows)) {
        model_row_unref(row);
        state->refused++;
        return false;
    }
    model_rows_put(rows, row);
    return true;
}

bool model_state_patch(struct model_state *state, enum model_table table, const char *key,
                       struct json_scan *row)
{
    const struct model_row *base = model_state_find(state, table, key);
    struct model_row *patched = model_row_read(row, key, base);
    return patched != NULL && model_state_put(state, table, patched);
}

void model_state_remove(struct model_state *state, enum model_table table, const char *key)
{
    if (model_state_find(state, table, key) != NULL)
        model_rows_remove(model_state_own(state, table), key);
}

/* Reading whole tables */

struct model_key_parts {
    const char *first;
    const char *second; /* NULL: the key is the first alone */
};

static const struct model_key_parts model_keys[MODEL_TABLES] = {
    [MODEL_NODES] = {"name", NULL},        [MODEL_ELECTIONS] = {"group", NULL},
    [MODEL_RAFT] = {"name", NULL},         [MODEL_JOBS] = {"id", NULL},
    [MODEL_TASKS] = {"id", NULL},          [MODEL_QUERIES] = {"query", NULL},
    [MODEL_STAGES] = {"query", "stage"},   [MODEL_ROLLOUTS] = {"service", NULL},
    [MODEL_ROUTING] = {"node", "service"}, [MODEL_TRANSACTIONS] = {"txid", NULL},
    [MODEL_CHAT] = {"name", NULL},
};

static bool model_key_part(struct json_scan *s, char *out, size_t size)
{
    struct json_slice text;
    bool ok = json_scan_peek(s) == JSON_KIND_STRING ? json_scan_string(s, &text)
                                                    : json_scan_skip(s, &text);
    if (!ok || text.len >= size)
        return false;
    memcpy(out, text.text, text.len);
    out[text.len] = '\0';
    return true;
}

/* Finds the key in the object that is next and goes back before it. False when there is none. */
static bool model_key_find(struct json_scan *s, enum model_table table,
                           char key[MODEL_ROW_KEY_MAX + 1])
{
    const struct model_key_parts *parts = &model_keys[table];
    char first[MODEL_ROW_KEY_MAX / 2] = "", second[MODEL_ROW_KEY_MAX / 2 - 1] = "";
    struct json_mark mark = json_scan_mark(s);
    struct json_slice name;
    bool ok = json_scan_object(s), fits = true, is_found = false;
    while (ok && !is_found && json_scan_key(s, &name)) {
        if (json_slice_is(&name, parts->first))
            fits = model_key_part(s, first, sizeof first) && fits;
        else if (parts->second != NULL && json_slice_is(&name, parts->second))
            fits = model_key_part(s, second, sizeof second) && fits;
        else
            (void)json_scan_skip(s, NULL);
        is_found = first[0] != '\0' && (parts->second == NULL || second[0] != '\0');
    }
    if (json_scan_failed(s))
        return false;
    json_scan_rewind(s, mark);
    (void)snprintf(key, MODEL_ROW_KEY_MAX + 1, "%s%s%s", first, parts->second != NULL ? "/" : "",
                   second);
    return fits && first[0] != '\0' && (parts->second == NULL || second[0] != '\0');
}

bool model_state_read_table(struct model_state *state, enum model_table table, bool merge,
                            struct json_scan *rows)
{
    char key[MODEL_ROW_KEY_MAX + 1];
    if (!merge) {
        struct model_rows *empty = model_rows_new();
        model_rows_unref(state->tables[table]);
        state->tables[table] = empty;
    }
    if (!json_scan_array(rows))
        return false;
    while (json_scan_element(rows)) {
        if (json_scan_peek(rows) != JSON_KIND_OBJECT || !model_key_find(rows, table, key))
            state->refused += json_scan_skip(rows, NULL) ? 1 : 0;
        else
            (void)model_state_patch(state, table, key, rows);
    }
    return !json_scan_failed(rows);
}

bool model_state_read_frame(struct model_state *state, const char *text, size_t len, char *cursor,
                            size_t cursor_size)
{
    struct json_scan s;
    struct json_slice key, value;
    int64_t left_out = 0;
    state->refused = 0;
    state->at_ms = 0;
    json_scan_init(&s, text, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        enum model_table table = model_table_from_name(key.text, key.len);
        bool is_text = json_scan_peek(&s) == JSON_KIND_STRING;
        if (table < MODEL_TABLES && json_scan_peek(&s) == JSON_KIND_ARRAY) {
            (void)model_state_read_table(state, table, false, &s);
        } else if (is_text && json_slice_is(&key, "at")) {
            if (json_scan_string(&s, &value))
                state->at_ms = clock_rfc3339_ms(value.text, value.len);
        } else if (is_text && json_slice_is(&key, "cursor")) {
            if (json_scan_string(&s, &value))
                (void)snprintf(cursor, cursor_size, "%.*s", (int)value.len, value.text);
        } else if (json_slice_is(&key, "left_out") && json_scan_peek(&s) == JSON_KIND_NUMBER) {
            (void)json_scan_i64(&s, &left_out);
        } else {
            (void)json_scan_skip(&s, NULL);
        }
    }
    state->left_out = left_out > 0 ? (uint64_t)left_out : 0;
    bool ok = json_scan_end(&s) && state->at_ms != 0;
    json_scan_done(&s);
    return ok;
}

static bool model_rows_equal(const struct model_rows *a, const struct model_rows *b)
{
    if (a->generation == b->generation)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct model_row *other = model_rows_find(b, model_row_key(a->rows[i]));
        if (other == NULL || !model_row_equal(a->rows[i], other))
            return false;
    }
    return true;
}

bool model_state_equal(const struct model_state *a, const struct model_state *b)
{
    for (size_t i = 0; i < MODEL_TABLES; i++)
        if (!model_rows_equal(a->tables[i], b->tables[i]))
            return false;
    return true;
}
