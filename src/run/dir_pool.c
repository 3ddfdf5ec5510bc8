/* A spare directory keeps its empty work/ and empty streams; what doesn't fit into the pool is
 * removed. */
#include "run/dir_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/task_dir.h"

enum { DIR_POOL_ENTRY_MAX = 16 };

void dir_pool_init(struct dir_pool *pool, const char *path)
{
    *pool = (struct dir_pool){.path = mem_strdup(path), .fd = -1};
}

void dir_pool_done(struct dir_pool *pool)
{
    if (pool->fd >= 0)
        close(pool->fd);
    free(pool->path);
    *pool = (struct dir_pool){.fd = -1};
}

/* Gives the pool up when it can't be used. */
static void dir_pool_open(struct dir_pool *pool)
{
    if (task_dir_remove(pool->path, NULL) == 0 && mkdir(pool->path, 0700) == 0)
        pool->fd = open(pool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pool->fd < 0) {
        free(pool->path);
        pool->path = NULL;
    }
}

int dir_pool_make(struct dir_pool *pool, const char *dir)
{
    char spare[DIR_POOL_ENTRY_MAX];

    if (pool->n > 0) {
        snprintf(spare, sizeof spare, "%u", pool->n - 1);
        if (renameat2(pool->fd, spare, AT_FDCWD, dir, RENAME_NOREPLACE) == 0) {
            pool->n--;
            return 0;
        }
        if (errno == EEXIST)
            return -EEXIST;
        pool->n--; /* somebody touched it */
    }
    return task_dir_make(dir, NULL);
}

static int dir_pool_unlink(const char *dir)
{
    char path[PATH_MAX];
    static const char *const names[] = {TASK_DIR_STDOUT, TASK_DIR_STDERR, TASK_DIR_WORK};

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (unlinkat(AT_FDCWD, path, i == 2 ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
            return -errno;
    }
    return rmdir(dir) < 0 ? -errno : 0;
}

int dir_pool_remove(struct dir_pool *pool, const char *dir)
{
    char spare[DIR_POOL_ENTRY_MAX];

    if (pool->path && pool->fd < 0)
        dir_pool_open(pool);
    if (pool->fd >= 0 && pool->n < DIR_POOL_SPARE_MAX) {
        snprintf(spare, sizeof spare, "%u", pool->n);
        if (renameat2(AT_FDCWD, dir, pool->fd, spare, RENAME_NOREPLACE) == 0) {
            pool->n++;
            return 0;
        }
    }
    return dir_pool_unlink(dir);
}
