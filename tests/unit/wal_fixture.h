/* A write-ahead log under test: its directory, its loop, a disk that can be told to fail, and a
 * model of what it must hold. */
#ifndef TESTS_UNIT_WAL_FIXTURE_H
#define TESTS_UNIT_WAL_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "run/loop.h"
#include "run/wal.h"

enum { WAL_FIXTURE_SEGMENT_BYTES = 64 << 10, WAL_FIXTURE_PATH_MAX = 256 };

/* What the disk does from the `after`-th matching call on. */
enum wal_fault {
    WAL_FAULT_NONE,
    WAL_FAULT_SHORT, /* every write is cut short at a random page */
    WAL_FAULT_WRITE, /* that write fails with `code`, all before and behind succeed */
    WAL_FAULT_SYNC,  /* fdatasync fails with `code` */
    WAL_FAULT_SPACE, /* the disk is full: fallocate fails with ENOSPC, and what makes files longer
                      */
    WAL_FAULT_POWER, /* that write reaches the disk in some of its sectors; nothing after it does */
    WAL_FAULT_HANG,  /* writes wait until released */
};

struct wal_disk {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    enum wal_fault fault;
    unsigned after;
    int code;
    bool dead;
    bool hanging;    /* a call waits now */
    pthread_t owner; /* who initialised it */
    unsigned writes;
    unsigned writes_of_owner;
    unsigned writes_largest;    /* bytes */
    uint64_t bytes;             /* of all writes */
    unsigned started;           /* by the loop */
    bool declines;              /* some of these, at their begin or end */
    struct disk_queue *held_in; /* what the loop started and hangs */
    struct disk_write held;
    struct prng prng;
    struct wal_io io;
};

/* The loop may start writes. */
void wal_disk_init(struct wal_disk *disk, uint64_t seed);
/* Leaves all to the thread, or declines some of what the loop starts, or neither. */
void wal_disk_vary(struct wal_disk *disk, struct prng *prng);
void wal_disk_fail(struct wal_disk *disk, enum wal_fault fault, unsigned after, int code);
void wal_disk_release(struct wal_disk *disk);
bool wal_disk_is_hanging(struct wal_disk *disk);
unsigned wal_disk_writes_of_owner(struct wal_disk *disk);

struct wal_entry {
    uint64_t index;
    uint64_t stamp; /* its content is made of this; unique */
    uint32_t len;
};

struct wal_append_case {
    struct wal_req req;
    struct wal_fixture *fixture;
    struct wal_append_case *next;
    unsigned count;
    int status;
    bool done;
    struct wal_record records[];
};

struct wal_fixture {
    char dir[WAL_FIXTURE_PATH_MAX];
    struct loop *loop;
    struct wal *wal;
    struct wal_disk disk;
    struct wal_options options;
    uint64_t stamp;

    struct wal_entry *entries; /* what was asked for, from `first` on */
    size_t count;
    size_t cap;
    uint64_t first;
    uint64_t acked;  /* last index of which the callback came */
    uint64_t called; /* stamp of the last callback, to see their order */
    unsigned in_flight;
    int failed;        /* code of the first callback with an error */
    unsigned failures; /* calls of on_failed */
    int reserve;       /* last code of on_reserve */
    unsigned reserve_calls;
    bool closed;
};

/* A directory on tmpfs where there is one (fast), else or when `on_disk` under TMPDIR. */
void wal_fixture_init(struct wal_fixture *f, uint64_t seed, bool on_disk);
void wal_fixture_done(struct wal_fixture *f);

int wal_fixture_open(struct wal_fixture *f, struct error *e);
void wal_fixture_must_open(struct wal_fixture *f);
void wal_fixture_close(struct wal_fixture *f); /* waits */

/* Queue changes and put them into the model. */
int wal_fixture_append(struct wal_fixture *f, unsigned count, uint32_t len);
void wal_fixture_truncate(struct wal_fixture *f, uint64_t index);
void wal_fixture_trim(struct wal_fixture *f, uint64_t index);
void wal_fixture_reset(struct wal_fixture *f, uint64_t next_index);

/* Turns the loop until all callbacks came. */
void wal_fixture_wait(struct wal_fixture *f);

/* Loads the log just opened and compares with the model. The log may end earlier, but not before
 * `last_min`; the model is cut to what it holds. Returns NULL or what is wrong. */
const char *wal_fixture_check(struct wal_fixture *f, uint64_t last_min);

/* Copies the directory's files to `to`, which is made; and removes a directory with its files. */
void wal_fixture_copy(const char *from, const char *to);
void wal_fixture_remove(const char *dir);
/* Bytes of all files of `dir`, and of the largest. */
uint64_t wal_fixture_usage(const char *dir, uint64_t *largest);

/* The only file in `dir` that ends with `suffix`; fails the test when there are more or none. */
void wal_fixture_find(const char *dir, const char *suffix, char path[WAL_FIXTURE_PATH_MAX]);

void wal_fixture_read(const char *path, uint8_t **data, size_t *len);
void wal_fixture_poke(const char *path, size_t offset, const void *data, size_t len);

#endif
