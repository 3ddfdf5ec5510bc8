/* Reading what tasks of this node write, while they run and after.
 *
 * A read at the end of a running task's stream is held until there is more, the task ended or the
 * read is cancelled. Sizes are looked at each 20 ms while somebody waits, and never otherwise. */
#ifndef RUN_OUTPUT_READER_H
#define RUN_OUTPUT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_key.h"

enum {
    OUTPUT_READER_POLL_MS = 20,
    OUTPUT_READER_CHUNK_BYTES_MAX = 256 * 1024,
    OUTPUT_READER_READS_MAX = 4096, /* under way or held; one more ends with ERR_BUSY */
    OUTPUT_READER_RECENT_MAX =
        1024, /* ended tasks whose inline streams are remembered for followers */
};

struct output_reader;
struct output_read;

struct output_chunk {
    int code;         /* 0, ERR_NOT_FOUND (no such output here), ERR_BUSY, ERR_CLOSED, -errno */
    const char *text; /* with a code: a sentence */
    const uint8_t *data;
    size_t len;
    uint64_t next_offset;
    bool eof;     /* the task ended and nothing comes behind this chunk */
    bool running; /* the task had not ended when this was read */
};

/* `chunk` is valid during the call. */
typedef void (*output_read_fn)(void *arg, const struct output_chunk *chunk);

struct output_reader *output_reader_new(uv_loop_t *loop, const char *tasks_dir);
/* Ends all reads with ERR_CLOSED, then frees and calls `closed`. */
void output_reader_close(struct output_reader *r, void (*closed)(void *arg), void *arg);

/* The owner says which tasks run: between the two calls reads at the end are held. `report` may
 * carry the streams inline; then later reads are served from it as long as it is remembered. */
void output_reader_begin(struct output_reader *r, const struct task_key *key);
void output_reader_end(struct output_reader *r, const struct task_key *key,
                       const Wire__TaskReport *report);

/* Begins a read of at most `bytes_max` bytes (0 or more than OUTPUT_READER_CHUNK_BYTES_MAX: that
 * many) from `offset`; with `wait` it is held at the end of a running task's stream. `done` is
 * called exactly once, never from within this call, unless it is cancelled before. An offset past
 * the end of an ended task's stream gives an empty chunk with eof. */
struct output_read *output_reader_read(struct output_reader *r, const struct task_key *key,
                                       Wire__OutputStream stream, uint64_t offset, size_t bytes_max,
                                       bool wait, output_read_fn done, void *arg);

/* `done` won't be called any more. Only before it was. */
void output_reader_cancel(struct output_read *read);

#endif
