/* What a start finds: term and vote, the snapshot's record, the entries behind it; and what the
 * first start of a cluster, or its recovery by hand, writes there.
 *
 * Happy path: the entries from `trailing` before the snapshot on go to libraft. A crash between the
 * record of a received snapshot and the reset of the log is finished here. A log that ends before
 * the snapshot (its torn end was cut) begins anew behind it.
 *
 * How it fails: what doesn't fit together (a gap between snapshot and log, entries without a term)
 * is refused as corrupt. */
#include "run/raft_load.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "run/raft_append.h"
#include "run/raft_codec.h"
#include "run/raft_node.h"

/* ---- term and vote ----------------------------------------------------------------------------
 */

int raft_load_write_meta(struct wal_meta *meta, uint64_t term, uint64_t vote, struct error *e)
{
    uint64_t fields[2] = {htole64(term), htole64(vote)};
    return wal_meta_store(meta, fields, sizeof fields, e);
}

int raft_load_store_meta(struct raft_node *node, uint64_t term, uint64_t vote)
{
    struct error e;
    assert(!node->storing.busy);
    if (node->failed)
        return RAFT_IOERR;
    if (raft_load_write_meta(node->meta, term, vote, &e) < 0) {
        raft_node_fail(node, &e);
        return RAFT_IOERR;
    }
    node->term = term;
    node->vote = vote;
    return 0;
}

int raft_load_make_dir(const char *dir, struct error *e)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot create %s: %s", dir, strerror(errno));
    return 0;
}

int raft_load_open(struct raft_node *node, struct error *e)
{
    char *path = mem_printf("%s/term", node->dir);
    int rc = wal_meta_open(&node->meta, path, node->options.wal_io, e);
    free(path);
    if (rc < 0)
        return rc;
    uint64_t fields[2] = {0};
    size_t len;
    const void *content = wal_meta_get(node->meta, &len);
    if (len == sizeof fields)
        memcpy(fields, content, sizeof fields);
    node->term = le64toh(fields[0]);
    node->vote = le64toh(fields[1]);
    return raft_record_load(&node->record, node->record_path, e);
}

/* ---- the log ------------------------------------------------------------------------------------
 */

/* Each entry has memory of its own and no batch: libraft searches its whole log to find out whether
 * a batch is still used. */
static void add_entry(struct raft_loaded *loaded, const struct wal_record *record)
{
    if (loaded->count == loaded->cap) {
        loaded->cap = loaded->cap > 0 ? loaded->cap * 2 : 64;
        loaded->entries = raft_realloc(loaded->entries, loaded->cap * sizeof *loaded->entries);
    }
    void *data = raft_malloc(record->len > 0 ? record->len : 1);
    if (loaded->entries == NULL || data == NULL)
        abort();
    memcpy(data, record->data, record->len);
    loaded->entries[loaded->count++] = (struct raft_entry){
        .term = record->term,
        .type = record->type,
        .buf = {.base = data, .len = record->len},
    };
    loaded->term = record->term;
}

static int load_record(void *arg, const struct wal_record *record)
{
    struct raft_node *node = arg;
    struct raft_loaded *loaded = &node->loaded;
    uint64_t snapshot = node->record.index;
    if (record->index + node->record.trailing <= snapshot)
        return 0;
    bool known =
        record->type == RAFT_COMMAND || record->type == RAFT_BARRIER ||
        (record->type == RAFT_CHANGE && raft_codec_is_configuration(record->data, record->len));
    if (!known || record->term == 0 || record->term < loaded->term) {
        loaded->malformed_index = record->index;
        return ERR_CORRUPT;
    }
    add_entry(loaded, record);
    if (record->index > snapshot)
        node->log_bytes += raft_append_bytes(record->len);
    return 0;
}

void raft_load_free(struct raft_loaded *loaded)
{
    for (size_t i = 0; i < loaded->count; i++)
        raft_free(loaded->entries[i].buf.base);
    raft_free(loaded->entries);
    *loaded = (struct raft_loaded){0};
}

static void on_reset(struct wal_req *req, int status)
{
    (void)status; /* a failure came through on_failed */
    free(req);
}

static int reset_log(struct raft_node *node)
{
    int rc =
        wal_reset(node->wal, mem_zalloc(sizeof(struct wal_req)), node->record.index + 1, on_reset);
    return rc < 0 ? rc : wal_sync(node->wal);
}

/* Brings the log in line with the snapshot. */
static int align_log(struct raft_node *node, struct error *e)
{
    uint64_t first = wal_first_index(node->wal);
    uint64_t last = wal_last_index(node->wal);
    uint64_t snapshot = node->record.index;
    bool is_install = node->record.file_name[0] != '\0';
    if ((is_install && first != snapshot + 1) || (!is_install && last < snapshot)) {
        raft_load_free(&node->loaded);
        node->log_bytes = 0;
        int rc = reset_log(node);
        return rc < 0 ? error_set(e, rc, "cannot begin the log anew: %s", err_text(rc)) : 0;
    }
    if (first > snapshot + 1)
        return error_set(e, ERR_CORRUPT,
                         "%s: the log begins at %" PRIu64 ", the snapshot ends at %" PRIu64,
                         node->dir, first, snapshot);
    return 0;
}

static int check_log(const struct raft_node *node, struct error *e)
{
    const struct raft_loaded *loaded = &node->loaded;
    if (node->record.index == 0 && loaded->count > 0 && loaded->entries[0].type != RAFT_CHANGE)
        return error_set(e, ERR_CORRUPT, "%s: the log doesn't begin with a configuration",
                         node->dir);
    if (node->term < loaded->term || node->term < node->record.term)
        return error_set(e, ERR_CORRUPT,
                         "%s: the log has entries of a later term than the stored one, %" PRIu64,
                         node->dir, node->term);
    return 0;
}

int raft_load_log(struct raft_node *node, struct error *e)
{
    int rc = wal_load(node->wal, load_record, node, e);
    if (rc < 0 && node->loaded.malformed_index != 0)
        error_set(e, rc, "%s: entry %" PRIu64 " of the log is malformed", node->dir,
                  node->loaded.malformed_index);
    if (rc == 0)
        rc = check_log(node, e);
    if (rc == 0)
        rc = align_log(node, e);
    return rc;
}

int raft_load_all(struct raft_io *io, raft_term *term, raft_id *voted_for,
                  struct raft_snapshot **snapshot, raft_index *start_index,
                  struct raft_entry *entries[], size_t *n_entries)
{
    struct raft_node *node = raft_node_of(io);
    *snapshot = NULL;
    if (node->record.index > 0) {
        int rv = raft_record_to_snapshot(&node->record, node->dir, snapshot);
        if (rv != 0)
            return rv;
    }
    *term = node->term;
    *voted_for = node->vote;
    *start_index = wal_last_index(node->wal) + 1 - node->loaded.count;
    *entries = node->loaded.entries;
    *n_entries = node->loaded.count;
    node->loaded = (struct raft_loaded){0};
    return 0;
}

/* ---- first start and recovery
 * -------------------------------------------------------------------- */

/* A term of 1 without an entry is what a crash inside a bootstrap leaves. */
bool raft_load_is_pristine(const struct raft_node *node)
{
    return node->record.index == 0 && node->term <= 1 && node->vote == 0 &&
           wal_first_index(node->wal) == 1 && wal_last_index(node->wal) == 0;
}

static void on_entry(struct wal_req *req, int status)
{
    (void)status; /* a failure came through on_failed */
    free(req->data);
    free(req);
}

/* Appends an entry with a configuration, durably. */
static int append_configuration(struct raft_node *node, const struct raft_configuration *conf)
{
    struct raft_buffer buf;
    int rv = raft_configuration_encode(conf, &buf);
    if (rv != 0)
        return rv;
    struct wal_req *req = mem_zalloc(sizeof *req);
    struct wal_record *record = mem_zalloc(sizeof *record + buf.len);
    memcpy(record + 1, buf.base, buf.len);
    *record = (struct wal_record){
        .index = wal_last_index(node->wal) + 1,
        .term = node->term,
        .type = RAFT_CHANGE,
        .len = (uint32_t)buf.len,
        .data = record + 1,
    };
    raft_free(buf.base);
    req->data = record;
    int rc = wal_append(node->wal, req, record, 1, on_entry);
    if (rc < 0) {
        on_entry(req, rc);
        return raft_node_status(node, rc, NULL);
    }
    add_entry(&node->loaded, record);
    return raft_node_status(node, wal_sync(node->wal), NULL);
}

int raft_load_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    struct raft_node *node = raft_node_of(io);
    if (!raft_load_is_pristine(node)) {
        (void)raft_node_status(node, ERR_EXISTS, NULL);
        return RAFT_CANTBOOTSTRAP;
    }
    int rv = raft_load_store_meta(node, 1, 0);
    return rv != 0 ? rv : append_configuration(node, conf);
}

int raft_load_recover(struct raft_io *io, const struct raft_configuration *conf)
{
    return append_configuration(raft_node_of(io), conf);
}
