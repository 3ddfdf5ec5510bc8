/* Happy path: records collect in memory and one write a turn appends them. What a write
 * that fails held stays in memory for the next one, which first cuts off its beginning; what no
 * longer fits there makes the file incomplete, which a rewrite mends. */
#include "role/report_journal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/file_write.h"

#define REPORT_JOURNAL_MAGIC "CDREPT1\n"

enum {
    REPORT_JOURNAL_MAGIC_BYTES = 8,
    REPORT_JOURNAL_HEADER_BYTES = 12,
    REPORT_JOURNAL_PENDING_BYTES_MAX = 8 << 20,
};

struct report_journal {
    char *path;
    int fd;
    uint64_t bytes;      /* of the file */
    uint64_t live_bytes; /* of records that were added and not dropped */
    bool incomplete;     /* a record could neither be written nor kept */
    bool torn;           /* the file may be longer than `bytes` */
    struct buf pending;
};

/* What loading knows of a report that was not acknowledged so far. */
struct report_journal_found {
    struct task_key key;
    Wire__TaskReport *report;
    size_t size;
    UT_hash_handle hh;
};

static size_t report_journal_begin(struct report_journal *journal, size_t body_len)
{
    if (body_len > REPORT_JOURNAL_RECORD_BYTES_MAX ||
        buf_reserve(&journal->pending, REPORT_JOURNAL_HEADER_BYTES + body_len) < 0) {
        journal->incomplete = true;
        return 0;
    }
    journal->pending.len += REPORT_JOURNAL_HEADER_BYTES;
    return journal->pending.len;
}

static void report_journal_end(struct report_journal *journal, size_t body_at)
{
    uint8_t *body = journal->pending.data + body_at;
    size_t len = journal->pending.len - body_at;
    uint32_t len_le = htole32((uint32_t)len);
    uint64_t sum_le = htole64(XXH3_64bits(body, len));
    memcpy(body - REPORT_JOURNAL_HEADER_BYTES, &len_le, sizeof len_le);
    memcpy(body - sizeof sum_le, &sum_le, sizeof sum_le);
}

size_t report_journal_add(struct report_journal *journal, const Wire__TaskReport *report)
{
    size_t len = 1 + wire__task_report__get_packed_size(report);
    size_t at = report_journal_begin(journal, len);
    if (at > 0) {
        (void)buf_append_byte(&journal->pending, 'R');
        journal->pending.len +=
            wire__task_report__pack(report, journal->pending.data + journal->pending.len);
        report_journal_end(journal, at);
    }
    journal->live_bytes += REPORT_JOURNAL_HEADER_BYTES + len;
    return REPORT_JOURNAL_HEADER_BYTES + len;
}

void report_journal_drop(struct report_journal *journal, const struct task_key *key, size_t size)
{
    journal->live_bytes -= size;
    size_t at = report_journal_begin(journal, 1 + sizeof *key);
    if (at == 0)
        return;
    struct task_key le = *key;
    le.index = htole32(key->index);
    le.attempt = htole32(key->attempt);
    (void)buf_append_byte(&journal->pending, 'A');
    (void)buf_append(&journal->pending, &le, sizeof le);
    report_journal_end(journal, at);
}

/* An empty journal in place of the file's content. */
static int report_journal_clear(struct report_journal *journal)
{
    if (ftruncate(journal->fd, REPORT_JOURNAL_MAGIC_BYTES) != 0)
        return -errno;
    journal->bytes = REPORT_JOURNAL_MAGIC_BYTES;
    journal->incomplete = false;
    journal->torn = false;
    buf_clear(&journal->pending);
    return 0;
}

int report_journal_flush(struct report_journal *journal, struct error *e)
{
    if (journal->live_bytes == 0 && report_journal_is_wasteful(journal))
        return report_journal_clear(journal);
    if (journal->pending.len == 0)
        return 0;
    int err = 0;
    if (journal->torn && ftruncate(journal->fd, (off_t)journal->bytes) != 0)
        err = -errno;
    if (err == 0)
        err = file_write_all(journal->fd, journal->pending.data, journal->pending.len);
    journal->torn = err < 0;
    if (err < 0)
        return error_set(e, err, "cannot write %s: %s", journal->path, err_text(err));
    journal->bytes += journal->pending.len;
    buf_clear(&journal->pending);
    return 0;
}

bool report_journal_is_wasteful(const struct report_journal *journal)
{
    return journal->incomplete || (journal->bytes > REPORT_JOURNAL_WASTE_BYTES_MIN &&
                                   journal->live_bytes < journal->bytes / 4);
}

/* ---- opening ----------------------------------------------------------------------------------*/

/* Reads a record at `data`; its size, or 0 when it is torn or damaged. */
static size_t report_journal_read(const uint8_t *data, size_t len, const uint8_t **body,
                                  size_t *body_len)
{
    uint32_t len_le;
    uint64_t sum_le;
    if (len < REPORT_JOURNAL_HEADER_BYTES)
        return 0;
    memcpy(&len_le, data, sizeof len_le);
    memcpy(&sum_le, data + sizeof len_le, sizeof sum_le);
    size_t want = le32toh(len_le);
    if (want == 0 || want > REPORT_JOURNAL_RECORD_BYTES_MAX ||
        want > len - REPORT_JOURNAL_HEADER_BYTES)
        return 0;
    *body = data + REPORT_JOURNAL_HEADER_BYTES;
    *body_len = want;
    return XXH3_64bits(*body, want) == le64toh(sum_le) ? REPORT_JOURNAL_HEADER_BYTES + want : 0;
}

static void report_journal_forget(struct report_journal_found **table,
                                  struct report_journal_found *found)
{
    HASH_DEL(*table, found);
    if (found->report != NULL)
        wire__task_report__free_unpacked(found->report, NULL);
    free(found);
}

static int report_journal_take(struct report_journal_found **table, const uint8_t *body, size_t len)
{
    struct task_key key;
    struct report_journal_found *found = NULL;
    if (body[0] == 'A' && len == 1 + sizeof key) {
        memcpy(&key, body + 1, sizeof key);
        key.index = le32toh(key.index);
        key.attempt = le32toh(key.attempt);
        HASH_FIND(hh, *table, &key, sizeof key, found);
        if (found != NULL)
            report_journal_forget(table, found);
        return 0;
    }
    Wire__TaskReport *report =
        body[0] == 'R' ? wire__task_report__unpack(NULL, len - 1, body + 1) : NULL;
    if (report == NULL)
        return ERR_CORRUPT;
    if (task_key_read(report->key, &key) < 0) {
        wire__task_report__free_unpacked(report, NULL);
        return ERR_CORRUPT;
    }
    HASH_FIND(hh, *table, &key, sizeof key, found);
    if (found != NULL)
        report_journal_forget(table, found);
    found = mem_zalloc(sizeof *found);
    found->key = key;
    found->report = report;
    found->size = REPORT_JOURNAL_HEADER_BYTES + len;
    HASH_ADD(hh, *table, key, sizeof found->key, found);
    return 0;
}

/* Collects what was not acknowledged and sets `bytes` to the end of the last whole record. */
static int report_journal_scan(struct report_journal *journal, uint64_t file_bytes,
                               struct report_journal_found **table, struct error *e)
{
    uint8_t *data = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, journal->fd, 0);
    if (data == MAP_FAILED)
        return error_set(e, -errno, "cannot read %s: %s", journal->path, strerror(errno));
    int err = 0;
    if (memcmp(data, REPORT_JOURNAL_MAGIC, REPORT_JOURNAL_MAGIC_BYTES) != 0)
        err = error_set(e, ERR_CORRUPT, "%s is not a journal of reports", journal->path);
    uint64_t at = REPORT_JOURNAL_MAGIC_BYTES;
    const uint8_t *body;
    size_t body_len;
    size_t size;
    while (err == 0 &&
           (size = report_journal_read(data + at, file_bytes - at, &body, &body_len)) > 0) {
        if (report_journal_take(table, body, body_len) < 0)
            break;
        at += size;
    }
    (void)munmap(data, file_bytes);
    journal->bytes = at;
    return err;
}

static int report_journal_load(struct report_journal *journal, report_journal_fn fn, void *arg,
                               struct error *e)
{
    struct stat st;
    if (fstat(journal->fd, &st) != 0)
        return error_set(e, -errno, "cannot read %s: %s", journal->path, strerror(errno));
    if (st.st_size < REPORT_JOURNAL_MAGIC_BYTES) {
        if (ftruncate(journal->fd, 0) != 0)
            return error_set(e, -errno, "cannot write %s: %s", journal->path, strerror(errno));
        journal->bytes = REPORT_JOURNAL_MAGIC_BYTES;
        int err = file_write_all(journal->fd, (const uint8_t *)REPORT_JOURNAL_MAGIC,
                                 REPORT_JOURNAL_MAGIC_BYTES);
        return err < 0 ? error_set(e, err, "cannot write %s: %s", journal->path, err_text(err)) : 0;
    }
    struct report_journal_found *table = NULL;
    struct report_journal_found *found;
    struct report_journal_found *next;
    int err = report_journal_scan(journal, (uint64_t)st.st_size, &table, e);
    if (err == 0 && ftruncate(journal->fd, (off_t)journal->bytes) != 0)
        err = error_set(e, -errno, "cannot cut %s: %s", journal->path, strerror(errno));
    HASH_ITER (hh, table, found, next) {
        if (err == 0) {
            journal->live_bytes += found->size;
            fn(arg, found->report, found->size);
            found->report = NULL;
        }
        report_journal_forget(&table, found);
    }
    return err;
}

int report_journal_open(const char *path, report_journal_fn fn, void *arg,
                        struct report_journal **out, struct error *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
    struct report_journal *journal = mem_zalloc(sizeof *journal);
    journal->path = mem_strdup(path);
    journal->fd = fd;
    buf_init(&journal->pending, REPORT_JOURNAL_PENDING_BYTES_MAX);
    int err = report_journal_load(journal, fn, arg, e);
    if (err < 0) {
        report_journal_close(journal);
        return err;
    }
    *out = journal;
    return 0;
}

void report_journal_close(struct report_journal *journal)
{
    if (journal == NULL)
        return;
    (void)close(journal->fd);
    buf_done(&journal->pending);
    free(journal->path);
    free(journal);
}

/* ---- rewriting --------------------------------------------------------------------------------*/

/* Makes the records of `reports` in the journal's memory, from nothing, and writes them to `fd`
 * piece by piece. */
static int report_journal_copy(struct report_journal *journal, int fd,
                               const Wire__TaskReport *const *reports, size_t n)
{
    int err = file_write_all(fd, (const uint8_t *)REPORT_JOURNAL_MAGIC, REPORT_JOURNAL_MAGIC_BYTES);
    journal->bytes = REPORT_JOURNAL_MAGIC_BYTES;
    journal->live_bytes = 0;
    for (size_t i = 0; err == 0 && i < n; i++) {
        (void)report_journal_add(journal, reports[i]);
        if (i + 1 < n && journal->pending.len < REPORT_JOURNAL_PENDING_BYTES_MAX / 4)
            continue;
        err = file_write_all(fd, journal->pending.data, journal->pending.len);
        journal->bytes += journal->pending.len;
        buf_clear(&journal->pending);
    }
    return err;
}

int report_journal_rewrite(struct report_journal *journal, const Wire__TaskReport *const *reports,
                           size_t n, struct error *e)
{
    char *path = mem_printf("%s.new", journal->path);
    struct report_journal fresh = {.path = path};
    buf_init(&fresh.pending, REPORT_JOURNAL_PENDING_BYTES_MAX);
    fresh.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    int err = fresh.fd < 0 ? -errno : report_journal_copy(&fresh, fresh.fd, reports, n);
    if (err == 0 && rename(path, journal->path) != 0)
        err = -errno;
    buf_done(&fresh.pending);
    if (err < 0) {
        (void)error_set(e, err, "cannot write %s: %s", path, err_text(err));
        if (fresh.fd >= 0) {
            (void)close(fresh.fd);
            (void)unlink(path);
        }
    } else {
        (void)close(journal->fd);
        journal->fd = fresh.fd;
        journal->bytes = fresh.bytes;
        journal->live_bytes = fresh.live_bytes;
        journal->incomplete = fresh.incomplete;
        journal->torn = false;
        buf_clear(&journal->pending);
    }
    free(path);
    return err;
}
