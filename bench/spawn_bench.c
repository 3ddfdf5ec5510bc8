/* usage: spawn_bench [--tasks N] [--slots N] [--rounds N] [--json]
 *        spawn_bench --bare N
 *
 * Runs N times `true`, so many at once: by a bare posix_spawn-and-wait loop, through the spawner,
 * and as whole attempts of a task (directory, streams, result). The rounds take turns, so that all
 * see the same machine. Medians, and ratios to the bare loop; with --json one object. --bare: only
 * that loop, once, as JSON. */
#include <getopt.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/sched_hint.h"
#include "run/spawn.h"
#include "run/spawner.h"
#include "run/task_dir.h"
#include "run/task_run.h"

enum { SPAWN_BENCH_ROUNDS_MAX = 99 };

extern char **environ;

static const char *const spawn_bench_env[] = {"PATH=/usr/bin:/bin", NULL};
static const char *const spawn_bench_argv[] = {"/bin/true", NULL};

struct spawn_bench {
    uv_loop_t loop;
    struct spawn *spawn;
    unsigned tasks;
    unsigned slots;
    unsigned rounds;
    bool has_json;
    bool is_bare;
    unsigned left;
    unsigned failed;
    unsigned running; /* attempts */
    char dir[32];
    struct task_run_node node;
    Wire__JobSpec spec;
    Wire__AssignTask assign;
    Wire__TaskKey key_message;
    struct task_key key;
};

static void spawn_bench_die(const char *what)
{
    fprintf(stderr, "spawn_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- the bare loop ---- */

static void spawn_bench_bare(struct spawn_bench *b)
{
    unsigned running = 0;
    int status;

    for (unsigned started = 0; started < b->tasks || running > 0;) {
        if (started < b->tasks && running < b->slots) {
            pid_t pid;
            if (posix_spawn(&pid, spawn_bench_argv[0], NULL, NULL, (char **)spawn_bench_argv,
                            (char **)spawn_bench_env) != 0)
                spawn_bench_die("posix_spawn fails");
            started++;
            running++;
        } else if (wait(&status) > 0) {
            running--;
        }
    }
}

/* ---- the spawner ---- */

static void spawn_bench_next(struct spawn_bench *b);

static void spawn_bench_ended(void *arg, uint64_t id, const struct spawn_result *result)
{
    struct spawn_bench *b = arg;

    (void)id;
    if (result->end != SPAWN_EXITED || result->exit_code != 0)
        b->failed++;
    spawn_bench_next(b);
}

static void spawn_bench_next(struct spawn_bench *b)
{
    struct spawn_command command = {.argv = spawn_bench_argv, .env = spawn_bench_env};
    struct spawn_callbacks callbacks = {.ended = spawn_bench_ended, .arg = b};
    uint64_t id;

    if (b->left == 0) {
        if (spawn_command_count(b->spawn) == 0)
            uv_stop(&b->loop);
        return;
    }
    b->left--;
    if (spawn_run(b->spawn, &command, &callbacks, &id) < 0)
        spawn_bench_die("spawn_run fails");
}

static void spawn_bench_spawner(struct spawn_bench *b)
{
    b->left = b->tasks;
    for (unsigned i = 0; i < b->slots; i++)
        spawn_bench_next(b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (b->failed > 0)
        spawn_bench_die("commands failed");
}

/* ---- attempts ---- */

static void spawn_bench_next_attempt(struct spawn_bench *b);

static void spawn_bench_attempt_done(void *arg, struct task_run *run,
                                     const Wire__TaskReport *report)
{
    struct spawn_bench *b = arg;

    (void)run;
    if (report->phase != WIRE__TASK_PHASE__TASK_PHASE_COMPLETED)
        b->failed++;
    b->running--;
    spawn_bench_next_attempt(b);
}

static void spawn_bench_next_attempt(struct spawn_bench *b)
{
    struct task_run_callbacks callbacks = {.done = spawn_bench_attempt_done, .arg = b};

    if (b->left == 0) {
        if (b->running == 0)
            uv_stop(&b->loop);
        return;
    }
    b->left--;
    b->running++;
    b->key_message.index = ++b->key.index;
    (void)task_run_start(&b->node, &b->assign, 0, &callbacks);
}

static void spawn_bench_attempts(struct spawn_bench *b)
{
    b->left = b->tasks;
    for (unsigned i = 0; i < b->slots; i++)
        spawn_bench_next_attempt(b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    if (b->failed > 0)
        spawn_bench_die("attempts failed");
}

static void spawn_bench_init_attempts(struct spawn_bench *b)
{
    wire__job_spec__init(&b->spec);
    wire__assign_task__init(&b->assign);
    b->spec.argv = (char **)(uintptr_t)spawn_bench_argv;
    b->spec.n_argv = 1;
    uuid_generate(&b->key.job);
    b->key.attempt = 1;
    task_key_write(&b->key, &b->key_message);
    b->assign.key = &b->key_message;
    b->assign.spec = &b->spec;
    b->node = (struct task_run_node){
        .loop = &b->loop, .spawn = b->spawn, .name = "bench", .tasks_dir = b->dir};
}

/* ---- */

static double spawn_bench_rate(struct spawn_bench *b, void (*fn)(struct spawn_bench *b))
{
    int64_t start_us = clock_mono_us();

    fn(b);
    return b->tasks * 1e6 / (double)(clock_mono_us() - start_us);
}

static int spawn_bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double spawn_bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, spawn_bench_compare);
    return values[n / 2];
}

static void spawn_bench_options(struct spawn_bench *b, int argc, char **argv)
{
    static const struct option options[] = {
        {"tasks", required_argument, NULL, 't'},  {"slots", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
        {"bare", required_argument, NULL, 'b'},   {NULL, 0, NULL, 0}};
    int c;

    *b = (struct spawn_bench){.tasks = 10000, .slots = 2, .rounds = 3};
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned value = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        if (c == 'j')
            b->has_json = true;
        else if (c == '?' || value == 0)
            spawn_bench_die("see the top of its source for usage");
        else
            *(c == 's' ? &b->slots : c == 'r' ? &b->rounds : &b->tasks) = value;
        b->is_bare = b->is_bare || c == 'b';
    }
    if (b->rounds > SPAWN_BENCH_ROUNDS_MAX)
        spawn_bench_die("too many rounds");
}

static void spawn_bench_print(const struct spawn_bench *b, double bare, double spawner,
                              double attempts)
{
    if (b->has_json)
        printf("{\"tasks\":%u,\"slots\":%u,\"bare_per_s\":%.0f,\"spawner_per_s\":%.0f,"
               "\"spawner_ratio\":%.3f,\"attempts_per_s\":%.0f,\"attempts_ratio\":%.3f}\n",
               b->tasks, b->slots, bare, spawner, spawner / bare, attempts, attempts / bare);
    else
        printf("%u times true, %u at once\n"
               "bare posix_spawn loop  %6.0f/s\n"
               "through the spawner    %6.0f/s  %.2f\n"
               "whole attempts         %6.0f/s  %.2f\n",
               b->tasks, b->slots, bare, spawner, spawner / bare, attempts, attempts / bare);
}

static void spawn_bench_run(struct spawn_bench *b)
{
    double bare[SPAWN_BENCH_ROUNDS_MAX];
    double spawner[SPAWN_BENCH_ROUNDS_MAX];
    double attempts[SPAWN_BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < b->rounds; i++) {
        bare[i] = spawn_bench_rate(b, spawn_bench_bare);
        spawner[i] = spawn_bench_rate(b, spawn_bench_spawner);
        attempts[i] = spawn_bench_rate(b, spawn_bench_attempts);
    }
    spawn_bench_print(b, spawn_bench_median(bare, b->rounds),
                      spawn_bench_median(spawner, b->rounds),
                      spawn_bench_median(attempts, b->rounds));
}

int main(int argc, char **argv)
{
    struct spawn_bench b;
    struct spawn_options options = {0};
    struct error e;

    if (argc > 1 && strcmp(argv[1], "spawner") == 0)
        return spawner_main(SPAWNER_FD);
    spawn_bench_options(&b, argc, argv);
    if (b.is_bare) {
        printf("{\"per_s\":%.0f}\n", spawn_bench_rate(&b, spawn_bench_bare));
        return EXIT_SUCCESS;
    }
    snprintf(b.dir, sizeof b.dir, "/tmp/spawn-bench-XXXXXX");
    if (!mkdtemp(b.dir))
        spawn_bench_die("no directory in /tmp");
    options.tasks_dir = b.dir;
    sched_hint_short_slice();
    uv_loop_init(&b.loop);
    if (spawn_new(&b.loop, &options, &b.spawn, &e) < 0)
        spawn_bench_die(e.text);
    spawn_bench_init_attempts(&b);
    spawn_bench_run(&b);
    spawn_close(b.spawn, NULL, NULL);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    uv_loop_close(&b.loop);
    (void)task_dir_remove(b.dir, NULL);
    return EXIT_SUCCESS;
}
