/* Happy path: protocol, metaData, transactions, then every live file and the tombstones that are
 * young enough, each as the line that an entry would have. */
#include "core/delta_checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "core/delta_commit.h"
#include "core/delta_internal.h"
#include "wire/lake_path.h"

enum { DELTA_LINE_BYTES_MAX = 64 << 20, DELTA_LAST_BYTES_MAX = 16 << 20 };

/* ---- rows -------------------------------------------------------------------------------------
 */

struct delta_checkpoint {
    const struct delta_view *view;
    int64_t tombstones_from_ms;
    delta_line_fn fn;
    void *arg;
    struct delta_checkpoint_counts counts;
    struct buf line, stats;
    int err;
};

/* Hands the line over, without its newline. */
static void delta_checkpoint_emit(struct delta_checkpoint *c, int err)
{
    if (c->err == 0)
        c->err = err;
    if (c->err == 0)
        c->err = c->fn(c->arg, (const char *)c->line.data, c->line.len - 1);
    c->counts.actions++;
    buf_clear(&c->line);
}

static int delta_write_features(struct buf *b, const char *key, char *const *names, size_t n)
{
    int err = buf_append_str(b, key);
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = i > 0 ? buf_append_byte(b, ',') : 0;
        if (err == 0)
            err = json_text_append(b, names[i], strlen(names[i]));
    }
    return err < 0 ? err : buf_append_byte(b, ']');
}

static void delta_checkpoint_protocol(struct delta_checkpoint *c)
{
    const struct delta_protocol *p = delta_view_protocol(c->view);
    int err = buf_printf(&c->line, "{\"protocol\":{\"minReaderVersion\":%u,\"minWriterVersion\":%u",
                         p->min_reader, p->min_writer);
    if (err == 0 && p->min_reader >= 3)
        err = delta_write_features(&c->line, ",\"readerFeatures\":[", p->reader_features,
                                   p->reader_features_n);
    if (err == 0 && p->min_writer >= 7)
        err = delta_write_features(&c->line, ",\"writerFeatures\":[", p->writer_features,
                                   p->writer_features_n);
    if (err == 0)
        err = buf_append_str(&c->line, "}}\n");
    delta_checkpoint_emit(c, err);
}

static void delta_checkpoint_txns(struct delta_checkpoint *c)
{
    const struct delta_txn *txn;
    for (txn = c->view->state->txns; c->err == 0 && txn != NULL; txn = txn->hh.next) {
        int64_t version;
        if (!delta_view_txn(c->view, txn->app_id, &version))
            continue;
        int err = buf_append_str(&c->line, "{\"txn\":{\"appId\":");
        if (err == 0)
            err = json_text_append(&c->line, txn->app_id, strlen(txn->app_id));
        if (err == 0)
            err = buf_printf(&c->line, ",\"version\":%" PRId64 "}}\n", version);
        delta_checkpoint_emit(c, err);
    }
}

static void delta_checkpoint_add(struct delta_checkpoint *c, const struct delta_file *file)
{
    const struct delta_metadata *metadata = delta_view_metadata(c->view);
    const struct delta_row *row = &c->view->state->rows[file->index];
    const char *values[DELTA_PARTITION_COLUMNS_MAX];
    for (size_t i = 0; i < metadata->partitions_n; i++)
        values[i] = delta_file_partition(c->view, file, i);
    buf_clear(&c->stats);
    int err = delta_file_format_stats(c->view, file, &c->stats);
    struct delta_new_file add = {.path = file->path,
                                 .partition_values = values,
                                 .size = file->size,
                                 .modified_ms = file->modified_ms,
                                 .stats = c->stats.len > 0 ? buf_cstr(&c->stats) : NULL};
    if (err == 0)
        err = delta_write_add(&c->line, metadata, &add, false);
    size_t tags_len;
    const char *tags = delta_facts_tags(row->facts, row->meta->metadata.partitions_n, &tags_len);
    if (err == 0 && tags != NULL) {
        c->line.len -= 3; /* }}\n */
        err = buf_append_str(&c->line, ",\"tags\":");
        if (err == 0)
            err = buf_append(&c->line, tags, tags_len);
        if (err == 0)
            err = buf_append_str(&c->line, "}}\n");
    }
    c->counts.adds++;
    delta_checkpoint_emit(c, err);
}

static void delta_checkpoint_remove(void *arg, const char *path, int64_t removed_ms)
{
    struct delta_checkpoint *c = arg;
    if (c->err < 0 || removed_ms < c->tombstones_from_ms)
        return;
    int err = buf_append_str(&c->line, "{\"remove\":{\"path\":");
    if (err == 0)
        err = json_text_append(&c->line, path, strlen(path));
    if (err == 0)
        err = buf_printf(&c->line, ",\"deletionTimestamp\":%" PRId64 ",\"dataChange\":false}}\n",
                         removed_ms);
    delta_checkpoint_emit(c, err);
}

int delta_checkpoint_write(const struct delta_view *view, int64_t tombstones_from_ms,
                           delta_line_fn fn, void *arg, struct delta_checkpoint_counts *counts)
{
    struct delta_checkpoint c = {
        .view = view, .tombstones_from_ms = tombstones_from_ms, .fn = fn, .arg = arg};
    struct delta_file file;
    buf_init(&c.line, DELTA_LINE_BYTES_MAX);
    buf_init(&c.stats, DELTA_LINE_BYTES_MAX);
    delta_checkpoint_protocol(&c);
    if (c.err == 0)
        delta_checkpoint_emit(&c, delta_write_metadata(&c.line, delta_view_metadata(view)));
    delta_checkpoint_txns(&c);
    for (size_t at = 0; c.err == 0 && delta_view_next(view, &at, &file);)
        delta_checkpoint_add(&c, &file);
    delta_view_tombstones(view, delta_checkpoint_remove, &c);
    buf_done(&c.line);
    buf_done(&c.stats);
    if (c.err == 0 && counts != NULL)
        *counts = c.counts;
    return c.err;
}

/* ---- _last_checkpoint -------------------------------------------------------------------------
 */

static bool delta_scan_count(struct json_scan *scan, uint64_t max, uint64_t *value)
{
    int64_t n;
    if (json_scan_null(scan))
        return true;
    if (!json_scan_i64(scan, &n) || n < 0 || (uint64_t)n > max)
        return false;
    *value = (uint64_t)n;
    return true;
}

int delta_last_checkpoint_parse(const char *json, size_t len, struct delta_last_checkpoint *last,
                                struct error *e)
{
    struct delta_last_checkpoint found = {
        .version = DELTA_NO_VERSION, .size = DELTA_NO_VERSION, .adds = DELTA_NO_VERSION};
    struct json_scan scan;
    struct json_slice key;
    uint64_t parts = 0;
    bool good = true;
    json_scan_init(&scan, json, len < DELTA_LAST_BYTES_MAX ? len : DELTA_LAST_BYTES_MAX);
    (void)json_scan_object(&scan);
    while (good && json_scan_key(&scan, &key)) {
        if (json_slice_is(&key, "version"))
            good = delta_scan_count(&scan, INT64_MAX, &found.version);
        else if (json_slice_is(&key, "size"))
            good = delta_scan_count(&scan, INT64_MAX, &found.size);
        else if (json_slice_is(&key, "numOfAddFiles"))
            good = delta_scan_count(&scan, INT64_MAX, &found.adds);
        else if (json_slice_is(&key, "parts"))
            good = delta_scan_count(&scan, UINT32_MAX, &parts);
        else
            good = json_scan_skip(&scan, NULL);
    }
    good = good && json_scan_end(&scan) && found.version != DELTA_NO_VERSION;
    json_scan_done(&scan);
    if (!good)
        return error_set(e, ERR_CORRUPT, "_last_checkpoint is malformed");
    found.parts = parts > 1 ? (uint32_t)parts : 0;
    *last = found;
    return 0;
}

char *delta_last_checkpoint_format(const struct delta_last_checkpoint *last, uint64_t bytes)
{
    return mem_printf("{\"version\":%" PRIu64 ",\"size\":%" PRIu64 ",\"sizeInBytes\":%" PRIu64
                      ",\"numOfAddFiles\":%" PRIu64 "}",
                      last->version, last->size, bytes, last->adds);
}

/* ---- vacuum -----------------------------------------------------------------------------------
 */

/* A file that the log names. */
struct delta_named {
    bool gone; /* taken out of the table before `before_ms` */
    UT_hash_handle hh;
    char key[];
};

struct delta_vacuum {
    char *place;
    int64_t before_ms, unknown_before_ms;
    struct delta_named *named;
};

static void delta_vacuum_name(struct delta_vacuum *vacuum, const char *path, bool gone)
{
    char *place, *key;
    if (lake_action_resolve(vacuum->place, path, &place, &key, NULL) < 0)
        return;
    if (lake_url_contains(vacuum->place, place)) {
        size_t len = strlen(vacuum->place);
        const char *folder = place[len] == '/' ? place + len + 1 : "";
        size_t size = strlen(folder) + strlen(key) + 2;
        struct delta_named *named = mem_alloc(sizeof *named + size), *known;
        (void)snprintf(named->key, size, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", key);
        named->gone = gone;
        HASH_FIND_STR(vacuum->named, named->key, known);
        if (known == NULL) {
            HASH_ADD_STR(vacuum->named, key, named);
        } else {
            known->gone = known->gone && gone;
            free(named);
        }
    }
    free(place);
    free(key);
}

static void delta_vacuum_tombstone(void *arg, const char *path, int64_t removed_ms)
{
    struct delta_vacuum *vacuum = arg;
    if (removed_ms > 0) /* else nobody knows when: as if the log did not name it */
        delta_vacuum_name(vacuum, path, removed_ms < vacuum->before_ms);
}

struct delta_vacuum *delta_vacuum_new(const struct delta_view *view, const char *place,
                                      int64_t before_ms, int64_t unknown_before_ms)
{
    struct delta_vacuum *vacuum = mem_zalloc(sizeof *vacuum);
    struct delta_file file;
    vacuum->place = mem_strdup(place);
    vacuum->before_ms = before_ms;
    vacuum->unknown_before_ms = unknown_before_ms < before_ms ? unknown_before_ms : before_ms;
    for (size_t at = 0; delta_view_next(view, &at, &file);)
        delta_vacuum_name(vacuum, file.path, false);
    delta_view_tombstones(view, delta_vacuum_tombstone, vacuum);
    return vacuum;
}

void delta_vacuum_free(struct delta_vacuum *vacuum)
{
    struct delta_named *named, *next;
    if (vacuum == NULL)
        return;
    HASH_ITER (hh, vacuum->named, named, next) {
        HASH_DEL(vacuum->named, named);
        free(named);
    }
    free(vacuum->place);
    free(vacuum);
}

/* Names that begin with '_' or '.' belong to somebody else, folders of partitions aside. */
static bool delta_is_hidden(const char *key)
{
    for (;;) {
        size_t len = strcspn(key, "/");
        bool folder = key[len] == '/';
        if (key[0] == '.' || (key[0] == '_' && !(folder && memchr(key, '=', len) != NULL)))
            return true;
        if (!folder)
            return false;
        key += len + 1;
    }
}

bool delta_vacuum_wants(const struct delta_vacuum *vacuum, const char *key, int64_t modified_ms)
{
    struct delta_named *named;
    if (delta_is_hidden(key))
        return false;
    HASH_FIND_STR(vacuum->named, key, named);
    return named != NULL ? named->gone : modified_ms < vacuum->unknown_before_ms;
}
