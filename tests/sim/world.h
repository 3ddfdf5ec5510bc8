/* A simulated cluster around the scheduler and the failure detector: one leader whose records
 * become durable late or never, workers that crash, stop and forget, agents that poll, links that
 * break, a client that submits, cancels, retries and drains.
 *
 * One seed decides everything. After each step the scheduler checks itself; what becomes durable is
 * checked against what really ran (world_truth.c). When the trouble is over everything must end.
 *
 * A bug (enum world_bug) makes the world break one rule that the scheduler relies on, or distort
 * what a new leader is told; each must be noticed. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <sys/queue.h>

#include "core/detector.h"
#include "tests/sim/sim_time.h"
#include "tests/sim/sched_rows.h"

/* X(symbol, what the world does wrong) */
#define WORLD_BUG_LIST(X)                                                                          \
    X(NONE, "nothing")                                                                             \
    X(EARLY_SENDS, "messages leave before what they rely on is durable")                           \
    X(RESTORE_NO_COMPLETED, "a new leader is not told of completed attempts")                      \
    X(RESTORE_NO_LOST, "a new leader is not told of lost attempts")                                \
    X(RESTORE_NO_FAILED, "a new leader is not told of failed attempts")                            \
    X(RESTORE_NO_CANCELLED, "a new leader is not told which elements were cancelled")              \
    X(RESTORE_NO_ROUND, "a new leader is not told of retries")                                     \
    X(RESTORE_NO_KEY, "a new leader is not told of idempotency keys")                              \
    X(RESTORE_NO_LIVE, "a new leader is not told of attempts that run")                            \
    X(TORN_BATCH, "half of a batch survives a crash")                                              \
    X(WRONG_ATTEMPT, "a report is taken for one about the present attempt")                        \
    X(WRONG_NODE, "a report is taken for one of the node that has the attempt")                    \
    X(NO_OFFLINE, "nobody says that a node is offline")                                            \
    X(OLD_SESSION, "assignments are delivered over links made after they were decided")            \
    X(HELD_TOO_MUCH, "a node is said to hold whatever it was given")                               \
    X(FORGED_RESULT, "a task that runs is reported as completed")                                  \
    X(SWALLOWED_CANCEL, "cancellations are never delivered")                                       \
    X(SWALLOWED_ACK, "acknowledgements are never delivered")

enum world_bug {
#define WORLD_BUG_ENUM(symbol, text) WORLD_BUG_##symbol,
    WORLD_BUG_LIST(WORLD_BUG_ENUM)
#undef WORLD_BUG_ENUM
        WORLD_BUG_N
};

enum {
    WORLD_WORKERS_MAX = 4,
    WORLD_AGENTS_MAX = 2,
    WORLD_NODES_MAX = WORLD_WORKERS_MAX + WORLD_AGENTS_MAX,
    WORLD_JOBS_MAX = 8,
    WORLD_TASKS_MAX = 256, /* at one worker */
    WORLD_RETURN_MS = 250, /* a queued task that can't start for so long is given back */
    WORLD_HEAL_MS = 600000 /* everything must have ended so long after the trouble */
};

struct world;
struct world_event;

typedef void (*world_fire_fn)(struct world *w, struct world_event *event);

/* Something that will happen. Who made it says what the numbers mean. */
struct world_event {
    struct sim_event due; /* the first member */
    world_fire_fn fire;
    uint64_t node;
    uint64_t link;
    uint64_t epoch; /* of the leader that it concerns */
    uint64_t boot;  /* of the worker or agent that it concerns */
    uint64_t turn;
    enum sched_send_type send;
    bool want_full;
    bool held;
    struct task_key key;
    struct sched_report *reports; /* owned */
    size_t reports_n;
    struct sched_reply reply;
    int code;
};

/* ---- ground truth
 * -------------------------------------------------------------------------------- */

/* What really happened to an attempt. */
struct world_run {
    struct task_key key;
    uint64_t node;
    bool running;
    bool completed;
    UT_hash_handle hh;
};

/* What is durable of an element. */
struct world_element {
    struct {
        uint64_t seq;
        uint64_t index;
    } key;
    uint32_t completed_by; /* attempt, 0: none */
    uint32_t live;         /* attempts assigned or running */
    UT_hash_handle hh;
};

/* ---- actors
 * -------------------------------------------------------------------------------------- */

struct world_turn {
    struct sched_update update; /* taken over */
    STAILQ_HEAD(, world_answer) answers;
    STAILQ_ENTRY(world_turn) of_leader;
};

/* A reply that leaves with its turn. */
struct world_answer {
    world_fire_fn fire;
    uint64_t node;       /* agent, or the client's job */
    uint64_t boot;       /* of the agent, or which submission */
    struct task_key key; /* of the task that the agent asked about */
    struct sched_reply reply;
    int code;
    STAILQ_ENTRY(world_answer) of_turn;
};

struct world_leader {
    bool alive;
    uint64_t epoch;
    struct sched *sched;
    struct sched_update update;
    struct detector *detector;
    struct detector_update seen;
    uint64_t session[WORLD_NODES_MAX + 1]; /* of each node's link, as known here */
    struct world_turn *open;
    bool ending;                     /* an event will end the open turn */
    int64_t commit_ms;               /* no commit before */
    int64_t tick_ms;                 /* of the tick that is due */
    STAILQ_HEAD(, world_turn) turns; /* proposed, not durable */
};

struct world_task {
    struct task_key key;
    Wire__TaskPhase phase; /* ended ones wait for their acknowledgement */
    enum task_code code;
    int64_t since_ms;
    int64_t run_ms;
    bool fails;
    uint32_t cpus;
};

struct world_worker {
    uint64_t id;
    uint32_t slots;
    bool up;
    bool dead; /* never comes back */
    bool stopped;
    bool cut;
    uint64_t boot;
    uint64_t link;  /* 0: none */
    uint64_t epoch; /* of the leader at its other end */
    bool connecting;
    int64_t up_ms, down_ms;    /* links keep the order: nothing arrives before, each way */
    struct world_event *inbox; /* what it has not read while stopped */
    size_t inbox_n;
    struct world_task tasks[WORLD_TASKS_MAX];
    size_t tasks_n;
};

struct world_agent {
    uint64_t id;
    bool up;
    bool dead;
    uint64_t boot;
    bool has;    /* got a task */
    bool done;   /* ran it, submits the result */
    bool asking; /* a request is on its way */
    struct world_task task;
};

struct world_job {
    struct uuid id; /* of the latest submission */
    struct sched_job_spec spec;
    struct rangeset elements;
    char key[16];
    struct sched_dependency after[2];
    bool submitted;
    bool acked;
    bool endless; /* its tasks run until they are stopped */
    uint64_t submissions;
    uint32_t fail_percent;
    int64_t run_ms_max;
};

struct world {
    struct sim_time time;
    enum world_bug bug;
    uint64_t steps;
    bool healed;
    int64_t heal_ms;
    struct sched_config config;
    struct world_leader leader;
    struct world_worker workers[WORLD_WORKERS_MAX];
    unsigned workers_n;
    struct world_agent agents[WORLD_AGENTS_MAX];
    unsigned agents_n;
    bool draining[WORLD_NODES_MAX + 1];
    bool removed[WORLD_NODES_MAX + 1];
    uint64_t links;
    struct world_job jobs[WORLD_JOBS_MAX];
    unsigned jobs_n;
    struct sched_rows rows;
    struct world_run *runs;
    struct world_element *elements;
};

/* ---- world.c ---- */

void world_init(struct world *w, uint64_t seed, enum world_bug bug);
void world_done(struct world *w);
/* Lives through the trouble and until everything has ended; aborts when something is wrong. */
void world_run(struct world *w);

struct world_event *world_at(struct world *w, int64_t ms, world_fire_fn fire); /* from now */
struct world_event *world_copy(struct world *w, const struct world_event *event, int64_t ms);
#define world_ms(w, from, to)    sim_time_between(&(w)->time, (from), (to))
#define world_chance(w, percent) sim_time_chance(&(w)->time, (percent))
#define world_trace(w, ...)      sim_time_trace(&(w)->time, __VA_ARGS__)
#define world_wrong(w, ...)      sim_time_wrong(&(w)->time, __VA_ARGS__)
const char *world_key(const struct task_key *key);                 /* static storage */
struct world_worker *world_worker(struct world *w, uint64_t node); /* NULL: an agent */
struct world_agent *world_agent(struct world *w, uint64_t node);
struct world_job *world_job_of(struct world *w, const struct uuid *id);

/* ---- world_leader.c ---- */

void world_elect(struct world *w, struct world_event *event);
void world_leader_crash(struct world *w);
void world_leader_free(struct world *w);
/* Steps the scheduler; ERR_NO_LEADER when nobody leads. */
int world_leader_step(struct world *w, struct sched_event event);
/* Sends the reply of the last step with its turn; fill in what else the asker wants back. */
struct world_answer *world_leader_answer(struct world *w, world_fire_fn fire, uint64_t node,
                                         int code);
/* A scheduler made from what is durable. */
struct sched *world_leader_rebuild(struct world *w, struct sched_update *update);
/* Nothing is waiting to become durable. */
bool world_leader_is_settled(const struct world *w);
void world_leader_heard(struct world *w, uint64_t node);
/* What a worker sends, on its arrival. */
void world_leader_connected(struct world *w, struct world_event *event);
void world_leader_reports(struct world *w, struct world_event *event);
void world_leader_beat(struct world *w, struct world_event *event);

/* ---- world_worker.c ---- */

void world_worker_start(struct world *w, struct world_worker *worker);
void world_worker_crash(struct world *w, struct world_worker *worker);
void world_worker_break(struct world *w, struct world_worker *worker);
/* Goes on after a stop or a cut. */
void world_worker_resume(struct world *w, struct world_worker *worker);
/* Sends it a message over link `link`; fill in what it says. */
struct world_event *world_worker_tell(struct world *w, uint64_t node, uint64_t link);
void world_worker_beat(struct world *w, struct world_event *event);
void world_task_plan(struct world *w, const struct task_key *key, struct world_task *task);

/* ---- world_agent.c ---- */

void world_agent_wake(struct world *w, struct world_event *event);
void world_agent_crash(struct world *w, struct world_agent *agent);

/* ---- world_client.c ---- */

void world_client_init(struct world *w);
void world_client_act(struct world *w, struct world_event *event);
void world_client_heal(struct world *w, struct world_event *event);
bool world_client_is_done(const struct world *w);
/* Some node could run the job. */
bool world_client_is_possible(const struct world *w, const struct world_job *job);

/* ---- world_truth.c ---- */

/* A turn becomes durable, or with a crash only its first records do. */
void world_truth_apply(struct world *w, const struct sched_update *update);
void world_truth_started(struct world *w, const struct task_key *key, uint64_t node);
void world_truth_ended(struct world *w, const struct task_key *key, bool completed);
/* The node may forget this result. */
void world_truth_acked(struct world *w, const struct task_key *key, Wire__TaskPhase phase);
/* The scheduler gave out work in the step that just ended. */
void world_truth_placed(struct world *w, size_t sends_before);
/* What a new leader would know is what the present one knows. */
void world_truth_compare(struct world *w);
void world_truth_end(struct world *w);
void world_truth_done(struct world *w);

#endif
