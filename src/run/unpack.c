/* Entry by entry: check its name and kind, find its parent by walking real directories from the
 * target, make it. libarchive only decodes; every path is walked here with descriptors and
 * O_NOFOLLOW, so that no link of the archive is ever followed.
 *
 * A symbolic link may point within the target: "../" only at its beginning, and not more of them
 * than it is deep. With that no chain of links leads out either. Hard links are made to regular
 * files only. */
#include "run/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { UNPACK_BLOCK_BYTES = 128 * 1024 };

struct unpack_run {
    struct archive *archive;
    const char *name;  /* of the archive, for messages */
    const char *entry; /* present one, for messages; NULL between two */
    int target;
    uint64_t archive_bytes;
    struct unpack_limits limits;
    struct unpack_stats stats;
    const atomic_bool *cancel;
    struct error *e;
    char *parent; /* directory that `parent_fd` is open on, "" is the target; NULL: none */
    int parent_fd;
};

/* ---- errors ---- */

/* Names in archives may be any bytes; people and JSON get printable ones. */
static int unpack_refuse(struct unpack_run *r, int code, const char *why)
{
    char *entry = str_printable(r->entry, strlen(r->entry), false);

    error_set(r->e, code, "%s: %s: %s", r->name, entry, why);
    free(entry);
    return code;
}

static int unpack_fail_errno(struct unpack_run *r)
{
    int err = -errno;

    return unpack_refuse(r, err, err_text(err));
}

/* What libarchive says. Only before the first entry it can say that this is no archive at all. */
static int unpack_fail_archive(struct unpack_run *r, int code)
{
    const char *text = archive_error_string(r->archive);

    if (!text)
        text = err_text(code);
    return r->entry ? unpack_refuse(r, code, text) : error_set(r->e, code, "%s: %s", r->name, text);
}

static bool unpack_is_cancelled(const struct unpack_run *r)
{
    return r->cancel && atomic_load_explicit(r->cancel, memory_order_relaxed);
}

/* ---- names ---- */

/* Returns the next component of a path and its length, past slashes and "."; NULL at the end. */
static const char *unpack_component(const char *path, size_t *len)
{
    for (;;) {
        path += strspn(path, "/");
        *len = strcspn(path, "/");
        if (*len == 0)
            return NULL;
        if (*len != 1 || path[0] != '.')
            return path;
        path += 1;
    }
}

static bool unpack_is_up(const char *component, size_t len)
{
    return len == 2 && component[0] == '.' && component[1] == '.';
}

/* Writes a safe name without needless parts into `out`; its depth is the number of components. */
static int unpack_clean_name(struct unpack_run *r, const char *name,
                             char out[static UNPACK_NAME_BYTES_MAX], unsigned *depth)
{
    size_t len;
    size_t used = 0;

    if (name[0] == '/')
        return unpack_refuse(r, ERR_INVALID, "absolute names are refused");
    *depth = 0;
    out[0] = '\0';
    for (const char *c = name; (c = unpack_component(c, &len)) != NULL; c += len) {
        if (unpack_is_up(c, len))
            return unpack_refuse(r, ERR_INVALID, "names with \"..\" are refused");
        if (used + len + 2 > UNPACK_NAME_BYTES_MAX || len > 255 || ++*depth > UNPACK_DEPTH_MAX)
            return unpack_refuse(r, ERR_TOO_LARGE, "the name is too long");
        if (used > 0)
            out[used++] = '/';
        memcpy(out + used, c, len);
        used += len;
        out[used] = '\0';
    }
    return 0;
}

/* Whether a link that stands below `depth` directories stays within the target. */
static bool unpack_is_link_inside(const char *to, unsigned depth)
{
    size_t len;
    bool is_down = false;

    if (to[0] == '/' || to[0] == '\0')
        return false;
    for (const char *c = to; (c = unpack_component(c, &len)) != NULL; c += len) {
        if (!unpack_is_up(c, len))
            is_down = true;
        else if (is_down || depth-- == 0)
            return false;
    }
    return true;
}

/* ---- directories ---- */

static int unpack_open_dir(struct unpack_run *r, int at, const char *name, bool may_make)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

    int fd = openat(at, name, FLAGS);
    if (fd < 0 && errno == ENOENT && may_make) {
        if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
            return unpack_fail_errno(r);
        fd = openat(at, name, FLAGS);
    }
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return unpack_refuse(r, ERR_INVALID, "its name goes through a link or a file");
    return fd < 0 ? unpack_fail_errno(r) : fd;
}

/* Walks to the directory `path` (cleaned, "" is the target). Returns a new descriptor. */
static int unpack_walk(struct unpack_run *r, const char *path, bool may_make)
{
    char name[256];
    size_t len;

    int fd = fcntl(r->target, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return unpack_fail_errno(r);
    for (const char *c = path; (c = unpack_component(c, &len)) != NULL; c += len) {
        memcpy(name, c, len);
        name[len] = '\0';
        int next = unpack_open_dir(r, fd, name, may_make);
        close(fd);
        if (next < 0)
            return next;
        fd = next;
    }
    return fd;
}

static void unpack_forget_parent(struct unpack_run *r)
{
    if (r->parent)
        close(r->parent_fd);
    free(r->parent);
    r->parent = NULL;
}

/* Splits a cleaned name and leaves its directory open in `parent_fd`; entries of one directory
 * mostly come in a row. Returns the last component. */
static int unpack_enter_parent(struct unpack_run *r, char *name, const char **last)
{
    char *slash = strrchr(name, '/');
    const char *dir = "";

    *last = name;
    if (slash) {
        *slash = '\0';
        dir = name;
        *last = slash + 1;
    }
    if (r->parent && strcmp(r->parent, dir) == 0)
        return 0;
    unpack_forget_parent(r);
    int fd = unpack_walk(r, dir, true);
    if (fd < 0)
        return fd;
    r->parent = mem_strdup(dir);
    r->parent_fd = fd;
    return 0;
}

/* ---- entries ---- */

static int unpack_check_bytes(struct unpack_run *r, uint64_t bytes)
{
    uint64_t total;

    if (__builtin_add_overflow(r->stats.bytes, bytes, &total) || total > r->limits.bytes_max)
        return unpack_refuse(r, ERR_TOO_LARGE, "the archive holds more than is allowed");
    if (total > UNPACK_RATIO_FREE_BYTES && total / UNPACK_RATIO_MAX > r->archive_bytes)
        return unpack_refuse(r, ERR_TOO_LARGE,
                             "the archive is a bomb: it expands more than a hundredfold");
    return 0;
}

static int unpack_write_at(struct unpack_run *r, int fd, const char *data, size_t len, int64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return unpack_fail_errno(r);
        data += n;
        len -= (size_t)n;
        at += n;
    }
    return 0;
}

static int unpack_copy_data(struct unpack_run *r, int fd, uint64_t *size)
{
    const void *data;
    size_t len;
    int64_t at;
    int rc;

    while ((rc = archive_read_data_block(r->archive, &data, &len, &at)) != ARCHIVE_EOF) {
        if (rc == ARCHIVE_RETRY)
            continue;
        if (rc != ARCHIVE_OK)
            return unpack_fail_archive(r, ERR_CORRUPT);
        if (unpack_is_cancelled(r))
            return unpack_refuse(r, ERR_CANCELLED, "cancelled");
        if (at < 0 || (uint64_t)at > r->limits.bytes_max)
            return unpack_refuse(r, ERR_TOO_LARGE, "the archive holds more than is allowed");
        if ((uint64_t)at + len > *size)
            *size = (uint64_t)at + len;
        int err = unpack_check_bytes(r, *size);
        if (err == 0)
            err = unpack_write_at(r, fd, data, len, at);
        if (err < 0)
            return err;
    }
    return 0;
}

static int unpack_finish_file(struct unpack_run *r, struct archive_entry *entry, int fd,
                              uint64_t size)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)}};
    mode_t mode = (archive_entry_perm(entry) & 0777) | S_IRUSR | S_IWUSR;

    if (archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) > size) {
        size = (uint64_t)archive_entry_size(entry); /* ends with a hole */
        int err = unpack_check_bytes(r, size);
        if (err < 0)
            return err;
        if (ftruncate(fd, (off_t)size) < 0)
            return unpack_fail_errno(r);
    }
    if (fchmod(fd, mode) < 0)
        return unpack_fail_errno(r);
    if (archive_entry_mtime_is_set(entry))
        (void)futimens(fd, times);
    r->stats.bytes += size;
    return 0;
}

static int unpack_file(struct unpack_run *r, struct archive_entry *entry, const char *name)
{
    enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };
    uint64_t size = 0;

    if (unlinkat(r->parent_fd, name, 0) < 0 && errno != ENOENT)
        return unpack_fail_errno(r);
    int fd = openat(r->parent_fd, name, FLAGS, 0600);
    if (fd < 0)
        return unpack_fail_errno(r);
    int err = unpack_copy_data(r, fd, &size);
    if (err == 0)
        err = unpack_finish_file(r, entry, fd, size);
    if (close(fd) < 0 && err == 0)
        err = unpack_fail_errno(r);
    return err;
}

static int unpack_dir(struct unpack_run *r, struct archive_entry *entry, const char *name)
{
    int fd = unpack_open_dir(r, r->parent_fd, name, true);
    if (fd < 0)
        return fd;
    int err = fchmod(fd, (archive_entry_perm(entry) & 0777) | S_IRWXU);
    close(fd);
    return err < 0 ? unpack_fail_errno(r) : 0;
}

static int unpack_symlink(struct unpack_run *r, struct archive_entry *entry, const char *name,
                          unsigned depth)
{
    const char *to = archive_entry_symlink_utf8(entry);

    if (!to)
        to = archive_entry_symlink(entry);
    if (!to || !unpack_is_link_inside(to, depth - 1))
        return unpack_refuse(r, ERR_INVALID, "the link points out of the archive");
    if (unlinkat(r->parent_fd, name, 0) < 0 && errno != ENOENT)
        return unpack_fail_errno(r);
    return symlinkat(to, r->parent_fd, name) < 0 ? unpack_fail_errno(r) : 0;
}

static int unpack_hardlink(struct unpack_run *r, const char *to, const char *name)
{
    char clean[UNPACK_NAME_BYTES_MAX];
    unsigned depth;
    struct stat st;

    int err = unpack_clean_name(r, to, clean, &depth);
    if (err < 0)
        return err;
    char *slash = strrchr(clean, '/');
    if (slash)
        *slash = '\0';
    const char *last = slash ? slash + 1 : clean;
    int dir = unpack_walk(r, slash ? clean : "", false);
    if (dir < 0)
        return dir;
    if (fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
        err = unpack_fail_errno(r);
    else if (!S_ISREG(st.st_mode))
        err = unpack_refuse(r, ERR_INVALID, "a hard link to what is no file is refused");
    else if (unlinkat(r->parent_fd, name, 0) < 0 && errno != ENOENT)
        err = unpack_fail_errno(r);
    else if (linkat(dir, last, r->parent_fd, name, 0) < 0)
        err = unpack_fail_errno(r);
    close(dir);
    return err;
}

static int unpack_entry(struct unpack_run *r, struct archive_entry *entry)
{
    char name[UNPACK_NAME_BYTES_MAX];
    unsigned depth;
    const char *last;
    const char *to = archive_entry_hardlink_utf8(entry);

    if (!to)
        to = archive_entry_hardlink(entry);
    int err = unpack_clean_name(r, r->entry, name, &depth);
    if (err < 0)
        return err;
    if (archive_entry_is_encrypted(entry))
        return unpack_refuse(r, ERR_INVALID, "it is encrypted");
    if (depth == 0) /* the target itself, "./" */
        return archive_entry_filetype(entry) == AE_IFDIR
                   ? 0
                   : unpack_refuse(r, ERR_INVALID, "it has no name");
    err = unpack_enter_parent(r, name, &last);
    if (err < 0)
        return err;
    if (to)
        return unpack_hardlink(r, to, last);
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return unpack_file(r, entry, last);
    case AE_IFDIR:
        return unpack_dir(r, entry, last);
    case AE_IFLNK:
        return unpack_symlink(r, entry, last, depth);
    default:
        return unpack_refuse(r, ERR_INVALID, "devices, sockets and FIFOs are refused");
    }
}

/* ---- the archive ---- */

static int unpack_open(struct unpack_run *r, const char *path, const char *target)
{
    struct archive *a = r->archive;
    struct stat st;

    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);
    archive_read_support_filter_compress(a);
    archive_read_support_format_tar(a);
    /* needs the directory at the end: a zip that was cut short is refused before anything is
     * written */
    archive_read_support_format_zip_seekable(a);
    if (stat(path, &st) < 0)
        return error_set(r->e, -errno, "%s: %s", path, err_text(-errno));
    r->archive_bytes = (uint64_t)st.st_size;
    r->target = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->target < 0)
        return error_set(r->e, -errno, "%s: %s", target, err_text(-errno));
    if (archive_read_open_filename(a, path, UNPACK_BLOCK_BYTES) != ARCHIVE_OK)
        return unpack_fail_archive(r, ERR_INVALID);
    return 0;
}

/* Takes the next entry; ARCHIVE_EOF after the last. Names of the one before are gone with it. */
static int unpack_next(struct unpack_run *r, struct archive_entry **entry)
{
    int rc;

    r->entry = NULL;
    do {
        rc = archive_read_next_header(r->archive, entry);
    } while (rc == ARCHIVE_RETRY);
    if (rc == ARCHIVE_EOF)
        return rc;
    if (rc < ARCHIVE_WARN)
        return unpack_fail_archive(r, r->stats.entries == 0 ? ERR_INVALID : ERR_CORRUPT);
    r->entry = archive_entry_pathname_utf8(*entry);
    if (!r->entry)
        r->entry = archive_entry_pathname(*entry);
    if (!r->entry)
        r->entry = "";
    return 0;
}

static int unpack_entries(struct unpack_run *r)
{
    struct archive_entry *entry;
    int err;

    while ((err = unpack_next(r, &entry)) == 0) {
        if (r->stats.entries++ >= r->limits.entries_max)
            return unpack_refuse(r, ERR_TOO_LARGE, "the archive has more entries than are allowed");
        if (unpack_is_cancelled(r))
            return unpack_refuse(r, ERR_CANCELLED, "cancelled");
        err = unpack_entry(r, entry);
        if (err < 0)
            break;
    }
    return err == ARCHIVE_EOF ? 0 : err;
}

int unpack(const char *archive, const char *target, const struct unpack_limits *limits,
           const atomic_bool *cancel, struct unpack_stats *stats, struct error *e)
{
    struct unpack_run r = {.target = -1, .limits = *limits, .cancel = cancel, .e = e};

    r.name = strrchr(archive, '/') ? strrchr(archive, '/') + 1 : archive;
    if (r.limits.bytes_max == 0)
        r.limits.bytes_max = UNPACK_BYTES_MAX;
    if (r.limits.entries_max == 0)
        r.limits.entries_max = UNPACK_ENTRIES_MAX;
    r.archive = archive_read_new();
    if (!r.archive)
        return error_set(e, -ENOMEM, "%s: %s", archive, err_text(-ENOMEM));
    int err = unpack_open(&r, archive, target);
    if (err == 0)
        err = unpack_entries(&r);
    unpack_forget_parent(&r);
    archive_read_free(r.archive);
    if (r.target >= 0)
        close(r.target);
    if (err == 0)
        *stats = r.stats;
    return err;
}
