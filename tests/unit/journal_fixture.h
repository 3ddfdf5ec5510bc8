/* A journal under test: its directory, its loop, a disk that can be told to fail (wal_fixture.h),
 * and a model of what it must hold. */
#ifndef TESTS_UNIT_JOURNAL_FIXTURE_H
#define TESTS_UNIT_JOURNAL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/journal.h"
#include "tests/unit/wal_fixture.h"

enum { JOURNAL_FIXTURE_SEGMENT_BYTES = 16 << 10 };

/* One state that a journal may be in: what its lines were made of, by number. */
struct journal_image {
    uint64_t first;
    uint64_t *stamps; /* 0: not there */
    size_t count;
    size_t cap;
};

enum journal_step_kind { JOURNAL_STEP_APPEND, JOURNAL_STEP_TRUNCATE, JOURNAL_STEP_RESET };

struct journal_step {
    enum journal_step_kind kind;
    uint64_t seq;
    uint64_t stamp;
};

struct journal_fixture {
    char dir[WAL_FIXTURE_PATH_MAX];
    struct loop *loop;
    struct journal *journal;
    struct wal_disk disk;
    struct journal_options options;

    struct journal_step *steps; /* what was asked for */
    size_t steps_n;
    size_t steps_cap;
    size_t acked; /* of these, known to be durable */
    uint64_t next;
    uint64_t dropped; /* lines before this may be gone */
    uint64_t stamp;
    unsigned in_flight;
    unsigned failures;
    int reserve;
    unsigned reserve_calls;
    bool closed;

    struct journal_image found; /* by the last open */
    char carried[256];          /* the carried lines that the last open brought */
    unsigned carried_n;
};

/* A directory on tmpfs where there is one, else or when `on_disk` under TMPDIR. */
void journal_fixture_init(struct journal_fixture *f, uint64_t seed, bool on_disk);
void journal_fixture_done(struct journal_fixture *f);

int journal_fixture_open(struct journal_fixture *f, struct error *e);
void journal_fixture_must_open(struct journal_fixture *f);
void journal_fixture_close(struct journal_fixture *f);
void journal_fixture_reopen(struct journal_fixture *f);

/* Changes, in the model too. */
int journal_fixture_append(struct journal_fixture *f, unsigned count, size_t pad);
int journal_fixture_append_bulk(struct journal_fixture *f, unsigned count, size_t pad);
void journal_fixture_truncate(struct journal_fixture *f, uint64_t seq);
void journal_fixture_reset(struct journal_fixture *f, uint64_t next);
/* Asks to be told when all so far is durable. */
void journal_fixture_sync(struct journal_fixture *f);
/* The same, and turns the loop until it is. */
void journal_fixture_wait(struct journal_fixture *f);

/* NULL when what the open found is the model after some step, not before the last that was
 * acknowledged; the model is cut to it. Else what is wrong. */
const char *journal_fixture_check(struct journal_fixture *f);
void journal_fixture_must_hold(struct journal_fixture *f);

/* The object that line `seq` was appended with, with a newline, at the end of `out`. */
void journal_fixture_object(struct journal_fixture *f, uint64_t seq, struct buf *out);

/* Path of the segment that begins with `first`. */
void journal_fixture_path(const struct journal_fixture *f, uint64_t first,
                          char path[WAL_FIXTURE_PATH_MAX]);

#endif
