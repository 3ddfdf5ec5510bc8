/* Directories of attempts, made and taken back quickly: an empty one is put aside and renamed into
 * place for the next attempt, because a rename costs 4 us where mkdir and rmdir of the pair cost
 * 150 us (ext4). */
#ifndef RUN_DIR_POOL_H
#define RUN_DIR_POOL_H

#include <stdbool.h>

enum { DIR_POOL_SPARE_MAX = 64 };

#define DIR_POOL_NAME ".spare" /* below the directory of all attempts */

struct dir_pool {
    char *path; /* NULL: none are kept */
    int fd;     /* -1: not opened yet */
    unsigned n; /* spare ones, named "0" ... */
};

/* `path` (copied) is the pool's own directory, on the file system of the attempts. It is made, or
 * emptied of what an earlier process left, when the first attempt is over. NULL: nothing is kept.
 */
void dir_pool_init(struct dir_pool *pool, const char *path);
void dir_pool_done(struct dir_pool *pool);

/* Makes `dir` with an empty work/ (task_dir.h). -EEXIST when it is there, other -errno. */
int dir_pool_make(struct dir_pool *pool, const char *dir);

/* Removes `dir`, which task_dir_is_clean and whose streams are empty or missing. -errno, and `dir`
 * may be there still. */
int dir_pool_remove(struct dir_pool *pool, const char *dir);

#endif
