/* What a checkpoint holds, and which files may be deleted for good.
 *
 * Source: Delta protocol, "Checkpoints", "Checkpoint Schema", "Last Checkpoint File Schema". */
#ifndef CORE_DELTA_CHECKPOINT_H
#define CORE_DELTA_CHECKPOINT_H

#include <stdint.h>

#include "core/delta_log.h"

enum { DELTA_CHECKPOINT_EVERY = 10 }; /* entries */

struct delta_checkpoint_counts {
    uint64_t actions;
    uint64_t adds;
};

/* Gives the rows of the checkpoint of the view's version, one JSON object a line as in an entry,
 * without commitInfo; tombstones that are younger than `tombstones_from_ms` stay. `fn` returns 0 or
 * a code that ends it and is returned. */
typedef int (*delta_line_fn)(void *arg, const char *line, size_t len);
int delta_checkpoint_write(const struct delta_view *view, int64_t tombstones_from_ms,
                           delta_line_fn fn, void *arg, struct delta_checkpoint_counts *counts);

struct delta_last_checkpoint {
    uint64_t version;
    uint64_t size;  /* actions; DELTA_NO_VERSION: not told */
    uint64_t adds;  /* DELTA_NO_VERSION: not told */
    uint32_t parts; /* 0: one file */
};

/* ERR_CORRUPT: ask for a listing instead. */
int delta_last_checkpoint_parse(const char *json, size_t len, struct delta_last_checkpoint *last,
                                struct error *e);
char *delta_last_checkpoint_format(const struct delta_last_checkpoint *last, uint64_t bytes);

/* Decides about files found below a table's place: a key may be deleted when it is no live file,
 * belongs to nobody else (hidden names, names beginning with '_'), and was taken out of the table
 * before `before_ms`; or, of a file that the log knows nothing of, was written before `before_ms`
 * and `unknown_before_ms` (a statement that runs may still commit it). Paths of the log mean keys
 * however their writer spelled them. Feed it each key of a listing. */
struct delta_vacuum;
struct delta_vacuum *delta_vacuum_new(const struct delta_view *view, const char *place,
                                      int64_t before_ms, int64_t unknown_before_ms);
void delta_vacuum_free(struct delta_vacuum *vacuum);
bool delta_vacuum_wants(const struct delta_vacuum *vacuum, const char *key, int64_t modified_ms);

#endif
