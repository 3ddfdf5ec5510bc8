/* The child shares our memory until it executes, so it only makes system calls and leaves its
 * failure in a struct that we read when it is gone. What needs memory (the paths to try) is
 * prepared before. */
#include "run/spawner_child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define SPAWNER_CHILD_PATH "/usr/local/bin:/usr/bin:/bin" /* without PATH in its environment */
#define SPAWNER_CHILD_OOM  "500"                          /* rather than the daemon */

struct spawner_child_plan {
    const struct spawner_child *child;
    char **paths;       /* to try in turn, NULL-terminated */
    char **script_argv; /* "/bin/sh", PATH, argv[1] ...: for a script without "#!" */
    pid_t parent;
    volatile int error; /* the child's outcome: written behind the compiler's back */
    const char *volatile what;
};

static const char *spawner_child_getenv(char **env, const char *name)
{
    size_t len = strlen(name);

    for (; *env; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    }
    return NULL;
}

/* malloc'ed array and strings */
static char **spawner_child_paths(const struct spawner_child *child)
{
    const char *file = child->argv[0];
    const char *list = spawner_child_getenv(child->env, "PATH");
    char **paths = NULL;
    size_t n = 0;
    size_t cap = 0;

    if (strchr(file, '/'))
        list = NULL;
    else if (!list)
        list = SPAWNER_CHILD_PATH;
    MEM_GROW(paths, cap, 2);
    if (!list)
        paths[n++] = mem_strdup(file);
    while (list) {
        size_t len = strcspn(list, ":");
        MEM_GROW(paths, cap, n + 2);
        paths[n++] =
            len > 0 ? mem_printf("%.*s/%s", (int)len, list, file) : mem_printf("./%s", file);
        list = list[len] ? list + len + 1 : NULL;
    }
    paths[n] = NULL;
    return paths;
}

static void spawner_child_plan_init(struct spawner_child_plan *plan,
                                    const struct spawner_child *child)
{
    size_t argc = 0;

    while (child->argv[argc])
        argc++;
    *plan = (struct spawner_child_plan){.child = child, .parent = getpid()};
    plan->paths = spawner_child_paths(child);
    plan->script_argv = mem_calloc(argc + 2, sizeof *plan->script_argv);
    plan->script_argv[0] = (char *)"/bin/sh";
    memcpy(plan->script_argv + 2, child->argv + 1, argc * sizeof *child->argv);
}

static void spawner_child_plan_done(struct spawner_child_plan *plan)
{
    for (char **path = plan->paths; *path; path++)
        free(*path);
    free(plan->paths);
    free(plan->script_argv);
}

/* ---- in the child: system calls only ---- */

static int spawner_child_limit(int resource, rlim_t soft)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0)
        return -1;
    if (limit.rlim_max != RLIM_INFINITY && soft > limit.rlim_max)
        soft = limit.rlim_max;
    limit.rlim_cur = soft;
    if (resource == RLIMIT_DATA)
        limit.rlim_max = soft;
    return setrlimit(resource, &limit);
}

static void spawner_child_offer_to_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n = write(fd, SPAWNER_CHILD_OOM, sizeof SPAWNER_CHILD_OOM - 1);
        (void)n;
        close(fd);
    }
}

/* Returns the step that failed, with errno, or NULL. */
static const char *spawner_child_prepare(const struct spawner_child_plan *plan)
{
    const struct spawner_child *c = plan->child;

    if (setsid() < 0)
        return "start a session";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != plan->parent)
        return "follow the spawner";
    if (c->cgroup_procs_fd >= 0 && write(c->cgroup_procs_fd, "0", 1) != 1)
        return "enter its control group";
    spawner_child_offer_to_oom();
    if (c->data_bytes_max > 0 && spawner_child_limit(RLIMIT_DATA, c->data_bytes_max) < 0)
        return "limit its memory";
    if (c->nice != 0 && setpriority(PRIO_PROCESS, 0, c->nice) < 0)
        return "set its priority";
    if (dup2(c->stdout_fd, STDOUT_FILENO) < 0 || dup2(c->stderr_fd, STDERR_FILENO) < 0)
        return "redirect its output";
    if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0 && errno != ENOSYS)
        return "close descriptors";
    if (c->files_max > 0 && spawner_child_limit(RLIMIT_NOFILE, c->files_max) < 0)
        return "limit its descriptors";
    if (chdir(c->cwd) < 0)
        return "enter its directory";
    return NULL;
}

/* As execvp: goes on after "not there", remembers "not allowed". Returns only on failure, with
 * errno. */
static void spawner_child_execute(struct spawner_child_plan *plan)
{
    int denied = 0;

    for (char **path = plan->paths; *path; path++) {
        execve(*path, plan->child->argv, plan->child->env);
        if (errno == ENOEXEC) {
            plan->script_argv[1] = *path;
            execve(plan->script_argv[0], plan->script_argv, plan->child->env);
            errno = ENOEXEC;
            return;
        }
        if (errno == EACCES)
            denied = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return;
    }
    if (denied)
        errno = denied;
}

__attribute__((noinline, noreturn)) static void spawner_child_run(struct spawner_child_plan *plan)
{
    sigset_t none;

    plan->what = spawner_child_prepare(plan);
    if (!plan->what) {
        plan->what = "execute";
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        spawner_child_execute(plan);
    }
    plan->error = errno;
    _exit(127);
}

/* ---- */

int spawner_child_start(const struct spawner_child *child, pid_t *pid, const char **what)
{
    struct spawner_child_plan plan;

    assert(child->argv[0] && child->stdout_fd > STDERR_FILENO && child->stderr_fd > STDERR_FILENO);
    spawner_child_plan_init(&plan, child);
    pid_t p = vfork();
    if (p == 0)
        spawner_child_run(&plan);
    int err = p < 0 ? -errno : -plan.error;
    *what = p < 0 ? "start a process" : plan.what;
    spawner_child_plan_done(&plan);
    if (p > 0 && err < 0)
        waitpid(p, NULL, 0);
    if (err < 0)
        return err;
    *pid = p;
    return 0;
}
