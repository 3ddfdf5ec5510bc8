/* What is durable of a scheduler, as the state database would hold it: rows that records overwrite,
 * and from which a new leader is rebuilt. */
#ifndef TESTS_SIM_SCHED_ROWS_H
#define TESTS_SIM_SCHED_ROWS_H

#include "base/hash.h"
#include "core/scheduler.h"

struct sched_rows_task {
    struct {
        uint64_t seq;
        uint32_t index;
        uint32_t attempt;
    } key;
    uint32_t round;
    enum attempt_state state;
    uint64_t node;
    int64_t assigned_ms;
    enum task_code code;
    const char *text; /* static, or NULL */
    UT_hash_handle hh;
};

struct sched_rows_job {
    uint64_t seq;
    struct sched_job_spec spec; /* owns what it points at */
    struct rangeset elements;
    enum job_state state;
    char *reason;
    uint32_t round;
    struct rangeset cancelled;
    uint32_t total, running, completed, failed, cancelled_n;
    int64_t submitted_ms, started_ms, ended_ms, cancel_requested_ms;
    UT_hash_handle hh;
};

/* What a careless database would not tell a new leader. */
enum sched_rows_forget {
    SCHED_ROWS_FORGET_COMPLETED = 1 << 0,
    SCHED_ROWS_FORGET_LOST = 1 << 1,
    SCHED_ROWS_FORGET_FAILED = 1 << 2,
    SCHED_ROWS_FORGET_LIVE = 1 << 3,
    SCHED_ROWS_FORGET_CANCELLED = 1 << 4,
    SCHED_ROWS_FORGET_ROUND = 1 << 5,
    SCHED_ROWS_FORGET_KEY = 1 << 6,
};

struct sched_rows {
    struct sched_rows_job *jobs;   /* by seq, in that order */
    struct sched_rows_task *tasks; /* by key */
    struct sched_rows_job *specs;  /* submitted, maybe not durable; by id */
    uint64_t next_seq;
    unsigned forget; /* enum sched_rows_forget */
};

void sched_rows_init(struct sched_rows *rows);
void sched_rows_done(struct sched_rows *rows);

/* Keeps a copy for the row that a record with `created` will make. */
void sched_rows_remember(struct sched_rows *rows, const struct sched_job_spec *spec);

/* One record as a transaction would apply it. */
void sched_rows_put_job(struct sched_rows *rows, const struct sched_job_record *record);
void sched_rows_put_task(struct sched_rows *rows, const struct sched_task_record *record);
void sched_rows_apply(struct sched_rows *rows, const struct sched_update *update);

struct sched_rows_job *sched_rows_job(const struct sched_rows *rows, const struct uuid *id);
struct sched_rows_task *sched_rows_task(const struct sched_rows *rows, uint64_t seq, uint32_t index,
                                        uint32_t attempt);

/* Feeds RESTORE_BEGIN, the rows of all jobs that have not ended, RESTORE_END. Returns the first
 * error. */
int sched_rows_restore(struct sched_rows *rows, struct sched *sched, struct sched_update *update,
                       int64_t now_ms);
/* The same for one job that has ended. */
int sched_rows_load(struct sched_rows *rows, const struct uuid *id, struct sched *sched,
                    struct sched_update *update, int64_t now_ms);

#endif
