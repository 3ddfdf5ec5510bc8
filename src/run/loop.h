/* The event loop of a program: libuv's, plus what every module needs in the same form.
 *
 * A turn begins when the loop wakes up: expired timers, input and completions run their callbacks.
 * It ends with the hooks that these armed, and then the loop waits again. Because all that one turn
 * brought is known in its hooks, group commit and corked writes are built on them.
 *
 * Everything here belongs to the thread that runs the loop, except loop_post().
 * Nothing on the loop may block for longer than a millisecond; a turn that takes too long is
 * logged.
 */
#ifndef RUN_LOOP_H
#define RUN_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

struct loop;

enum { LOOP_SLOW_TURN_MS = 50, LOOP_ROUNDS_MAX = 32, LOOP_SIGNALS_MAX = 16 };

/* Also has the process ignore SIGPIPE: whoever executes other programs resets it for them. */
struct loop *loop_new(void);

/* Closes what the loop itself opened, then turns until every handle of the other modules is closed
 * and every work is done, and frees it. The modules must have begun to close: a handle that is
 * still open after 10 s is a programmer error, logged with its type, and aborts. NULL allowed. */
void loop_free(struct loop *loop);

/* Turns until loop_stop(), which takes effect at the end of the turn, hooks included. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn: waits for an event unless one is there already. What programs with a loop of their own,
 * and tests, use in place of loop_run(). */
void loop_turn(struct loop *loop);

/* For modules that stand on libuv handles of their own. */
uv_loop_t *loop_uv(struct loop *loop);

/* ---- time: read once per turn ------------------------------------------------------------- */

int64_t loop_now_ms(const struct loop *loop); /* monotonic, the clock of clock_mono_ms() */
int64_t loop_wall_ms(struct loop *loop);      /* since the epoch, UTC */

/* ---- hooks: at the end of this turn ------------------------------------------------------- */

/* In this order within one end of turn. A hook may arm any other, and itself: the ends are gone
 * through again, earlier phases first, before the loop waits. After LOOP_ROUNDS_MAX rounds what is
 * still armed runs at the end of the next turn, which then does not wait for input. */
enum loop_phase {
    LOOP_PHASE_DEFER,  /* calls that must not happen inside the caller */
    LOOP_PHASE_COMMIT, /* collect the turn's changes into one write */
    LOOP_PHASE_FLUSH,  /* send what the turn produced */
    LOOP_PHASE_WRITE,  /* begin what takes time and is called back */
};

typedef void (*loop_hook_fn)(void *arg);

struct loop_hook {
    TAILQ_ENTRY(loop_hook) entry;
    struct loop *loop;
    loop_hook_fn fn;
    void *arg;
    uint64_t round;
    enum loop_phase phase;
    bool armed;
};

void loop_hook_init(struct loop_hook *hook, struct loop *loop, enum loop_phase phase,
                    loop_hook_fn fn, void *arg);
void loop_hook_arm(struct loop_hook *hook);    /* runs once; armed already: no effect */
void loop_hook_disarm(struct loop_hook *hook); /* after this its memory may go */

/* ---- timers ------------------------------------------------------------------------------- */

typedef void (*loop_timer_fn)(void *arg);

/* Embedded in its owner; needs no close, only to be stopped before its memory goes. */
struct loop_timer {
    struct loop *loop;
    loop_timer_fn fn;
    void *arg;
    int64_t due_ms;
    uint64_t order;
    size_t slot; /* in the heap, from 1; 0 while stopped */
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_timer_fn fn, void *arg);

/* Fires once, `after_ms` (>= 0) from now or at `due_ms` of loop_now_ms(); never earlier, never
 * from inside this call, at the earliest in the next turn. Timers of the same millisecond fire in
 * the order in which they were started. A running timer is restarted. */
void loop_timer_start(struct loop_timer *timer, int64_t after_ms);
void loop_timer_start_at(struct loop_timer *timer, int64_t due_ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_running(const struct loop_timer *timer);

/* ---- work on libuv's threads -------------------------------------------------------------- */

struct loop_work;

typedef void (*loop_work_fn)(void *arg);
/* code: 0, or ERR_CANCELLED when the work function never ran. */
typedef void (*loop_work_done_fn)(void *arg, int code);

/* Runs work(arg) on a thread of the pool, then done(arg, code) on the loop, exactly once and never
 * from inside this call. The result is valid until `done` is called. The pool has few threads and
 * its queue no bound: the caller bounds what it has under way. */
struct loop_work *loop_work(struct loop *loop, loop_work_fn work, loop_work_done_fn done,
                            void *arg);

/* 0: it will not run, `done` comes with ERR_CANCELLED. ERR_BUSY: it runs or ran; `done` comes with
 * 0. */
int loop_work_cancel(struct loop_work *work);

/* ---- from other threads ------------------------------------------------------------------- */

typedef void (*loop_post_fn)(void *arg);

/* Embedded in what is posted. */
struct loop_post {
    struct loop_post *next;
    loop_post_fn fn;
    void *arg;
};

/* Has fn(arg) called on the loop. `post` is borrowed until then; in `fn` it may be freed or posted
 * again. Posts of one thread keep their order. Any thread, any time before loop_free(). */
void loop_post(struct loop *loop, struct loop_post *post, loop_post_fn fn, void *arg);

/* ---- signals ------------------------------------------------------------------------------ */

typedef void (*loop_signal_fn)(void *arg, int signum);

/* Has `fn` called on the loop for each `signum` (or several that came at once). The registration
 * lasts as long as the loop; at most LOOP_SIGNALS_MAX. */
int loop_on_signal(struct loop *loop, int signum, loop_signal_fn fn, void *arg);

/* ---- how it fares ------------------------------------------------------------------------- */

struct loop_stats {
    uint64_t turns;
    uint64_t slow_turns; /* longer than the limit */
    int64_t turn_max_ms;
};

void loop_get_stats(const struct loop *loop, struct loop_stats *out);

/* Turns longer than this are logged as warnings, at most one a second; 0: none is. */
void loop_set_slow_turn_ms(struct loop *loop, unsigned slow_turn_ms);

#endif
