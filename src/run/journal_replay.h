/* Reading a journal back at the open: which lines it holds, where it ends, what is damaged. */
#ifndef RUN_JOURNAL_REPLAY_H
#define RUN_JOURNAL_REPLAY_H

#include <stdint.h>

#include "base/error.h"
#include "run/journal.h"
#include "run/journal_file.h"
#include "run/journal_table.h"

struct journal_replay {
    struct wal_dir *dir;
    struct journal_table *table;
    const struct journal_options *options;

    uint64_t log;  /* 0 before any head was read */
    uint64_t next; /* number of the line that comes next */
    uint64_t torn_bytes;
};

/* Fills `table` from the directory, hands the lines to the options' on_line, cuts a torn tail,
 * removes damage that took no line. An empty directory leaves the table empty. */
int journal_replay_run(struct journal_replay *replay, struct error *e);

#endif
