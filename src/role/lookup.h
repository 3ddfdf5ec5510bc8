/* Where the output of an element is: asked of the leader, through the API that users have too. */
#ifndef ROLE_LOOKUP_H
#define ROLE_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_key.h"

struct node;
struct lookup;

enum lookup_state {
    LOOKUP_NEVER_RAN, /* and won't: its job has ended */
    LOOKUP_PENDING,
    LOOKUP_ACTIVE, /* assigned or running */
    LOOKUP_COMPLETED,
    LOOKUP_FAILED,
    LOOKUP_CANCELLED,
    LOOKUP_LOST, /* or given back */
};

/* Everything is copied. */
struct lookup_spec {
    const char *job; /* as users name jobs, without an element: UUID, prefix, "last" */
    uint32_t element;
    uint32_t attempt; /* 0: the latest */
    Wire__OutputStream stream;
    const char *user; /* whose "last" it is */
};

/* Borrowed for the call. */
struct lookup_result {
    enum lookup_state state;
    struct task_key key; /* attempt 0 when there is none */
    uint64_t node;
    bool superseded;
    bool has_stream; /* the whole stream came with it: */
    const uint8_t *data;
    size_t len;
    uint64_t stream_bytes; /* of one that ended */
    bool output_kept;      /* one that ended: its files are on `node` */
};

/* `result`, or NULL and the error. */
typedef void (*lookup_fn)(void *arg, const struct lookup_result *result, const struct error *e);

/* `fn` is called once, never from inside a function of this header. ERR_NOT_FOUND: no such job,
 * element or attempt; else see leader_request.h. */
struct lookup *lookup_task(struct node *node, const struct lookup_spec *spec, lookup_fn fn,
                           void *arg);

/* Whether the element has ended, not just its latest attempt, which must have failed or been
 * cancelled or lost. */
typedef void (*lookup_over_fn)(void *arg, bool over, const struct error *e);
struct lookup *lookup_over(struct node *node, const struct lookup_spec *spec, lookup_over_fn fn,
                           void *arg);

/* The callback won't come. Only before it did. */
void lookup_cancel(struct lookup *lookup);

#endif
