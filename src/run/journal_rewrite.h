/* Writing a segment anew: with lines put back, with other carried lines, without garbage. The file
 * is replaced as a whole: a crash leaves the old one or the new one. */
#ifndef RUN_JOURNAL_REWRITE_H
#define RUN_JOURNAL_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/journal_file.h"
#include "run/journal_table.h"

struct journal_rewrite {
    struct wal_dir *dir;
    struct journal_table *table; /* its mutex is free */
    uint64_t log;
    struct journal_segment *segment;
    const struct buf *carry; /* objects, a newline behind each; NULL: those there are */
    bool damaged_carry;      /* carried lines are missing: the new head still says so */
    uint64_t first;          /* lines to put back, 0: none */
    uint64_t last;
    const struct buf *lines; /* objects, a newline behind each */
};

/* -errno: the file is as it was. */
int journal_rewrite(const struct journal_rewrite *rewrite);

/* Takes the next object of `objects` at `*at`; false at the end. */
bool journal_next_object(const struct buf *objects, size_t *at, const char **object, size_t *len);
/* How many there are; -1 when one is not as journal_append() takes it. */
int64_t journal_count_objects(const struct buf *objects);

/* Head and carried lines of a segment. `carry` may be NULL. */
void journal_put_beginning(struct buf *b, uint64_t log, uint64_t first, const struct buf *carry);

#endif
