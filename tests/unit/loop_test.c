#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "run/loop.h"

/* What happened, one letter each. */
struct trace {
    char text[64];
    size_t len;
    struct loop *loop;
};

static void trace_add(struct trace *trace, char c)
{
    assert_true(trace->len + 1 < sizeof trace->text);
    trace->text[trace->len++] = c;
}

struct step {
    struct trace *trace;
    char letter;
    struct loop_hook hook;
    struct loop_timer timer;
    struct loop_hook *arms; /* what it arms when it runs, may be NULL */
};

static void step_run(void *arg)
{
    struct step *step = arg;
    trace_add(step->trace, step->letter);
    if (step->arms != NULL)
        loop_hook_arm(step->arms);
}

static void step_init(struct step *step, struct trace *trace, char letter, enum loop_phase phase)
{
    *step = (struct step){.trace = trace, .letter = letter};
    loop_hook_init(&step->hook, trace->loop, phase, step_run, step);
    loop_timer_init(&step->timer, trace->loop, step_run, step);
}

static int setup(void **state)
{
    struct trace *trace = mem_zalloc(sizeof *trace);
    trace->loop = loop_new();
    *state = trace;
    return 0;
}

static int teardown(void **state)
{
    struct trace *trace = *state;
    loop_free(trace->loop);
    free(trace);
    return 0;
}

/* Turns until the trace has `len` letters. */
static void turn_until(struct trace *trace, size_t len)
{
    while (trace->len < len)
        loop_turn(trace->loop);
}

static void hooks_of_a_turn_run_by_phase_before_the_loop_waits(void **state)
{
    struct trace *trace = *state;
    struct step flush, commit, defer, timer;
    step_init(&flush, trace, 'F', LOOP_PHASE_FLUSH);
    step_init(&commit, trace, 'C', LOOP_PHASE_COMMIT);
    step_init(&defer, trace, 'D', LOOP_PHASE_DEFER);
    step_init(&timer, trace, 't', LOOP_PHASE_DEFER);
    timer.arms = &flush.hook;
    flush.arms = &commit.hook;
    commit.arms = &defer.hook;
    loop_timer_start(&timer.timer, 1);
    while (trace->len == 0)
        loop_turn(trace->loop);
    assert_string_equal(trace->text, "tFCD");
}

static void foreign_timer(uv_timer_t *handle)
{
    loop_hook_arm(handle->data);
}

static void a_hook_armed_by_a_timer_of_libuv_runs_before_the_loop_waits(void **state)
{
    struct trace *trace = *state;
    struct step step;
    static uv_timer_t timer; /* closed at teardown */
    step_init(&step, trace, 'h', LOOP_PHASE_COMMIT);
    timer.data = &step.hook;
    assert_int_equal(uv_timer_init(loop_uv(trace->loop), &timer), 0);
    assert_int_equal(uv_timer_start(&timer, foreign_timer, 0, 0), 0);
    loop_turn(trace->loop); /* would wait forever */
    assert_string_equal(trace->text, "h");
    uv_close((uv_handle_t *)&timer, NULL);
}

static void a_hook_armed_twice_runs_once_and_a_disarmed_one_never(void **state)
{
    struct trace *trace = *state;
    struct step once, never;
    step_init(&once, trace, 'o', LOOP_PHASE_COMMIT);
    step_init(&never, trace, 'n', LOOP_PHASE_COMMIT);
    loop_hook_arm(&never.hook);
    loop_hook_arm(&once.hook);
    loop_hook_arm(&once.hook);
    loop_hook_disarm(&never.hook);
    loop_timer_start(&once.timer, 0);
    loop_turn(trace->loop);
    assert_string_equal(trace->text, "oo"); /* the hook, then the timer */
}

static void an_earlier_phase_goes_first_in_every_round(void **state)
{
    struct trace *trace = *state;
    struct step first, second, defer;
    step_init(&first, trace, '1', LOOP_PHASE_FLUSH);
    step_init(&second, trace, '2', LOOP_PHASE_COMMIT);
    step_init(&defer, trace, 'D', LOOP_PHASE_DEFER);
    second.arms = &defer.hook;
    loop_hook_arm(&first.hook);
    loop_hook_arm(&second.hook);
    loop_timer_start(&first.timer, 0);
    loop_turn(trace->loop);
    assert_string_equal(trace->text, "2D11");
}

struct endless {
    struct loop_hook hook;
    unsigned runs;
    bool stop;
};

static void endless_run(void *arg)
{
    struct endless *endless = arg;
    endless->runs++;
    if (!endless->stop)
        loop_hook_arm(&endless->hook);
}

static void endless_stop(void *arg)
{
    ((struct endless *)arg)->stop = true;
}

static void a_hook_that_arms_itself_forever_leaves_room_for_events(void **state)
{
    struct trace *trace = *state;
    struct endless endless = {0};
    struct loop_timer timer;
    loop_hook_init(&endless.hook, trace->loop, LOOP_PHASE_COMMIT, endless_run, &endless);
    loop_hook_arm(&endless.hook);
    loop_timer_init(&timer, trace->loop, endless_stop, &endless);
    loop_timer_start(&timer, 1);
    while (!endless.stop)
        loop_turn(trace->loop);
    assert_true(endless.runs >= LOOP_ROUNDS_MAX);
}

static void timers_fire_by_due_time_then_by_start(void **state)
{
    struct trace *trace = *state;
    struct step a, b, c, d;
    step_init(&a, trace, 'a', LOOP_PHASE_DEFER);
    step_init(&b, trace, 'b', LOOP_PHASE_DEFER);
    step_init(&c, trace, 'c', LOOP_PHASE_DEFER);
    step_init(&d, trace, 'd', LOOP_PHASE_DEFER);
    int64_t now_ms = loop_now_ms(trace->loop);
    loop_timer_start_at(&d.timer, now_ms + 3);
    loop_timer_start_at(&b.timer, now_ms + 1);
    loop_timer_start_at(&c.timer, now_ms + 1);
    loop_timer_start_at(&a.timer, now_ms + 9);
    loop_timer_start_at(&a.timer, now_ms);
    turn_until(trace, 4);
    assert_string_equal(trace->text, "abcd");
    assert_false(loop_timer_is_running(&a.timer));
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct trace *trace = *state;
    struct step a, b;
    step_init(&a, trace, 'a', LOOP_PHASE_DEFER);
    step_init(&b, trace, 'b', LOOP_PHASE_DEFER);
    loop_timer_start(&a.timer, 0);
    loop_timer_start(&b.timer, 1);
    loop_timer_stop(&a.timer);
    loop_timer_stop(&a.timer);
    turn_until(trace, 1);
    assert_string_equal(trace->text, "b");
}

struct again {
    struct loop_timer timer;
    struct loop *loop;
    unsigned runs;
};

static void again_run(void *arg)
{
    struct again *again = arg;
    again->runs++;
    loop_timer_start(&again->timer, 0);
}

static void a_timer_restarted_by_itself_waits_for_the_next_turn(void **state)
{
    struct trace *trace = *state;
    struct again again = {.loop = trace->loop};
    loop_timer_init(&again.timer, trace->loop, again_run, &again);
    loop_timer_start(&again.timer, 0);
    loop_turn(trace->loop);
    assert_int_equal(again.runs, 1);
    loop_turn(trace->loop);
    assert_int_equal(again.runs, 2);
    loop_timer_stop(&again.timer);
}

struct starter {
    uv_timer_t foreign;
    struct again again;
};

static void starter_run(uv_timer_t *handle)
{
    struct starter *starter = handle->data;
    loop_timer_start(&starter->again.timer, 0);
}

static void a_timer_started_by_an_event_waits_for_the_next_turn(void **state)
{
    struct trace *trace = *state;
    static struct starter starter; /* closed at teardown */
    starter = (struct starter){.again.loop = trace->loop};
    loop_timer_init(&starter.again.timer, trace->loop, again_run, &starter.again);
    assert_int_equal(uv_timer_init(loop_uv(trace->loop), &starter.foreign), 0);
    starter.foreign.data = &starter;
    assert_int_equal(uv_timer_start(&starter.foreign, starter_run, 0, 0), 0);
    loop_turn(trace->loop);
    assert_int_equal(starter.again.runs, 0);
    loop_turn(trace->loop);
    assert_int_equal(starter.again.runs, 1);
    loop_timer_stop(&starter.again.timer);
    uv_close((uv_handle_t *)&starter.foreign, NULL);
}

struct many {
    struct loop_timer timer;
    int64_t *last_due_ms;
    unsigned *fired;
};

static void many_run(void *arg)
{
    struct many *many = arg;
    assert_true(many->timer.due_ms >= *many->last_due_ms);
    *many->last_due_ms = many->timer.due_ms;
    (*many->fired)++;
}

static void a_thousand_timers_with_random_stops_fire_in_order(void **state)
{
    struct trace *trace = *state;
    static struct many many[1000];
    int64_t last_due_ms = 0;
    unsigned fired = 0;
    unsigned running = 0;
    unsigned seed = 7;
    int64_t now_ms = loop_now_ms(trace->loop);
    for (size_t i = 0; i < MEM_COUNT(many); i++) {
        many[i] = (struct many){.last_due_ms = &last_due_ms, .fired = &fired};
        loop_timer_init(&many[i].timer, trace->loop, many_run, &many[i]);
    }
    for (int i = 0; i < 5000; i++) {
        struct loop_timer *timer = &many[(unsigned)rand_r(&seed) % MEM_COUNT(many)].timer;
        if (rand_r(&seed) % 3 == 0)
            loop_timer_stop(timer);
        else
            loop_timer_start_at(timer, now_ms + rand_r(&seed) % 20);
    }
    for (size_t i = 0; i < MEM_COUNT(many); i++)
        running += loop_timer_is_running(&many[i].timer);
    assert_true(running > 0);
    while (fired < running)
        loop_turn(trace->loop);
}

enum { POSTERS = 4, POSTS = 2000 };

struct posted {
    struct loop_post post;
    unsigned poster;
    unsigned number;
    unsigned *next; /* the number to come, of each poster */
    unsigned *total;
};

static void posted_arrive(void *arg)
{
    struct posted *posted = arg;
    assert_int_equal(posted->number, posted->next[posted->poster]);
    posted->next[posted->poster]++;
    (*posted->total)++;
    free(posted);
}

struct poster {
    pthread_t thread;
    struct loop *loop;
    unsigned number;
    unsigned *next;
    unsigned *total;
};

static void *poster_run(void *arg)
{
    struct poster *poster = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct posted *posted = mem_alloc(sizeof *posted);
        *posted = (struct posted){
            .poster = poster->number, .number = i, .next = poster->next, .total = poster->total};
        loop_post(poster->loop, &posted->post, posted_arrive, posted);
    }
    return NULL;
}

static void posts_of_many_threads_all_arrive_in_the_order_of_each(void **state)
{
    struct trace *trace = *state;
    struct poster posters[POSTERS];
    unsigned next[POSTERS] = {0};
    unsigned total = 0;
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] =
            (struct poster){.loop = trace->loop, .number = i, .next = next, .total = &total};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, poster_run, &posters[i]), 0);
    }
    while (total < POSTERS * POSTS)
        loop_turn(trace->loop);
    for (unsigned i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
}

static void a_post_that_nobody_waited_for_is_delivered_before_the_loop_is_freed(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    unsigned next = 0;
    unsigned total = 0;
    struct posted *posted = mem_alloc(sizeof *posted);
    *posted = (struct posted){.next = &next, .total = &total};
    loop_post(loop, &posted->post, posted_arrive, posted);
    loop_free(loop);
    assert_int_equal(total, 1);
}

struct job {
    pthread_mutex_t *gate; /* held by the test until the job may go on; NULL: none */
    pthread_t ran_on;
    bool ran;
    bool done;
    int code;
};

static void job_work(void *arg)
{
    struct job *job = arg;
    if (job->gate != NULL) {
        pthread_mutex_lock(job->gate);
        pthread_mutex_unlock(job->gate);
    }
    job->ran_on = pthread_self();
    job->ran = true;
}

static void job_done(void *arg, int code)
{
    struct job *job = arg;
    job->done = true;
    job->code = code;
}

static void work_runs_on_another_thread_and_reports_on_the_loop(void **state)
{
    struct trace *trace = *state;
    struct job job = {0};
    loop_work(trace->loop, job_work, job_done, &job);
    assert_false(job.done);
    while (!job.done)
        loop_turn(trace->loop);
    assert_true(job.ran);
    assert_false(pthread_equal(job.ran_on, pthread_self()));
    assert_int_equal(job.code, 0);
}

static void cancelled_work_never_runs_and_still_reports(void **state)
{
    struct trace *trace = *state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct job jobs[64] = {{0}};
    struct loop_work *work[MEM_COUNT(jobs)];
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < MEM_COUNT(jobs); i++) {
        jobs[i].gate = &gate;
        work[i] = loop_work(trace->loop, job_work, job_done, &jobs[i]);
    }
    struct job *last = &jobs[MEM_COUNT(jobs) - 1]; /* no pool has so many threads here */
    assert_int_equal(loop_work_cancel(work[MEM_COUNT(jobs) - 1]), 0);
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < MEM_COUNT(jobs);) {
        if (jobs[i].done)
            i++;
        else
            loop_turn(trace->loop);
    }
    assert_false(last->ran);
    assert_int_equal(last->code, ERR_CANCELLED);
    assert_int_equal(jobs[0].code, 0);
}

static void signal_arrived(void *arg, int signum)
{
    trace_add(arg, signum == SIGUSR1 ? '1' : '?');
}

static void a_signal_calls_its_function_on_the_loop(void **state)
{
    struct trace *trace = *state;
    assert_int_equal(loop_on_signal(trace->loop, SIGUSR1, signal_arrived, trace), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    turn_until(trace, 1);
    assert_string_equal(trace->text, "1");
}

static void busy_run(void *arg)
{
    (void)arg;
    int64_t until_us = clock_mono_us() + 5000;
    while (clock_mono_us() < until_us)
        ;
}

static void a_turn_over_the_limit_is_counted_and_waiting_is_not(void **state)
{
    struct trace *trace = *state;
    struct loop_timer timer;
    struct loop_stats stats;
    loop_set_slow_turn_ms(trace->loop, 4);
    loop_timer_init(&timer, trace->loop, busy_run, NULL);
    loop_timer_start(&timer, 0);
    loop_turn(trace->loop);
    loop_get_stats(trace->loop, &stats);
    assert_int_equal(stats.slow_turns, 1);
    assert_true(stats.turn_max_ms >= 5);
    loop_set_slow_turn_ms(trace->loop, 1000);
    loop_timer_start(&timer, 0);
    loop_turn(trace->loop);
    loop_get_stats(trace->loop, &stats);
    assert_int_equal(stats.slow_turns, 1);
    assert_int_equal(stats.turns, 2);
}

static void stop_run(void *arg)
{
    loop_stop(arg);
}

static void run_goes_on_until_stop_and_ends_the_turn_with_its_hooks(void **state)
{
    struct trace *trace = *state;
    struct loop_timer timer;
    struct step step;
    struct loop_hook stop;
    step_init(&step, trace, 'h', LOOP_PHASE_FLUSH);
    loop_hook_init(&stop, trace->loop, LOOP_PHASE_DEFER, stop_run, trace->loop);
    loop_timer_init(&timer, trace->loop, step_run, &step);
    step.arms = &stop;
    loop_timer_start(&timer, 2);
    loop_run(trace->loop);
    assert_string_equal(trace->text, "h");
}

static void closed_handle(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

static void free_waits_for_handles_that_are_closing(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    bool closed = false;
    uv_tcp_t tcp = {.data = &closed};
    assert_int_equal(uv_tcp_init(loop_uv(loop), &tcp), 0);
    uv_close((uv_handle_t *)&tcp, closed_handle);
    struct job job = {0};
    loop_work(loop, job_work, job_done, &job);
    loop_free(loop);
    assert_true(closed);
    assert_true(job.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        LOOP_TEST(hooks_of_a_turn_run_by_phase_before_the_loop_waits),
        LOOP_TEST(a_hook_armed_by_a_timer_of_libuv_runs_before_the_loop_waits),
        LOOP_TEST(a_hook_armed_twice_runs_once_and_a_disarmed_one_never),
        LOOP_TEST(an_earlier_phase_goes_first_in_every_round),
        LOOP_TEST(a_hook_that_arms_itself_forever_leaves_room_for_events),
        LOOP_TEST(timers_fire_by_due_time_then_by_start),
        LOOP_TEST(a_stopped_timer_does_not_fire),
        LOOP_TEST(a_timer_restarted_by_itself_waits_for_the_next_turn),
        LOOP_TEST(a_timer_started_by_an_event_waits_for_the_next_turn),
        LOOP_TEST(a_thousand_timers_with_random_stops_fire_in_order),
        LOOP_TEST(posts_of_many_threads_all_arrive_in_the_order_of_each),
        LOOP_TEST(work_runs_on_another_thread_and_reports_on_the_loop),
        LOOP_TEST(cancelled_work_never_runs_and_still_reports),
        LOOP_TEST(a_signal_calls_its_function_on_the_loop),
        LOOP_TEST(a_turn_over_the_limit_is_counted_and_waiting_is_not),
        LOOP_TEST(run_goes_on_until_stop_and_ends_the_turn_with_its_hooks),
        cmocka_unit_test(a_post_that_nobody_waited_for_is_delivered_before_the_loop_is_freed),
        cmocka_unit_test(free_waits_for_handles_that_are_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
