/* A turn is one uv_run(ONCE) - wait, input, completions - then the timers that are due, then the
 * hooks, phase by phase until none is armed. libuv's own prepare and check phases are not used:
 * they stand before the wait and before the timers, where a hook would miss what comes behind it.
 * libuv has one timer of ours, that wakes it when the first of the heap is due.
 *
 * What can go wrong: a turn that takes long is logged; a handle that its owner never closes keeps
 * loop_free() waiting, which gives up after 10 s with the handle's type.
 */
#include "run/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/loop_timer.h"

enum { LOOP_PHASES = LOOP_PHASE_WRITE + 1, LOOP_CLOSE_MS = 10000, LOOP_SLOW_LOG_MS = 1000 };

TAILQ_HEAD(loop_hooks, loop_hook);

struct loop_signal {
    uv_signal_t handle;
    loop_signal_fn fn;
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_async_t async; /* also keeps uv_run() from finding nothing to wait for */
    uv_prepare_t prepare;
    uv_timer_t wake;
    int64_t wake_due_ms; /* what `wake` is set to; -1: stopped */
    struct loop_timers timers;
    struct loop_hooks hooks[LOOP_PHASES];
    uint64_t round; /* counts the rounds of hooks, ever */
    struct loop_signal signals[LOOP_SIGNALS_MAX];
    unsigned signals_len;
    bool stopped;
    int64_t wall_ms; /* of this turn; 0: not read yet */
    struct loop_stats stats;
    unsigned slow_turn_ms;
    int64_t slow_logged_ms;
    _Atomic(struct loop_post *) posts; /* newest first */
};

/* ---- posts and signals -------------------------------------------------------------------- */

static void loop_deliver_posts(struct loop *loop)
{
    struct loop_post *newest = atomic_exchange(&loop->posts, NULL);
    struct loop_post *first = NULL;
    while (newest != NULL) {
        struct loop_post *older = newest->next;
        newest->next = first;
        first = newest;
        newest = older;
    }
    while (first != NULL) {
        struct loop_post *post = first;
        first = post->next;
        post->fn(post->arg);
    }
}

static void loop_on_async(uv_async_t *handle)
{
    loop_deliver_posts(handle->data);
}

void loop_post(struct loop *loop, struct loop_post *post, loop_post_fn fn, void *arg)
{
    post->fn = fn;
    post->arg = arg;
    struct loop_post *head = atomic_load(&loop->posts);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posts, &head, post));
    if (head == NULL)
        (void)uv_async_send(&loop->async);
}

static void loop_on_uv_signal(uv_signal_t *handle, int signum)
{
    struct loop_signal *s = handle->data;
    s->fn(s->arg, signum);
}

int loop_on_signal(struct loop *loop, int signum, loop_signal_fn fn, void *arg)
{
    assert(loop->signals_len < LOOP_SIGNALS_MAX);
    struct loop_signal *s = &loop->signals[loop->signals_len];
    s->fn = fn;
    s->arg = arg;
    s->handle.data = s;
    (void)uv_signal_init(&loop->uv, &s->handle);
    loop->signals_len++;
    return uv_signal_start(&s->handle, loop_on_uv_signal, signum);
}

/* ---- hooks -------------------------------------------------------------------------------- */

void loop_hook_init(struct loop_hook *hook, struct loop *loop, enum loop_phase phase,
                    loop_hook_fn fn, void *arg)
{
    assert(loop != NULL && fn != NULL && (unsigned)phase < LOOP_PHASES);
    *hook = (struct loop_hook){.loop = loop, .phase = phase, .fn = fn, .arg = arg};
}

void loop_hook_arm(struct loop_hook *hook)
{
    if (hook->armed)
        return;
    hook->armed = true;
    hook->round = hook->loop->round;
    TAILQ_INSERT_TAIL(&hook->loop->hooks[hook->phase], hook, entry);
}

void loop_hook_disarm(struct loop_hook *hook)
{
    if (!hook->armed)
        return;
    hook->armed = false;
    TAILQ_REMOVE(&hook->loop->hooks[hook->phase], hook, entry);
}

/* The earliest phase in which a hook is armed, or NULL. */
static struct loop_hooks *loop_armed_hooks(struct loop *loop)
{
    for (unsigned phase = 0; phase < LOOP_PHASES; phase++) {
        if (!TAILQ_EMPTY(&loop->hooks[phase]))
            return &loop->hooks[phase];
    }
    return NULL;
}

/* Runs the hooks that are armed now; one that is armed meanwhile belongs to the next round. */
static void loop_run_hooks(struct loop *loop, struct loop_hooks *armed)
{
    struct loop_hook *hook;
    loop->round++;
    while ((hook = TAILQ_FIRST(armed)) != NULL && hook->round != loop->round) {
        loop_hook_disarm(hook);
        hook->fn(hook->arg);
    }
}

static void loop_end_turn(struct loop *loop)
{
    struct loop_hooks *armed = loop_armed_hooks(loop);
    for (int i = 0; armed != NULL && i < LOOP_ROUNDS_MAX; i++) {
        loop_run_hooks(loop, armed);
        armed = loop_armed_hooks(loop);
    }
}

/* ---- turns -------------------------------------------------------------------------------- */

static void loop_on_wake(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    loop->wake_due_ms = -1;
}

static void loop_on_prepare(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    int64_t due_ms;
    bool due = loop_timers_next(&loop->timers, &due_ms) && due_ms <= loop_now_ms(loop);
    if (due || loop_armed_hooks(loop) != NULL)
        uv_stop(&loop->uv);
}

static void loop_set_wake(struct loop *loop)
{
    int64_t due_ms;
    if (!loop_timers_next(&loop->timers, &due_ms)) {
        (void)uv_timer_stop(&loop->wake);
        loop->wake_due_ms = -1;
    } else if (due_ms != loop->wake_due_ms) {
        int64_t after_ms = due_ms - loop_now_ms(loop);
        (void)uv_timer_start(&loop->wake, loop_on_wake, after_ms > 0 ? (uint64_t)after_ms : 0, 0);
        loop->wake_due_ms = due_ms;
    }
}

static void loop_account_turn(struct loop *loop, int64_t busy_ms)
{
    loop->stats.turns++;
    if (busy_ms > loop->stats.turn_max_ms)
        loop->stats.turn_max_ms = busy_ms;
    if (loop->slow_turn_ms == 0 || busy_ms <= loop->slow_turn_ms)
        return;
    loop->stats.slow_turns++;
    int64_t now_ms = clock_mono_ms();
    if (loop->slow_logged_ms != 0 && now_ms - loop->slow_logged_ms < LOOP_SLOW_LOG_MS)
        return;
    loop->slow_logged_ms = now_ms;
    log_warn(LOG_ABOUT(.role = "loop"),
             "the event loop was busy for %lld ms in one turn (slow turns so far: %llu)",
             (long long)busy_ms, (unsigned long long)loop->stats.slow_turns);
}

void loop_turn(struct loop *loop)
{
    uint64_t begin_ns = uv_hrtime();
    uint64_t idle_ns = uv_metrics_idle_time(&loop->uv);
    loop->wall_ms = 0;
    loop_end_turn(loop); /* what was armed outside of a turn, or left over */
    loop_set_wake(loop);
    loop->wall_ms = 0;
    uint64_t last_order = loop->timers.order; /* what this turn starts is for the next one */
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    loop_timers_fire(&loop->timers, loop_now_ms(loop), last_order);
    loop_end_turn(loop);
    idle_ns = uv_metrics_idle_time(&loop->uv) - idle_ns;
    loop_account_turn(loop, (int64_t)((uv_hrtime() - begin_ns - idle_ns) / 1000000));
}

void loop_run(struct loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped)
        loop_turn(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* ---- life --------------------------------------------------------------------------------- */

struct loop *loop_new(void)
{
    struct loop *loop = mem_zalloc(sizeof *loop);
    int err = uv_loop_init(&loop->uv);
    if (err < 0) {
        log_error(LOG_ABOUT(.role = "loop", .code = err), "cannot make an event loop: %s",
                  err_text(err));
        abort();
    }
    (void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    (void)signal(SIGPIPE, SIG_IGN);
    err = uv_async_init(&loop->uv, &loop->async, loop_on_async);
    assert(err == 0);
    (void)uv_timer_init(&loop->uv, &loop->wake);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    loop->prepare.data = loop;
    (void)uv_prepare_start(&loop->prepare, loop_on_prepare);
    loop_timers_init(&loop->timers);
    loop->uv.data = loop;
    loop->async.data = loop;
    loop->wake.data = loop;
    loop->wake_due_ms = -1;
    loop->slow_turn_ms = LOOP_SLOW_TURN_MS;
    for (unsigned phase = 0; phase < LOOP_PHASES; phase++)
        TAILQ_INIT(&loop->hooks[phase]);
    return loop;
}

static bool loop_is_own(const struct loop *loop, const uv_handle_t *handle)
{
    const char *at = (const char *)handle;
    return at >= (const char *)loop && at < (const char *)(loop + 1);
}

static void loop_report_handle(uv_handle_t *handle, void *arg)
{
    bool *found = arg;
    if (loop_is_own(handle->loop->data, handle) || uv_is_closing(handle))
        return;
    *found = true;
    log_error(LOG_ABOUT(.role = "loop"), "a %s was never closed",
              uv_handle_type_name(uv_handle_get_type(handle)));
}

static void loop_close_own(uv_handle_t *handle, void *arg)
{
    (void)arg;
    assert(loop_is_own(handle->loop->data, handle));
    uv_close(handle, NULL);
}

static void loop_on_deadline(void *arg)
{
    loop_stop(arg);
}

static void loop_unref(uv_handle_t *handle, void *arg)
{
    if (loop_is_own(arg, handle))
        uv_unref(handle);
}

/* Aborts when an owner left something open behind. */
static void loop_check_closed(struct loop *loop)
{
    bool left = false;
    uv_walk(&loop->uv, loop_report_handle, &left);
    bool hooks = loop_armed_hooks(loop) != NULL;
    if (!left && !hooks && loop->timers.heap.n == 0)
        return;
    log_error(LOG_ABOUT(.role = "loop"), "left behind: %zu running timers, %s hooks",
              loop->timers.heap.n, hooks ? "armed" : "no");
    abort();
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    uv_update_time(&loop->uv);
    struct loop_timer deadline;
    loop_timer_init(&deadline, loop, loop_on_deadline, loop);
    loop_timer_start(&deadline, LOOP_CLOSE_MS);
    uv_walk(&loop->uv, loop_unref, loop);
    loop->stopped = false;
    do {
        loop_deliver_posts(loop);
        loop_turn(loop);
    } while (!loop->stopped && (uv_loop_alive(&loop->uv) || loop_armed_hooks(loop) != NULL ||
                                atomic_load(&loop->posts) != NULL));
    loop_timer_stop(&deadline);
    loop_check_closed(loop);

    uv_walk(&loop->uv, loop_close_own, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
    loop_timers_done(&loop->timers);
    free(loop);
}

/* ---- what it tells ------------------------------------------------------------------------ */

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct loop_timers *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t loop_wall_ms(struct loop *loop)
{
    if (loop->wall_ms == 0)
        loop->wall_ms = clock_wall_ms();
    return loop->wall_ms;
}

void loop_get_stats(const struct loop *loop, struct loop_stats *out)
{
    *out = loop->stats;
}

void loop_set_slow_turn_ms(struct loop *loop, unsigned slow_turn_ms)
{
    loop->slow_turn_ms = slow_turn_ms;
}
