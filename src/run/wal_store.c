#include "run/wal_store.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define HEAD_FILE "head"

enum { SPARES_MAX = 4 };

/* The head file's content: log, oldest segment, trimmed index, sequence of the next block then. */
enum { HEAD_FIELDS = 4 };

static uint64_t random_u64(void)
{
    uint64_t value = 0;
    while (value == 0)
        if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
            value = 0;
    return value;
}

static int store_head(struct wal_store *store, uint64_t oldest)
{
    uint64_t fields[HEAD_FIELDS] = {
        htole64(store->log),
        htole64(oldest),
        htole64(store->trimmed),
        htole64(store->sequence),
    };
    store->trimmed_sequence = store->sequence;
    return wal_meta_store(store->head, fields, sizeof fields, NULL);
}

bool wal_store_get_head(struct wal_store *store, uint64_t *oldest)
{
    uint64_t fields[HEAD_FIELDS];
    size_t len;
    const void *content = wal_meta_get(store->head, &len);
    if (len != sizeof fields)
        return false;
    memcpy(fields, content, sizeof fields);
    store->log = le64toh(fields[0]);
    *oldest = le64toh(fields[1]);
    store->trimmed = le64toh(fields[2]);
    store->trimmed_sequence = le64toh(fields[3]);
    store->sequence = store->trimmed_sequence;
    return true;
}

int wal_store_init(struct wal_store *store, const char *path, const struct wal_options *options,
                   struct error *e)
{
    *store = (struct wal_store){
        .dir = {.fd = -1},
        .segment_bytes = options->segment_bytes > 0 ? options->segment_bytes : WAL_SEGMENT_BYTES,
        .spares_max = options->spares_max > 0 ? options->spares_max : SPARES_MAX,
        .sequence = 1,
    };
    TAILQ_INIT(&store->live);
    TAILQ_INIT(&store->spares);
    assert(store->segment_bytes % WAL_PAGE_BYTES == 0);
    assert(store->segment_bytes >= WAL_SEGMENT_BYTES_MIN);
    int rc = wal_dir_open(&store->dir, path, options->buffered, options->io, e);
    if (rc < 0)
        return rc;
    char *head = mem_printf("%s/" HEAD_FILE, path);
    rc = wal_meta_open(&store->head, head, options->io, e);
    free(head);
    return rc;
}

void wal_store_done(struct wal_store *store)
{
    wal_file_free_all(&store->live);
    wal_file_free_all(&store->spares);
    wal_file_free(store->next);
    if (store->filling != NULL)
        wal_file_remove(&store->dir, store->filling);
    wal_meta_close(store->head);
    wal_dir_done(&store->dir);
}

static int start_next(struct wal_store *store, struct wal_segment *segment, bool fresh)
{
    struct wal_head head = {
        .log = store->log,
        .number = store->active != NULL ? store->active->head.number + 1 : 1,
        .salt = random_u64(),
        .bytes = segment->head.bytes,
        .fresh = fresh,
    };
    int rc = wal_file_start(&store->dir, segment, &head);
    if (rc < 0) {
        wal_file_remove(&store->dir, segment);
        return rc;
    }
    store->next = segment;
    return 1;
}

static int prepare(struct wal_store *store, uint64_t bytes)
{
    if (store->next != NULL)
        return 1;
    struct wal_segment *spare = TAILQ_FIRST(&store->spares);
    if (store->filling == NULL && spare != NULL && bytes <= store->segment_bytes) {
        TAILQ_REMOVE(&store->spares, spare, entry);
        store->spares_count--;
        return start_next(store, spare, false);
    }
    int rc;
    if (store->filling == NULL) {
        uint64_t number = store->active != NULL ? store->active->head.number + 1 : 1;
        rc = wal_file_create(&store->dir, number, bytes, &store->filling);
        if (rc < 0)
            return rc;
    }
    rc = wal_file_fill(&store->dir, store->filling);
    if (rc == 0)
        return 0;
    struct wal_segment *segment = store->filling;
    store->filling = NULL;
    if (rc < 0) {
        wal_file_remove(&store->dir, segment);
        return rc;
    }
    return start_next(store, segment, true);
}

uint64_t wal_store_next_bytes(const struct wal_store *store)
{
    uint64_t bytes =
        store->active != NULL ? 2 * store->active->head.bytes : WAL_SEGMENT_BYTES_FIRST;
    return bytes < store->segment_bytes ? bytes : store->segment_bytes;
}

int wal_store_prepare(struct wal_store *store)
{
    return prepare(store, wal_store_next_bytes(store));
}

int wal_store_prepare_now(struct wal_store *store, uint64_t bytes)
{
    uint64_t needed = bytes + WAL_PAGE_BYTES + WAL_SEAL_BYTES;
    needed = (needed + WAL_PAGE_BYTES - 1) & ~(uint64_t)(WAL_PAGE_BYTES - 1);
    if (needed < wal_store_next_bytes(store))
        needed = wal_store_next_bytes(store);
    int rc;
    while ((rc = prepare(store, needed)) == 0)
        continue;
    return rc < 0 ? rc : 0;
}

int wal_store_create(struct wal_store *store, struct error *e)
{
    store->log = random_u64();
    int rc = wal_store_prepare_now(store, 0);
    if (rc == 0) {
        wal_store_advance(store);
        rc = store_head(store, store->active->head.number);
    }
    if (rc < 0)
        return error_set(e, rc, "cannot create a log in %s: %s", store->dir.path, err_text(rc));
    return 0;
}

uint64_t wal_store_room(const struct wal_store *store)
{
    uint64_t end = store->offset + WAL_SEAL_BYTES;
    return end < store->active->head.bytes ? store->active->head.bytes - end : 0;
}

void wal_store_advance(struct wal_store *store)
{
    assert(store->next != NULL);
    if (store->active != NULL) {
        struct wal_segment *full = store->active;
        assert(store->next->head.number == full->head.number + 1);
        wal_file_close(full);
    }
    store->active = store->next;
    store->next = NULL;
    store->offset = WAL_PAGE_BYTES;
    TAILQ_INSERT_TAIL(&store->live, store->active, entry);
}

void wal_store_recycle(struct wal_store *store, struct wal_segment *segment)
{
    if (segment->head.bytes != store->segment_bytes || store->spares_count >= store->spares_max) {
        wal_file_remove(&store->dir, segment);
        return;
    }
    TAILQ_INSERT_TAIL(&store->spares, segment, entry);
    store->spares_count++;
}

/* The head file says first that segments are given up; only then may they change. */
static int release_before(struct wal_store *store, struct wal_segment *oldest)
{
    int rc = store_head(store, oldest->head.number);
    if (rc < 0)
        return rc;
    struct wal_segment *segment;
    while ((segment = TAILQ_FIRST(&store->live)) != oldest) {
        TAILQ_REMOVE(&store->live, segment, entry);
        wal_store_recycle(store, segment);
    }
    return 0;
}

int wal_store_trim(struct wal_store *store, uint64_t index)
{
    if (index <= store->trimmed)
        return 0;
    store->trimmed = index;
    struct wal_segment *oldest = TAILQ_FIRST(&store->live);
    while (oldest != store->active && oldest->index_max <= index)
        oldest = TAILQ_NEXT(oldest, entry);
    return release_before(store, oldest);
}

int wal_store_reset(struct wal_store *store, uint64_t next_index)
{
    assert(next_index > 0);
    store->trimmed = next_index - 1;
    return release_before(store, store->active);
}

uint64_t wal_store_bytes(const struct wal_store *store)
{
    uint64_t bytes = 0;
    struct wal_segment *segment;
    TAILQ_FOREACH (segment, &store->live, entry)
        bytes += segment == store->active ? store->offset : segment->head.bytes;
    return bytes;
}
