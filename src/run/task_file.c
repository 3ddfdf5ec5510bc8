#include "run/task_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/task_dir.h"
#include "run/unpack.h"

enum {
    TASK_FILE_NAME_BYTES_MAX = 1024,
    TASK_FILE_BLOCK_BYTES = 256 * 1024,
    TASK_FILE_HEX_MAX = 33
};

int task_file_check_name(const char *name, struct error *e)
{
    size_t len = strlen(name);

    if (len == 0 || len > TASK_FILE_NAME_BYTES_MAX || name[0] == '/' || name[len - 1] == '/')
        return error_set(e, ERR_INVALID, "\"%.64s\" is no name for a file of a job", name);
    for (const char *c = name; *c; c += strspn(c, "/")) {
        size_t n = strcspn(c, "/");
        if ((n == 2 && strncmp(c, "..", 2) == 0) || (n == 1 && c[0] == '.') || n > NAME_MAX)
            return error_set(e, ERR_INVALID, "\"%.64s\" is no name for a file of a job", name);
        c += n;
    }
    return 0;
}

char *task_file_path(const char *dir, const Wire__TaskFile *file)
{
    return mem_printf("%s/%s/%s", dir, TASK_DIR_WORK, file->name);
}

int task_file_make_place(const char *dir, const Wire__TaskFile *file, struct error *e)
{
    char *path = task_file_path(dir, file);
    int err = task_file_check_name(file->name, e);

    /* only below work/, which is there */
    char *from = path + strlen(path) - strlen(file->name);
    for (char *slash = strchr(from, '/'); err == 0 && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            err = error_set(e, -errno, "cannot make %s: %s", path, err_text(-errno));
        *slash = '/';
    }
    free(path);
    return err;
}

/* Hexadecimal, 16 digits of XXH3-64 or 32 of XXH3-128, as many as `expected` has. */
static int task_file_hash(int fd, const char *expected, char out[static TASK_FILE_HEX_MAX])
{
    bool is_long = strlen(expected) > 16;
    XXH3_state_t *state = XXH3_createState();
    uint8_t *block = mem_alloc(TASK_FILE_BLOCK_BYTES);
    ssize_t n;

    (void)(is_long ? XXH3_128bits_reset(state) : XXH3_64bits_reset(state));
    while ((n = read(fd, block, TASK_FILE_BLOCK_BYTES)) > 0)
        (void)(is_long ? XXH3_128bits_update(state, block, (size_t)n)
                       : XXH3_64bits_update(state, block, (size_t)n));
    int err = n < 0 ? -errno : 0;
    if (is_long) {
        XXH128_hash_t hash = XXH3_128bits_digest(state);
        snprintf(out, TASK_FILE_HEX_MAX, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
    } else {
        snprintf(out, TASK_FILE_HEX_MAX, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(state));
    }
    XXH3_freeState(state);
    free(block);
    return err;
}

static int task_file_verify(int fd, const Wire__TaskFile *file, struct error *e)
{
    char hex[TASK_FILE_HEX_MAX];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set(e, -errno, "%s: %s", file->name, err_text(-errno));
    if (file->bytes > 0 && (uint64_t)st.st_size != file->bytes)
        return error_set(e, ERR_CORRUPT, "%s has %" PRIu64 " bytes instead of %" PRIu64, file->name,
                         (uint64_t)st.st_size, file->bytes);
    if (!file->xxh[0])
        return 0;
    int err = task_file_hash(fd, file->xxh, hex);
    if (err < 0)
        return error_set(e, err, "%s: %s", file->name, err_text(err));
    if (strcasecmp(hex, file->xxh) != 0)
        return error_set(e, ERR_CORRUPT, "%s has the checksum %s instead of %s", file->name, hex,
                         file->xxh);
    return 0;
}

int task_file_accept(const char *dir, const Wire__TaskFile *file, struct error *e)
{
    char *path = task_file_path(dir, file);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int err = fd < 0 ? error_set(e, -errno, "%s: %s", file->name, err_text(-errno))
                     : task_file_verify(fd, file, e);

    if (err == 0 && file->executable && fchmod(fd, 0700) < 0)
        err = error_set(e, -errno, "%s: %s", file->name, err_text(-errno));
    if (fd >= 0)
        close(fd);
    free(path);
    return err;
}

int task_file_unpack(const char *dir, const Wire__TaskFile *file, const atomic_bool *cancel,
                     struct error *e)
{
    char *path = task_file_path(dir, file);
    char *target = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    struct unpack_limits limits = {0};
    struct unpack_stats stats;
    int err = unpack(path, target, &limits, cancel, &stats, e);

    free(path);
    free(target);
    return err;
}
