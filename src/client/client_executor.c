#include "client/client_executor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/frame.h"

#define CLIENT_EXECUTOR_PROGRAM "clusterd"
#define CLIENT_EXECUTOR_PATH    "/usr/local/bin:/usr/bin:/bin"

enum {
    CLIENT_EXECUTOR_READ_BYTES = 64 * 1024,
    CLIENT_EXECUTOR_ENV_MAX = 12,
    CLIENT_EXECUTOR_THREADS_MAX = 8,
};

#define CLIENT_EXECUTOR_MEMORY_MIN (UINT64_C(256) << 20)
#define CLIENT_EXECUTOR_MEMORY_MAX (UINT64_C(4) << 30)
#define CLIENT_EXECUTOR_TEMP_MAX   (UINT64_C(16) << 30)

struct client_executor {
    pid_t pid;
    int fd;
    struct frame_decoder decoder;
    uint8_t scratch[CLIENT_EXECUTOR_READ_BYTES];
};

/* The program */

/* `dir`/clusterd if it can be run; malloc'ed, or NULL. */
static char *client_executor_in(const char *dir)
{
    char *path = mem_printf("%s/" CLIENT_EXECUTOR_PROGRAM, dir);
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *client_executor_beside(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return NULL;
    *slash = '\0';
    return client_executor_in(self);
}

static char *client_executor_find(void)
{
    char *found = client_executor_beside();
    const char *path = getenv("PATH");
    char *copy = mem_strdup(path != NULL ? path : CLIENT_EXECUTOR_PATH);
    char *rest = copy, *dir;
    while (found == NULL && (dir = strsep(&rest, ":")) != NULL)
        if (dir[0] == '/') /* never what lies in the folder where one happens to be */
            found = client_executor_in(dir);
    free(copy);
    return found;
}

/* The process */

static void client_executor_env(char **env, const char *dir)
{
    static const char *const kept[] = {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
                                       "UBSAN_OPTIONS"};
    size_t n = 0;
    env[n++] = mem_strdup("PATH=/usr/bin:/bin");
    env[n++] = mem_strdup("LANG=C.UTF-8");
    env[n++] = mem_printf("HOME=%s", dir);
    env[n++] = mem_printf("TMPDIR=%s", dir);
    for (size_t i = 0; i < MEM_COUNT(kept); i++) {
        const char *value = getenv(kept[i]);
        if (value != NULL)
            env[n++] = mem_printf("%s=%s", kept[i], value);
    }
    env[n] = NULL;
}

/* In a process group of its own: what the terminal sends is the console's. */
static int client_executor_spawn(const char *program, const char *dir, int remote_fd, pid_t *pid)
{
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "executor", NULL};
    char *env[CLIENT_EXECUTOR_ENV_MAX];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    client_executor_env(env, dir);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, remote_fd, WIRE_EXECUTOR_FD);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    int err = posix_spawn(pid, program, &actions, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 0; env[i] != NULL; i++)
        free(env[i]);
    return -err;
}

/* What a console may take beside whatever else runs on its machine. */
static void client_executor_limits(Wire__SqlSetup *setup)
{
    cpu_set_t cpus;
    int n = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 4 : 0;
    memory = memory < CLIENT_EXECUTOR_MEMORY_MIN ? CLIENT_EXECUTOR_MEMORY_MIN : memory;
    memory = memory > CLIENT_EXECUTOR_MEMORY_MAX ? CLIENT_EXECUTOR_MEMORY_MAX : memory;
    setup->memory_bytes_max = memory;
    setup->temp_bytes_max = CLIENT_EXECUTOR_TEMP_MAX;
    setup->threads = (uint32_t)(n < CLIENT_EXECUTOR_THREADS_MAX ? n : CLIENT_EXECUTOR_THREADS_MAX);
}

static int client_executor_set_up(struct client_executor *executor, const char *dir,
                                  const char *scratch, struct error *e)
{
    char *allowed[] = {(char *)(uintptr_t)dir};
    Wire__SqlSetup setup = WIRE__SQL_SETUP__INIT;
    client_executor_limits(&setup);
    setup.temp_dir = (char *)(uintptr_t)scratch;
    setup.allowed = allowed;
    setup.n_allowed = MEM_COUNT(allowed);
    return client_executor_send(executor, WIRE_SQL_SETUP, &setup.base, e);
}

int client_executor_start(const char *dir, const char *scratch, struct client_executor **executor,
                          struct error *e)
{
    static const struct timeval patience = {.tv_sec = CLIENT_EXECUTOR_SEND_S};
    int fds[2];
    char *program = client_executor_find();
    if (program == NULL)
        return error_set(e, ERR_NOT_FOUND,
                         "there is no " CLIENT_EXECUTOR_PROGRAM " beside clustersh or on PATH");
    struct client_executor *made = mem_zalloc(sizeof *made);
    frame_decoder_init(&made->decoder, FRAME_BODY_BYTES_MAX);
    made->fd = -1;
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : -errno;
    if (rc == 0) {
        made->fd = fds[0];
        (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        rc = client_executor_spawn(program, scratch, fds[1], &made->pid);
        (void)close(fds[1]);
    }
    if (rc < 0)
        (void)error_set(e, rc, "%s does not start: %s", program, err_text(rc));
    else
        rc = client_executor_set_up(made, dir, scratch, e);
    free(program);
    if (rc < 0)
        client_executor_free(made);
    else
        *executor = made;
    return rc;
}

void client_executor_free(struct client_executor *executor)
{
    if (executor == NULL)
        return;
    if (executor->fd >= 0)
        (void)close(executor->fd);
    if (executor->pid > 0) {
        (void)kill(executor->pid, SIGKILL);
        while (waitpid(executor->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    frame_decoder_done(&executor->decoder);
    free(executor);
}

/* Messages */

int client_executor_fd(const struct client_executor *executor)
{
    return executor->fd;
}

static int client_executor_gone(struct error *e)
{
    return error_set(e, ERR_UNAVAILABLE, CLIENT_EXECUTOR_PROGRAM " executor has ended");
}

int client_executor_send(struct client_executor *executor, enum wire_type type,
                         const ProtobufCMessage *message, struct error *e)
{
    struct buf frame;
    buf_init(&frame, FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES);
    int rc = wire_pack(&frame, type, message);
    if (rc < 0)
        (void)error_set(e, rc, "the statement is too large");
    for (size_t sent = 0; rc == 0 && sent < frame.len;) {
        ssize_t n = send(executor->fd, frame.data + sent, frame.len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && errno != EINTR)
            rc = errno == EAGAIN
                     ? error_set(e, ERR_UNAVAILABLE, CLIENT_EXECUTOR_PROGRAM " executor hangs")
                     : client_executor_gone(e);
    }
    buf_done(&frame);
    return rc;
}

/* 1: a frame; 0: no more bytes yet. */
static int client_executor_frame(struct client_executor *executor, struct frame *frame,
                                 struct error *e)
{
    for (;;) {
        int rc = frame_decoder_next(&executor->decoder, frame);
        if (rc != 0)
            return rc;
        void *to;
        size_t room;
        frame_decoder_space(&executor->decoder, executor->scratch, sizeof executor->scratch, &to,
                            &room);
        ssize_t n = recv(executor->fd, to, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <= 0)
            return client_executor_gone(e);
        frame_decoder_push(&executor->decoder, to, (size_t)n);
    }
}

int client_executor_next(struct client_executor *executor, enum wire_type *type,
                         ProtobufCMessage **message, struct error *e)
{
    struct frame frame;
    int rc = client_executor_frame(executor, &frame, e);
    if (rc > 0 && wire_unpack(frame.type, frame.body, frame.len, message) < 0)
        rc = ERR_PROTOCOL;
    if (rc > 0)
        *type = (enum wire_type)frame.type;
    frame_decoder_keep(&executor->decoder);
    if (rc < 0 && rc != ERR_UNAVAILABLE)
        rc =
            error_set(e, ERR_PROTOCOL, CLIENT_EXECUTOR_PROGRAM " executor says what it should not");
    return rc;
}
