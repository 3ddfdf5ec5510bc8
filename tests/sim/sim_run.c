/* Worlds are lived through by SIM_PROCESSES processes, each of which takes every second seed. One
 * that aborts ends the others. */
#include "tests/sim/sim_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIM_PROCESSES = 2 };

/* Shared by the processes: how far each is. */
struct sim_progress {
    uint64_t seed;
    uint64_t worlds;
    uint64_t steps;
};

struct sim_options {
    uint64_t seeds;
    uint64_t seed; /* 0: all */
    uint64_t hunts;
    unsigned bug;
    bool trace;
    bool list;
};

static void sim_world(const struct sim *sim, uint64_t seed, unsigned bug, bool trace,
                      struct sim_progress *progress)
{
    progress->seed = seed;
    progress->steps += sim->world(seed, bug, trace);
    progress->worlds++;
}

/* Runs every SIM_PROCESSES'th of `seeds` in a process of its own. */
static pid_t sim_fork(const struct sim *sim, uint64_t first, uint64_t seeds, unsigned part,
                      unsigned bug, struct sim_progress *progress)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (bug != 0 && freopen("/dev/null", "w", stderr) == NULL)
        _exit(2);
    for (uint64_t i = part; i < seeds; i += SIM_PROCESSES)
        sim_world(sim, first + i, bug, false, progress);
    _exit(0);
}

/* False when some world went wrong, `wrong_seed` is then its seed. */
static bool sim_worlds(const struct sim *sim, uint64_t first, uint64_t seeds, unsigned bug,
                       struct sim_progress progress[SIM_PROCESSES], uint64_t *wrong_seed)
{
    pid_t pids[SIM_PROCESSES];
    bool right = true;
    memset(progress, 0, SIM_PROCESSES * sizeof *progress);
    for (unsigned i = 0; i < SIM_PROCESSES; i++) {
        progress[i].seed = first + i;
        pids[i] = sim_fork(sim, first, seeds, i, bug, &progress[i]);
        if (pids[i] < 0)
            abort();
    }
    for (unsigned left = SIM_PROCESSES; left > 0; left--) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < SIM_PROCESSES; i++) {
            if (pids[i] != pid)
                continue;
            pids[i] = 0;
            if (status != 0 && right)
                *wrong_seed = progress[i].seed;
        }
        if (status == 0 || !right)
            continue;
        right = false;
        for (unsigned i = 0; i < SIM_PROCESSES; i++) {
            if (pids[i] > 0)
                kill(pids[i], SIGKILL);
        }
    }
    return right;
}

static int sim_case(unsigned number, bool ok, const char *name)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", number, name);
    fflush(stdout);
    return ok ? 0 : 1;
}

static int sim_hunt(const struct sim *sim, unsigned number, unsigned bug, uint64_t hunts,
                    struct sim_progress *progress)
{
    char name[160];
    snprintf(name, sizeof name, "it is noticed when %s", sim->bugs[bug].text);
    bool noticed = true;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < hunts && noticed; i++) {
        uint64_t first = 1 + i * 1000003;
        uint64_t seed = 0;
        noticed = !sim_worlds(sim, first, sim->hunt_max, bug, progress, &seed);
        sum += seed - first + 1;
    }
    int failed = sim_case(number, noticed, name);
    if (noticed)
        printf("# %s: in world %.1f\n", sim->bugs[bug].name, (double)sum / (double)hunts);
    else
        printf("# %s: not in %llu worlds\n", sim->bugs[bug].name,
               (unsigned long long)sim->hunt_max);
    return failed;
}

static int sim_all(const struct sim *sim, const struct sim_options *options,
                   struct sim_progress *progress)
{
    if (options->bug != 0 && options->hunts > 0) {
        printf("1..1\n");
        return sim_hunt(sim, 1, options->bug, options->hunts, progress);
    }
    size_t bugs_n = options->hunts > 0 ? sim->bugs_n : 1;
    printf("1..%zu\n", bugs_n);
    uint64_t seed = 0;
    bool right = sim_worlds(sim, 1, options->seeds, 0, progress, &seed);
    char name[160];
    snprintf(name, sizeof name, "%llu simulated %s", (unsigned long long)options->seeds,
             sim->claim);
    int failed = sim_case(1, right, name);
    uint64_t steps = 0;
    for (unsigned i = 0; i < SIM_PROCESSES; i++)
        steps += progress[i].steps;
    if (right)
        printf("# %llu steps of %s\n", (unsigned long long)steps, sim->steps);
    else
        printf("# replay with: %s --seed %llu --trace\n", sim->program, (unsigned long long)seed);
    for (unsigned bug = 1; bug < bugs_n; bug++)
        failed += sim_hunt(sim, bug + 1, bug, options->hunts, progress);
    return failed;
}

static unsigned sim_find_bug(const struct sim *sim, const char *name)
{
    for (unsigned bug = 0; bug < sim->bugs_n; bug++) {
        if (strcmp(sim->bugs[bug].name, name) == 0)
            return bug;
    }
    fprintf(stderr, "there is no bug '%s'; --list shows them\n", name);
    exit(2);
}

static bool sim_parse(const struct sim *sim, int argc, char **argv, struct sim_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0)
            options->trace = true;
        else if (strcmp(argv[i], "--list") == 0)
            options->list = true;
        else if (strcmp(argv[i], "--seeds") == 0)
            options->seeds = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--seed") == 0)
            options->seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--hunts") == 0)
            options->hunts = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--bug") == 0)
            options->bug = sim_find_bug(sim, value), i++;
        else
            return false;
    }
    return true;
}

int sim_main(const struct sim *sim, int argc, char **argv)
{
    const char *soak = getenv("SOAK");
    struct sim_options options = {.seeds = sim->worlds, .hunts = 1};
    if (soak != NULL && soak[0] == '1')
        options.seeds *= 100;
    if (!sim_parse(sim, argc, argv, &options)) {
        fprintf(stderr,
                "usage: %s [--seeds N] [--seed S] [--bug NAME] [--trace] [--hunts N] [--list]\n",
                argv[0]);
        return 2;
    }
    for (size_t i = 1; i < sim->bugs_n && options.list; i++)
        printf("%s: %s\n", sim->bugs[i].name, sim->bugs[i].text);
    if (options.list)
        return 0;
    struct sim_progress *progress = mmap(NULL, SIM_PROCESSES * sizeof *progress,
                                         PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    if (options.seed == 0)
        return sim_all(sim, &options, progress) > 0;
    sim_world(sim, options.seed, options.bug, options.trace, progress);
    printf("world %llu: %llu steps\n", (unsigned long long)options.seed,
           (unsigned long long)progress->steps);
    return 0;
}
