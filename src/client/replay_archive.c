/* One pass through the archive: known members go to temporary files, all are summed; report.json
 * says what there must be. Then the files are mapped and marked. Data of an archive is used only
 * after all of it was found whole. */
#include "client/replay_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* one library less to load */
#include <xxhash.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/archive_library.h"

enum { REPLAY_BLOCK_BYTES = 64 * 1024, REPLAY_NAME_MAX = 512, REPLAY_SUM_DIGITS = 16 };

static const char *const replay_names[REPLAY_PARTS] = {
    [REPLAY_FRAMES] = "frames.jsonl",
    [REPLAY_EVENTS] = "events.jsonl",
    [REPLAY_VITALS] = "vitals.jsonl",
    [REPLAY_MESSAGES] = "messages.jsonl",
};

struct replay_member {
    UT_hash_handle hh;
    uint64_t bytes, sum;
    bool is_listed;
    char name[];
};

struct replay_reading {
    const struct archive_library *lib;
    struct archive *archive;
    struct replay_archive *to;
    const char *path;
    int fds[REPLAY_PARTS];
    struct buf head; /* report.json */
    bool has_head;
    struct replay_member *members;
    size_t n_members;
    int64_t bytes;
};

static int replay_fail(const struct replay_reading *r, struct error *e, int code, const char *why)
{
    return error_set(e, code, "%s is no report that can be opened: %s", r->path, why);
}

/* Members */

static int replay_write(const struct replay_reading *r, int fd, const char *data, size_t len,
                        struct error *e)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(e, -errno,
                             "%s can't be unpacked: %s; TMPDIR names another place for it", r->path,
                             strerror(errno));
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int replay_temporary(struct error *e)
{
    const char *dir = getenv("TMPDIR");
    char *name = mem_printf("%s/replay.XXXXXX", dir != NULL && dir[0] != '\0' ? dir : "/tmp");
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        (void)error_set(e, -errno, "%s: %s; TMPDIR names another place for temporary files", name,
                        strerror(errno));
    else
        (void)unlink(name);
    free(name);
    return fd;
}

static int replay_read_data(struct replay_reading *r, int part, bool is_head,
                            struct replay_member *member, struct error *e)
{
    char block[REPLAY_BLOCK_BYTES];
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL)
        abort();
    (void)XXH3_64bits_reset(hash);
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = r->lib->read_data(r->archive, block, sizeof block)) > 0) {
        (void)XXH3_64bits_update(hash, block, (size_t)n);
        member->bytes += (uint64_t)n;
        r->bytes += n;
        if (r->bytes > REPLAY_BYTES_MAX)
            rc = replay_fail(r, e, ERR_TOO_LARGE, "it unpacks to more than 4 GiB");
        else if (is_head && buf_append(&r->head, block, (size_t)n) != 0)
            rc = replay_fail(r, e, ERR_TOO_LARGE, "report.json is too large");
        else if (part >= 0)
            rc = replay_write(r, r->fds[part], block, (size_t)n, e);
    }
    if (rc == 0 && n < 0)
        rc = replay_fail(r, e, ERR_CORRUPT,
                         r->lib->error_string(r->archive) != NULL ? r->lib->error_string(r->archive)
                                                                  : "it is damaged");
    member->sum = XXH3_64bits_digest(hash);
    (void)XXH3_freeState(hash);
    return rc;
}

static int replay_read_member(struct replay_reading *r, struct archive_entry *entry,
                              struct error *e)
{
    const char *name = r->lib->entry_pathname(entry);
    struct replay_member *member;
    int part = -1;
    if (name == NULL || name[0] == '\0' || strlen(name) > REPLAY_NAME_MAX)
        return replay_fail(r, e, ERR_CORRUPT, "a member has no usable name");
    if (r->lib->entry_filetype(entry) == AE_IFDIR)
        return 0;
    if (r->lib->entry_filetype(entry) != AE_IFREG || r->lib->entry_hardlink(entry) != NULL)
        return replay_fail(r, e, ERR_CORRUPT, "a member is no plain file");
    HASH_FIND_STR(r->members, name, member);
    if (member != NULL)
        return replay_fail(r, e, ERR_CORRUPT, "a member is there twice");
    if (r->n_members == REPLAY_MEMBERS_MAX)
        return replay_fail(r, e, ERR_TOO_LARGE, "it has too many members");
    member = mem_zalloc(sizeof *member + strlen(name) + 1);
    memcpy(member->name, name, strlen(name) + 1);
    HASH_ADD_STR(r->members, name, member);
    r->n_members++;
    for (int i = 0; i < REPLAY_PARTS; i++)
        if (strcmp(name, replay_names[i]) == 0)
            part = i;
    bool is_head = strcmp(name, "report.json") == 0;
    r->has_head = r->has_head || is_head;
    if (part >= 0 && (r->fds[part] = replay_temporary(e)) < 0)
        return r->fds[part];
    return replay_read_data(r, part, is_head, member, e);
}

static int replay_read_members(struct replay_reading *r, int fd, struct error *e)
{
    struct archive_entry *entry;
    int rc, got;
    (void)r->lib->read_support_filter_zstd(r->archive);
    (void)r->lib->read_support_filter_gzip(r->archive);
    (void)r->lib->read_support_format_tar(r->archive);
    if (r->lib->read_open_fd(r->archive, fd, REPLAY_BLOCK_BYTES) != ARCHIVE_OK)
        return replay_fail(r, e, ERR_CORRUPT, "it is cut, or no tar archive");
    while ((got = r->lib->read_next_header(r->archive, &entry)) == ARCHIVE_OK) {
        rc = replay_read_member(r, entry, e);
        if (rc != 0)
            return rc;
    }
    if (got != ARCHIVE_EOF)
        return replay_fail(r, e, ERR_CORRUPT,
                           r->lib->error_string(r->archive) != NULL
                               ? r->lib->error_string(r->archive)
                               : "it is damaged");
    return r->has_head ? 0
                       : replay_fail(r, e, ERR_CORRUPT,
                                     "it has no report.json; clusterd report makes reports");
}

/* report.json */

struct replay_listed {
    char name[REPLAY_NAME_MAX + 1];
    int64_t bytes;
    char sum[REPLAY_SUM_DIGITS + 1];
};

static void replay_copy_text(struct json_scan *s, char *to, size_t size)
{
    struct json_slice text;
    if (json_scan_peek(s) != JSON_KIND_STRING) {
        (void)json_scan_skip(s, NULL);
    } else if (json_scan_string(s, &text) && text.len < size) {
        memcpy(to, text.text, text.len);
        to[text.len] = '\0';
    }
}

static int replay_check_listed(struct replay_reading *r, const struct replay_listed *listed,
                               struct error *e)
{
    struct replay_member *member;
    char sum[REPLAY_SUM_DIGITS + 1], why[REPLAY_NAME_MAX + 64];
    HASH_FIND_STR(r->members, listed->name, member);
    char *shown = str_printable(listed->name, strlen(listed->name), false);
    (void)snprintf(why, sizeof why, "%.256s is %s", shown,
                   member == NULL ? "missing: it is cut" : "not what report.json says it is");
    free(shown);
    if (member == NULL)
        return replay_fail(r, e, ERR_CORRUPT, why);
    (void)snprintf(sum, sizeof sum, "%016llx", (unsigned long long)member->sum);
    if (listed->bytes != (int64_t)member->bytes || strcmp(sum, listed->sum) != 0)
        return replay_fail(r, e, ERR_CORRUPT, why);
    member->is_listed = true;
    return 0;
}

static int replay_read_list(struct replay_reading *r, struct json_scan *s, struct error *e)
{
    struct json_slice key;
    int rc = 0;
    (void)json_scan_array(s);
    while (rc == 0 && json_scan_element(s)) {
        struct replay_listed listed = {.bytes = -1};
        (void)json_scan_object(s);
        while (json_scan_key(s, &key)) {
            if (json_slice_is(&key, "name"))
                replay_copy_text(s, listed.name, sizeof listed.name);
            else if (json_slice_is(&key, "xxh"))
                replay_copy_text(s, listed.sum, sizeof listed.sum);
            else if (json_slice_is(&key, "bytes") && json_scan_peek(s) == JSON_KIND_NUMBER)
                (void)json_scan_i64(s, &listed.bytes);
            else
                (void)json_scan_skip(s, NULL);
        }
        if (!json_scan_failed(s))
            rc = replay_check_listed(r, &listed, e);
    }
    return rc;
}

static int replay_check_head(struct replay_reading *r, struct error *e)
{
    struct json_scan s;
    struct json_slice key;
    int64_t format = -1;
    char at[64] = "", why[128];
    int rc = 0;
    json_scan_init(&s, (const char *)r->head.data, r->head.len);
    (void)json_scan_object(&s);
    while (rc == 0 && json_scan_key(&s, &key)) {
        if (json_slice_is(&key, "format") && json_scan_peek(&s) == JSON_KIND_NUMBER)
            (void)json_scan_i64(&s, &format);
        else if (json_slice_is(&key, "at"))
            replay_copy_text(&s, at, sizeof at);
        else if (json_slice_is(&key, "cluster"))
            replay_copy_text(&s, r->to->cluster, sizeof r->to->cluster);
        else if (json_slice_is(&key, "node"))
            replay_copy_text(&s, r->to->node, sizeof r->to->node);
        else if (json_slice_is(&key, "version"))
            replay_copy_text(&s, r->to->version, sizeof r->to->version);
        else if (json_slice_is(&key, "partial"))
            replay_copy_text(&s, r->to->partial, sizeof r->to->partial);
        else if (json_slice_is(&key, "reason"))
            replay_copy_text(&s, r->to->reason, sizeof r->to->reason);
        else if (json_slice_is(&key, "members") && json_scan_peek(&s) == JSON_KIND_ARRAY)
            rc = replay_read_list(r, &s, e);
        else
            (void)json_scan_skip(&s, NULL);
    }
    bool ok = rc != 0 || json_scan_end(&s);
    json_scan_done(&s);
    if (rc != 0)
        return rc;
    if (!ok)
        return replay_fail(r, e, ERR_CORRUPT, "report.json is malformed");
    if (format != REPLAY_FORMAT) {
        (void)snprintf(why, sizeof why,
                       "it has format %lld, and this version knows %d: use the version that "
                       "made it",
                       (long long)format, REPLAY_FORMAT);
        return replay_fail(r, e, ERR_VERSION, why);
    }
    struct replay_member *member, *next;
    HASH_ITER (hh, r->members, member, next) {
        if (!member->is_listed && strcmp(member->name, "report.json") != 0)
            return replay_fail(r, e, ERR_CORRUPT, "it has members that report.json doesn't list");
    }
    r->to->made_ms = clock_rfc3339_ms(at, strlen(at));
    return 0;
}

/* Marks */

int64_t replay_line_at(const char *line, size_t len)
{
    struct json_scan s;
    struct json_slice key, text;
    int64_t at_ms = 0;
    json_scan_init(&s, line, len);
    (void)json_scan_object(&s);
    while (at_ms == 0 && json_scan_key(&s, &key)) {
        if (!json_slice_is(&key, "at") || json_scan_peek(&s) != JSON_KIND_STRING)
            (void)json_scan_skip(&s, NULL);
        else if (json_scan_string(&s, &text))
            at_ms = clock_rfc3339_ms(text.text, text.len);
    }
    json_scan_done(&s);
    return at_ms;
}

const char *replay_part_line(const struct replay_part *part, size_t *offset, size_t *len)
{
    if (part->data == NULL || *offset >= part->len)
        return NULL;
    const char *line = part->data + *offset;
    const char *newline = memchr(line, '\n', part->len - *offset);
    if (newline == NULL)
        return NULL;
    *len = (size_t)(newline - line);
    *offset += *len + 1;
    return line;
}

static int replay_mark_part(const struct replay_reading *r, struct replay_part *part,
                            bool is_frames, struct error *e)
{
    size_t offset = 0, len, begin = 0;
    int64_t latest_ms = 0;
    const char *line;
    for (; (line = replay_part_line(part, &offset, &len)) != NULL; begin = offset) {
        if (len > REPLAY_LINE_BYTES_MAX)
            return replay_fail(r, e, ERR_TOO_LARGE, "a line in it is too long");
        if (is_frames || part->lines % REPLAY_MARK_LINES == 0) {
            int64_t at_ms = replay_line_at(line, len);
            latest_ms = at_ms > latest_ms ? at_ms : latest_ms;
            MEM_GROW(part->marks, part->marks_cap, part->n_marks + 1);
            part->marks[part->n_marks++] =
                (struct replay_mark){.offset = begin, .at_ms = latest_ms, .line = part->lines};
        }
        part->lines++;
    }
    return 0;
}

static int replay_map(const struct replay_reading *r, enum replay_part_name name, struct error *e)
{
    struct replay_part *part = &r->to->parts[name];
    struct replay_member *member;
    HASH_FIND_STR(r->members, replay_names[name], member);
    if (member == NULL || member->bytes == 0)
        return 0;
    void *data = mmap(NULL, (size_t)member->bytes, PROT_READ, MAP_PRIVATE, r->fds[name], 0);
    if (data == MAP_FAILED)
        return error_set(e, -errno, "%s: %s", r->path, strerror(errno));
    part->data = data;
    part->len = (size_t)member->bytes;
    return replay_mark_part(r, part, name == REPLAY_FRAMES, e);
}

const struct replay_mark *replay_part_find(const struct replay_part *part, int64_t at_ms)
{
    size_t low = 0, high = part->n_marks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (part->marks[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (part->n_marks == 0)
        return NULL;
    return &part->marks[low > 0 ? low - 1 : 0];
}

/* Life */

/* Everything from the file to marked parts. */
static int replay_read(struct replay_reading *r, struct error *e)
{
    struct stat st;
    int fd =
        open(r->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe that nobody writes is empty */
    if (fd < 0)
        return error_set(e, -errno, "%s: %s", r->path, strerror(errno));
    (void)fcntl(fd, F_SETFL, 0); /* one that somebody writes is waited for */
    bool is_dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    int rc = is_dir ? error_set(e, -EISDIR, "%s: %s", r->path, strerror(EISDIR))
                    : archive_library_load(&r->lib, e);
    if (rc == 0) {
        r->archive = r->lib->read_new();
        if (r->archive == NULL)
            abort();
        rc = replay_read_members(r, fd, e);
        (void)r->lib->read_free(r->archive);
    }
    (void)close(fd);
    if (rc == 0)
        rc = replay_check_head(r, e);
    for (int i = 0; i < REPLAY_PARTS && rc == 0; i++)
        rc = replay_map(r, (enum replay_part_name)i, e);
    if (rc == 0 && r->to->parts[REPLAY_FRAMES].n_marks == 0)
        rc = replay_fail(r, e, ERR_CORRUPT, "it has no frames");
    return rc;
}

int replay_archive_open(const char *path, struct replay_archive **archive, struct error *e)
{
    struct replay_reading r = {.path = path};
    for (int i = 0; i < REPLAY_PARTS; i++)
        r.fds[i] = -1;
    r.to = mem_zalloc(sizeof *r.to);
    buf_init(&r.head, REPLAY_HEAD_BYTES_MAX);
    int rc = replay_read(&r, e);

    for (int i = 0; i < REPLAY_PARTS; i++)
        if (r.fds[i] >= 0)
            (void)close(r.fds[i]);
    buf_done(&r.head);
    struct replay_member *member, *next;
    HASH_ITER (hh, r.members, member, next) {
        HASH_DEL(r.members, member);
        free(member);
    }
    if (rc != 0)
        replay_archive_free(r.to);
    else
        *archive = r.to;
    return rc;
}

void replay_archive_free(struct replay_archive *archive)
{
    if (archive == NULL)
        return;
    for (int i = 0; i < REPLAY_PARTS; i++) {
        struct replay_part *part = &archive->parts[i];
        if (part->data != NULL)
            (void)munmap((void *)(uintptr_t)part->data, part->len);
        free(part->marks);
    }
    free(archive);
}
