#include "run/object_cache_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { CACHE_READ_BYTES = 1 << 20, CACHE_RECORD_BYTES_MAX = 64 << 20 };

void cache_record_done(struct cache_record *record)
{
    free(record->url);
    free(record->etag);
    free(record->ranges);
    *record = (struct cache_record){0};
}

bool cache_record_add(struct cache_record *record, const struct cache_range *range)
{
    size_t at = record->ranges_n;
    if (range->len == 0 || range->offset + range->len < range->offset)
        return false;
    while (at > 0 && record->ranges[at - 1].offset > range->offset)
        at--;
    if (at > 0 && record->ranges[at - 1].offset + record->ranges[at - 1].len > range->offset)
        return false;
    if (at < record->ranges_n && range->offset + range->len > record->ranges[at].offset)
        return false;
    MEM_GROW(record->ranges, record->ranges_cap, record->ranges_n + 1);
    memmove(&record->ranges[at + 1], &record->ranges[at],
            (record->ranges_n - at) * sizeof *record->ranges);
    record->ranges[at] = *range;
    record->ranges_n++;
    return true;
}

/* ---- reading what is on record --------------------------------------------------------------- */

/* False when the line makes no sense. */
static bool cache_read_line(struct cache_record *record, char *line)
{
    struct cache_range range;
    int used = 0;
    if (sscanf(line, "range %" SCNu64 " %" SCNu64 " %" SCNx64 "%n", &range.offset, &range.len,
               &range.sum, &used) == 3 &&
        line[used] == '\0')
        return cache_record_add(record, &range);
    if (sscanf(line, "url %" SCNu64 " %n", &record->size, &used) == 1 && used > 0) {
        free(record->url);
        record->url = mem_strdup(line + used);
        return true;
    }
    if (str_starts_with(line, "etag ")) {
        free(record->etag);
        record->etag = mem_strdup(line + strlen("etag "));
        return true;
    }
    return false;
}

static char *cache_read_file(const char *path, int64_t *used_ms)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size <= CACHE_RECORD_BYTES_MAX) {
        text = mem_alloc((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        text[n > 0 ? n : 0] = '\0';
        *used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    }
    close(fd);
    return text;
}

/* Only whole lines count. */
static bool cache_read_record(const char *dir, const char *name, struct cache_record *record)
{
    char *path = mem_printf("%s/%s" CACHE_RANGES, dir, name);
    *record = (struct cache_record){0};
    char *text = cache_read_file(path, &record->used_ms);
    free(path);
    if (text == NULL)
        return false;
    memcpy(record->name, name, OBJECT_CACHE_NAME_BYTES);
    char *line = text, *end;
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        (void)cache_read_line(record, line);
    }
    free(text);
    if (record->etag == NULL)
        record->etag = mem_strdup("");
    if (record->url != NULL)
        return true;
    cache_record_done(record);
    return false;
}

static bool cache_is_name(const char *text)
{
    return strlen(text) == OBJECT_CACHE_NAME_BYTES &&
           strspn(text, "0123456789abcdef") == OBJECT_CACHE_NAME_BYTES;
}

static void cache_load_one(const char *dir, const char *name, struct cache_record **records,
                           size_t *n, size_t *cap)
{
    char base[OBJECT_CACHE_NAME_BYTES + 1];
    char *path = mem_printf("%s/%s", dir, name);
    char *ranges = mem_printf("%s" CACHE_RANGES, path);
    (void)snprintf(base, sizeof base, "%.*s", OBJECT_CACHE_NAME_BYTES, name);
    bool is_data = cache_is_name(name);
    bool is_ranges = !is_data && cache_is_name(base) &&
                     strcmp(name + OBJECT_CACHE_NAME_BYTES, CACHE_RANGES) == 0;
    if (is_data && access(ranges, F_OK) == 0) {
        MEM_GROW(*records, *cap, *n + 1);
        if (cache_read_record(dir, name, &(*records)[*n]))
            (*n)++;
        else
            (void)unlink(path);
    } else if (!is_ranges && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
        (void)unlink(path);
    } else if (is_ranges) {
        char *data = mem_printf("%s/%s", dir, base);
        if (access(data, F_OK) < 0)
            (void)unlink(path);
        free(data);
    }
    free(ranges);
    free(path);
}

void cache_disk_load(const char *dir, struct cache_record **records, size_t *n)
{
    size_t cap = 0;
    DIR *d = opendir(dir);
    *records = NULL;
    *n = 0;
    struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL)
        cache_load_one(dir, entry->d_name, records, n, &cap);
    if (d != NULL)
        (void)closedir(d);
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool cache_range_holds(int fd, const struct cache_range *range, uint8_t *room)
{
    XXH3_state_t *state = XXH3_createState();
    uint64_t done = 0;
    if (state == NULL)
        abort();
    (void)XXH3_64bits_reset(state);
    while (done < range->len) {
        size_t want = range->len - done < CACHE_READ_BYTES ? (size_t)(range->len - done)
                                                           : (size_t)CACHE_READ_BYTES;
        ssize_t n = pread(fd, room, want, (off_t)(range->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        (void)XXH3_64bits_update(state, room, (size_t)n);
        done += (uint64_t)n;
    }
    bool holds = done == range->len && (uint64_t)XXH3_64bits_digest(state) == range->sum;
    (void)XXH3_freeState(state);
    return holds;
}

static int cache_write_all(int fd, const void *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(fd, (const uint8_t *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* The record anew, in one piece. */
static int cache_write_record(const char *dir, const struct cache_record *record)
{
    struct buf text;
    char *path = mem_printf("%s/%s" CACHE_RANGES, dir, record->name);
    char *next = mem_printf("%s.new", path);
    buf_init(&text, CACHE_RECORD_BYTES_MAX);
    int err =
        buf_printf(&text, "url %" PRIu64 " %s\netag %s\n", record->size, record->url, record->etag);
    for (size_t i = 0; i < record->ranges_n && err == 0; i++)
        err = buf_printf(&text, "range %" PRIu64 " %" PRIu64 " %" PRIx64 "\n",
                         record->ranges[i].offset, record->ranges[i].len, record->ranges[i].sum);
    int fd = err == 0 ? open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (err == 0)
        err = fd < 0 ? -errno : cache_write_all(fd, text.data, text.len, 0);
    if (fd >= 0 && close(fd) < 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(next, path) < 0)
        err = -errno;
    if (err < 0)
        (void)unlink(next);
    buf_done(&text);
    free(next);
    free(path);
    return err;
}

int cache_disk_check(const char *dir, struct cache_record *record, uint64_t len)
{
    struct stat st;
    char *path = mem_printf("%s/%s", dir, record->name);
    uint8_t *room = mem_alloc(CACHE_READ_BYTES);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : 0;
    size_t kept = 0, n = record->ranges_n;
    for (size_t i = 0; i < n && err == 0; i++)
        if (cache_range_holds(fd, &record->ranges[i], room))
            record->ranges[kept++] = record->ranges[i];
    if (err == 0)
        record->ranges_n = kept;
    if (err == 0 &&
        (fstat(fd, &st) < 0 || ((uint64_t)st.st_size != len && ftruncate(fd, (off_t)len) < 0)))
        err = -errno;
    if (fd >= 0)
        (void)close(fd);
    if (err == 0)
        err = cache_write_record(dir, record);
    free(room);
    free(path);
    return err < 0 ? err : (int)(n - kept);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int cache_append(const char *dir, const struct cache_record *record, const char *line)
{
    char *path = mem_printf("%s/%s" CACHE_RANGES, dir, record->name);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int err = fd < 0 ? -errno : 0;
    ssize_t n = fd >= 0 ? write(fd, line, strlen(line)) : 0;
    if (err == 0 && n != (ssize_t)strlen(line))
        err = n < 0 ? -errno : -ENOSPC;
    if (fd >= 0)
        (void)close(fd);
    free(path);
    return err;
}

int cache_disk_write(const char *dir, const struct cache_record *record, const void *data,
                     size_t len, uint64_t offset, struct cache_range *out)
{
    char line[96];
    char *path = mem_printf("%s/%s", dir, record->name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int err = fd < 0 ? -errno : cache_write_all(fd, data, len, offset);
    if (fd >= 0 && close(fd) < 0 && err == 0)
        err = -errno;
    *out = (struct cache_range){offset, len, (uint64_t)XXH3_64bits(data, len)};
    (void)snprintf(line, sizeof line, "range %" PRIu64 " %" PRIu64 " %" PRIx64 "\n", out->offset,
                   out->len, out->sum);
    if (err == 0)
        err = cache_append(dir, record, line);
    free(path);
    return err;
}

int cache_disk_write_etag(const char *dir, const struct cache_record *record)
{
    char *line = mem_printf("etag %s\n", record->etag);
    int err = cache_append(dir, record, line);
    free(line);
    return err;
}

/* ---- removing -------------------------------------------------------------------------------- */

void cache_disk_remove(const char *dir, const char *name, uint64_t number)
{
    char *from = mem_printf("%s/%s", dir, name);
    char *ranges = mem_printf("%s" CACHE_RANGES, from);
    char *to = mem_printf("%s/%" PRIu64 CACHE_GONE, dir, number);
    (void)unlink(ranges);
    (void)rename(from, to);
    free(from);
    free(ranges);
    free(to);
}

void cache_disk_sweep(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (!str_ends_with(entry->d_name, CACHE_GONE))
            continue;
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d != NULL)
        (void)closedir(d);
}

void cache_disk_touch(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s" CACHE_RANGES, dir, name);
    (void)utimensat(AT_FDCWD, path, NULL, 0);
    free(path);
}
