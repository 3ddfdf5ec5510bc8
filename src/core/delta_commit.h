/* Entries of a Delta log as this program writes them, and what one changes.
 *
 * Source: Delta protocol, "Actions", "Delta Log Entries". */
#ifndef CORE_DELTA_COMMIT_H
#define CORE_DELTA_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/delta_log.h"

/* A file as an executor wrote it. */
struct delta_new_file {
    const char *path;                    /* lake_action_path() */
    const char *const *partition_values; /* one for each partition column, NULL is null */
    uint64_t size;
    int64_t modified_ms;
    const char *stats; /* a JSON object in Delta's form; NULL: none */
};

struct delta_commit_info {
    int64_t at_ms;
    const char *operation;  /* "WRITE", "DELETE", "UPDATE", "OPTIMIZE", "CREATE TABLE", ... */
    const char *parameters; /* a JSON object whose values are strings; NULL: {} */
    const char *user;       /* NULL: left out */
    const char *engine;     /* "clusterd/VERSION" */
    const char *txn_id;     /* NULL: left out */
    uint64_t read_version;  /* DELTA_NO_VERSION: left out */
    const char *metrics;    /* a JSON object whose values are strings; NULL: left out */
};

/* Each appends one line, or ERR_TOO_LARGE. */
int delta_write_protocol(struct buf *b, const struct delta_schema *schema);
/* The protocol that a table with the protocol `now` needs for `schema`; nothing when it has it. */
int delta_write_upgrade(struct buf *b, const struct delta_schema *schema,
                        const struct delta_protocol *now);
/* `id`, `schema`, partitions, properties are written; `created_ms` 0 is left out. */
int delta_write_metadata(struct buf *b, const struct delta_metadata *metadata);
int delta_write_add(struct buf *b, const struct delta_metadata *metadata,
                    const struct delta_new_file *file, bool data_change);
int delta_write_remove(struct buf *b, const struct delta_view *view, const struct delta_file *file,
                       int64_t at_ms, bool data_change);
int delta_write_info(struct buf *b, const struct delta_commit_info *info);

/* What decides about a commit, taken out of its lines: paths borrowed from `commit`. */
struct delta_change {
    char **added;
    size_t added_n;
    char **removed;
    size_t removed_n;
    bool metadata;                    /* metaData or protocol change */
    bool data;                        /* some file action has dataChange */
    uint64_t rows_added, bytes_added; /* as far as told */
    char *operation;                  /* of commitInfo; NULL: none */
    int64_t at_ms;                    /* of commitInfo; 0: none */
    char *info;                       /* the commitInfo object as JSON; NULL: none */
};

/* Reads an entry. ERR_CORRUPT naming the line. */
int delta_change_parse(const char *text, size_t len, struct delta_change *change, struct error *e);
void delta_change_done(struct delta_change *change);

#endif
