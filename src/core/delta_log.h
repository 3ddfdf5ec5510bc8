/* The state of one Delta table, replayed from its log; many versions at once.
 *
 * Happy path: the rows of a checkpoint (delta_log_load_*), then each entry in order
 * (delta_log_apply); a view shows the table at one version and stays as it is while later entries
 * come. Files are kept compactly, with the versions in which they came and went: 100,000 files take
 * some 30 MB. Replay is pure: the same entries give the same state.
 *
 * How it fails: a gap, an entry out of order, a line that is no action, a checkpoint that
 * contradicts itself: ERR_CORRUPT naming version and line, and the log is as it was before that
 * entry. A table that asks for more than reader 1 and the features of delta_protocol.h:
 * ERR_UNSUPPORTED naming the feature. What is not known and not asked for is ignored, as the
 * protocol demands.
 *
 * Source: Delta protocol, "Actions", "Action Reconciliation", "Checkpoints". */
#ifndef CORE_DELTA_LOG_H
#define CORE_DELTA_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "core/delta_schema.h"
#include "core/delta_value.h"

struct delta_log;

enum {
    DELTA_ENTRY_BYTES_MAX = 256 << 20, /* one entry of a log */
    DELTA_FILES_MAX = 50000000,
    DELTA_PARTITION_COLUMNS_MAX = 64,
};

#define DELTA_NO_VERSION UINT64_MAX

/* ---- metadata -------------------------------------------------------------------------------- */

struct delta_property {
    char *key;
    char *value;
};

struct delta_metadata {
    char *id;          /* the table's UUID */
    char *name;        /* may be NULL */
    char *description; /* may be NULL */
    struct delta_schema schema;
    size_t *partitions; /* indexes of the partition columns in the schema, in their order */
    size_t partitions_n;
    struct delta_property *properties;
    size_t properties_n;
    int64_t created_ms; /* 0: not told */
};

const char *delta_metadata_property(const struct delta_metadata *metadata, const char *key);
/* Position of a schema column among the partition columns, SIZE_MAX if it is none. */
size_t delta_metadata_partition(const struct delta_metadata *metadata, size_t column);

#define DELTA_APPEND_ONLY "delta.appendOnly" /* a property: nothing is deleted */

struct delta_protocol {
    unsigned min_reader, min_writer;
    char **reader_features, **writer_features;
    size_t reader_features_n, writer_features_n;
};

/* ERR_UNSUPPORTED naming what this program lacks. */
int delta_protocol_check_read(const struct delta_protocol *protocol, struct error *e);
int delta_protocol_check_write(const struct delta_protocol *protocol,
                               const struct delta_metadata *metadata, struct error *e);

/* ---- replay ---------------------------------------------------------------------------------- */

struct delta_log *delta_log_new(void);
/* Open views stay good. NULL allowed. */
void delta_log_free(struct delta_log *log);

/* The rows of the checkpoint of `version` into an empty log. Each row is one action as in an
 * entry's line ({"add":{...}}); protocol and metaData come before the first add. `size` and `adds`
 * are what _last_checkpoint says of it, or DELTA_NO_VERSION. */
int delta_log_load_begin(struct delta_log *log, uint64_t version);
int delta_log_load_line(struct delta_log *log, const char *line, size_t len, struct error *e);
int delta_log_load_end(struct delta_log *log, uint64_t size, uint64_t adds, struct error *e);

/* Applies the entry of `version`, which must be the next one (0 first in an empty log). */
int delta_log_apply(struct delta_log *log, uint64_t version, const char *text, size_t len,
                    struct error *e);

uint64_t delta_log_version(const struct delta_log *log); /* DELTA_NO_VERSION when empty */
uint64_t delta_log_oldest(const struct delta_log *log);  /* first version that views can show */
size_t delta_log_bytes(const struct delta_log *log);     /* of memory */

/* Forgets what no view and no version from `version` on can see, except tombstones. Views of older
 * versions can then no longer be opened. */
void delta_log_trim(struct delta_log *log, uint64_t version);

/* ---- views ----------------------------------------------------------------------------------- */

struct delta_view;

/* `version` DELTA_NO_VERSION: the latest. ERR_NOT_FOUND naming the versions that there are. */
int delta_view_open(struct delta_log *log, uint64_t version, struct delta_view **view,
                    struct error *e);
void delta_view_close(struct delta_view *view); /* NULL allowed */

/* Gives the view a copy of what it shows, so that a thread may read it while the log goes on. */
void delta_view_detach(struct delta_view *view);

/* Between the two another thread may read the view as it is: what the log learns meanwhile goes
 * into a copy of what it knows, which is made only then. Both on the log's own thread. */
void delta_view_pin(struct delta_view *view);
void delta_view_unpin(struct delta_view *view);

uint64_t delta_view_version(const struct delta_view *view);
const struct delta_metadata *delta_view_metadata(const struct delta_view *view);
const struct delta_protocol *delta_view_protocol(const struct delta_view *view);
size_t delta_view_files(const struct delta_view *view); /* number of files */
uint64_t delta_view_bytes(const struct delta_view *view);
/* Rows of all files; false when a file does not tell. */
bool delta_view_rows(const struct delta_view *view, uint64_t *rows);
/* Version that `app_id` has reached; false when it never committed. */
bool delta_view_txn(const struct delta_view *view, const char *app_id, int64_t *txn_version);

/* A live file. Pointers are the view's. */
struct delta_file {
    const char *path; /* as in its action: a URI, see lake_action_resolve() */
    uint64_t size;
    int64_t modified_ms;
    uint64_t added_version; /* of the view's log; checkpointed ones have the checkpoint's */
    uint64_t rows;          /* UINT64_MAX: not told */
    uint32_t index;         /* names the file in this log */
};

/* Next file from *at (0 to begin) on, in the order in which they were added; false at the end. */
bool delta_view_next(const struct delta_view *view, size_t *at, struct delta_file *file);
bool delta_view_find(const struct delta_view *view, const char *path, struct delta_file *file);

/* Value of the i-th partition column; NULL is null. */
const char *delta_file_partition(const struct delta_view *view, const struct delta_file *file,
                                 size_t i);

struct delta_range {
    struct delta_value min, max; /* NONE: not known */
    bool min_exact, max_exact;   /* the value stands in the file; else it is only a bound */
    uint64_t nulls;              /* UINT64_MAX: not known */
};

/* What the file's statistics (or its partition value) say of a top-level column; nothing known: all
 * as unknown. */
void delta_file_range(const struct delta_view *view, const struct delta_file *file, size_t column,
                      struct delta_range *range);
/* Appends the statistics as the JSON of an add action; nothing when there are none. */
int delta_file_format_stats(const struct delta_view *view, const struct delta_file *file,
                            struct buf *b);

/* ---- tombstones ------------------------------------------------------------------------------ */

/* Calls `fn` with each removed path that no live file has, and when it was removed (0: not told).
 */
typedef void (*delta_tombstone_fn)(void *arg, const char *path, int64_t removed_ms);
void delta_view_tombstones(const struct delta_view *view, delta_tombstone_fn fn, void *arg);

#endif
