#include "run/task_usage.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "run/proc_fs.h"
#include "run/task_dir.h"

struct task_usage_scan {
    struct task_usage *usages;
    size_t n;
};

static bool task_usage_add(void *arg, pid_t pid)
{
    const struct task_usage_scan *scan = arg;
    struct proc_stat st;
    if (proc_fs_stat(pid, &st) < 0)
        return true;
    for (size_t i = 0; i < scan->n; i++) {
        struct task_usage *usage = &scan->usages[i];
        if (usage->session == 0 || usage->session != st.session)
            continue;
        usage->user_us += st.user_us;
        usage->system_us += st.system_us;
        usage->rss_bytes += st.rss_bytes;
        break;
    }
    return true;
}

static uint64_t task_usage_file_bytes(const char *dir, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", dir, name);
    uint64_t bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    free(path);
    return bytes;
}

void task_usage_measure(struct task_usage *usages, size_t n)
{
    struct task_usage_scan scan = {.usages = usages, .n = n};
    (void)proc_fs_each(task_usage_add, &scan);
    for (size_t i = 0; i < n; i++) {
        usages[i].stdout_bytes = task_usage_file_bytes(usages[i].dir, TASK_DIR_STDOUT);
        usages[i].stderr_bytes = task_usage_file_bytes(usages[i].dir, TASK_DIR_STDERR);
    }
}
