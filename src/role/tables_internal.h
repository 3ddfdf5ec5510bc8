/* What the parts of the tables role share; nobody else includes it. */
#ifndef ROLE_TABLES_INTERNAL_H
#define ROLE_TABLES_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "role/catalog.h"
#include "role/catalog_call.h"
#include "role/node.h"
#include "role/tables.h"
#include "run/object_store.h"

struct tables_load;
struct tables_publish;
struct tables_when;

enum {
    TABLES_CACHE_BYTES_MAX = 128 << 20, /* of logs that no query uses; one is always kept */
    TABLES_ROUNDS_MAX = 64,             /* questions of one snapshot */
};

/* A table's log as this node knows it. */
struct tables_cached {
    struct uuid id;
    char *name;
    char *place;
    struct delta_log *log; /* NULL: not read yet */
    bool loading;
    uint64_t trimmed; /* version at which it was trimmed last */
    uint64_t used;
    UT_hash_handle hh;
};

struct tables_call {
    TAILQ_ENTRY(tables_call) link;
    struct tables *tables;
    tables_done_fn fn;
    void *arg;

    struct catalog_call *catalog; /* under way */
    struct tables_load *load;
    struct tables_when *when;
    struct object_call *object;
    struct loop_timer timer;
    void (*step)(struct tables_call *call); /* what the timer calls */

    char *name;
    uint64_t version; /* wanted */
    int64_t at_ms;
    unsigned rounds;
    bool waits; /* for somebody else's load of `id` */
    bool loads; /* for all of them */
    struct uuid id;
    struct error error;

    /* create */
    Wire__TableCreate *create;
    bool has_schema, may_exist;
    /* drop */
    char *place;
    char *user;
    bool owned;
    /* list, history */
    struct tables_table *list;
    size_t list_n, list_cap;
    struct tables_entry *entries;
    size_t entries_n;
};

struct tables {
    struct node *node;
    struct object_store *objects;
    char *place;
    struct catalog *catalog;
    struct tables_publish *publish;
    TAILQ_HEAD(, tables_call) calls;
    struct tables_cached *cache;
    uint64_t uses;
    struct executor_pool *executors; /* of its own, while the node has no others */
    uint64_t checkpoints;            /* serial number of scratch files */
    bool stopping;
    unsigned stops; /* parts that have not ended */
};

/* ---- tables.c ----------------------------------------------------------------------------------
 */

struct tables_call *tables_call_new(struct tables *tables, tables_done_fn fn, void *arg);
/* Tells the result and frees the call. */
void tables_call_end(struct tables_call *call, const struct tables_result *result);
void tables_call_fail(struct tables_call *call, int code, const char *text);
/* The same from the loop, for functions that must not call back. */
void tables_call_fail_later(struct tables_call *call, int code, const char *text);
/* The name without "main."; malloc'ed. */
char *tables_name(const char *name);
/* A new question; `fn` gets the call. */
void tables_call_ask(struct tables_call *call, const Wire__CatalogRequest *request,
                     catalog_call_fn fn);
/* Fills a result's table from a row. */
void tables_table_of(const Wire__CatalogTable *row, struct tables_table *table);

struct tables_cached *tables_cached_get(struct tables *tables, const struct uuid *id);
struct tables_cached *tables_cached_named(struct tables *tables, const char *name);
struct tables_cached *tables_cached_put(struct tables *tables, const Wire__CatalogTable *row);
/* `log` is taken. */
void tables_cached_set(struct tables *tables, struct tables_cached *cached, struct delta_log *log);
void tables_cached_drop(struct tables *tables, struct tables_cached *cached);
/* Lets go of logs that were not used for long. */
void tables_cache_trim(struct tables *tables);

/* ---- tables_snapshot.c --------------------------------------------------------------------------
 */

/* The load that others wait for has ended, or will not. */
void tables_snapshot_load_ended(struct tables *tables, const struct uuid *id);

/* ---- tables_load.c: a log out of the object store
 * ------------------------------------------------ */

/* `log` (taken) has exactly `version`; or code and text. */
typedef void (*tables_load_fn)(void *arg, int code, const char *text, struct delta_log *log);

/* `version` DELTA_NO_VERSION: as far as the log goes. */
struct tables_load *tables_load_start(struct tables *tables, const char *place, uint64_t version,
                                      tables_load_fn fn, void *arg);
void tables_load_cancel(struct tables_load *load);

/* ---- tables_when.c: the version of a time, by the log alone ------------------------------------
 */

typedef void (*tables_when_fn)(void *arg, int code, const char *text, uint64_t version);

/* `fn` once, never from inside. ERR_NOT_FOUND: the log begins later. */
struct tables_when *tables_when_start(struct tables *tables, const char *place, int64_t at_ms,
                                      tables_when_fn fn, void *arg);
void tables_when_cancel(struct tables_when *when);

/* ---- tables_publish.c: the leader's duty
 * --------------------------------------------------------- */

struct tables_publish *tables_publish_new(struct tables *tables);
void tables_publish_active(struct tables_publish *publish, bool active);
void tables_publish_wake(struct tables_publish *publish, const uint8_t id[16]);
void tables_publish_stop(struct tables_publish *publish, void (*stopped)(void *arg), void *arg);
void tables_publish_free(struct tables_publish *publish);

/* ---- tables_api.c
 * -------------------------------------------------------------------------------- */

void tables_api_add_routes(struct tables *tables);

#endif
