/* A journal: numbered JSON lines in files that people read with jq, durable before they count.
 *
 * For what has to be readable without us: the ordered log of the chat nodes, the records of
 * two-phase commit. The write-ahead log (run/wal.h) is the faster of the two where nobody looks.
 *
 * A line is one JSON object on a line of its own; the owner gives its members, the journal puts
 * three of its own in front of them (run/journal_format.h):
 *
 *     {"sum":"1f0c…16 hex digits","seq":41,"batch":40,"kind":"say","text":"hello"}
 *
 * Segments are files FIRST.jsonl, named after the number of their first line. The one that is being
 * written is filled with newlines ahead of the lines, so that a durable write costs no change of
 * the file's size; jq skips them. The first is small, so that a journal is soon made. Only what
 * comes in bulk (journal_append_lines()) grows its files.
 *
 * Happy path: lines appended during one turn of the loop leave together at its end to the journal's
 * one writer thread, one durable write for all that waits, and requests made by journal_sync() are
 * called back on the loop, in their order.
 *
 * How it fails:
 * - The process or machine stops in the middle of a write: what the write left is cut at the next
 *   open and its size reported (journal_torn_bytes). `batch` is the first number of the write that
 *   a line belongs to: everything before it was durable by then, so that a write of which only
 *   later parts reached the disk is told from damage.
 * - Bytes change behind its back, or a file is missing between two others: found at the open and by
 *   every read, with file, offset and the numbers that are gone. The owner chooses: `whole` refuses
 *   such a journal with ERR_CORRUPT; else it is opened, journal_damage() lists what is missing, and
 *   journal_repair() puts back what the owner got from elsewhere, and damage that took no line is
 *   removed at the open.
 * - A write fails (EIO, ENOSPC, ...): on_failed is called once, every request that waits and every
 *   later call gets the error until the journal is closed and opened again; what is durable can
 *   still be read. Nothing is ever written a second time.
 * - The disk is nearly full: the segment kept in reserve cannot be had. on_reserve says so while
 *   there is still room in the present one.
 * - A format newer than this program: ERR_VERSION, nothing is touched.
 * Damage in the last write cannot be told from a write that was never acknowledged: whoever needs
 * to know keeps the number elsewhere too.
 *
 * All functions belong to the loop's thread, unless they say otherwise. */
#ifndef RUN_JOURNAL_H
#define RUN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/error.h"
#include "run/loop.h"
#include "run/wal.h"

enum {
    JOURNAL_SEGMENT_BYTES = 8 << 20,
    JOURNAL_SEGMENT_BYTES_MIN = 16 << 10,
    JOURNAL_SEGMENT_BYTES_FIRST = 256 << 10,
    JOURNAL_LINE_BYTES_MAX = 1 << 20,   /* of one line */
    JOURNAL_CARRY_BYTES_MAX = 64 << 20, /* of all carried lines */
    JOURNAL_IN_FLIGHT_BYTES = 8 << 20,
    JOURNAL_READ_BYTES_MAX = 8 << 20,
};

struct journal;

/* A line as it is read. */
struct journal_line {
    uint64_t seq;     /* 0: carried over, see journal_drop() */
    const char *text; /* all of it, a JSON object, without the newline */
    size_t len;
    const char *members; /* the owner's part: what it appended without the first brace */
    size_t members_len;  /* ends with the last brace */
};

struct journal_options {
    uint32_t segment_bytes;       /* multiple of 4096; 0: JOURNAL_SEGMENT_BYTES */
    uint64_t in_flight_bytes_max; /* of lines that wait for the disk; 0: JOURNAL_IN_FLIGHT_BYTES */
    bool whole;                   /* damage is ERR_CORRUPT at the open */
    bool buffered;                /* never O_DIRECT: write, then fdatasync */
    const struct wal_io *io;      /* NULL: the system's; borrowed until closed */

    /* Called inside journal_open() for each line in order, so that the owner's state is rebuilt in
     * the same pass. A negative return ends the open, with `e` set. NULL allowed. */
    int (*on_line)(void *arg, const struct journal_line *line, struct error *e);
    /* The reserve was lost (`code` < 0, say -ENOSPC) or is there again (0). NULL allowed. */
    void (*on_reserve)(void *arg, int code);
    /* The journal failed and takes nothing more; before the callbacks of the requests that failed
     * with it. NULL allowed. */
    void (*on_failed)(void *arg, const struct error *e);
    void *arg;
};

/* Opens the journal in `dir`, which must exist, or begins one there at number 1. Reads all of it;
 * blocks. ERR_BUSY: another process, or another journal here, has it open. */
int journal_open(struct journal **out, struct loop *loop, const char *dir,
                 const struct journal_options *options, struct error *e);

/* Writes what was appended, runs the callbacks, frees the journal and runs `cb` (NULL allowed).
 * Nothing may be called after this, and the loop must turn until `cb`. */
void journal_close(struct journal *journal, void (*cb)(void *arg), void *arg);

/* ---- numbers --------------------------------------------------------------------------------- */

/* Of the lines present, as of the calls made so far. An empty journal has first == last + 1. */
uint64_t journal_first(const struct journal *journal);
uint64_t journal_last(const struct journal *journal);
/* Of the last line that is on the disk; after a truncation at most the last. */
uint64_t journal_durable(const struct journal *journal);

/* ---- writing --------------------------------------------------------------------------------- */

/* Appends line journal_last() + 1. `object` is a JSON object with at least one member, on one line,
 * without spaces after the first brace, and without the members sum, seq, batch; it is copied.
 * ERR_BUSY: the bound of bytes in flight (one line is always taken); ERR_TOO_LARGE: over
 * JOURNAL_LINE_BYTES_MAX; the journal's error once it failed. After a crash a beginning of what was
 * appended and not synced may be there. */
int journal_append(struct journal *journal, const char *object, size_t len);

/* Appends what the lines of another journal hold, a result of journal_read() there; they get the
 * numbers from journal_last() + 1 on. The owner has seen that they are whole. As journal_append();
 * an error leaves those before it appended. They are written in larger pieces than others, and into
 * segments that were not filled before: as fast as the disk takes them, not as soon. */
int journal_append_lines(struct journal *journal, const char *lines, size_t len);

struct journal_req;
typedef void (*journal_fn)(struct journal_req *req, int status);

/* Embedded in the owner's own; `data` is the owner's, the rest the journal's until the callback. */
struct journal_req {
    void *data;
    journal_fn cb;
    int status;
    STAILQ_ENTRY(journal_req) entry;
};

/* Has `cb` called when everything before this call is done: appended lines durable, truncations
 * made. Never from within; with an error when the journal failed before that. */
void journal_sync(struct journal *journal, struct journal_req *req, journal_fn cb);

/* The same, blocking, for start and recovery; the callbacks still come from the loop. */
int journal_sync_now(struct journal *journal);

/* Has the disk take one durable write that changes nothing: whether it works is then known as if a
 * line had been written. Follow it with journal_sync(). */
int journal_beat(struct journal *journal);

/* Removes all lines from `seq` on (first <= seq <= last), in order with the appends around it and
 * durably before any later append is. */
int journal_truncate(struct journal *journal, uint64_t seq);

/* Removes everything: line `next` (> 0) comes next. `carry` as in journal_drop(), NULL for none. */
int journal_reset(struct journal *journal, uint64_t next, const struct buf *carry);

/* ---- retention ------------------------------------------------------------------------------- */

/* The number before which whole segments may go so that what stays is not larger than `bytes_max`
 * (0: any size) and no segment's lines are all older than `oldest_ms` (wall clock; 0: any age);
 * journal_first() when nothing may go. The segment being written always stays. */
uint64_t journal_retain(const struct journal *journal, uint64_t bytes_max, int64_t oldest_ms);

/* Removes the segments whose lines are all before `seq`. What the owner has to remember of them
 * goes into `carry`, objects as for journal_append() with a newline behind each: they are durable
 * at the head of the first segment that stays before anything is removed, replace what that one
 * carried, and come first, with number 0, at the next open. NULL for none. ERR_INVALID: not such
 * objects; ERR_TOO_LARGE: over JOURNAL_CARRY_BYTES_MAX. */
int journal_drop(struct journal *journal, uint64_t seq, const struct buf *carry);

/* ---- damage ---------------------------------------------------------------------------------- */

struct journal_damage {
    char file[32];   /* name in the directory */
    uint64_t offset; /* where it begins */
    uint64_t first;  /* numbers that are gone */
    uint64_t last;
};

/* The damage that is known, oldest first; false when there is none with this index. */
bool journal_damage(const struct journal *journal, unsigned index, struct journal_damage *out);

/* Puts the lines `first` to `last` back, from `lines`: objects as for journal_append() with a
 * newline behind each, one for every number. The range lies in one that journal_damage() gave, or
 * is 0 and 0 as one of those. Follow it with journal_sync(). Each call writes the segment anew.
 * ERR_INVALID: not as many lines; ERR_NOT_FOUND: no such damage. */
int journal_repair(struct journal *journal, uint64_t first, uint64_t last, const struct buf *lines);

/* ---- reading --------------------------------------------------------------------------------- */

struct journal_read;
typedef void (*journal_read_fn)(struct journal_read *read, int status);

/* A read that is under way; embedded in the owner's own. */
struct journal_read {
    /* The owner's. */
    uint64_t from;
    unsigned lines_max; /* 0: no limit */
    size_t bytes_max;   /* > 0, at most JOURNAL_READ_BYTES_MAX; one line always fits */
    void *data;
    /* The result, until the next read or journal_read_done(). */
    struct buf lines;             /* whole lines with their newlines, see journal_next_line() */
    uint64_t next;                /* the number behind the last line that was read */
    struct journal_damage damage; /* of ERR_CORRUPT */
    /* The journal's. */
    journal_read_fn cb;
    struct journal *journal;
    int status;
    struct journal_plan *plan;
    LIST_ENTRY(journal_read) entry;
};

/* Reads durable lines from `from` on, on a thread of libuv's pool, as far as they lie in one
 * segment and within the limits; `cb` is called on the loop, never from within, with 0 and at least
 * one line, or: ERR_NOT_FOUND: `from` lies before the first line (by then) or behind the last
 * durable one; ERR_CORRUPT with `damage` when the first line wanted is damaged; -errno. `read` is
 * zeroed before its first use. */
void journal_read(struct journal *journal, struct journal_read *read, journal_read_fn cb);
/* `cb` will not be called. Does nothing when no read is under way. */
void journal_read_cancel(struct journal_read *read);
/* The same, blocking, without `cb`. */
int journal_read_now(struct journal *journal, struct journal_read *read);
void journal_read_done(struct journal_read *read); /* frees the result; cancels */

/* Takes the next line of a result at `*at`, and advances it; false at the end. */
bool journal_next_line(const struct buf *lines, size_t *at, struct journal_line *line);

/* ---- how it fares ---------------------------------------------------------------------------- */

/* What the open cut off: the remains of a write that a crash interrupted; 0 normally. */
uint64_t journal_torn_bytes(const struct journal *journal);
uint64_t journal_bytes_in_flight(const struct journal *journal);
uint64_t journal_bytes_on_disk(const struct journal *journal); /* of lines */
unsigned journal_segments(const struct journal *journal);
/* How long the oldest line or request has waited for the disk; 0 when none waits. */
uint64_t journal_oldest_wait_ms(const struct journal *journal);
int journal_status(const struct journal *journal); /* 0, or the error that it failed with */

#endif
