/* Records for the disk: their numbers, and which of them have arrived. */
#include <assert.h>
#include <string.h>

#include "core/order_internal.h"

/* Memory that an update owns is a list of pointers; entries have their lowest bit set. */
enum { UPDATE_ITEM_BIT = 1 };

void order_update_own(struct order_update *update, void *memory)
{
    MEM_GROW(update->owned, update->owned_cap, update->owned_n + 1);
    update->owned[update->owned_n++] = memory;
}

void order_update_hold(struct order_update *update, struct order_item *item)
{
    assert(((uintptr_t)item & UPDATE_ITEM_BIT) == 0);
    order_update_own(update, (char *)order_item_ref(item) + UPDATE_ITEM_BIT);
}

void order_update_clear(struct order_update *update)
{
    for (size_t i = 0; i < update->sends_n; i++)
        wire__chat_message__free_unpacked(update->sends[i].message, NULL);
    for (size_t i = 0; i < update->owned_n; i++) {
        char *memory = update->owned[i];
        if (((uintptr_t)memory & UPDATE_ITEM_BIT) != 0)
            order_item_unref((struct order_item *)(void *)(memory - UPDATE_ITEM_BIT));
        else
            free(memory);
    }
    update->records_n = update->sends_n = update->replies_n = update->reads_n = 0;
    update->changes_n = update->owned_n = 0;
    update->deliver_first = update->deliver_last = update->trim_wanted = 0;
    update->members_changed = update->snapshot_wanted = false;
    update->trouble[0] = '\0';
}

void order_update_done(struct order_update *update)
{
    order_update_clear(update);
    free(update->records);
    free(update->sends);
    free(update->replies);
    free(update->reads);
    free(update->changes);
    free(update->owned);
    *update = (struct order_update){0};
}

/* ---- pending --------------------------------------------------------------------------------- */

static struct order_pending *order_pending_at(struct order *order, size_t i)
{
    return &order->pending[(order->pending_first + i) & (order->pending_cap - 1)];
}

static void order_pending_push(struct order *order, uint64_t record)
{
    if (order->pending_n == order->pending_cap) {
        size_t cap = order->pending_cap > 0 ? order->pending_cap * 2 : 16;
        struct order_pending *larger = mem_calloc(cap, sizeof *larger);
        for (size_t i = 0; i < order->pending_n; i++)
            larger[i] = *order_pending_at(order, i);
        free(order->pending);
        order->pending = larger;
        order->pending_first = 0;
        order->pending_cap = cap;
    }
    *order_pending_at(order, order->pending_n++) = (struct order_pending){
        .record = record, .upto_seq = order->log.last_seq, .at_ms = order->now_ms};
}

int64_t order_record_wait_ms(const struct order *order)
{
    if (order->pending_n == 0)
        return 0;
    return order->now_ms - order->pending[order->pending_first].at_ms;
}

void order_record_cut(struct order *order, uint64_t seq)
{
    for (size_t i = 0; i < order->pending_n; i++) {
        struct order_pending *pending = order_pending_at(order, i);
        if (pending->upto_seq > seq)
            pending->upto_seq = seq;
    }
}

void order_record_persisted(struct order *order, uint64_t record)
{
    assert(record <= order->record);
    while (order->pending_n > 0 && order_pending_at(order, 0)->record <= record) {
        uint64_t upto = order_pending_at(order, 0)->upto_seq;
        if (upto > order->log.durable_seq)
            order->log.durable_seq = upto;
        order->pending_first = (order->pending_first + 1) & (order->pending_cap - 1);
        order->pending_n--;
    }
    if (record > order->persisted)
        order->persisted = record;
    order->persisted_ms = order->now_ms;
}

/* ---- records --------------------------------------------------------------------------------- */

struct order_record *order_record_add(struct order *order, enum order_record_type type)
{
    struct order_update *update = order->update;
    MEM_GROW(update->records, update->records_cap, update->records_n + 1);
    struct order_record *record = &update->records[update->records_n++];
    *record = (struct order_record){.record = ++order->record, .type = type};
    order_pending_push(order, record->record);
    return record;
}

void order_record_meta(struct order *order)
{
    order_record_add(order, ORDER_RECORD_META)->meta = order->meta;
    order->meta_record = order->record;
}

void order_record_append(struct order *order, uint64_t first_seq)
{
    size_t n = (size_t)(order->log.last_seq + 1 - first_seq);
    assert(n > 0);
    const struct order_entry **entries = mem_calloc(n, sizeof *entries);
    order_update_own(order->update, entries);
    for (size_t i = 0; i < n; i++) {
        struct order_item *item = order_log_item(&order->log, first_seq + i);
        order_update_hold(order->update, item);
        entries[i] = &item->entry;
    }
    struct order_record *record = order_record_add(order, ORDER_RECORD_APPEND);
    record->entries = entries;
    record->entries_n = n;
}

void order_record_lump(struct order *order, uint64_t first_seq, const void *bytes, size_t len)
{
    void *copy = mem_dup(bytes, len);
    order_update_own(order->update, copy);
    struct order_record *record = order_record_add(order, ORDER_RECORD_APPEND);
    record->seq = first_seq;
    record->lump = copy;
    record->lump_len = len;
    record->lump_n = (size_t)(order->log.last_seq + 1 - first_seq);
}

void order_record_mend(struct order *order, struct order_item **items, size_t n)
{
    const struct order_entry **entries = mem_calloc(n, sizeof *entries);
    order_update_own(order->update, entries);
    for (size_t i = 0; i < n; i++) {
        order_update_hold(order->update, items[i]);
        entries[i] = &items[i]->entry;
    }
    struct order_record *record = order_record_add(order, ORDER_RECORD_MEND);
    record->entries = entries;
    record->entries_n = n;
}
