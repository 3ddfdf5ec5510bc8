/* Objects in a folder. Every function here runs on a thread of the store.
 *
 * Happy path of a put: walk to the directory (made and synced where it is missing), write a file
 * without a name (O_TMPFILE), sync it, give it its name by link(), which refuses a name that is
 * taken, sync the directory. Replacing goes through a name of its own and rename(), as does
 * everything on a file system that has no files without names.
 *
 * Directories are walked part by part without following symbolic links, so that nothing leads out
 * of the allowed folder. A directory that vanishes under a put, because somebody deleted the last
 * object in it, is made anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/file_write.h"
#include "run/object_internal.h"

#define OBJECT_FILE_TEMP ".clusterd-put-"

enum {
    OBJECT_FILE_DEPTH_MAX = 64,
    OBJECT_FILE_TRIES_MAX = 16,
    OBJECT_FILE_COPY_BYTES = 1 << 20,
    OBJECT_FILE_TEMP_AGE_S = 3600,
};

/* ---- directories ------------------------------------------------------------------------------
 */

static int object_file_sync(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
}

/* The directory below `dir` (which is closed), made if `create`. */
static int object_file_descend(int dir, const char *name, bool create)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags);
    int err = fd < 0 ? -errno : 0;
    if (err == -ENOENT && create) {
        err = mkdirat(dir, name, 0755) == 0 || errno == EEXIST ? object_file_sync(dir) : -errno;
        if (err == 0 && (fd = openat(dir, name, flags)) < 0)
            err = -errno;
    }
    (void)close(dir);
    return err < 0 ? err : fd;
}

/* Opens the directory that holds the last part of `path`, which `*name` is set to; "" for none. */
static int object_file_open_dir(const char *root, const char *path, bool create, const char **name)
{
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    const char *slash;
    while (dir >= 0 && (slash = strchr(path, '/')) != NULL) {
        char *part = mem_strndup(path, (size_t)(slash - path));
        dir = object_file_descend(dir, part, create);
        free(part);
        path = slash + 1;
    }
    *name = path;
    return dir;
}

/* In words: what the system says of an object of ours. */
static int object_file_fail(struct object_call *call, int err, const char *what)
{
    if (err == -ENOENT || err == -ENOTDIR || err == -EISDIR)
        return object_call_fail(call, ERR_NOT_FOUND, what);
    if (err == -EEXIST)
        return object_call_fail(call, ERR_EXISTS, what);
    if (err == -ELOOP || err == -EMLINK)
        return error_set(&call->error, ERR_FORBIDDEN,
                         "%s/%s: %s: a symbolic link is on the way, which is not followed",
                         call->request.place, call->request.key, what);
    return object_call_fail(call, err, what);
}

/* ---- put --------------------------------------------------------------------------------------
 */

/* Copies `len` bytes between descriptors from given offsets; *copied is how many there were. */
static int object_file_copy(int in, uint64_t in_offset, int out, uint64_t out_offset, uint64_t len,
                            uint64_t *copied)
{
    char *block = mem_alloc(OBJECT_FILE_COPY_BYTES);
    int err = 0;
    *copied = 0;
    while (err == 0 && *copied < len) {
        uint64_t left = len - *copied;
        size_t want = left < OBJECT_FILE_COPY_BYTES ? (size_t)left : OBJECT_FILE_COPY_BYTES;
        ssize_t n = pread(in, block, want, (off_t)(in_offset + *copied));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = -errno;
        if (n <= 0)
            break;
        ssize_t done = 0;
        while (err == 0 && done < n) {
            ssize_t w = pwrite(out, block + done, (size_t)(n - done),
                               (off_t)(out_offset + *copied + (uint64_t)done));
            if (w < 0 && errno != EINTR)
                err = -errno;
            if (w > 0)
                done += w;
        }
        *copied += (uint64_t)done;
    }
    free(block);
    return err;
}

static int object_file_fill(struct object_call *call, int fd)
{
    const struct object_request *request = &call->request;
    uint64_t copied = request->body_len;
    int err;
    if (!request->from_fd)
        err = file_write_all(fd, request->body, request->body_len);
    else if (request->body_fd < 0)
        err = -EMFILE;
    else
        err = object_file_copy(request->body_fd, 0, fd, 0, request->fd_len, &copied);
    if (err == 0 && request->from_fd && copied < request->fd_len)
        err = -EIO;
    if (err == 0 && !request->transient)
        err = object_file_sync(fd);
    call->result.size = copied;
    return err;
}

static void object_file_temp_name(char out[static 64])
{
    static atomic_ullong serial;
    (void)snprintf(out, 64, OBJECT_FILE_TEMP "%ld-%llu", (long)getpid(),
                   atomic_fetch_add(&serial, 1));
}

/* Gives the file `temp` its name. */
static int object_file_rename(int dir, const char *temp, const char *name, bool replace)
{
    if (replace)
        return renameat(dir, temp, dir, name) == 0 ? 0 : -errno;
    if (renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    int err = linkat(dir, temp, dir, name, 0) == 0 ? 0 : -errno;
    if (err == 0)
        (void)unlinkat(dir, temp, 0);
    return err;
}

/* On file systems where every file has a name. */
static int object_file_put_named(struct object_call *call, int dir, const char *name, bool replace)
{
    char temp[64];
    object_file_temp_name(temp);
    int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int err = object_file_fill(call, fd);
    (void)close(fd);
    if (err == 0)
        err = object_file_rename(dir, temp, name, replace);
    if (err < 0)
        (void)unlinkat(dir, temp, 0);
    return err;
}

static int object_file_link(int fd, int dir, const char *name, bool replace)
{
    char self[64], temp[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (errno != EEXIST || !replace)
        return -errno;
    object_file_temp_name(temp);
    if (linkat(AT_FDCWD, self, dir, temp, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    int err = object_file_rename(dir, temp, name, true);
    if (err < 0)
        (void)unlinkat(dir, temp, 0);
    return err;
}

static int object_file_put_in(struct object_call *call, int dir, const char *name, bool replace)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return -EISDIR;
        if (!replace)
            return -EEXIST;
    }
    int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
        return -errno;
    int err;
    if (fd < 0) {
        err = object_file_put_named(call, dir, name, replace);
    } else {
        err = object_file_fill(call, fd);
        if (err == 0)
            err = object_file_link(fd, dir, name, replace);
        (void)close(fd);
    }
    return err < 0 || call->request.transient ? err : object_file_sync(dir);
}

static void object_file_put(struct object_call *call)
{
    bool replace = call->request.verb == OBJECT_PUT;
    int err = -ENOENT;
    for (int i = 0; err == -ENOENT && i < OBJECT_FILE_TRIES_MAX; i++) {
        const char *name;
        int dir = object_file_open_dir(call->root, call->path, true, &name);
        err = dir < 0 ? dir : object_file_put_in(call, dir, name, replace);
        if (dir >= 0)
            (void)close(dir);
    }
    if (err == -EISDIR || err == -ENOTDIR)
        (void)error_set(&call->error, ERR_CONFLICT,
                        "%s/%s: cannot write: a folder and an object would have the same name",
                        call->request.place, call->request.key);
    else if (err < 0)
        (void)object_file_fail(call, err, "cannot write");
}

/* ---- get, stat --------------------------------------------------------------------------------
 */

static int64_t object_file_mtime_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* Opens the object and fills size and time of the result. */
static int object_file_open(struct object_call *call)
{
    const char *name;
    struct stat st;
    int dir = object_file_open_dir(call->root, call->path, false, &name);
    if (dir < 0)
        return dir;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int err = fd < 0 ? -errno : 0;
    (void)close(dir);
    if (err == 0 && fstat(fd, &st) < 0)
        err = -errno;
    if (err == 0 && !S_ISREG(st.st_mode))
        err = -ENOENT;
    if (err < 0) {
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    call->result.size = (uint64_t)st.st_size;
    call->result.modified_ms = object_file_mtime_ms(&st);
    return fd;
}

static int object_file_read(int fd, uint64_t offset, uint64_t len, struct buf *b)
{
    int err = buf_reserve(b, len);
    while (err == 0 && len > 0) {
        ssize_t n = pread(fd, b->data + b->len, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = -errno;
        if (n <= 0)
            break;
        b->len += (size_t)n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return err;
}

static void object_file_get(struct object_call *call)
{
    const struct object_request *request = &call->request;
    int fd = object_file_open(call);
    int err = fd < 0 ? fd : 0;
    uint64_t size = call->result.size;
    uint64_t offset = request->offset < size ? request->offset : size;
    uint64_t len = size - offset;
    if (request->length > 0 && request->length < len)
        len = request->length;
    uint64_t copied = 0;
    if (err == 0 && request->to_fd) {
        err = request->out_fd < 0 ? -EMFILE
                                  : object_file_copy(fd, offset, request->out_fd,
                                                     request->out_offset, len, &copied);
        call->result.len = (size_t)copied;
    } else if (err == 0 && len > request->bytes_max) {
        (void)error_set(&call->error, ERR_TOO_LARGE, "%s/%s: %" PRIu64 " bytes, at most %" PRIu64,
                        request->place, request->key, len, request->bytes_max);
    } else if (err == 0) {
        err = object_file_read(fd, offset, len, &call->data);
    }
    if (fd >= 0)
        (void)close(fd);
    if (err < 0)
        (void)object_file_fail(call, err, "cannot read");
}

static void object_file_stat(struct object_call *call)
{
    int fd = object_file_open(call);
    if (fd >= 0)
        (void)close(fd);
    else
        (void)object_file_fail(call, fd, "cannot look at it");
}

/* ---- list -------------------------------------------------------------------------------------
 */

struct object_file_names {
    char **names; /* a directory's with '/' at its end */
    size_t n, cap;
};

static void object_file_names_done(struct object_file_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
}

static int object_file_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool object_file_is_dir(int dir, const struct dirent *entry, bool *regular)
{
    struct stat st;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN && fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
    *regular = type == DT_REG;
    return type == DT_DIR;
}

/* Takes away what a put left that was killed an hour ago or longer. */
static void object_file_sweep(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_mtim.tv_sec + OBJECT_FILE_TEMP_AGE_S < time(NULL))
        (void)unlinkat(dir, name, 0);
}

/* Everything in `dir` that is or holds objects, sorted as keys are. */
static int object_file_read_dir(int dir, struct object_file_names *names)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        int err = -errno;
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        const char *name = entry->d_name;
        bool regular;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        bool is_dir = object_file_is_dir(dir, entry, &regular);
        if (str_starts_with(name, OBJECT_FILE_TEMP)) {
            object_file_sweep(dir, name);
        } else if (is_dir || regular) {
            MEM_GROW(names->names, names->cap, names->n + 1);
            names->names[names->n++] = mem_printf("%s%s", name, is_dir ? "/" : "");
        }
    }
    (void)closedir(stream);
    if (names->n > 0)
        qsort(names->names, names->n, sizeof *names->names, object_file_compare);
    return 0;
}

static int object_file_list_dir(struct object_call *call, int dir, const char *prefix,
                                unsigned depth);

static int object_file_list_below(struct object_call *call, int dir, const char *key,
                                  const char *name, unsigned depth)
{
    const char *after = call->request.after;
    if (after != NULL && strcmp(key, after) < 0 && !str_starts_with(after, key))
        return 0;
    if (depth >= OBJECT_FILE_DEPTH_MAX)
        return -ENAMETOOLONG;
    char *plain = mem_strndup(name, strlen(name) - 1);
    int sub = openat(dir, plain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(plain);
    if (sub < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    int err = object_file_list_dir(call, sub, key, depth + 1);
    (void)close(sub);
    return err;
}

static int object_file_list_one(struct object_call *call, int dir, const char *key,
                                const char *name)
{
    struct stat st;
    if (call->request.after != NULL && strcmp(key, call->request.after) <= 0)
        return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (call->entries_n == call->request.limit)
        call->result.more = true;
    else
        object_call_add_entry(call, key, (uint64_t)st.st_size, object_file_mtime_ms(&st));
    return 0;
}

static int object_file_list_dir(struct object_call *call, int dir, const char *prefix,
                                unsigned depth)
{
    struct object_file_names names = {0};
    int err = object_file_read_dir(dir, &names);
    for (size_t i = 0; err == 0 && i < names.n && !call->result.more; i++) {
        const char *name = names.names[i];
        char *key = mem_printf("%s%s", prefix, name);
        if (str_ends_with(name, "/"))
            err = object_file_list_below(call, dir, key, name, depth);
        else
            err = object_file_list_one(call, dir, key, name);
        free(key);
    }
    object_file_names_done(&names);
    return err;
}

/* Opens the directory `call->path` itself. */
static int object_file_open_whole(const struct object_call *call)
{
    const char *name;
    int dir = object_file_open_dir(call->root, call->path, false, &name);
    return dir >= 0 && name[0] != '\0' ? object_file_descend(dir, name, false) : dir;
}

static void object_file_list(struct object_call *call)
{
    int dir = object_file_open_whole(call);
    if (dir == -ENOENT || dir == -ENOTDIR)
        return;
    int err = dir < 0 ? dir : 0;
    const char *key = call->request.key;
    char *prefix = mem_printf("%s%s", key, key[0] != '\0' ? "/" : "");
    if (err == 0)
        err = object_file_list_dir(call, dir, prefix, 0);
    free(prefix);
    if (dir >= 0)
        (void)close(dir);
    if (err < 0)
        (void)object_file_fail(call, err, "cannot list");
}

/* ---- delete -----------------------------------------------------------------------------------
 */

/* Removes the directories above `path` that are empty now, down to its first `keep` bytes. */
static void object_file_prune(const struct object_call *call)
{
    char *path = mem_strdup(call->path);
    char *slash;
    while ((slash = strrchr(path, '/')) != NULL && (size_t)(slash - path) >= call->place_len) {
        *slash = '\0';
        const char *name;
        int dir = object_file_open_dir(call->root, path, false, &name);
        int rc = dir < 0 ? -1 : unlinkat(dir, name, AT_REMOVEDIR);
        if (dir >= 0)
            (void)close(dir);
        if (rc < 0)
            break;
    }
    free(path);
}

static void object_file_delete(struct object_call *call)
{
    const char *name;
    int dir = object_file_open_dir(call->root, call->path, false, &name);
    int err = dir < 0 ? dir : 0;
    if (err == 0 && unlinkat(dir, name, 0) < 0)
        err = -errno;
    if (dir >= 0)
        (void)close(dir);
    if (err == 0)
        object_file_prune(call);
    else if (err != -ENOENT && err != -ENOTDIR && err != -EISDIR)
        (void)object_file_fail(call, err, "cannot delete");
}

static int object_file_delete_dir(int dir, unsigned depth)
{
    struct object_file_names names = {0};
    int err = depth < OBJECT_FILE_DEPTH_MAX ? object_file_read_dir(dir, &names) : -ENAMETOOLONG;
    for (size_t i = 0; err == 0 && i < names.n; i++) {
        char *name = names.names[i];
        size_t len = strlen(name);
        if (name[len - 1] != '/') {
            err = unlinkat(dir, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
            continue;
        }
        name[len - 1] = '\0';
        int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0)
            continue;
        err = object_file_delete_dir(sub, depth + 1);
        (void)close(sub);
        if (err == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
            errno != ENOTEMPTY && errno != EEXIST)
            err = -errno;
    }
    object_file_names_done(&names);
    return err;
}

static void object_file_delete_prefix(struct object_call *call)
{
    int dir = object_file_open_whole(call);
    if (dir == -ENOENT || dir == -ENOTDIR)
        return;
    int err = dir < 0 ? dir : object_file_delete_dir(dir, 0);
    if (dir >= 0)
        (void)close(dir);
    if (err < 0) {
        (void)object_file_fail(call, err, "cannot delete");
        return;
    }
    const char *name;
    dir = object_file_open_dir(call->root, call->path, false, &name);
    if (dir >= 0 && name[0] != '\0' && unlinkat(dir, name, AT_REMOVEDIR) == 0 &&
        call->request.key[0] != '\0')
        object_file_prune(call);
    if (dir >= 0)
        (void)close(dir);
}

void object_file_run(struct object_call *call)
{
    switch (call->request.verb) {
    case OBJECT_PUT:
    case OBJECT_PUT_IF_ABSENT:
        object_file_put(call);
        break;
    case OBJECT_GET:
        object_file_get(call);
        break;
    case OBJECT_STAT:
        object_file_stat(call);
        break;
    case OBJECT_LIST:
        object_file_list(call);
        break;
    case OBJECT_DELETE:
        object_file_delete(call);
        break;
    case OBJECT_DELETE_PREFIX:
        object_file_delete_prefix(call);
        break;
    }
}
