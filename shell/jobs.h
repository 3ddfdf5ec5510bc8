/* What several job commands share: pages, waiting, how a job or task ended. */
#ifndef SHELL_JOBS_H
#define SHELL_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client/client_path.h"
#include "shell/shell.h"

enum { JOBS_PAGE_ROWS = 1000, JOBS_PAGE_ROWS_MIN = 100, JOBS_WAIT_SLICE_MS = 20000 };

/* Fetches the pages of a list, at most `limit` rows: each page begins after the last row's
 * `after_key`. 0 and *rows, which is yours, or an exit status after saying what went wrong. */
int jobs_fetch_pages(struct shell *shell, const struct client_path *path, const char *after_key,
                     uint64_t limit, json_t **rows);
/* The same behind the rows that there are, at most `limit` with them. */
int jobs_fetch_more(struct shell *shell, const struct client_path *path, const char *after_key,
                    uint64_t limit, json_t *rows);

int jobs_fetch(struct shell *shell, const char *id, json_t **job);

/* Waits until the job has ended or `deadline_ms` (clock_mono_ms) is reached, telling on the status
 * line how far it is unless `quiet`. 0 and *job; SHELL_STATUS_FAILED when it didn't end in time,
 * which was said; else as jobs_fetch. */
int jobs_wait(struct shell *shell, const char *id, int64_t deadline_ms, bool quiet, json_t **job);

bool jobs_has_ended(const json_t *job);
bool jobs_has_succeeded(const json_t *job);
/* "job 4f12… (name) failed: 3 of 10 elements" */
char *jobs_summary(const json_t *job);

/* Exit status of a task as people read it: "0", "3", "signal 9", nothing while it runs. */
char *jobs_exit_text(const json_t *task);

const char *jobs_text(const json_t *object, const char *key); /* never NULL */

#endif
