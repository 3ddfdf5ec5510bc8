#include "run/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/atomic_file.h"

#define DATA_DIR_REMEDY "put it back, or move the data directory away and join again as a new node"

enum { DATA_DIR_FILE_MAX = 4096, DATA_DIR_MODE = 0700, DATA_DIR_FILE_MODE = 0600 };

struct data_dir {
    char *path;
    int lock_fd;
    struct data_dir_identity identity;
};

const char *data_dir_path(const struct data_dir *dir)
{
    return dir->path;
}

const struct data_dir_identity *data_dir_identity(const struct data_dir *dir)
{
    return &dir->identity;
}

/* Makes the last part of `path`, durably, when it is not there. */
static int data_dir_make_one(const char *path, struct error *e)
{
    if (mkdir(path, DATA_DIR_MODE) < 0) {
        int err = -errno;
        return err == -EEXIST ? 0 : error_set(e, err, "cannot make %s: %s", path, err_text(err));
    }
    char *copy = mem_strdup(path);
    int err = atomic_file_sync_dir(dirname(copy), e);
    free(copy);
    return err;
}

/* Makes `path` and what is missing above it. */
static int data_dir_make(const char *path, struct error *e)
{
    char *copy = mem_strdup(path);
    int err = 0;
    for (char *slash = copy; err == 0 && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        err = data_dir_make_one(copy, e);
        *slash = '/';
    }
    if (err == 0)
        err = data_dir_make_one(copy, e);
    free(copy);
    return err;
}

static int data_dir_lock(struct data_dir *dir, struct error *e)
{
    char *path = mem_printf("%s/lock", dir->path);
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, DATA_DIR_FILE_MODE);
    free(path);
    if (dir->lock_fd < 0 || flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        int err = -errno;
        if (err != -EWOULDBLOCK)
            return error_set(e, err, "%s: cannot be locked: %s", dir->path, err_text(err));
        char owner[32] = "";
        if (pread(dir->lock_fd, owner, sizeof owner - 1, 0) < 0)
            owner[0] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        return error_set(e, ERR_BUSY,
                         "%s: is in use by %s%s: stop that one, or set another node.data_dir",
                         dir->path, owner[0] != '\0' ? "pid " : "another process", owner);
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(dir->lock_fd, 0) < 0 || pwrite(dir->lock_fd, text, (size_t)len, 0) != len)
        return error_set(e, -EIO, "%s: the lock cannot be written", dir->path);
    return 0;
}

/* What a start that was cut short can have left, besides nothing. */
static bool data_dir_is_ours(const char *name)
{
    static const char *const names[] = {".",        "..",         "lock",
                                        "identity", "format.tmp", "identity.tmp"};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* A directory without a format must not be anybody else's. */
static int data_dir_check_fresh(const struct data_dir *dir, struct error *e)
{
    DIR *handle = opendir(dir->path);
    if (handle == NULL) {
        int err = -errno;
        return error_set(e, err, "%s: %s", dir->path, err_text(err));
    }
    int err = 0;
    for (struct dirent *entry; err == 0 && (entry = readdir(handle)) != NULL;) {
        if (!data_dir_is_ours(entry->d_name))
            err = error_set(e, ERR_INVALID,
                            "%s: is neither empty nor a data directory of clusterd (it has %s)",
                            dir->path, entry->d_name);
    }
    (void)closedir(handle);
    return err;
}

/* Sets `format` to that of the directory, 0: fresh. */
static int data_dir_read_format(const struct data_dir *dir, unsigned *format, struct error *e)
{
    struct buf content;
    char version[64] = "?";
    char *path = mem_printf("%s/format", dir->path);
    buf_init(&content, DATA_DIR_FILE_MAX);
    *format = 0;
    int err = atomic_file_read(path, &content, e);
    if (err == 0 && (sscanf(buf_cstr(&content), "%u %63s", format, version) < 1 || *format == 0))
        err = error_set(e, ERR_CORRUPT, "%s: unreadable: " DATA_DIR_REMEDY, path);
    else if (err == 0 && *format > DATA_DIR_FORMAT)
        err = error_set(e, ERR_VERSION,
                        "%s: is of format %u, written by clusterd %s; this is clusterd %s, which "
                        "reads formats up to %d",
                        dir->path, *format, version, VERSION, DATA_DIR_FORMAT);
    else if (err == -ENOENT)
        err = data_dir_check_fresh(dir, e);
    free(path);
    buf_done(&content);
    return err;
}

static int data_dir_write_format(const struct data_dir *dir, struct error *e)
{
    char text[128];
    char *path = mem_printf("%s/format", dir->path);
    int len = snprintf(text, sizeof text, "%d %s\n", DATA_DIR_FORMAT, VERSION);
    int err = atomic_file_write(path, DATA_DIR_FILE_MODE, text, (size_t)len, e);
    free(path);
    return err;
}

static int data_dir_write_identity(const struct data_dir *dir,
                                   const struct data_dir_identity *identity, struct error *e)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:s}", "node_uuid", identity->node_uuid, "cluster_id",
                             identity->cluster_id, "node_id", (json_int_t)identity->node_id, "name",
                             identity->name);
    char *text = json_dumps(json, JSON_INDENT(2));
    char *path = mem_printf("%s/identity", dir->path);
    int err = atomic_file_write(path, DATA_DIR_FILE_MODE, text, strlen(text), e);
    free(path);
    free(text);
    json_decref(json);
    return err;
}

static int data_dir_parse_identity(struct data_dir *dir, const char *text, struct error *e)
{
    const char *uuid = NULL;
    const char *cluster = NULL;
    const char *name = NULL;
    json_int_t id = 0;
    struct uuid parsed;
    struct data_dir_identity *identity = &dir->identity;
    json_t *json = json_loads(text, 0, NULL);
    int err = 0;
    if (json == NULL ||
        json_unpack(json, "{s:s, s:s, s:I, s:s}", "node_uuid", &uuid, "cluster_id", &cluster,
                    "node_id", &id, "name", &name) != 0 ||
        uuid_parse(uuid, &parsed) < 0 || (*cluster != '\0' && uuid_parse(cluster, &parsed) < 0) ||
        strlen(name) >= sizeof identity->name || id < 0) {
        err = error_set(e, ERR_CORRUPT, "%s/identity: unreadable: " DATA_DIR_REMEDY, dir->path);
    } else {
        (void)snprintf(identity->node_uuid, sizeof identity->node_uuid, "%s", uuid);
        (void)snprintf(identity->cluster_id, sizeof identity->cluster_id, "%s", cluster);
        (void)snprintf(identity->name, sizeof identity->name, "%s", name);
        identity->node_id = (uint64_t)id;
    }
    json_decref(json);
    return err;
}

static int data_dir_load_identity(struct data_dir *dir, struct error *e)
{
    struct buf content;
    char *path = mem_printf("%s/identity", dir->path);
    buf_init(&content, DATA_DIR_FILE_MAX);
    int err = atomic_file_read(path, &content, e);
    if (err == 0)
        err = data_dir_parse_identity(dir, buf_cstr(&content), e);
    else if (err == -ENOENT)
        err = error_set(e, ERR_CORRUPT, "%s: is missing: " DATA_DIR_REMEDY, path);
    free(path);
    buf_done(&content);
    return err;
}

/* The format is written last: where it stands, the rest is there. */
static int data_dir_found(struct data_dir *dir, struct error *e)
{
    struct uuid id;
    uuid_generate(&id);
    (void)uuid_format(&id, dir->identity.node_uuid);
    if (chmod(dir->path, DATA_DIR_MODE) < 0) {
        int err = -errno;
        return error_set(e, err, "%s: %s", dir->path, err_text(err));
    }
    int err = data_dir_write_identity(dir, &dir->identity, e);
    return err < 0 ? err : data_dir_write_format(dir, e);
}

/* Looks before it touches: a lock file has no place in somebody else's directory. What was seen
 * counts only when it is still so under the lock. */
static int data_dir_enter(struct data_dir *dir, struct error *e)
{
    unsigned format;
    int err = data_dir_read_format(dir, &format, e);
    if (err == 0)
        err = data_dir_lock(dir, e);
    if (err == 0)
        err = data_dir_read_format(dir, &format, e);
    if (err < 0)
        return err;
    return format == 0 ? data_dir_found(dir, e) : data_dir_load_identity(dir, e);
}

int data_dir_open(const char *path, struct data_dir **out, struct error *e)
{
    int err = data_dir_make(path, e);
    if (err < 0)
        return err;
    struct data_dir *dir = mem_zalloc(sizeof *dir);
    dir->lock_fd = -1;
    dir->path = realpath(path, NULL);
    err = dir->path == NULL ? -errno : 0;
    if (err < 0)
        (void)error_set(e, err, "%s: %s", path, err_text(err));
    else
        err = data_dir_enter(dir, e);
    if (err < 0) {
        data_dir_close(dir);
        return err;
    }
    *out = dir;
    return 0;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir == NULL)
        return;
    if (dir->lock_fd >= 0)
        (void)close(dir->lock_fd);
    free(dir->path);
    free(dir);
}

int data_dir_set_identity(struct data_dir *dir, const struct data_dir_identity *identity,
                          struct error *e)
{
    if (strcmp(identity->node_uuid, dir->identity.node_uuid) != 0)
        return error_set(e, ERR_INVALID, "%s: the identity of a node does not change", dir->path);
    int err = data_dir_write_identity(dir, identity, e);
    if (err == 0)
        dir->identity = *identity;
    return err;
}

char *data_dir_subdir(struct data_dir *dir, const char *name, struct error *e)
{
    char *path = mem_printf("%s/%s", dir->path, name);
    if (data_dir_make(path, e) == 0)
        return path;
    free(path);
    return NULL;
}
