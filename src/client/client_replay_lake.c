#include "client/client_replay_lake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define CLIENT_REPLAY_SCRATCH "executor"
#define CLIENT_REPLAY_FOLDER  "clustersh-report."

enum { CLIENT_REPLAY_SWEEP_S = 60 }; /* a folder that is so old is locked by its owner */

struct client_replay_lake_file {
    char *name;
    FILE *file; /* being written */
    size_t offset;
    uint64_t bytes;
    int64_t at_ms; /* of the rows that are in it */
    bool is_whole;
};

struct client_replay_lake {
    char *dir, *scratch;
    int lock_fd; /* of the folder, so that nobody sweeps it */
    struct client_replay_lake_file files[CLIENT_REPLAY_TABLES];
    struct client_executor *executor;
    bool is_ready;
    const void *user; /* NULL: nobody */
};

/* Deletes a folder with the files in it, and those of its subfolder. */
static void client_replay_lake_remove(const char *dir, unsigned depth)
{
    DIR *stream = opendir(dir);
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *path = mem_printf("%s/%s", dir, entry->d_name);
        if (unlink(path) != 0 && depth > 0)
            client_replay_lake_remove(path, depth - 1);
        free(path);
    }
    if (stream != NULL)
        (void)closedir(stream);
    (void)rmdir(dir);
}

/* Removes what a console left that was killed. */
static void client_replay_lake_sweep_one(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        st.st_mtime < time(NULL) - CLIENT_REPLAY_SWEEP_S && flock(fd, LOCK_EX | LOCK_NB) == 0)
        client_replay_lake_remove(path, 2);
    (void)close(fd);
}

static void client_replay_lake_sweep(const char *tmp)
{
    DIR *stream = opendir(tmp);
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (!str_starts_with(entry->d_name, CLIENT_REPLAY_FOLDER))
            continue;
        char *path = mem_printf("%s/%s", tmp, entry->d_name);
        client_replay_lake_sweep_one(path);
        free(path);
    }
    if (stream != NULL)
        (void)closedir(stream);
}

struct client_replay_lake *client_replay_lake_get(struct client_replay *replay, struct error *e)
{
    if (replay->lake != NULL)
        return replay->lake;
    const char *given = getenv("TMPDIR");
    const char *tmp = given != NULL && given[0] == '/' ? given : "/tmp";
    client_replay_lake_sweep(tmp);
    char *path = mem_printf("%s/" CLIENT_REPLAY_FOLDER "XXXXXX", tmp);
    char *dir = mkdtemp(path) != NULL ? realpath(path, NULL) : NULL;
    char *scratch = mem_printf("%s/" CLIENT_REPLAY_SCRATCH, path);
    int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || flock(fd, LOCK_SH) != 0 || mkdir(scratch, 0700) != 0) {
        (void)error_set(e, -errno, "no folder %s can be made for the rows: %s", path,
                        strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        if (dir != NULL)
            (void)rmdir(dir);
        free(scratch);
        free(dir);
        free(path);
        return NULL;
    }
    struct client_replay_lake *lake = mem_zalloc(sizeof *lake);
    free(scratch);
    free(path);
    lake->dir = dir;
    lake->lock_fd = fd;
    lake->scratch = mem_printf("%s/" CLIENT_REPLAY_SCRATCH, dir);
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++)
        lake->files[i].name = mem_printf("%s.json", client_replay_tables[i].name);
    replay->lake = lake;
    return lake;
}

void client_replay_lake_free(struct client_replay_lake *lake)
{
    if (lake == NULL)
        return;
    client_executor_free(lake->executor);
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++) {
        if (lake->files[i].file != NULL)
            (void)fclose(lake->files[i].file);
        free(lake->files[i].name);
    }
    client_replay_lake_remove(lake->dir, 2);
    (void)close(lake->lock_fd);
    free(lake->scratch);
    free(lake->dir);
    free(lake);
}

bool client_replay_lake_take(struct client_replay_lake *lake, const void *user)
{
    if (!client_replay_lake_is_free(lake, user))
        return false;
    lake->user = user;
    return true;
}

bool client_replay_lake_is_free(const struct client_replay_lake *lake, const void *user)
{
    return lake->user == NULL || lake->user == user;
}

void client_replay_lake_leave(struct client_replay_lake *lake, const void *user, bool is_at_rest)
{
    if (lake->user != user)
        return;
    lake->user = NULL;
    if (is_at_rest)
        return;
    client_executor_free(lake->executor);
    lake->executor = NULL;
    client_replay_lake_remove(lake->scratch, 1);
    (void)mkdir(lake->scratch, 0700);
}

static int client_replay_lake_failed(struct client_replay_lake_file *file, const char *path, int rc,
                                     struct error *e)
{
    if (file->file != NULL)
        (void)fclose(file->file);
    file->file = NULL;
    return error_set(e, rc, "%s cannot be written: %s", path, err_text(rc));
}

/* Another moment's rows are replaced. */
static int client_replay_lake_begin(struct client_replay_lake_file *file, const char *path,
                                    int64_t at_ms)
{
    if (file->file != NULL)
        (void)fclose(file->file); /* of a statement that was ended */
    *file = (struct client_replay_lake_file){.name = file->name, .at_ms = at_ms};
    file->file = fopen(path, "we");
    return file->file != NULL ? 0 : -errno;
}

static int client_replay_lake_end(struct client_replay_lake_file *file)
{
    off_t bytes = ftello(file->file);
    int rc = fclose(file->file) == 0 ? 0 : -errno;
    file->file = NULL;
    file->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    file->is_whole = rc == 0;
    return rc;
}

int client_replay_lake_load(struct client_replay_lake *lake, const struct client_replay *replay,
                            size_t i, struct error *e)
{
    struct client_replay_lake_file *file = &lake->files[i];
    int rc = 0;
    if (file->is_whole && file->at_ms == replay->at_ms)
        return 1;
    char *path = mem_printf("%s/%s", lake->dir, file->name);
    if (file->file == NULL || file->at_ms != replay->at_ms)
        rc = client_replay_lake_begin(file, path, replay->at_ms);
    if (rc == 0)
        rc = client_replay_table_write(replay, &client_replay_tables[i], &file->offset, file->file);
    if (rc == 0 && file->offset == SIZE_MAX)
        rc = client_replay_lake_end(file);
    rc = rc < 0 ? client_replay_lake_failed(file, path, rc, e) : file->is_whole;
    free(path);
    return rc;
}

const char *client_replay_lake_file(const struct client_replay_lake *lake, size_t i,
                                    uint64_t *bytes)
{
    *bytes = lake->files[i].bytes;
    return lake->files[i].name;
}

const char *client_replay_lake_dir(const struct client_replay_lake *lake)
{
    return lake->dir;
}

struct client_executor *client_replay_lake_executor(struct client_replay_lake *lake, bool *is_ready,
                                                    struct error *e)
{
    *is_ready = lake->is_ready && lake->executor != NULL;
    if (lake->executor == NULL) {
        lake->is_ready = false;
        (void)client_executor_start(lake->dir, lake->scratch, &lake->executor, e);
    }
    return lake->executor;
}

void client_replay_lake_ready(struct client_replay_lake *lake)
{
    lake->is_ready = true;
}
