/* Every path of the lake: tables, their logs and data files, shuffle files and manifests. No other
 * module builds or takes apart such a path.
 *
 * A place is a URL, "file:/abs/dir" or "s3://bucket/prefix", without a slash at its end; a key is
 * relative to a place, its parts separated by '/'. Text comes malloc'ed. Names of log files as in
 * the Delta protocol, "Delta Log Entries" and "Checkpoints". */
#ifndef WIRE_LAKE_PATH_H
#define WIRE_LAKE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"

enum {
    LAKE_KEY_BYTES_MAX = 1024, /* of a key, also S3's limit */
    LAKE_URL_BYTES_MAX = 4096,
    LAKE_NAME_BYTES_MAX = 255, /* of one part of a key */
    LAKE_LOG_NAME_MAX = 80,
};

#define LAKE_LOG_DIR         "_delta_log"
#define LAKE_LOG_PREFIX      LAKE_LOG_DIR "/"
#define LAKE_LAST_CHECKPOINT LAKE_LOG_PREFIX "_last_checkpoint"
#define LAKE_SHUFFLE_PREFIX  "shuffle/"

/* ---- places ---------------------------------------------------------------------------------- */

enum lake_scheme { LAKE_SCHEME_FILE, LAKE_SCHEME_S3 };

struct lake_url {
    enum lake_scheme scheme;
    char *bucket; /* S3 only, else "" */
    char *path;   /* file: absolute; S3: the prefix without slashes at its ends, may be "" */
};

/* Takes "file:/p", "file:///p", "/p" and "s3://bucket[/prefix]", also "s3a://"; slashes at the end
 * are dropped. ERR_INVALID with a sentence. */
int lake_url_parse(const char *text, struct lake_url *url, struct error *e);
void lake_url_done(struct lake_url *url);
/* The one spelling of a place: two places are the same if this is. */
char *lake_url_format(const struct lake_url *url);
/* Whether `inner` is `outer` or below it; both in that spelling. */
bool lake_url_contains(const char *outer, const char *inner);
/* PLACE/KEY */
char *lake_url_join(const char *place, const char *key);

/* Whether `key` is one: parts that are not empty, "." or "..", no control characters, bounds kept.
 */
bool lake_key_is_valid(const char *key);

/* Where a new table lives that was given no place: STORE/tables/NAME-UUID; what is not a letter,
 * digit or '_' in the name becomes '_'. */
char *lake_table_place(const char *store, const char *name, const struct uuid *id);

/* ---- a table's log --------------------------------------------------------------------------- */

enum lake_log_kind {
    LAKE_LOG_ENTRY,           /* N.json */
    LAKE_LOG_CHECKPOINT,      /* N.checkpoint.parquet */
    LAKE_LOG_CHECKPOINT_PART, /* N.checkpoint.PART.PARTS.parquet */
    LAKE_LOG_CHECKPOINT_UUID, /* N.checkpoint.UUID.{json,parquet}: of the feature v2Checkpoint */
    LAKE_LOG_OTHER,           /* checksums, compacted entries, ... : not needed to read a table */
};

struct lake_log_name {
    enum lake_log_kind kind;
    uint64_t version;
    uint32_t part; /* from 1 */
    uint32_t parts;
};

/* Keys: "_delta_log/00000000000000000007.json" ... */
const char *lake_log_entry(uint64_t version, char out[static LAKE_LOG_NAME_MAX]);
const char *lake_log_checkpoint(uint64_t version, char out[static LAKE_LOG_NAME_MAX]);
const char *lake_log_checkpoint_part(uint64_t version, uint32_t part, uint32_t parts,
                                     char out[static LAKE_LOG_NAME_MAX]);
/* What a listing is started behind in order to see everything of `version` and later. */
const char *lake_log_before(uint64_t version, char out[static LAKE_LOG_NAME_MAX]);
/* Takes a key apart. */
void lake_log_parse(const char *key, struct lake_log_name *name);

/* ---- data files ------------------------------------------------------------------------------ */

/* A partition column and its value as Delta writes it (core/delta_value.h); NULL is null. */
struct lake_partition {
    const char *column;
    const char *value;
};

/* "part-UUID.parquet", below "col=value/..." as Hive escapes it (long ones cut); null is
 * __HIVE_DEFAULT_PARTITION__. */
char *lake_data_key(const struct lake_partition *partitions, size_t n, const struct uuid *id);
/* "col=value/col2=value2/" or "" */
char *lake_data_dir(const struct lake_partition *partitions, size_t n);

/* The `path` of an add or remove action (a URI, RFC 2396) for a key, and the other way round:
 * `place` and `key` are where the file is: below the table's place, or wherever an absolute path
 * points. ERR_INVALID: it leads out of the table or is malformed. */
char *lake_action_path(const char *key);
int lake_action_resolve(const char *table_place, const char *path, char **place, char **key,
                        struct error *e);

/* ---- shuffle --------------------------------------------------------------------------------- */

/* Keys below the store's place. All of a query: shuffle/QUERY/; the output of one attempt:
 * .../STAGE/TASK-ATTEMPT/PARTITION.parquet; what counts: .../STAGE/SUCCESS. */
char *lake_shuffle_prefix(const struct uuid *query);
char *lake_shuffle_file(const struct uuid *query, unsigned stage, unsigned task, unsigned attempt,
                        unsigned partition);
char *lake_shuffle_manifest(const struct uuid *query, unsigned stage);
/* Whether a key below the store's place belongs to a query, and goes with it. */
bool lake_key_is_shuffle(const char *key);

#endif
