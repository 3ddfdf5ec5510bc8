/* Resident sizes come with the census and count shared pages for each process. Only where their sum
 * is over the limit the proportional sizes are asked for, which are right but slow. */
#include "run/spawner_memory.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SPAWNER_MEMORY_ANCESTORS_MAX = 256 };

void spawner_memory_init(struct spawner_memory *m)
{
    *m = (struct spawner_memory){0};
}

void spawner_memory_done(struct spawner_memory *m)
{
    free(m->processes);
    spawner_memory_init(m);
}

static bool spawner_memory_add(void *arg, pid_t pid)
{
    struct spawner_memory *m = arg;
    struct spawner_memory_process p = {0};

    if (proc_fs_stat(pid, &p.stat) == 0) {
        MEM_GROW(m->processes, m->cap, m->n + 1);
        m->processes[m->n++] = p;
    }
    return true;
}

static int spawner_memory_compare(const void *a, const void *b)
{
    const struct spawner_memory_process *p = a, *q = b;

    return (p->stat.pid > q->stat.pid) - (p->stat.pid < q->stat.pid);
}

static struct spawner_memory_process *spawner_memory_find(const struct spawner_memory *m, pid_t pid)
{
    struct spawner_memory_process key = {.stat.pid = pid};

    return m->n == 0 ? NULL : bsearch(&key, m->processes, m->n, sizeof key, spawner_memory_compare);
}

void spawner_memory_scan(struct spawner_memory *m, spawner_memory_task_fn fn, void *arg)
{
    m->n = 0;
    (void)proc_fs_each(spawner_memory_add, m);
    if (m->n > 0)
        qsort(m->processes, m->n, sizeof *m->processes, spawner_memory_compare);
    for (size_t i = 0; i < m->n; i++)
        m->processes[i].task = fn(arg, &m->processes[i].stat);
    for (size_t i = 0; i < m->n; i++) {
        const struct spawner_memory_process *p = &m->processes[i];
        for (int up = 0; p && p->task == 0 && up < SPAWNER_MEMORY_ANCESTORS_MAX; up++)
            p = spawner_memory_find(m, p->stat.ppid);
        m->processes[i].task = p ? p->task : 0;
    }
}

bool spawner_memory_is_over(const struct spawner_memory *m, uint64_t task, uint64_t bytes_max)
{
    uint64_t resident = 0;
    uint64_t proportional = 0;

    for (size_t i = 0; i < m->n; i++)
        resident += m->processes[i].task == task ? m->processes[i].stat.rss_bytes : 0;
    if (resident <= bytes_max)
        return false;
    for (size_t i = 0; i < m->n; i++) {
        const struct proc_stat *st = &m->processes[i].stat;
        uint64_t bytes;
        if (m->processes[i].task != task)
            continue;
        proportional += proc_fs_pss(st->pid, &bytes) == 0 ? bytes : st->rss_bytes;
    }
    return proportional > bytes_max;
}
