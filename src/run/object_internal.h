/* What the parts of the object store share; nobody else includes it. */
#ifndef RUN_OBJECT_INTERNAL_H
#define RUN_OBJECT_INTERNAL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "run/object_store.h"
#include "wire/lake_path.h"

struct object_call {
    TAILQ_ENTRY(object_call) link; /* of the queue for threads, or of the calls to buckets */
    struct object_store *store;
    struct object_request request; /* strings and descriptors are the call's own */
    enum lake_scheme scheme;
    char *root;       /* folder: the allowed directory; bucket: its name */
    char *path;       /* what follows: the place's rest and the key, without slashes at its ends */
    size_t place_len; /* of `path` up to where keys begin */
    struct loop_post post;
    int64_t since_us;
    struct trace_span *span;
    void *s3;    /* what object_s3.c keeps for it */
    bool remote; /* among the calls to buckets */

    struct error error;
    struct object_result result;
    struct buf data;
    char *etag;
    struct object_entry *entries;
    size_t entries_n, entries_cap;
};

/* Sets code and text of the result: "PLACE/KEY: what: why" for -errno and our codes. */
int object_call_fail(struct object_call *call, int code, const char *what);
/* The same with the whole sentence. */
int object_call_fail_text(struct object_call *call, int code, const char *text);
/* Copies the key. */
void object_call_add_entry(struct object_call *call, const char *key, uint64_t size,
                           int64_t modified_ms);
/* Tells the result, on the loop; frees the call. */
void object_call_finish(struct object_call *call);
void object_store_count_retry(struct object_store *store);

/* ---- object_file.c: runs on a thread ----------------------------------------------------------
 */

void object_file_run(struct object_call *call);

#endif
