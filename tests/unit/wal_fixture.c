#include "tests/unit/wal_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "tests/unit/generated.h"

enum { SECTOR_BYTES = 512, PAGE_BYTES = 4096 };

/* ---- the disk ----------------------------------------------------------------------------------
 */

/* Called with the mutex held: whether the fault strikes this call. */
static bool strikes(struct wal_disk *disk, enum wal_fault fault)
{
    if (disk->fault != fault)
        return false;
    if (disk->after > 0) {
        disk->after--;
        return false;
    }
    return true;
}

/* Some sectors of the write arrive, as when the power goes; of what makes the file longer, some
 * pages. */
static void write_some_sectors(struct wal_disk *disk, int fd, const uint8_t *data, size_t len,
                               off_t offset)
{
    uint8_t *page = NULL;
    if (posix_memalign((void **)&page, PAGE_BYTES, len) != 0)
        abort();
    memset(page, 0, len);
    ssize_t there = pread(fd, page, len, offset);
    if (there >= 0 && (size_t)there < len) {
        size_t whole = (size_t)there / PAGE_BYTES * PAGE_BYTES;
        len = whole + prng_below(&disk->prng, (len - whole) / PAGE_BYTES + 1) * PAGE_BYTES;
    }
    if (there >= 0) {
        for (size_t at = 0; at < len; at += SECTOR_BYTES)
            if (prng_chance(&disk->prng, 1, 2))
                memcpy(page + at, data + at, SECTOR_BYTES);
        if (pwrite(fd, page, len, offset) != (ssize_t)len)
            abort();
    }
    free(page);
}

/* The disk is full for a write that makes the file longer; some of it may have room still. */
static int suffer_lack(int fd, size_t *len, off_t offset)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || offset + (off_t)*len <= st.st_size)
        return 0;
    size_t pages = *len / PAGE_BYTES;
    if (pages < 2)
        return ENOSPC;
    *len = pages / 2 * PAGE_BYTES;
    return 0;
}

/* Called with the mutex held: what becomes of a write that does not hang; its errno or 0, with less
 * to write perhaps. */
static int suffer(struct wal_disk *disk, int fd, const void *data, size_t *len, off_t offset)
{
    disk->writes++;
    if (*len > disk->writes_largest)
        disk->writes_largest = (unsigned)*len;
    disk->bytes += *len;
    if (disk->dead)
        return EIO;
    if (strikes(disk, WAL_FAULT_POWER)) {
        write_some_sectors(disk, fd, data, *len, offset);
        disk->dead = true;
        return EIO;
    }
    if (strikes(disk, WAL_FAULT_WRITE)) {
        disk->fault = WAL_FAULT_NONE;
        return disk->code;
    }
    if (strikes(disk, WAL_FAULT_SPACE))
        return suffer_lack(fd, len, offset);
    if (strikes(disk, WAL_FAULT_SHORT) && *len > PAGE_BYTES)
        *len = PAGE_BYTES + prng_below(&disk->prng, *len - PAGE_BYTES) / PAGE_BYTES * PAGE_BYTES;
    return 0;
}

static ssize_t disk_pwrite(void *arg, int fd, const void *data, size_t len, off_t offset)
{
    struct wal_disk *disk = arg;
    pthread_mutex_lock(&disk->mutex);
    disk->writes_of_owner += pthread_equal(disk->owner, pthread_self()) != 0;
    if (strikes(disk, WAL_FAULT_HANG)) {
        disk->hanging = true;
        while (disk->fault == WAL_FAULT_HANG)
            pthread_cond_wait(&disk->released, &disk->mutex);
        disk->hanging = false;
    }
    int code = suffer(disk, fd, data, &len, offset);
    pthread_mutex_unlock(&disk->mutex);
    errno = code;
    return code != 0 ? -1 : pwrite(fd, data, len, offset);
}

/* The same of a write that the loop starts. */
static int disk_start(void *arg, struct disk_queue *queue, const struct disk_write *write)
{
    struct wal_disk *disk = arg;
    pthread_mutex_lock(&disk->mutex);
    disk->started++;
    bool hangs = strikes(disk, WAL_FAULT_HANG);
    unsigned declined = disk->declines ? (unsigned)prng_below(&disk->prng, 8) : 8;
    struct disk_write some = *write;
    int code = 0;
    if (hangs) {
        assert_null(disk->held_in);
        disk->held_in = queue;
        disk->held = *write;
        disk->hanging = true;
    } else if (declined > 1) {
        code = suffer(disk, write->fd, write->data, &some.len, (off_t)write->offset);
    }
    pthread_mutex_unlock(&disk->mutex);
    if (hangs)
        return 0;
    if (declined == 0)
        return -EAGAIN;
    if (declined > 1 && code == 0)
        return disk_queue_start(queue, &some);
    disk_queue_pretend(queue, declined == 1 ? -EAGAIN : -code);
    return 0;
}

/* What the loop started, and hung, goes on. */
static void go_on(struct wal_disk *disk)
{
    struct disk_queue *queue = disk->held_in;
    if (queue == NULL)
        return;
    disk->held_in = NULL;
    disk->hanging = false;
    int rc = disk_start(disk, queue, &disk->held);
    if (rc < 0)
        disk_queue_pretend(queue, rc);
}

static int disk_fdatasync(void *arg, int fd)
{
    struct wal_disk *disk = arg;
    pthread_mutex_lock(&disk->mutex);
    int code = disk->dead ? EIO : 0;
    if (code == 0 && strikes(disk, WAL_FAULT_SYNC)) {
        disk->fault = WAL_FAULT_NONE;
        code = disk->code;
    }
    pthread_mutex_unlock(&disk->mutex);
    errno = code;
    return code != 0 ? -1 : fdatasync(fd);
}

static int disk_fallocate(void *arg, int fd, off_t len)
{
    struct wal_disk *disk = arg;
    pthread_mutex_lock(&disk->mutex);
    int code = disk->dead ? EIO : strikes(disk, WAL_FAULT_SPACE) ? ENOSPC : 0;
    pthread_mutex_unlock(&disk->mutex);
    return code != 0 ? code : posix_fallocate(fd, 0, len);
}

void wal_disk_init(struct wal_disk *disk, uint64_t seed)
{
    *disk = (struct wal_disk){
        .io = {disk_pwrite, disk_fdatasync, disk_fallocate, disk, disk_start},
        .owner = pthread_self(),
    };
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->released, NULL);
    prng_init(&disk->prng, seed);
}

void wal_disk_vary(struct wal_disk *disk, struct prng *prng)
{
    if (prng_chance(prng, 1, 3))
        disk->io.start = NULL;
    disk->declines = prng_chance(prng, 1, 2);
}

void wal_disk_fail(struct wal_disk *disk, enum wal_fault fault, unsigned after, int code)
{
    pthread_mutex_lock(&disk->mutex);
    disk->fault = fault;
    disk->after = after;
    disk->code = code;
    disk->dead = false;
    pthread_cond_broadcast(&disk->released); /* a write that hangs meets the new fault */
    pthread_mutex_unlock(&disk->mutex);
    go_on(disk);
}

void wal_disk_release(struct wal_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    disk->fault = WAL_FAULT_NONE;
    pthread_cond_broadcast(&disk->released);
    pthread_mutex_unlock(&disk->mutex);
    go_on(disk);
}

bool wal_disk_is_hanging(struct wal_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    bool hanging = disk->hanging;
    pthread_mutex_unlock(&disk->mutex);
    return hanging;
}

unsigned wal_disk_writes_of_owner(struct wal_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    unsigned writes = disk->writes_of_owner;
    pthread_mutex_unlock(&disk->mutex);
    return writes;
}

/* ---- directories and files --------------------------------------------------------------------
 */

static void make_dir(char dir[WAL_FIXTURE_PATH_MAX], bool on_disk)
{
    const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    if (!on_disk && access("/dev/shm", W_OK) == 0)
        base = "/dev/shm";
    snprintf(dir, WAL_FIXTURE_PATH_MAX, "%s/clusterd-wal-XXXXXX", base);
    if (mkdtemp(dir) == NULL)
        fail_msg("mkdtemp %s: %s", dir, strerror(errno));
}

void wal_fixture_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *file;
    while (dir != NULL && (file = readdir(dir)) != NULL)
        if (file->d_name[0] != '.')
            unlinkat(dirfd(dir), file->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

void wal_fixture_read(const char *path, uint8_t **data, size_t *len)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *len = (size_t)st.st_size;
    *data = mem_alloc(*len);
    assert_int_equal(read(fd, *data, *len), *len);
    close(fd);
}

void wal_fixture_poke(const char *path, size_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(pwrite(fd, data, len, (off_t)offset), len);
    close(fd);
}

void wal_fixture_copy(const char *from, const char *to)
{
    assert_int_equal(mkdir(to, 0700), 0);
    DIR *dir = opendir(from);
    struct dirent *file;
    while ((file = readdir(dir)) != NULL) {
        if (file->d_name[0] == '.')
            continue;
        char *source = mem_printf("%s/%s", from, file->d_name);
        char *target = mem_printf("%s/%s", to, file->d_name);
        uint8_t *data;
        size_t len;
        wal_fixture_read(source, &data, &len);
        wal_fixture_poke(target, 0, data, len);
        free(data);
        free(target);
        free(source);
    }
    closedir(dir);
}

uint64_t wal_fixture_usage(const char *dir, uint64_t *largest)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    uint64_t bytes = 0;
    *largest = 0;
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(d), entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode))
            continue;
        bytes += (uint64_t)st.st_size;
        if ((uint64_t)st.st_size > *largest)
            *largest = (uint64_t)st.st_size;
    }
    closedir(d);
    return bytes;
}

void wal_fixture_find(const char *path, const char *suffix, char out[WAL_FIXTURE_PATH_MAX])
{
    DIR *dir = opendir(path);
    struct dirent *file;
    unsigned found = 0;
    while ((file = readdir(dir)) != NULL)
        if (str_ends_with(file->d_name, suffix)) {
            found++;
            assert_true(snprintf(out, WAL_FIXTURE_PATH_MAX, "%s/%s", path, file->d_name) <
                        WAL_FIXTURE_PATH_MAX);
        }
    closedir(dir);
    assert_int_equal(found, 1);
}

/* ---- the log and its model --------------------------------------------------------------------
 */

static void fill(uint8_t *data, const struct wal_entry *entry)
{
    struct prng prng;
    prng_init(&prng, entry->stamp);
    prng_bytes(&prng, data, entry->len);
}

static void on_failed(void *arg, const struct error *e)
{
    struct wal_fixture *f = arg;
    assert_true(e->code < 0 && e->text[0] != '\0');
    f->failures++;
}

static void on_reserve(void *arg, int code)
{
    struct wal_fixture *f = arg;
    f->reserve = code;
    f->reserve_calls++;
}

void wal_fixture_init(struct wal_fixture *f, uint64_t seed, bool on_disk)
{
    *f = (struct wal_fixture){.first = 1};
    make_dir(f->dir, on_disk);
    f->loop = loop_new();
    wal_disk_init(&f->disk, seed);
    f->options = (struct wal_options){
        .segment_bytes = WAL_FIXTURE_SEGMENT_BYTES,
        .on_failed = on_failed,
        .on_reserve = on_reserve,
        .arg = f,
        .io = &f->disk.io,
    };
}

void wal_fixture_done(struct wal_fixture *f)
{
    if (f->wal != NULL)
        wal_fixture_close(f);
    loop_free(f->loop);
    wal_fixture_remove(f->dir);
    free(f->entries);
}

int wal_fixture_open(struct wal_fixture *f, struct error *e)
{
    f->failed = 0;
    f->called = 0;
    return wal_open(&f->wal, f->loop, f->dir, &f->options, e);
}

void wal_fixture_must_open(struct wal_fixture *f)
{
    struct error e;
    if (wal_fixture_open(f, &e) < 0)
        fail_msg("%s", e.text);
}

static void on_closed(void *arg)
{
    struct wal_fixture *f = arg;
    f->closed = true;
}

void wal_fixture_close(struct wal_fixture *f)
{
    f->closed = false;
    wal_close(f->wal, on_closed, f);
    while (!f->closed)
        loop_turn(f->loop);
    f->wal = NULL;
    assert_int_equal(f->in_flight, 0);
}

static void came_back(struct wal_fixture *f, uint64_t stamp, uint64_t last, int status)
{
    assert_true(stamp > f->called);
    f->called = stamp;
    f->in_flight--;
    if (status == 0)
        assert_int_equal(f->failed, 0);
    else if (f->failed == 0)
        f->failed = status;
    uint64_t present = f->first + f->count - 1; /* a later change may have removed it again */
    if (status == 0)
        f->acked = last < present ? last : present;
}

static void on_appended(struct wal_req *req, int status)
{
    struct wal_append_case *c = req->data;
    struct wal_record *last = &c->records[c->count - 1];
    came_back(c->fixture, last->term, last->index, status);
    for (unsigned i = 0; i < c->count; i++)
        free((void *)c->records[i].data);
    free(c);
}

int wal_fixture_append(struct wal_fixture *f, unsigned count, uint32_t len)
{
    struct wal_append_case *c = mem_zalloc(sizeof *c + count * sizeof c->records[0]);
    c->fixture = f;
    c->count = count;
    c->req.data = c;
    size_t before = f->count;
    for (unsigned i = 0; i < count; i++) {
        struct wal_entry entry = {f->first + f->count, ++f->stamp, len + i};
        uint8_t *data = mem_alloc(entry.len + 1);
        fill(data, &entry);
        c->records[i] = (struct wal_record){
            .index = entry.index,
            .term = entry.stamp,
            .type = (uint16_t)entry.stamp,
            .len = entry.len,
            .data = data,
        };
        MEM_GROW(f->entries, f->cap, f->count + 1);
        f->entries[f->count++] = entry;
    }
    int rc = wal_append(f->wal, &c->req, c->records, count, on_appended);
    if (rc == 0) {
        f->in_flight++;
        return 0;
    }
    f->count = before;
    for (unsigned i = 0; i < count; i++)
        free((void *)c->records[i].data);
    free(c);
    return rc;
}

void wal_fixture_truncate(struct wal_fixture *f, uint64_t index)
{
    assert_int_equal(wal_truncate(f->wal, index), 0);
    f->count = index - f->first;
    if (f->acked >= index)
        f->acked = index - 1;
}

void wal_fixture_trim(struct wal_fixture *f, uint64_t index)
{
    assert_int_equal(wal_trim(f->wal, index), 0);
    if (index < f->first)
        return;
    size_t gone = index - f->first + 1;
    f->count -= gone;
    memmove(f->entries, f->entries + gone, f->count * sizeof *f->entries);
    f->first = index + 1;
}

struct reset_case {
    struct wal_req req;
    struct wal_fixture *fixture;
    uint64_t stamp;
    uint64_t last;
};

static void on_reset(struct wal_req *req, int status)
{
    struct reset_case *c = req->data;
    came_back(c->fixture, c->stamp, c->last, status);
    free(c);
}

void wal_fixture_reset(struct wal_fixture *f, uint64_t next_index)
{
    struct reset_case *c = mem_zalloc(sizeof *c);
    *c = (struct reset_case){.fixture = f, .stamp = ++f->stamp, .last = next_index - 1};
    c->req.data = c;
    assert_int_equal(wal_reset(f->wal, &c->req, next_index, on_reset), 0);
    f->in_flight++;
    f->first = next_index;
    f->count = 0;
}

void wal_fixture_wait(struct wal_fixture *f)
{
    while (f->in_flight > 0)
        loop_turn(f->loop);
}

struct check {
    struct wal_fixture *fixture;
    uint64_t next;
    const char *wrong;
};

static int check_record(void *arg, const struct wal_record *record)
{
    struct check *check = arg;
    struct wal_fixture *f = check->fixture;
    if (record->index != check->next++)
        check->wrong = "a record is missing or out of order";
    else if (record->index - f->first >= f->count)
        check->wrong = "a record that was never there or was removed";
    if (check->wrong != NULL)
        return ERR_INVALID;
    const struct wal_entry *entry = &f->entries[record->index - f->first];
    uint8_t *data = mem_alloc(entry->len + 1);
    fill(data, entry);
    if (record->term != entry->stamp || record->type != (uint16_t)entry->stamp ||
        record->len != entry->len || memcmp(record->data, data, entry->len) != 0)
        check->wrong = "a record with other content than was appended";
    free(data);
    return check->wrong != NULL ? ERR_INVALID : 0;
}

const char *wal_fixture_check(struct wal_fixture *f, uint64_t last_min)
{
    uint64_t last = wal_last_index(f->wal);
    if (wal_first_index(f->wal) != f->first)
        return "the first index is another";
    if (last + 1 < f->first || last + 1 > f->first + f->count)
        return "the last index is out of bounds";
    if (last < last_min)
        return "records that were acknowledged are gone";
    struct check check = {f, f->first, NULL};
    struct error e = {0};
    if (wal_load(f->wal, check_record, &check, &e) < 0)
        return check.wrong != NULL ? check.wrong : "the load failed";
    if (check.next != last + 1)
        return "fewer records than the last index says";
    f->count = last + 1 - f->first;
    f->acked = last;
    return NULL;
}
