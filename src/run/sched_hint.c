#include "run/sched_hint.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SCHED_HINT_SLICE_NS = 100 * 1000,
    SCHED_HINT_RESET_ON_FORK = 1
}; /* the least slice there is */

/* sched_setattr(2); glibc 2.36 has neither the call nor the struct */
struct sched_hint_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

void sched_hint_short_slice(void)
{
    struct sched_hint_attr attr = {.size = sizeof attr};

    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0 || attr.policy != SCHED_OTHER)
        return;
    attr.flags |= SCHED_HINT_RESET_ON_FORK;
    attr.runtime_ns = SCHED_HINT_SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
