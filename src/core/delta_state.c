/* The memory of a log: rows of files in the order in which they came, a table from path to the
 * latest row of it, and an arena for paths and facts. Nothing is ever changed but the end of a
 * row's life, so that views of any version need no copy. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_internal.h"

enum { DELTA_CHUNK_BYTES = 1 << 20 };

struct delta_chunk {
    struct delta_chunk *next;
    size_t used, size;
    uint8_t data[];
};

struct delta_state *delta_state_new(void)
{
    struct delta_state *state = mem_zalloc(sizeof *state);
    state->refs = 1;
    state->version = DELTA_NO_VERSION;
    return state;
}

struct delta_state *delta_state_ref(struct delta_state *state)
{
    state->refs++;
    return state;
}

void delta_state_unref(struct delta_state *state)
{
    if (state == NULL || --state->refs > 0)
        return;
    struct delta_chunk *next;
    for (struct delta_chunk *chunk = state->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    for (size_t i = 0; i < state->metas_n; i++)
        delta_meta_unref(state->metas[i].meta);
    for (size_t i = 0; i < state->protocols_n; i++)
        delta_protocol_done(&state->protocols[i].protocol);
    struct delta_txn *txn, *other;
    HASH_ITER (hh, state->txns, txn, other) {
        HASH_DEL(state->txns, txn);
        free(txn->app_id);
        free(txn->steps);
        free(txn);
    }
    delta_leaves_done(&state->leaves);
    free(state->metas);
    free(state->protocols);
    free(state->rows);
    free(state->slots);
    free(state);
}

void *delta_state_alloc(struct delta_state *state, const void *data, size_t len)
{
    struct delta_chunk *chunk = state->chunks;
    if (chunk == NULL || chunk->size - chunk->used < len) {
        size_t size = len > DELTA_CHUNK_BYTES ? len : DELTA_CHUNK_BYTES;
        chunk = mem_alloc(sizeof *chunk + size);
        *chunk = (struct delta_chunk){.next = state->chunks, .size = size};
        state->chunks = chunk;
        state->arena_bytes += sizeof *chunk + size;
    }
    void *copy = chunk->data + chunk->used;
    memcpy(copy, data, len);
    chunk->used += len;
    return copy;
}

size_t delta_state_bytes(const struct delta_state *state)
{
    return state->arena_bytes + state->rows_cap * sizeof *state->rows +
           state->slots_n * sizeof *state->slots;
}

/* ---- rows by path -----------------------------------------------------------------------------
 */

/* FNV-1a with a final mix; paths are of our own making or of a log that is bounded. */
static uint64_t delta_hash(const char *path)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *path != '\0'; path++)
        h = (h ^ (unsigned char)*path) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

/* The slot of `path`: with its row, or free. */
static uint32_t *delta_slot(const struct delta_state *state, const char *path)
{
    size_t mask = state->slots_n - 1;
    for (size_t i = delta_hash(path) & mask;; i = (i + 1) & mask)
        if (state->slots[i] == DELTA_NO_ROW || strcmp(state->rows[state->slots[i]].path, path) == 0)
            return &state->slots[i];
}

uint32_t delta_state_find(const struct delta_state *state, const char *path)
{
    return state->slots_n > 0 ? *delta_slot(state, path) : (uint32_t)DELTA_NO_ROW;
}

static void delta_slots_grow(struct delta_state *state)
{
    if (state->paths * 4 < state->slots_n * 3)
        return;
    size_t old_n = state->slots_n;
    uint32_t *old = state->slots;
    state->slots_n = old_n > 0 ? old_n * 2 : 64;
    state->slots = mem_reallocarray(NULL, state->slots_n, sizeof *state->slots);
    memset(state->slots, 0xff, state->slots_n * sizeof *state->slots);
    for (size_t i = 0; i < old_n; i++)
        if (old[i] != DELTA_NO_ROW)
            *delta_slot(state, state->rows[old[i]].path) = old[i];
    free(old);
}

static void delta_state_count(struct delta_state *state, const struct delta_row *row, bool live)
{
    state->live_files += live ? 1 : SIZE_MAX;
    state->live_bytes += live ? row->size : 0 - row->size;
    if (row->rows == UINT64_MAX)
        state->live_rowless += live ? 1 : SIZE_MAX;
    else
        state->live_rows += live ? row->rows : 0 - row->rows;
}

/* Ends the life of the latest row of a path, if it lives. */
static void delta_state_end(struct delta_state *state, uint32_t at, uint64_t version,
                            int64_t removed_ms)
{
    struct delta_row *row = at == DELTA_NO_ROW ? NULL : &state->rows[at];
    if (row == NULL || row->removed != DELTA_NO_VERSION)
        return;
    row->removed = version;
    row->removed_ms = removed_ms;
    delta_state_count(state, row, false);
}

/* A new row at the end; `path` is copied unless the path is known. */
static struct delta_row *delta_state_row(struct delta_state *state, const char *path)
{
    delta_slots_grow(state);
    uint32_t *slot = delta_slot(state, path);
    bool known = *slot != DELTA_NO_ROW;
    const char *kept =
        known ? state->rows[*slot].path : delta_state_alloc(state, path, strlen(path) + 1);
    assert(state->rows_n < DELTA_NO_ROW);
    MEM_GROW(state->rows, state->rows_cap, state->rows_n + 1);
    struct delta_row *row = &state->rows[state->rows_n];
    *row = (struct delta_row){.path = kept, .older = *slot, .rows = UINT64_MAX};
    state->paths += !known;
    *slot = (uint32_t)state->rows_n++;
    return row;
}

void delta_state_add(struct delta_state *state, uint64_t version, const struct delta_action *action,
                     const struct buf *facts, uint64_t rows)
{
    delta_state_end(state, delta_state_find(state, action->path), version, 0);
    struct delta_row *row = delta_state_row(state, action->path);
    row->facts = delta_state_alloc(state, facts->data, facts->len);
    row->meta = delta_state_meta(state, version);
    row->size = (uint64_t)action->size;
    row->rows = rows;
    row->time_ms = action->time_ms;
    row->added = version;
    row->removed = DELTA_NO_VERSION;
    delta_state_count(state, row, true);
}

void delta_state_remove(struct delta_state *state, uint64_t version,
                        const struct delta_action *action)
{
    uint32_t at = delta_state_find(state, action->path);
    if (at != DELTA_NO_ROW && state->rows[at].removed == DELTA_NO_VERSION) {
        delta_state_end(state, at, version, action->time_ms);
        return;
    }
    struct delta_row *row = delta_state_row(state, action->path);
    row->added = row->removed = version;
    row->removed_ms = action->time_ms;
    row->size = action->size > 0 ? (uint64_t)action->size : 0;
}

/* ---- metadata ---------------------------------------------------------------------------------
 */

struct delta_meta *delta_state_meta(const struct delta_state *state, uint64_t version)
{
    for (size_t i = state->metas_n; i > 0; i--)
        if (state->metas[i - 1].since <= version)
            return state->metas[i - 1].meta;
    return NULL;
}

const struct delta_protocol *delta_state_protocol(const struct delta_state *state, uint64_t version)
{
    for (size_t i = state->protocols_n; i > 0; i--)
        if (state->protocols[i - 1].since <= version)
            return &state->protocols[i - 1].protocol;
    return NULL;
}

void delta_state_set_meta(struct delta_state *state, uint64_t version, struct delta_meta *meta)
{
    MEM_GROW(state->metas, state->metas_cap, state->metas_n + 1);
    state->metas[state->metas_n++] = (struct delta_meta_step){.since = version, .meta = meta};
}

void delta_state_set_protocol(struct delta_state *state, uint64_t version,
                              struct delta_protocol *protocol)
{
    MEM_GROW(state->protocols, state->protocols_cap, state->protocols_n + 1);
    state->protocols[state->protocols_n++] =
        (struct delta_protocol_step){.since = version, .protocol = *protocol};
}

void delta_state_set_txn(struct delta_state *state, uint64_t version, const char *app_id,
                         int64_t txn_version)
{
    struct delta_txn *txn;
    HASH_FIND_STR(state->txns, app_id, txn);
    if (txn == NULL) {
        txn = mem_zalloc(sizeof *txn);
        txn->app_id = mem_strdup(app_id);
        HASH_ADD_KEYPTR(hh, state->txns, txn->app_id, strlen(txn->app_id), txn);
    }
    MEM_GROW(txn->steps, txn->cap, txn->n + 1);
    txn->steps[txn->n++] = (struct delta_txn_step){.since = version, .version = txn_version};
}

/* ---- trimming ---------------------------------------------------------------------------------
 */

static char *delta_list_copy(char *const *list, size_t i)
{
    return mem_strdup(list[i]);
}

static void delta_protocol_copy(const struct delta_protocol *from, struct delta_protocol *to)
{
    *to = *from;
    to->reader_features = mem_calloc(from->reader_features_n + 1, sizeof(char *));
    to->writer_features = mem_calloc(from->writer_features_n + 1, sizeof(char *));
    for (size_t i = 0; i < from->reader_features_n; i++)
        to->reader_features[i] = delta_list_copy(from->reader_features, i);
    for (size_t i = 0; i < from->writer_features_n; i++)
        to->writer_features[i] = delta_list_copy(from->writer_features, i);
}

/* Ids of leaves stay, because the facts that are copied name them. */
static void delta_leaves_copy(const struct delta_leaves *from, struct delta_leaves *to)
{
    for (size_t i = 0; i < from->n; i++) {
        struct delta_leaf *leaf = mem_dup(from->by_id[i], sizeof *leaf);
        leaf->key = mem_strdup(leaf->key);
        memset(&leaf->hh, 0, sizeof leaf->hh);
        HASH_ADD_KEYPTR(hh, to->by_key, leaf->key, strlen(leaf->key), leaf);
        MEM_GROW(to->by_id, to->cap, to->n + 1);
        to->by_id[to->n++] = leaf;
    }
}

static void delta_state_copy_row(struct delta_state *to, const struct delta_row *from,
                                 size_t facts_len)
{
    struct delta_row *row = delta_state_row(to, from->path);
    uint32_t older = row->older;
    const char *path = row->path;
    *row = *from;
    row->path = path;
    row->older = older;
    if (from->facts != NULL)
        row->facts = delta_state_alloc(to, from->facts, facts_len);
    if (row->removed == DELTA_NO_VERSION)
        delta_state_count(to, row, true);
}

static size_t delta_facts_bytes(const struct delta_state *state, const struct delta_row *row)
{
    return row->facts == NULL
               ? 0
               : delta_facts_len(row->facts, row->meta->metadata.partitions_n, &state->leaves);
}

struct delta_state *delta_state_trimmed(const struct delta_state *state, uint64_t version)
{
    struct delta_state *to = delta_state_new();
    to->version = state->version;
    to->oldest = version > state->oldest ? version : state->oldest;
    delta_leaves_copy(&state->leaves, &to->leaves);
    for (size_t i = 0; i < state->metas_n; i++)
        delta_state_set_meta(to, state->metas[i].since, delta_meta_ref(state->metas[i].meta));
    for (size_t i = 0; i < state->protocols_n; i++) {
        struct delta_protocol protocol;
        delta_protocol_copy(&state->protocols[i].protocol, &protocol);
        delta_state_set_protocol(to, state->protocols[i].since, &protocol);
    }
    for (const struct delta_txn *txn = state->txns; txn != NULL; txn = txn->hh.next)
        for (size_t i = 0; i < txn->n; i++)
            if (i + 1 == txn->n || txn->steps[i + 1].since > to->oldest)
                delta_state_set_txn(to, txn->steps[i].since, txn->app_id, txn->steps[i].version);
    for (size_t i = 0; i < state->rows_n; i++) {
        const struct delta_row *row = &state->rows[i];
        bool seen = row->removed > to->oldest;
        bool tombstone = !seen && delta_state_find(state, row->path) == i;
        if (seen)
            delta_state_copy_row(to, row, delta_facts_bytes(state, row));
        else if (tombstone) {
            struct delta_row bare = *row;
            bare.facts = NULL;
            delta_state_copy_row(to, &bare, 0);
        }
    }
    return to;
}
