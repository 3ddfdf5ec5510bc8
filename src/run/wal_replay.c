/* Happy path: the heads of all files are read and the live segments put in order; then each is read
 * as a whole, block by block, and the place of each record noted, until one has no seal: that is
 * where writing goes on.
 *
 * How it fails: a segment that should be there is not, or a valid block lies behind an invalid one.
 * Only an invalid block with nothing valid behind it is a torn tail. */
#include "run/wal_replay.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static int corrupt(struct error *e, const struct wal_store *store,
                   const struct wal_segment *segment, uint64_t offset, const char *what)
{
    return error_set(e, ERR_CORRUPT, "%s/%s: %s at offset %" PRIu64, store->dir.path, segment->name,
                     what, offset);
}

/* ---- which files there are ---------------------------------------------------------------------
 */

static int read_head(struct wal_store *store, struct wal_segment *segment)
{
    uint8_t page[WAL_PAGE_BYTES] = {0};
    int fd = openat(store->dir.fd, segment->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = pread(fd, page, sizeof page, 0);
    int rc = n < 0 ? -errno : 0;
    (void)close(fd);
    return rc < 0 ? rc : wal_format_get_head(page, &segment->head);
}

static void insert_by_number(struct wal_segments *list, struct wal_segment *segment)
{
    struct wal_segment *at;
    TAILQ_FOREACH (at, list, entry)
        if (at->head.number > segment->head.number)
            break;
    if (at != NULL)
        TAILQ_INSERT_BEFORE(at, segment, entry);
    else
        TAILQ_INSERT_TAIL(list, segment, entry);
}

/* Puts the segments with a valid head into `found`, in order, all others into `blank`. `known` is
 * false in a log that has no head file yet. */
static int find_segments(struct wal_store *store, bool known, struct wal_segments *found,
                         struct wal_segments *blank, struct error *e)
{
    DIR *dir = opendir(store->dir.path);
    if (dir == NULL)
        return error_set(e, -errno, "cannot read %s: %s", store->dir.path, strerror(errno));
    int rc = 0;
    struct dirent *file;
    while (rc == 0 && (file = readdir(dir)) != NULL) {
        if (!str_ends_with(file->d_name, WAL_FILE_SUFFIX) ||
            strlen(file->d_name) >= WAL_FILE_NAME_MAX)
            continue;
        struct wal_segment *segment = wal_file_new(file->d_name);
        rc = read_head(store, segment);
        if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
            TAILQ_INSERT_TAIL(blank, segment, entry);
            rc = 0;
            continue;
        }
        insert_by_number(found, segment);
        if (rc < 0)
            error_set(e, rc, "%s/%s: %s", store->dir.path, segment->name, err_text(rc));
        else if (known && segment->head.log != store->log)
            rc = corrupt(e, store, segment, 0, "segment of another log");
    }
    (void)closedir(dir);
    return rc;
}

/* Splits `found` into spares, live segments without a gap, and at most one that is ready behind. */
static int sort_segments(struct wal_store *store, uint64_t oldest, struct wal_segments *found,
                         struct error *e)
{
    struct wal_segment *segment;
    uint64_t number = oldest;
    while ((segment = TAILQ_FIRST(found)) != NULL) {
        if (segment->head.number < oldest) {
            TAILQ_REMOVE(found, segment, entry);
            wal_store_recycle(store, segment);
            continue;
        }
        if (segment->head.number != number)
            break;
        TAILQ_REMOVE(found, segment, entry);
        TAILQ_INSERT_TAIL(&store->live, segment, entry);
        number++;
    }
    if (segment != NULL || TAILQ_EMPTY(&store->live))
        return error_set(e, ERR_CORRUPT, "%s: segment %" PRIu64 " is missing or its head damaged",
                         store->dir.path, number);
    return 0;
}

/* ---- what they hold -------------------------------------------------------------------------- */

static void drop_from(struct wal_replay *replay, uint64_t index)
{
    while (replay->count > 0 && replay->places[replay->count - 1].index >= index)
        replay->count--;
    replay->next = index;
}

/* Applies one record; a code when it doesn't follow on what came before. */
static int apply(struct wal_replay *replay, struct wal_store *store, struct wal_segment *segment,
                 enum wal_kind kind, const struct wal_record *record, uint64_t offset)
{
    switch (kind) {
    case WAL_KIND_APPEND:
        if (replay->next != 0 && record->index != replay->next)
            return ERR_CORRUPT;
        MEM_GROW(replay->places, replay->cap, replay->count + 1);
        replay->places[replay->count++] = (struct wal_place){record->index, offset, segment};
        replay->next = record->index + 1;
        if (record->index > segment->index_max)
            segment->index_max = record->index;
        return 0;
    case WAL_KIND_TRUNCATE:
        if (replay->next != 0 && record->index > replay->next)
            return ERR_CORRUPT;
        drop_from(replay, record->index);
        return 0;
    case WAL_KIND_RESET:
        drop_from(replay, 0);
        replay->next = record->index;
        if (store->sequence >= store->trimmed_sequence)
            store->trimmed = record->index - 1;
        return 0;
    case WAL_KIND_SEAL:
        return record->index == segment->head.number + 1 ? 0 : ERR_CORRUPT;
    case WAL_KIND_TRIM:
        break;
    }
    return ERR_CORRUPT;
}

static int apply_block(struct wal_replay *replay, struct wal_store *store,
                       struct wal_segment *segment, struct wal_block block, const uint8_t *data,
                       bool *sealed)
{
    enum wal_kind kind;
    struct wal_record record;
    int rc;
    for (;;) {
        uint64_t offset = (uint64_t)(block.records - data);
        if (!wal_format_next_record(&block, &kind, &record, &rc))
            return rc;
        rc = apply(replay, store, segment, kind, &record, offset);
        if (rc < 0)
            return rc;
        *sealed = kind == WAL_KIND_SEAL;
    }
}

/* Reads one segment to its seal or end; leaves `store` behind its last valid block. */
static int read_segment(struct wal_replay *replay, struct wal_store *store,
                        struct wal_segment *segment, bool *sealed, struct error *e)
{
    uint8_t *data;
    int rc = wal_file_read(&store->dir, segment, segment->head.bytes, &data, e);
    if (rc < 0)
        return rc;
    const struct wal_head *head = &segment->head;
    bool first = segment == TAILQ_FIRST(&store->live);
    uint64_t offset = WAL_PAGE_BYTES;
    struct wal_block block;
    *sealed = false;
    while (!*sealed && wal_format_get_block(data, head->bytes, head->salt, offset, &block) &&
           ((first && offset == WAL_PAGE_BYTES) || block.sequence == store->sequence)) {
        store->sequence = block.sequence;
        uint64_t end = offset + WAL_BLOCK_HEAD_BYTES + block.len;
        rc = apply_block(replay, store, segment, block, data, sealed);
        if (rc < 0) {
            corrupt(e, store, segment, offset, "block that contradicts the ones before");
            goto out;
        }
        offset = end;
        store->sequence++;
    }
    store->offset = offset;
    if (*sealed)
        goto out;
    uint64_t later = wal_format_find_block(data, head->bytes, head->salt, offset);
    if (later != 0) {
        rc = error_set(e, ERR_CORRUPT,
                       "%s/%s: damaged at offset %" PRIu64 ", a valid block follows at %" PRIu64,
                       store->dir.path, segment->name, offset, later);
        goto out;
    }
    replay->torn_bytes = wal_format_torn_bytes(data, head, offset, store->sequence);
out:
    free(data);
    return rc;
}

/* Whether a block was ever written to this use of the segment: the first begins the second page. */
static int has_block(struct wal_store *store, struct wal_segment *segment, bool *has,
                     struct error *e)
{
    uint8_t *data;
    int rc = wal_file_read(&store->dir, segment, 2 * (size_t)WAL_PAGE_BYTES, &data, e);
    if (rc < 0)
        return rc;
    *has = wal_format_is_block(data, segment->head.salt, WAL_PAGE_BYTES);
    free(data);
    return 0;
}

/* A segment behind the last one written must be empty: the reserve. */
static int take_reserve(struct wal_store *store, struct wal_segment *segment, struct error *e)
{
    bool has;
    int rc = has_block(store, segment, &has, e);
    if (rc < 0)
        return rc;
    if (has)
        return corrupt(e, store, store->active, store->offset,
                       "a later segment holds valid blocks, but this one is damaged");
    TAILQ_REMOVE(&store->live, segment, entry);
    if (store->next != NULL || segment->head.bytes != wal_store_next_bytes(store)) {
        wal_file_remove(&store->dir, segment);
        return 0;
    }
    store->next = segment;
    return 0;
}

static int read_segments(struct wal_replay *replay, struct wal_store *store, struct error *e)
{
    bool sealed = true;
    struct wal_segment *segment = TAILQ_FIRST(&store->live);
    for (; sealed && segment != NULL; segment = TAILQ_NEXT(segment, entry)) {
        int rc = read_segment(replay, store, segment, &sealed, e);
        if (rc < 0)
            return rc;
        store->active = segment;
    }
    if (sealed)
        return error_set(e, ERR_CORRUPT, "%s: segment %" PRIu64 " is missing or its head damaged",
                         store->dir.path, store->active->head.number + 1);
    while (segment != NULL) {
        struct wal_segment *after = TAILQ_NEXT(segment, entry);
        int rc = take_reserve(store, segment, e);
        if (rc < 0)
            return rc;
        segment = after;
    }
    return 0;
}

/* Takes off what was trimmed; what is left must begin right behind it. */
static int settle(struct wal_replay *replay, struct wal_store *store, struct error *e)
{
    size_t gone = 0;
    while (gone < replay->count && replay->places[gone].index <= store->trimmed)
        gone++;
    replay->count -= gone;
    if (gone > 0)
        memmove(replay->places, replay->places + gone, replay->count * sizeof *replay->places);
    if (replay->next <= store->trimmed)
        replay->next = store->trimmed + 1;
    uint64_t first = replay->count > 0 ? replay->places[0].index : replay->next;
    if (first > store->trimmed + 1)
        return error_set(e, ERR_CORRUPT, "%s: records %" PRIu64 " to %" PRIu64 " are missing",
                         store->dir.path, store->trimmed + 1, first - 1);
    return 0;
}

static void remove_all(struct wal_store *store, struct wal_segments *segments)
{
    struct wal_segment *segment;
    while ((segment = TAILQ_FIRST(segments)) != NULL) {
        TAILQ_REMOVE(segments, segment, entry);
        wal_file_remove(&store->dir, segment);
    }
}

/* Without a head file nothing was ever acknowledged, so no segment may hold a block. */
static int start_new(struct wal_store *store, struct wal_segments *found,
                     struct wal_segments *blank, struct error *e)
{
    struct wal_segment *segment;
    while ((segment = TAILQ_FIRST(found)) != NULL) {
        bool has;
        int rc = has_block(store, segment, &has, e);
        if (rc < 0)
            return rc;
        if (has || segment->head.number != 1)
            return corrupt(e, store, segment, 0, "records, but the log's head file is missing,");
        TAILQ_REMOVE(found, segment, entry);
        TAILQ_INSERT_TAIL(blank, segment, entry);
    }
    remove_all(store, blank);
    return wal_store_create(store, e);
}

/* Opens what is written next; removes the files that a crash left half made. */
static int get_ready(struct wal_store *store, struct wal_segments *blank, struct error *e)
{
    remove_all(store, blank);
    int rc = 0;
    if (store->active->fd < 0)
        rc = wal_file_open(&store->dir, store->active);
    if (rc == 0 && store->next != NULL && store->next->fd < 0)
        rc = wal_file_open(&store->dir, store->next);
    if (rc < 0)
        error_set(e, rc, "cannot open %s for writing: %s", store->dir.path, err_text(rc));
    return rc;
}

int wal_replay_run(struct wal_replay *replay, struct wal_store *store, struct error *e)
{
    *replay = (struct wal_replay){0};
    struct wal_segments found = TAILQ_HEAD_INITIALIZER(found);
    struct wal_segments blank = TAILQ_HEAD_INITIALIZER(blank);
    uint64_t oldest = 0;
    bool known = wal_store_get_head(store, &oldest);
    int rc = find_segments(store, known, &found, &blank, e);
    if (rc == 0 && !known) {
        rc = start_new(store, &found, &blank, e);
    } else if (rc == 0) {
        rc = sort_segments(store, oldest, &found, e);
        if (rc == 0)
            rc = read_segments(replay, store, e);
    }
    if (rc == 0)
        rc = settle(replay, store, e);
    if (rc == 0)
        rc = get_ready(store, &blank, e);
    wal_file_free_all(&found);
    wal_file_free_all(&blank);
    if (rc < 0)
        wal_replay_done(replay);
    return rc;
}

int wal_replay_load(const struct wal_replay *replay, struct wal_store *store, wal_load_fn fn,
                    void *arg, struct error *e)
{
    uint8_t *data = NULL;
    const struct wal_segment *loaded = NULL;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < replay->count; i++) {
        const struct wal_place *place = &replay->places[i];
        if (place->segment != loaded) {
            free(data);
            data = NULL;
            rc = wal_file_read(&store->dir, place->segment, place->segment->head.bytes, &data, e);
            if (rc < 0)
                break;
            loaded = place->segment;
        }
        struct wal_block rest = {
            .records = data + place->offset,
            .len = loaded->head.bytes - place->offset,
        };
        enum wal_kind kind;
        struct wal_record record;
        if (!wal_format_next_record(&rest, &kind, &record, &rc) || record.index != place->index) {
            rc = corrupt(e, store, loaded, place->offset, "the file changed while it was read");
            break;
        }
        rc = fn(arg, &record);
    }
    free(data);
    return rc;
}

void wal_replay_done(struct wal_replay *replay)
{
    free(replay->places);
    *replay = (struct wal_replay){0};
}
