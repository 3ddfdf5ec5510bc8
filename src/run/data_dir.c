#include "run/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/atomic_file.h"

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

/* Makes `path` and what is missing above it. */
static int data_dir_make(const char *path, struct error *e)
{
    char *copy = mem_strdup(path);
    int err = 0;
    for (char *slash = strchr(copy + 1, '/'); err == 0; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(copy, DATA_DIR_MODE) < 0 && errno != EEXIST)
            err = error_set(e, -errno, "%s: cannot be made: %s", copy, err_text(-errno));
        if (slash == NULL)
            break;
        *slash = '/';
    }
    free(copy);
    return err;
}

static int data_dir_lock(struct data_dir *dir, struct error *e)
{
    char *path = mem_printf("%s/lock", dir->path);
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, DATA_DIR_FILE_MODE);
    free(path);
    if (dir->lock_fd < 0)
        return error_set(e, -errno, "%s: cannot be locked: %s", dir->path, err_text(-errno));
    char text[32] = "";
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (pread(dir->lock_fd, text, sizeof text - 1, 0) < 0)
            text[0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return error_set(e, ERR_BUSY, "%s: is in use by pid %s", dir->path, text);
    }
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(dir->lock_fd, 0) < 0 || pwrite(dir->lock_fd, text, (size_t)len, 0) != len)
        return error_set(e, -EIO, "%s: the lock cannot be written", dir->path);
    return 0;
}

/* Whether nothing but a lock is in there. */
static bool data_dir_is_empty(const struct data_dir *dir)
{
    DIR *handle = opendir(dir->path);
    bool empty = true;
    for (struct dirent *entry; handle != NULL && (entry = readdir(handle)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lock") != 0)
            empty = false;
    if (handle != NULL)
        (void)closedir(handle);
    return empty;
}

static int data_dir_check_format(struct data_dir *dir, struct error *e)
{
    struct buf content;
    buf_init(&content, DATA_DIR_FILE_MAX);
    char *path = mem_printf("%s/format", dir->path);
    int err = atomic_file_read(path, &content, e);
    unsigned format = 0;
    char version[64] = "";
    if (err == 0 && sscanf(buf_cstr(&content), "%u %63s", &format, version) < 1)
        err = error_set(e, ERR_CORRUPT, "%s: unreadable", path);
    else if (err == 0 && format > DATA_DIR_FORMAT)
        err =
            error_set(e, ERR_VERSION,
                      "%s: written by clusterd %s in format %u; this is %s, which reads format %d",
                      dir->path, version, format, VERSION, DATA_DIR_FORMAT);
    else if (err == -ENOENT && !data_dir_is_empty(dir))
        err = error_set(e, ERR_INVALID, "%s: is neither empty nor a data directory of clusterd",
                        dir->path);
    else if (err == -ENOENT) {
        char text[128];
        int len = snprintf(text, sizeof text, "%d %s\n", DATA_DIR_FORMAT, VERSION);
        err = atomic_file_write(path, DATA_DIR_FILE_MODE, text, (size_t)len, e);
    }
    free(path);
    buf_done(&content);
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
        uuid_parse(uuid, &parsed) < 0 || strlen(cluster) >= sizeof identity->cluster_id ||
        strlen(name) >= sizeof identity->name || id < 0) {
        err = error_set(e, ERR_CORRUPT, "%s/identity: unreadable", dir->path);
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
    buf_init(&content, DATA_DIR_FILE_MAX);
    char *path = mem_printf("%s/identity", dir->path);
    int err = atomic_file_read(path, &content, e);
    free(path);
    if (err == -ENOENT) {
        struct uuid id;
        uuid_generate(&id);
        (void)uuid_format(&id, dir->identity.node_uuid);
        err = data_dir_write_identity(dir, &dir->identity, e);
    } else if (err == 0) {
        err = data_dir_parse_identity(dir, buf_cstr(&content), e);
    }
    buf_done(&content);
    return err;
}

int data_dir_open(const char *path, struct data_dir **out, struct error *e)
{
    int err = data_dir_make(path, e);
    if (err < 0)
        return err;
    struct data_dir *dir = mem_zalloc(sizeof *dir);
    dir->lock_fd = -1;
    dir->path = realpath(path, NULL);
    if (dir->path == NULL)
        err = error_set(e, -errno, "%s: %s", path, err_text(-errno));
    if (err == 0)
        err = data_dir_lock(dir, e);
    if (err == 0)
        err = data_dir_check_format(dir, e);
    if (err == 0)
        err = data_dir_load_identity(dir, e);
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
        close(dir->lock_fd);
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
    if (data_dir_make(path, e) < 0 || atomic_file_sync_dir(dir->path, e) < 0) {
        free(path);
        return NULL;
    }
    return path;
}
