#include "shell/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/interrupt.h"

/* Signals are the defaults in it, and none that comes while it begins is lost: they wait until it
 * is a program of its own. */
static pid_t editor_fork(const char *const *argv)
{
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGPIPE, SIGWINCH};
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    int err = errno;
    if (pid == 0) {
        for (size_t i = 0; i < MEM_COUNT(numbers); i++)
            (void)signal(numbers[i], SIG_DFL);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(errno == ENOENT ? 127 : 126);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return pid;
}

int editor_run_program(const char *const *argv)
{
    struct termios saved;
    bool has_terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
    int status = 0;
    interrupt_mute(true);
    pid_t pid = editor_fork(argv);
    if (pid < 0) {
        int err = -errno;
        interrupt_mute(false);
        return err;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    interrupt_mute(false);
    if (has_terminal)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *editor_program(void)
{
    static const char *const names[] = {"CLUSTERSH_EDITOR", "VISUAL", "EDITOR"};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return value;
    }
    return "vi";
}

static int editor_read(const char *path, char **result, struct error *e)
{
    char chunk[4096];
    size_t n;
    int rc = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(e, -errno, "%s: %s", path, strerror(errno));
    struct buf all;
    buf_init(&all, EDITOR_BYTES_MAX);
    while (rc == 0 && (n = fread(chunk, 1, sizeof chunk, file)) > 0)
        rc = buf_append(&all, chunk, n);
    if (rc != 0)
        (void)error_set(e, rc, "%s: it is larger than %d bytes", path, EDITOR_BYTES_MAX);
    else if (memchr(buf_cstr(&all), '\0', all.len) != NULL)
        rc = error_set(e, ERR_INVALID, "%s: it holds a NUL character: that is no text", path);
    else
        *result = buf_steal(&all, NULL);
    buf_done(&all);
    (void)fclose(file);
    return rc;
}

/* A file of our own with the text in it. Malloc'ed path, or NULL. */
static char *editor_make(const char *text, struct error *e)
{
    const char *folder = getenv("TMPDIR");
    char *path =
        mem_printf("%s/clustersh.XXXXXX.sql", folder != NULL && folder[0] == '/' ? folder : "/tmp");
    int fd = mkstemps(path, 4);
    size_t len = strlen(text);
    bool is_written = fd >= 0 && write(fd, text, len) == (ssize_t)len &&
                      (len == 0 || text[len - 1] == '\n' || write(fd, "\n", 1) == 1);
    if (!is_written)
        (void)error_set(e, -errno, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (is_written)
        return path;
    (void)unlink(path);
    free(path);
    return NULL;
}

static bool editor_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int editor_run(const char *path, const char *text, char **result, bool *has_changed,
               struct error *e)
{
    struct stat before = {0};
    struct stat after = {0};
    char *own = path == NULL ? editor_make(text, e) : NULL;
    if (path == NULL && own == NULL)
        return e->code;
    const char *file = own != NULL ? own : path;
    bool was_there = stat(file, &before) == 0;
    /* $EDITOR may hold options. */
    char *line = mem_printf("exec %s \"$1\"", editor_program());
    const char *const argv[] = {"sh", "-c", line, "sh", file, NULL};
    int status = editor_run_program(argv);
    int rc = 0;
    if (status != 0)
        rc = error_set(e, ERR_CANCELLED,
                       status == 127 ? "there is no editor \"%s\": set EDITOR"
                                     : "the editor \"%s\" failed: nothing runs",
                       editor_program());
    else if (stat(file, &after) != 0)
        rc = error_set(e, -errno, "%s: %s", file, strerror(errno));
    else
        rc = editor_read(file, result, e);
    *has_changed = rc == 0 && !(was_there && editor_is_same(&before, &after));
    if (own != NULL)
        (void)unlink(own);
    free(line);
    free(own);
    return rc;
}
