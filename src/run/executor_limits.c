#include "run/executor_limits.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "run/cgroup.h"

#define EXECUTOR_LIMITS_OOM "500"
#define EXECUTOR_LIMITS_MARGIN                                                                     \
    (UINT64_C(512) * 1024 * 1024) /* code, stacks, what DuckDB doesn't count */
#define EXECUTOR_LIMITS_GROUP_ID 0

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { EXECUTOR_LIMITS_HAS_SHADOW = 1 };
#else
enum { EXECUTOR_LIMITS_HAS_SHADOW = 0 };
#endif

static void executor_limits_write(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, text, len);
    (void)n;
    close(fd);
}

/* The group goes when the next executor starts: cgroup_open sweeps those of dead processes. */
static int executor_limits_enter_group(uint64_t memory_bytes_max)
{
    struct cgroup_root root;
    struct cgroup_limits limits = {.memory_bytes_max = memory_bytes_max};
    int err = cgroup_open(&root);
    if (err < 0)
        return err;
    int group = root.has_memory ? cgroup_make(&root, EXECUTOR_LIMITS_GROUP_ID, &limits) : -1;
    int procs = group < 0 ? -1 : cgroup_open_procs(group);
    if (procs < 0 || write(procs, "0", 1) != 1)
        err = -1;
    if (procs >= 0)
        close(procs);
    if (group >= 0)
        close(group);
    cgroup_close(&root);
    return err;
}

void executor_limits_apply(uint64_t memory_bytes_max)
{
    static const struct rlimit no_core = {0, 0};
    uint64_t hard = memory_bytes_max + memory_bytes_max / 4 + EXECUTOR_LIMITS_MARGIN;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    executor_limits_write("/proc/self/oom_score_adj", EXECUTOR_LIMITS_OOM,
                          sizeof EXECUTOR_LIMITS_OOM - 1);
    if (executor_limits_enter_group(hard) == 0 || EXECUTOR_LIMITS_HAS_SHADOW)
        return;
    struct rlimit data = {.rlim_cur = hard, .rlim_max = hard};
    (void)setrlimit(RLIMIT_DATA, &data);
}
