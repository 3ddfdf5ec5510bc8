/* A view is a version of a state: a row is in it from the version that added it up to the one that
 * removed it. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_internal.h"

static bool delta_row_in(const struct delta_row *row, uint64_t version)
{
    return row->added <= version && version < row->removed;
}

static void delta_view_count(struct delta_view *view)
{
    const struct delta_state *state = view->state;
    size_t rowless = 0;
    if (view->version == state->version) {
        view->files = state->live_files;
        view->bytes = state->live_bytes;
        view->rows = state->live_rows;
        view->rows_known = state->live_rowless == 0;
        return;
    }
    for (size_t i = 0; i < state->rows_n; i++) {
        const struct delta_row *row = &state->rows[i];
        if (!delta_row_in(row, view->version))
            continue;
        view->files++;
        view->bytes += row->size;
        rowless += row->rows == UINT64_MAX;
        view->rows += row->rows == UINT64_MAX ? 0 : row->rows;
    }
    view->rows_known = rowless == 0;
}

int delta_view_open(struct delta_log *log, uint64_t version, struct delta_view **view,
                    struct error *e)
{
    struct delta_state *state = log->state;
    if (version == DELTA_NO_VERSION)
        version = state->version;
    if (state->version == DELTA_NO_VERSION)
        return error_set(e, ERR_NOT_FOUND, "the log is empty");
    if (version > state->version || version < state->oldest)
        return error_set(e, ERR_NOT_FOUND,
                         "there is no version %" PRIu64 ": the versions are %" PRIu64
                         " to %" PRIu64,
                         version, state->oldest, state->version);
    struct delta_view *opened = mem_zalloc(sizeof *opened);
    opened->state = delta_state_ref(state);
    opened->version = version;
    opened->meta = delta_state_meta(state, version);
    delta_view_count(opened);
    *view = opened;
    return 0;
}

void delta_view_close(struct delta_view *view)
{
    if (view == NULL)
        return;
    delta_state_unref(view->state);
    free(view);
}

void delta_view_detach(struct delta_view *view)
{
    struct delta_state *copy = delta_state_trimmed(view->state, view->version);
    delta_state_unref(view->state);
    view->state = copy;
}

void delta_view_pin(struct delta_view *view)
{
    view->state->pins++;
}

void delta_view_unpin(struct delta_view *view)
{
    assert(view->state->pins > 0);
    view->state->pins--;
}

uint64_t delta_view_version(const struct delta_view *view)
{
    return view->version;
}

const struct delta_metadata *delta_view_metadata(const struct delta_view *view)
{
    return &view->meta->metadata;
}

const struct delta_protocol *delta_view_protocol(const struct delta_view *view)
{
    return delta_state_protocol(view->state, view->version);
}

size_t delta_view_files(const struct delta_view *view)
{
    return view->files;
}

uint64_t delta_view_bytes(const struct delta_view *view)
{
    return view->bytes;
}

bool delta_view_rows(const struct delta_view *view, uint64_t *rows)
{
    if (view->rows_known)
        *rows = view->rows;
    return view->rows_known;
}

bool delta_view_txn(const struct delta_view *view, const char *app_id, int64_t *txn_version)
{
    const struct delta_txn *txn;
    HASH_FIND_STR(view->state->txns, app_id, txn);
    for (size_t i = txn != NULL ? txn->n : 0; i > 0; i--)
        if (txn->steps[i - 1].since <= view->version) {
            *txn_version = txn->steps[i - 1].version;
            return true;
        }
    return false;
}

static void delta_view_file(const struct delta_view *view, size_t i, struct delta_file *file)
{
    const struct delta_row *row = &view->state->rows[i];
    *file = (struct delta_file){.path = row->path,
                                .size = row->size,
                                .modified_ms = row->time_ms,
                                .added_version = row->added,
                                .rows = row->rows,
                                .index = (uint32_t)i};
}

bool delta_view_next(const struct delta_view *view, size_t *at, struct delta_file *file)
{
    const struct delta_state *state = view->state;
    for (; *at < state->rows_n; (*at)++) {
        if (!delta_row_in(&state->rows[*at], view->version))
            continue;
        delta_view_file(view, (*at)++, file);
        return true;
    }
    return false;
}

bool delta_view_find(const struct delta_view *view, const char *path, struct delta_file *file)
{
    uint32_t i = delta_state_find(view->state, path);
    while (i != DELTA_NO_ROW && !delta_row_in(&view->state->rows[i], view->version))
        i = view->state->rows[i].older;
    if (i == DELTA_NO_ROW)
        return false;
    delta_view_file(view, i, file);
    return true;
}

/* ---- what is known of a file ------------------------------------------------------------------
 */

/* A file keeps the partition columns of the metadata under which it came; they never change in a
 * table, but their order among the columns of the schema may. */
static const char *delta_row_partition(const struct delta_row *row, const char *name, bool *has)
{
    const struct delta_metadata *metadata = &row->meta->metadata;
    for (size_t i = 0; i < metadata->partitions_n; i++)
        if (strcmp(metadata->schema.fields[metadata->partitions[i]].name, name) == 0) {
            *has = true;
            return delta_facts_partition(row->facts, i);
        }
    *has = false;
    return NULL;
}

const char *delta_file_partition(const struct delta_view *view, const struct delta_file *file,
                                 size_t i)
{
    const struct delta_row *row = &view->state->rows[file->index];
    const struct delta_metadata *metadata = &view->meta->metadata;
    bool has;
    if (row->meta == view->meta)
        return delta_facts_partition(row->facts, i);
    return delta_row_partition(row, metadata->schema.fields[metadata->partitions[i]].name, &has);
}

static void delta_partition_range(const struct delta_type *type, const char *value, uint64_t rows,
                                  struct delta_range *range)
{
    range->nulls = value == NULL ? rows : 0;
    if (value == NULL)
        return;
    delta_value_parse(type, value, strlen(value), &range->min);
    if (range->min.above)
        range->min.class = DELTA_CLASS_NONE;
    range->max = range->min;
    range->min_exact = range->max_exact = true;
}

void delta_file_range(const struct delta_view *view, const struct delta_file *file, size_t column,
                      struct delta_range *range)
{
    const struct delta_row *row = &view->state->rows[file->index];
    const struct delta_metadata *metadata = &view->meta->metadata;
    const struct delta_field *field = &metadata->schema.fields[column];
    struct delta_leaf_stats stats;
    *range = (struct delta_range){.nulls = UINT64_MAX};
    size_t partition = delta_metadata_partition(metadata, column);
    if (partition != SIZE_MAX) {
        delta_partition_range(&field->type, delta_file_partition(view, file, partition), row->rows,
                              range);
        return;
    }
    if (view->meta->nodes[column].children != NULL ||
        !delta_facts_leaf(row->facts, row->meta->metadata.partitions_n, &view->state->leaves,
                          view->meta->nodes[column].leaf, &stats))
        return;
    *range = (struct delta_range){.min = stats.min,
                                  .max = stats.max,
                                  .min_exact = stats.min_exact,
                                  .max_exact = stats.max_exact,
                                  .nulls = stats.nulls};
    bool time = field->type.kind == DELTA_TIMESTAMP || field->type.kind == DELTA_TIMESTAMP_NTZ;
    if (time && range->max.class == DELTA_CLASS_WHOLE && !range->max_exact)
        range->max.whole += 999; /* cut to milliseconds */
    if (range->max.class == DELTA_CLASS_DOUBLE)
        range->max.class = DELTA_CLASS_NONE; /* NaN is greater, and not in the statistics */
}

int delta_file_format_stats(const struct delta_view *view, const struct delta_file *file,
                            struct buf *b)
{
    const struct delta_row *row = &view->state->rows[file->index];
    return delta_facts_format(row->facts, row->meta->metadata.partitions_n, &view->state->leaves,
                              row->meta, row->rows, b);
}

/* ---- tombstones -------------------------------------------------------------------------------
 */

void delta_view_tombstones(const struct delta_view *view, delta_tombstone_fn fn, void *arg)
{
    const struct delta_state *state = view->state;
    for (size_t i = 0; i < state->rows_n; i++) {
        const struct delta_row *row = &state->rows[i];
        if (row->removed > view->version)
            continue;
        uint32_t latest = delta_state_find(state, row->path);
        while (latest != DELTA_NO_ROW && state->rows[latest].added > view->version)
            latest = state->rows[latest].older;
        if (latest == i)
            fn(arg, row->path, row->removed_ms);
    }
}
