/* usage: tests/sim/scheduler_sim [--seeds N] [--seed S] [--bug NAME] [--trace]
 *
 * Lives through simulated clusters. Without options: a fixed number of them (a hundred times as
 * many with SOAK=1), then each seeded bug until it is noticed; prints TAP. With --seed S only that
 * one. A world in which something is wrong says so with its seed; "--seed S --trace" replays it in
 * words. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/sim/world.h"

enum {
    RUN_WORLDS = 20000,
    RUN_WORLDS_WITH_BUG_MAX = 4000,
    RUN_PROCESSES = 2,
};

static const struct {
    const char *name;
    const char *text;
} run_bugs[] = {
#define RUN_BUG_ROW(symbol, text) {#symbol, text},
    WORLD_BUG_LIST(RUN_BUG_ROW)
#undef RUN_BUG_ROW
};

/* Shared by the processes: how far each is. */
struct run_progress {
    uint64_t seed;
    uint64_t worlds;
    uint64_t steps;
};

static void run_world(uint64_t seed, enum world_bug bug, bool trace, struct run_progress *progress)
{
    static struct world w;
    progress->seed = seed;
    world_init(&w, seed, bug);
    w.trace = trace;
    world_run(&w);
    world_done(&w);
    progress->worlds++;
    progress->steps += w.steps;
}

/* Runs every RUN_PROCESSES'th of `seeds` in a process of its own. */
static pid_t run_fork(uint64_t first, uint64_t seeds, unsigned part, enum world_bug bug,
                      struct run_progress *progress)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (bug != WORLD_BUG_NONE && freopen("/dev/null", "w", stderr) == NULL)
        _exit(2);
    for (uint64_t i = part; i < seeds; i += RUN_PROCESSES)
        run_world(first + i, bug, false, progress);
    _exit(0);
}

/* False when some world went wrong, `progress` then holds its seed. */
static bool run_worlds(uint64_t first, uint64_t seeds, enum world_bug bug,
                       struct run_progress progress[RUN_PROCESSES], uint64_t *wrong_seed)
{
    pid_t pids[RUN_PROCESSES];
    bool right = true;
    memset(progress, 0, RUN_PROCESSES * sizeof *progress);
    for (unsigned i = 0; i < RUN_PROCESSES; i++)
        pids[i] = run_fork(first, seeds, i, bug, &progress[i]);
    for (unsigned left = RUN_PROCESSES; left > 0; left--) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < RUN_PROCESSES; i++) {
            if (pids[i] == pid)
                pids[i] = 0;
            if (pids[i] == 0 && status != 0 && right)
                *wrong_seed = progress[i].seed;
        }
        if (status == 0 || !right)
            continue;
        right = false;
        for (unsigned i = 0; i < RUN_PROCESSES; i++) {
            if (pids[i] > 0)
                kill(pids[i], SIGKILL);
        }
    }
    return right;
}

static int run_case(unsigned number, bool ok, const char *name)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", number, name);
    fflush(stdout);
    return ok ? 0 : 1;
}

static int run_all(uint64_t seeds, struct run_progress *progress)
{
    uint64_t seed = 0;
    int failed = 0;
    printf("1..%d\n", WORLD_BUG_N);
    bool right = run_worlds(1, seeds, WORLD_BUG_NONE, progress, &seed);
    char name[128];
    snprintf(name, sizeof name, "%llu simulated clusters keep every invariant and end",
             (unsigned long long)seeds);
    failed += run_case(1, right, name);
    uint64_t steps = 0;
    for (unsigned i = 0; i < RUN_PROCESSES; i++)
        steps += progress[i].steps;
    if (right)
        printf("# %llu steps of the scheduler\n", (unsigned long long)steps);
    else
        printf("# replay with: tests/sim/scheduler_sim --seed %llu --trace\n",
               (unsigned long long)seed);
    for (unsigned bug = 1; bug < WORLD_BUG_N; bug++) {
        snprintf(name, sizeof name, "it is noticed when %s", run_bugs[bug].text);
        failed += run_case(
            bug + 1, !run_worlds(1, RUN_WORLDS_WITH_BUG_MAX, (enum world_bug)bug, progress, &seed),
            name);
        printf("# %s: in world %llu\n", run_bugs[bug].name, (unsigned long long)seed);
    }
    return failed;
}

static enum world_bug run_find_bug(const char *name)
{
    for (unsigned bug = 0; bug < WORLD_BUG_N; bug++) {
        if (strcmp(run_bugs[bug].name, name) == 0)
            return (enum world_bug)bug;
    }
    fprintf(stderr, "there is no bug %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    const char *soak = getenv("SOAK");
    uint64_t seeds = soak != NULL && soak[0] == '1' ? RUN_WORLDS * UINT64_C(100) : RUN_WORLDS;
    uint64_t seed = 0;
    bool trace = false;
    enum world_bug bug = WORLD_BUG_NONE;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--bug") == 0)
            bug = run_find_bug(value), i++;
        else {
            fprintf(stderr, "usage: %s [--seeds N] [--seed S] [--bug NAME] [--trace]\n", argv[0]);
            return 2;
        }
    }
    struct run_progress *progress = mmap(NULL, RUN_PROCESSES * sizeof *progress,
                                         PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    if (seed == 0)
        return run_all(seeds, progress) > 0;
    run_world(seed, bug, trace, progress);
    printf("world %llu: %llu steps\n", (unsigned long long)seed,
           (unsigned long long)progress->steps);
    return 0;
}
