/* Reports of ended attempts that the leader has not acknowledged, on disk, so that a daemon that is
 * started again still reports them.
 *
 *     8 bytes   "CDREPT1\n"
 *     records   u32 LE length of the body, u64 LE XXH3_64bits of the body, body
 *     body      'R' and a packed TaskReport, or 'A' and the keys that were acknowledged
 *
 * What was flushed survives the end of the process at any moment, since write(2) is enough for
 * that; nothing is synced, so after a power cut reports may be missing (their attempts then count
 * as lost). A torn or damaged tail is cut off. The owner keeps the reports; the file is rewritten
 * with them when most of it has been acknowledged. */
#ifndef ROLE_REPORT_JOURNAL_H
#define ROLE_REPORT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_key.h"

enum {
    REPORT_JOURNAL_RECORD_BYTES_MAX = 1 << 20,
    REPORT_JOURNAL_WASTE_BYTES_MIN = 1 << 20, /* smaller files are not rewritten */
};

struct report_journal;

/* Takes a report that was found, in the order of writing; `size` is what report_journal_add() said
 * of it. */
typedef void (*report_journal_fn)(void *arg, Wire__TaskReport *report, size_t size);

/* Opens `path`, creating it when it is not there, and gives `fn` what was not acknowledged.
 * ERR_CORRUPT: not a journal; -errno. Blocks. */
int report_journal_open(const char *path, report_journal_fn fn, void *arg,
                        struct report_journal **out, struct error *e);
void report_journal_close(struct report_journal *journal); /* drops what was not flushed */

/* Each adds a record to what the next flush writes. The first returns the size of its record, which
 * the second wants back. */
size_t report_journal_add(struct report_journal *journal, const Wire__TaskReport *report);
void report_journal_drop(struct report_journal *journal, const struct task_key *key, size_t size);

/* One write(2). On failure (-errno) nothing of it is in the file, and it is tried again with the
 * next flush as long as that fits into memory. */
int report_journal_flush(struct report_journal *journal, struct error *e);

/* Whether a rewrite would make the file much smaller. */
bool report_journal_is_wasteful(const struct report_journal *journal);
/* Replaces the file by one with these reports, which must be all that were added and not dropped.
 */
int report_journal_rewrite(struct report_journal *journal, const Wire__TaskReport *const *reports,
                           size_t n, struct error *e);

#endif
