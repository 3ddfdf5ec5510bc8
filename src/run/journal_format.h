/* Lines of a journal.
 *
 *   head     {"sum":"…","journal":1,"log":"…","first":1,"at":1764333000000,"carry":0}
 *   carried  {"sum":"…","carried":1,OWNER'S MEMBERS}
 *   line     {"sum":"…","seq":41,"batch":40,OWNER'S MEMBERS}
 *
 * A segment is a head, as many carried lines as it says, then lines; newlines fill the rest. `sum`
 * is the XXH3 (64 bits, 16 hexadecimal digits) of the bytes behind it, from the quote of the second
 * member to the last brace: with xxhsum, `printf %s "${line:26}" | xxhsum -H3`. */
#ifndef RUN_JOURNAL_FORMAT_H
#define RUN_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/journal.h"

enum {
    JOURNAL_FORMAT = 1,
    JOURNAL_PREFIX_BYTES_MAX = 96, /* of what the journal puts in front of the owner's members */
    JOURNAL_HEAD_BYTES_MAX = 192,
};

enum journal_kind { JOURNAL_HEAD, JOURNAL_CARRIED, JOURNAL_LINE };

struct journal_head {
    uint64_t log;   /* the same in all segments of a journal */
    uint64_t first; /* number of the first line, also the file's name */
    int64_t at_ms;  /* wall clock when the segment was begun */
    uint64_t carry; /* carried lines that follow */
};

struct journal_mark {
    enum journal_kind kind;
    struct journal_head head; /* of JOURNAL_HEAD */
    uint64_t seq;             /* of JOURNAL_LINE, else 0 */
    uint64_t batch;
    size_t members; /* offset of the owner's part; not of JOURNAL_HEAD */
};

/* Whether `object` is what journal_append() takes. */
bool journal_format_is_object(const char *object, size_t len);

/* Append whole lines; the buffer must have room. */
void journal_format_put_head(struct buf *b, const struct journal_head *head);
void journal_format_put_carried(struct buf *b, const char *object, size_t len);
void journal_format_put_line(struct buf *b, uint64_t seq, uint64_t batch, const char *object,
                             size_t len);
/* The same of an object without its first brace. */
void journal_format_put_members(struct buf *b, uint64_t seq, uint64_t batch, const char *members,
                                size_t len);

/* Reads a line without its newline. ERR_CORRUPT: not a line of ours, or damaged; ERR_VERSION: the
 * head of a newer format. */
int journal_format_get(const char *line, size_t len, struct journal_mark *mark);

/* Where the owner's members begin in a JOURNAL_LINE that was found whole before; the sum is not
 * looked at. */
size_t journal_format_members(const char *line, size_t len);

/* Goes through the bytes of a segment. */
struct journal_scan {
    const char *data;
    size_t len;
    size_t at;
};

enum journal_item_kind { JOURNAL_ITEM_END, JOURNAL_ITEM_LINE, JOURNAL_ITEM_GARBAGE };

struct journal_item {
    enum journal_item_kind kind;
    size_t offset;
    size_t len; /* with the newline */
    struct journal_mark mark;
};

/* The next line, or the next run of bytes that are none; skips newlines that fill. */
void journal_scan_next(struct journal_scan *scan, struct journal_item *item);

#endif
