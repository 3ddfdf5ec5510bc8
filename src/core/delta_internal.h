/* What the parts of the Delta log share; nobody else includes it. */
#ifndef CORE_DELTA_INTERNAL_H
#define CORE_DELTA_INTERNAL_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "core/delta_log.h"

/* ---- delta_action.c: one line -----------------------------------------------------------------
 */

enum delta_action_kind {
    DELTA_ACTION_OTHER, /* not needed, or not known */
    DELTA_ACTION_ADD,
    DELTA_ACTION_REMOVE,
    DELTA_ACTION_METADATA,
    DELTA_ACTION_PROTOCOL,
    DELTA_ACTION_TXN,
    DELTA_ACTION_INFO,
};

/* Slices are of the line, strings of the reader; valid until its next line. Raw: JSON; empty:
 * absent or null. */
struct delta_action {
    enum delta_action_kind kind;
    struct json_slice raw;    /* the action's object */
    const char *path;         /* add, remove; NULL: absent */
    struct json_slice values; /* partitionValues, raw */
    struct json_slice stats;  /* raw string */
    struct json_slice tags;   /* raw */
    int64_t size;             /* -1: absent */
    int64_t time_ms;          /* modificationTime or deletionTimestamp; 0: absent */
    bool data_change;
    bool deletion_vector;
};

struct delta_action_reader {
    struct json_scan scan;
    struct buf path;
};

void delta_action_reader_init(struct delta_action_reader *r);
void delta_action_reader_done(struct delta_action_reader *r);

/* ERR_CORRUPT with what is wrong, without saying where. */
int delta_action_read(struct delta_action_reader *r, const char *line, size_t len,
                      struct delta_action *action, struct error *e);

/* Next line of `text` (of `len` bytes) from *at on, without its end; false at the end. Empty lines
 * are passed over. */
bool delta_next_line(const char *text, size_t len, size_t *at, const char **line, size_t *line_len);

/* ---- delta_meta.c: metaData, protocol, txn ------------------------------------------------------
 */

int delta_metadata_parse(const struct json_slice *raw, struct delta_metadata *metadata,
                         struct error *e);
void delta_metadata_done(struct delta_metadata *metadata);
int delta_protocol_parse(const struct json_slice *raw, struct delta_protocol *protocol,
                         struct error *e);
void delta_protocol_done(struct delta_protocol *protocol);
/* `app_id` is malloc'ed. */
int delta_txn_parse(const struct json_slice *raw, char **app_id, int64_t *version, struct error *e);

/* ---- delta_facts.c: partition values, tags and statistics of a file, packed
 * ---------------------- */

/* A leaf of a schema that statistics were seen of: one id for each path and type. */
struct delta_leaf {
    char *key; /* path and type */
    struct delta_type type;
    uint32_t id;
    UT_hash_handle hh;
};

struct delta_leaves {
    struct delta_leaf *by_key;
    struct delta_leaf **by_id;
    size_t n, cap;
};

/* A schema as statistics are nested. */
struct delta_node {
    const struct delta_field *field;
    struct delta_node *children; /* of a struct */
    size_t children_n;
    uint32_t leaf; /* without children: its id */
};

/* Metadata with what replay needs of it. */
struct delta_meta {
    struct delta_metadata metadata;
    struct delta_node *nodes; /* one for each column */
    unsigned refs;
};

void delta_leaves_done(struct delta_leaves *leaves);
/* Takes `metadata`. */
struct delta_meta *delta_meta_new(struct delta_metadata *metadata, struct delta_leaves *leaves);
struct delta_meta *delta_meta_ref(struct delta_meta *meta);
void delta_meta_unref(struct delta_meta *meta);

/* Statistics of one leaf while they are read. */
struct delta_found {
    uint64_t nulls; /* UINT64_MAX: none */
    struct delta_value min, max;
    bool min_exact, max_exact;
    size_t min_at, max_at; /* of texts, in `texts` */
    bool touched;
};

struct delta_packer {
    struct json_scan scan;     /* of partitionValues */
    struct json_scan outer;    /* of the raw string of stats */
    struct json_scan inner;    /* of its content */
    struct delta_found *found; /* by leaf id */
    size_t found_n;
    uint32_t *touched;
    size_t touched_n, touched_cap;
    struct buf texts;
    struct buf packed; /* the result */
};

void delta_packer_init(struct delta_packer *p);
void delta_packer_done(struct delta_packer *p);

/* Packs what the add action says; sets *rows (UINT64_MAX: not told). ERR_CORRUPT: a partition value
 * is missing or malformed. Statistics that do not parse are left out. */
int delta_pack(struct delta_packer *p, const struct delta_action *action,
               const struct delta_meta *meta, const struct delta_leaves *leaves, uint64_t *rows,
               struct error *e);

/* The i-th partition value; NULL is null. */
const char *delta_facts_partition(const uint8_t *facts, size_t i);
/* Raw JSON of the tags; NULL when there are none. `partitions_n` as when it was packed. */
const char *delta_facts_tags(const uint8_t *facts, size_t partitions_n, size_t *len);

struct delta_leaf_stats {
    struct delta_value min, max;
    bool min_exact, max_exact;
    uint64_t nulls; /* UINT64_MAX: not known */
};

/* False when nothing is known of the leaf. */
bool delta_facts_leaf(const uint8_t *facts, size_t partitions_n, const struct delta_leaves *leaves,
                      uint32_t leaf, struct delta_leaf_stats *stats);
size_t delta_facts_len(const uint8_t *facts, size_t partitions_n,
                       const struct delta_leaves *leaves);
/* Appends them all as JSON; nothing when there are none and `rows` is UINT64_MAX. */
int delta_facts_format(const uint8_t *facts, size_t partitions_n, const struct delta_leaves *leaves,
                       const struct delta_meta *meta, uint64_t rows, struct buf *b);

/* ---- delta_state.c ------------------------------------------------------------------------------
 */

enum { DELTA_NO_ROW = UINT32_MAX };

/* A file action: live in the versions [added, removed). Tombstones of checkpoints have both equal.
 */
struct delta_row {
    const char *path;
    const uint8_t *facts;          /* NULL for tombstones of checkpoints */
    const struct delta_meta *meta; /* whose partition columns `facts` has; borrowed of the state */
    uint64_t size;
    uint64_t rows;
    int64_t time_ms; /* modified; */
    int64_t removed_ms;
    uint64_t added;
    uint64_t removed; /* DELTA_NO_VERSION: live */
    uint32_t older;   /* the row of the same path before this one */
};

struct delta_txn {
    char *app_id;
    struct delta_txn_step {
        uint64_t since;
        int64_t version;
    } * steps;
    size_t n, cap;
    UT_hash_handle hh;
};

struct delta_meta_step {
    uint64_t since;
    struct delta_meta *meta;
};

struct delta_protocol_step {
    uint64_t since;
    struct delta_protocol protocol;
};

struct delta_chunk;

struct delta_state {
    unsigned refs;
    unsigned pins; /* of views that other threads read */
    uint64_t version;
    uint64_t oldest;
    struct delta_chunk *chunks;
    size_t arena_bytes;
    struct delta_row *rows;
    size_t rows_n, rows_cap;
    uint32_t *slots; /* by path: latest row */
    size_t slots_n;  /* a power of two, or 0 */
    size_t paths;
    struct delta_leaves leaves;
    struct delta_meta_step *metas;
    size_t metas_n, metas_cap;
    struct delta_protocol_step *protocols;
    size_t protocols_n, protocols_cap;
    struct delta_txn *txns;
    size_t live_files;
    uint64_t live_bytes, live_rows;
    size_t live_rowless; /* files that do not tell their rows */
};

struct delta_state *delta_state_new(void);
struct delta_state *delta_state_ref(struct delta_state *state);
void delta_state_unref(struct delta_state *state);

void *delta_state_alloc(struct delta_state *state, const void *data, size_t len);
/* Row of a path, DELTA_NO_ROW when there is none. */
uint32_t delta_state_find(const struct delta_state *state, const char *path);
struct delta_meta *delta_state_meta(const struct delta_state *state, uint64_t version);
const struct delta_protocol *delta_state_protocol(const struct delta_state *state,
                                                  uint64_t version);
/* Each becomes visible at `version`. */
void delta_state_set_meta(struct delta_state *state, uint64_t version, struct delta_meta *meta);
void delta_state_set_protocol(struct delta_state *state, uint64_t version,
                              struct delta_protocol *protocol);
void delta_state_set_txn(struct delta_state *state, uint64_t version, const char *app_id,
                         int64_t txn_version);
void delta_state_add(struct delta_state *state, uint64_t version, const struct delta_action *action,
                     const struct buf *facts, uint64_t rows);
void delta_state_remove(struct delta_state *state, uint64_t version,
                        const struct delta_action *action);
/* A new state without what nobody can see from `version` on. */
struct delta_state *delta_state_trimmed(const struct delta_state *state, uint64_t version);
size_t delta_state_bytes(const struct delta_state *state);

struct delta_log {
    struct delta_state *state;
    bool loading; /* a checkpoint */
    uint64_t loaded_actions;
    uint64_t loaded_adds;
    struct delta_action_reader reader;
    struct delta_packer packer;
};

struct delta_view {
    struct delta_state *state;
    uint64_t version;
    struct delta_meta *meta;
    size_t files;
    uint64_t bytes, rows;
    bool rows_known;
};

#endif
