/* The number of a node's last event, in a page of a file that the kernel keeps when the process is
 * killed: no number is ever used twice. After the machine itself went down the page may be old:
 * then numbers are skipped, so that still none is used twice. */
#ifndef RUN_EVENT_SEQ_H
#define RUN_EVENT_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { EVENT_SEQ_SKIP = 1 << 20 };

struct event_seq {
    struct event_seq_page *page; /* mapped, or of memory */
    bool mapped;
};

/* Begins behind the larger of what the file says and `at_least`. `skipped`: numbers were left out
 * because the machine went down. Without a file that can be mapped it counts in memory and returns
 * why. */
int event_seq_open(struct event_seq *seq, const char *path, uint64_t at_least, bool *skipped,
                   struct error *e);
void event_seq_close(struct event_seq *seq);

uint64_t event_seq_last(const struct event_seq *seq);
uint64_t event_seq_next(struct event_seq *seq);
/* No number up to `value` is used from now on. */
void event_seq_raise(struct event_seq *seq, uint64_t value);

#endif
