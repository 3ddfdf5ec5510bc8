/* The log as far as it is in memory: the newest entries, and the terms of all. */
#define XXH_INLINE_ALL
#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "core/order_internal.h"

enum { LOG_RING_CAP_MIN = 64 };

_Static_assert(offsetof(struct order_entry, number) ==
                   offsetof(struct order_entry, client) + sizeof(struct uuid),
               "client and number are one key");

/* ---- items ----------------------------------------------------------------------------------- */

struct order_item *order_item_new_form(const struct order_entry *entry, const void *form,
                                       size_t len)
{
    struct order_item *item = mem_alloc(sizeof *item + len);
    item->refs = 1;
    item->form_len = (uint32_t)len;
    memset(&item->hh, 0, sizeof item->hh);
    item->entry = *entry;
    memcpy(item->form, form, len);
    item->entry.channel = (const char *)item->form + ORDER_ENTRY_HEADER_BYTES;
    item->entry.sender = item->entry.channel + entry->channel_len;
    item->entry.payload = item->entry.sender + entry->sender_len;
    return item;
}

struct order_item *order_item_new(const struct order_entry *entry)
{
    struct buf form;
    buf_init(&form,
             ORDER_ENTRY_HEADER_BYTES + ORDER_CHANNEL_MAX + ORDER_SENDER_MAX + ORDER_PAYLOAD_MAX);
    int err = order_entry_encode(entry, &form);
    assert(err == 0);
    (void)err;
    struct order_item *item = order_item_new_form(entry, form.data, form.len);
    buf_done(&form);
    return item;
}

struct order_item *order_item_ref(struct order_item *item)
{
    item->refs++;
    return item;
}

void order_item_unref(struct order_item *item)
{
    if (item != NULL && --item->refs == 0)
        free(item);
}

/* ---- the log --------------------------------------------------------------------------------- */

void order_log_init(struct order_log *log)
{
    *log = (struct order_log){.item_first = 1};
    STAILQ_INIT(&log->lumps);
}

static struct order_item **order_log_place(const struct order_log *log, uint64_t seq)
{
    return &log->ring[seq & (log->ring_cap - 1)];
}

unsigned order_key_hash(const struct order_key *key, uint64_t seed)
{
    return (unsigned)XXH3_64bits_withSeed(key, sizeof *key, seed);
}

static void order_log_forget(struct order_log *log, struct order_item *item)
{
    if (item == NULL)
        return;
    log->item_bytes -= item->form_len;
    if (item->hh.tbl != NULL) {
        HASH_DEL(log->by_key, item);
        item->hh.tbl = NULL;
    }
    order_item_unref(item);
}

void order_log_reset(struct order_log *log, uint64_t seq, uint64_t term)
{
    for (uint64_t at = log->item_first; at <= log->last_seq; at++)
        order_log_forget(log, *order_log_place(log, at));
    log->base_seq = log->last_seq = log->durable_seq = seq;
    log->item_first = seq + 1;
    log->base_term = term;
    log->runs_n = 0;
    log->open_bytes = 0;
    order_log_drop_lumps(log, UINT64_MAX);
    log->lumps_last = 0;
}

void order_log_done(struct order_log *log)
{
    order_log_reset(log, 0, 0);
    free(log->ring);
    free(log->runs);
    order_log_init(log);
}

/* The run that the entry lies in; runs_n when there is none. */
static size_t order_log_run(const struct order_log *log, uint64_t seq)
{
    size_t low = 0;
    size_t high = log->runs_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->runs[middle].first_seq <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : log->runs_n;
}

bool order_log_term(const struct order_log *log, uint64_t seq, uint64_t *term)
{
    if (seq < log->base_seq || seq > log->last_seq)
        return false;
    if (seq == log->base_seq)
        *term = log->base_term;
    else
        *term = log->runs[order_log_run(log, seq)].term;
    return true;
}

uint64_t order_log_last_term(const struct order_log *log)
{
    uint64_t term = 0;
    (void)order_log_term(log, log->last_seq, &term);
    return term;
}

bool order_log_holds(const struct order_log *log, uint64_t seq, uint64_t term)
{
    uint64_t own;
    return order_log_term(log, seq, &own) && own == term;
}

struct order_item *order_log_item(const struct order_log *log, uint64_t seq)
{
    return seq >= log->item_first && seq <= log->last_seq ? *order_log_place(log, seq) : NULL;
}

static void order_log_grow(struct order_log *log)
{
    size_t n = (size_t)(log->last_seq + 1 - log->item_first);
    if (n < log->ring_cap)
        return;
    struct order_log larger = {.ring_cap =
                                   log->ring_cap > 0 ? log->ring_cap * 2 : LOG_RING_CAP_MIN};
    larger.ring = mem_calloc(larger.ring_cap, sizeof *larger.ring);
    for (uint64_t seq = log->item_first; seq <= log->last_seq; seq++)
        *order_log_place(&larger, seq) = *order_log_place(log, seq);
    free(log->ring);
    log->ring = larger.ring;
    log->ring_cap = larger.ring_cap;
}

struct order_item *order_log_find(const struct order_log *log, const struct order_key *key,
                                  uint64_t seed)
{
    struct order_item *item;
    HASH_FIND_BYHASHVALUE(hh, log->by_key, key, sizeof *key, order_key_hash(key, seed), item);
    return item;
}

static void order_log_extend(struct order_log *log, const struct order_entry *entry,
                             struct order_item *item)
{
    uint64_t last_term = order_log_last_term(log);
    assert(entry->seq == log->last_seq + 1);
    assert(entry->term >= last_term);
    order_log_grow(log);
    if (entry->term != last_term || log->runs_n == 0) {
        MEM_GROW(log->runs, log->runs_cap, log->runs_n + 1);
        log->runs[log->runs_n++] = (struct order_run){.first_seq = entry->seq, .term = entry->term};
    }
    log->last_seq++;
    *order_log_place(log, log->last_seq) = item;
}

void order_log_push(struct order_log *log, struct order_item *item, uint64_t seed)
{
    order_log_extend(log, &item->entry, item);
    log->item_bytes += item->form_len;
    log->open_bytes += item->form_len;
    if (item->entry.type != ORDER_ENTRY_MESSAGE)
        return;
    const struct order_key key = {item->entry.client, item->entry.number};
    unsigned hash = order_key_hash(&key, seed);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, log->by_key, &item->entry.client, sizeof key, hash, item);
}

/* ---- lumps ----------------------------------------------------------------------------------- */

void order_log_push_lump(struct order_log *log, const struct order_entry *entries, size_t n)
{
    struct order_lump *lump = mem_alloc(sizeof *lump + n * sizeof lump->keys[0]);
    lump->first = log->last_seq + 1;
    lump->n = n;
    for (size_t i = 0; i < n; i++) {
        const struct order_entry *entry = &entries[i];
        bool is_message = entry->type == ORDER_ENTRY_MESSAGE;
        lump->keys[i] = (struct order_key){.client = entry->client,
                                           .number = is_message ? entry->number : entry->type};
        order_log_extend(log, entry, NULL);
    }
    log->lumps_last = log->last_seq;
    STAILQ_INSERT_TAIL(&log->lumps, lump, entry);
}

const struct order_key *order_log_lumped(const struct order_log *log, uint64_t seq)
{
    const struct order_lump *lump;
    STAILQ_FOREACH (lump, &log->lumps, entry) {
        if (seq >= lump->first && seq - lump->first < lump->n)
            return &lump->keys[seq - lump->first];
    }
    return NULL;
}

void order_log_drop_lumps(struct order_log *log, uint64_t seq)
{
    struct order_lump *lump;
    while ((lump = STAILQ_FIRST(&log->lumps)) != NULL && lump->first + lump->n - 1 <= seq) {
        STAILQ_REMOVE_HEAD(&log->lumps, entry);
        free(lump);
    }
}

/* ---- its ends -------------------------------------------------------------------------------- */

void order_log_truncate(struct order_log *log, uint64_t seq)
{
    assert(seq >= log->base_seq && seq + 1 >= log->item_first);
    for (; log->last_seq > seq; log->last_seq--) {
        struct order_item *item = *order_log_place(log, log->last_seq);
        log->open_bytes -= item != NULL ? item->form_len : 0;
        order_log_forget(log, item);
    }
    while (log->runs_n > 0 && log->runs[log->runs_n - 1].first_seq > seq)
        log->runs_n--;
    if (log->durable_seq > seq)
        log->durable_seq = seq;
}

void order_log_evict(struct order_log *log, uint64_t seq, uint64_t bytes_max)
{
    while (log->item_first <= log->last_seq && log->item_first <= seq &&
           (log->item_bytes > bytes_max + log->open_bytes || log->item_first <= log->lumps_last)) {
        order_log_forget(log, *order_log_place(log, log->item_first));
        log->item_first++;
    }
}

void order_log_trim(struct order_log *log, uint64_t seq)
{
    if (seq <= log->base_seq || seq > log->last_seq)
        return;
    (void)order_log_term(log, seq, &log->base_term);
    order_log_evict(log, seq, 0);
    size_t keep = 0;
    while (keep < log->runs_n && keep + 1 < log->runs_n && log->runs[keep + 1].first_seq <= seq + 1)
        keep++;
    if (keep < log->runs_n && seq == log->last_seq)
        keep = log->runs_n;
    memmove(log->runs, log->runs + keep, (log->runs_n - keep) * sizeof *log->runs);
    log->runs_n -= keep;
    if (log->runs_n > 0 && log->runs[0].first_seq <= seq)
        log->runs[0].first_seq = seq + 1;
    log->base_seq = seq;
}

void order_log_hint(const struct order_log *log, uint64_t seq, uint64_t term, uint64_t *hint_seq,
                    uint64_t *hint_term)
{
    uint64_t at = seq < log->last_seq ? seq : log->last_seq;
    uint64_t own = 0;
    while (at > log->base_seq && order_log_term(log, at, &own) && own > term)
        at = log->runs[order_log_run(log, at)].first_seq - 1;
    if (at < log->base_seq)
        at = log->base_seq;
    (void)order_log_term(log, at, &own);
    *hint_seq = at;
    *hint_term = own;
}
