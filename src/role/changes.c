/* Happy path: adds pack into one growing buffer; the commit hook proposes it when less than
 * CHANGES_IN_FLIGHT_MAX batches are on their way; each answer goes to the one that added. */
#include "role/changes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

enum { CHANGES_VARINT_BYTES_MAX = 10, CHANGES_TAG_AT = 0x08, CHANGES_TAG_CHANGE = 0x12 };

struct changes_wait {
    changes_done_fn done;
    void *arg;
};

struct changes_batch {
    struct changes *changes;
    struct buf bytes; /* of a wire.Batch */
    struct changes_wait *waits;
    size_t waits_n;
    size_t waits_cap;
};

struct changes {
    changes_audit_fn on_audit; /* NULL: nobody */
    void *on_audit_arg;
    struct state *state;
    struct loop_hook hook;
    struct changes_batch *open;
    unsigned in_flight;
    struct {
        changes_source_fn fn;
        void *arg;
    } sources[CHANGES_SOURCES_MAX];
    unsigned sources_n;
};

static size_t changes_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

static struct changes_batch *changes_batch_new(struct changes *changes)
{
    struct changes_batch *batch = mem_zalloc(sizeof *batch);
    batch->changes = changes;
    buf_init(&batch->bytes, SIZE_MAX / 4);
    uint8_t head[1 + CHANGES_VARINT_BYTES_MAX] = {CHANGES_TAG_AT};
    size_t n = changes_varint(head + 1, (uint64_t)clock_wall_ms());
    (void)buf_append(&batch->bytes, head, n + 1);
    return batch;
}

static void changes_batch_free(struct changes_batch *batch)
{
    buf_done(&batch->bytes);
    free(batch->waits);
    free(batch);
}

static void changes_batch_end(struct changes_batch *batch, int code,
                              const struct state_result *results, size_t n)
{
    for (size_t i = 0; i < batch->waits_n; i++)
        if (batch->waits[i].done != NULL)
            batch->waits[i].done(batch->waits[i].arg, code,
                                 code == 0 && i < n ? &results[i] : NULL);
    changes_batch_free(batch);
}

static void changes_on_proposed(void *arg, int code, const struct state_result *results, size_t n)
{
    struct changes_batch *batch = arg;
    struct changes *changes = batch->changes;
    changes->in_flight--;
    loop_hook_arm(&changes->hook);
    changes_batch_end(batch, code, results, n);
}

static void changes_propose(struct changes *changes)
{
    struct changes_batch *batch = changes->open;
    changes->open = NULL;
    changes->in_flight++;
    metric_observe(METRIC_RAFT_BATCH, (int64_t)batch->waits_n);
    state_propose(changes->state, batch->bytes.data, batch->bytes.len, changes_on_proposed, batch);
}

static void changes_refuse(struct changes *changes, int code)
{
    struct changes_batch *batch = changes->open;
    changes->open = NULL;
    if (batch != NULL)
        changes_batch_end(batch, code, NULL, 0);
}

static void changes_on_hook(void *arg)
{
    struct changes *changes = arg;
    if (state_is_full(changes->state)) { /* sources wait, and go on when there is room */
        changes_refuse(changes, -ENOSPC);
        return;
    }
    if (changes->in_flight >= CHANGES_IN_FLIGHT_MAX)
        return;
    for (unsigned i = 0; i < changes->sources_n; i++)
        changes->sources[i].fn(changes->sources[i].arg);
    if (changes->open != NULL)
        changes_propose(changes);
}

struct changes *changes_new(struct loop *loop, struct state *state)
{
    struct changes *changes = mem_zalloc(sizeof *changes);
    changes->state = state;
    loop_hook_init(&changes->hook, loop, LOOP_PHASE_COMMIT, changes_on_hook, changes);
    return changes;
}

void changes_free(struct changes *changes)
{
    if (changes == NULL)
        return;
    assert(changes->in_flight == 0);
    loop_hook_disarm(&changes->hook);
    if (changes->open != NULL)
        changes_batch_free(changes->open);
    free(changes);
}

void changes_add(struct changes *changes, const Wire__Change *change, changes_done_fn done,
                 void *arg)
{
    if (changes->open != NULL && changes->open->bytes.len > CHANGES_BATCH_BYTES_MAX)
        changes_propose(changes);
    if (changes->open == NULL)
        changes->open = changes_batch_new(changes);
    struct changes_batch *batch = changes->open;
    size_t len = wire__change__get_packed_size(change);
    uint8_t head[1 + CHANGES_VARINT_BYTES_MAX] = {CHANGES_TAG_CHANGE};
    size_t n = changes_varint(head + 1, len);
    (void)buf_append(&batch->bytes, head, n + 1);
    (void)buf_reserve(&batch->bytes, len);
    (void)wire__change__pack(change, batch->bytes.data + batch->bytes.len);
    batch->bytes.len += len;
    MEM_GROW(batch->waits, batch->waits_cap, batch->waits_n + 1);
    batch->waits[batch->waits_n++] = (struct changes_wait){.done = done, .arg = arg};
    loop_hook_arm(&changes->hook);
}

void changes_audit(struct changes *changes, const char *user, const char *action,
                   const char *object, const char *detail)
{
    Wire__AuditRow row = WIRE__AUDIT_ROW__INIT;
    row.at_ms = (uint64_t)clock_wall_ms();
    row.user = (char *)(uintptr_t)user;
    row.action = (char *)(uintptr_t)action;
    row.object = (char *)(uintptr_t)object;
    row.detail = (char *)(uintptr_t)detail;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_AUDIT;
    change.audit = &row;
    changes_add(changes, &change, NULL, NULL);
    log_info(LOG_ABOUT(.role = "audit"), "%s: %s %s%s%s", user, action, object, *detail ? ": " : "",
             detail);
    if (changes->on_audit != NULL)
        changes->on_audit(changes->on_audit_arg, user, action, object, detail);
}

void changes_on_audit(struct changes *changes, changes_audit_fn fn, void *arg)
{
    changes->on_audit = fn;
    changes->on_audit_arg = arg;
}

void changes_add_source(struct changes *changes, changes_source_fn fn, void *arg)
{
    assert(changes->sources_n < CHANGES_SOURCES_MAX);
    changes->sources[changes->sources_n].fn = fn;
    changes->sources[changes->sources_n].arg = arg;
    changes->sources_n++;
}

bool changes_has_open(const struct changes *changes)
{
    return changes->open != NULL;
}

void changes_wake(struct changes *changes)
{
    loop_hook_arm(&changes->hook);
}

void changes_reset(struct changes *changes)
{
    changes_refuse(changes, ERR_NOT_LEADER);
}
