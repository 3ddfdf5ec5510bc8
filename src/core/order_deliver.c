/* Entries that are on a majority's disks and on this one, in their order. */
#include <assert.h>

#include "core/order_internal.h"

static void order_deliver_key(struct order *order, uint64_t seq, const struct order_key *key)
{
    if (!order_marks_add(&order->marks, &key->client, key->number))
        order_trouble(order, "entry %llu is in the log twice", (unsigned long long)seq);
    order_client_delivered(order, key, seq);
}

static void order_deliver_item(struct order *order, const struct order_item *item)
{
    const struct order_entry *entry = &item->entry;
    order->log.open_bytes -= item->form_len;
    if (entry->type == ORDER_ENTRY_MESSAGE)
        order_deliver_key(order, entry->seq, &(struct order_key){entry->client, entry->number});
    else if (entry->type == ORDER_ENTRY_MEMBERS)
        order_conf_delivered(order);
}

static void order_deliver_lumped(struct order *order, uint64_t seq)
{
    const struct order_key *key = order_log_lumped(&order->log, seq);
    assert(key != NULL);
    if (!uuid_is_nil(&key->client) && !ORDER_BUG(LUMPS_WITHOUT_MARKS))
        order_deliver_key(order, seq, key);
    else if (key->number == ORDER_ENTRY_MEMBERS)
        order_conf_delivered(order);
}

void order_deliver(struct order *order)
{
    uint64_t upto =
        order->commit_seq < order->log.durable_seq ? order->commit_seq : order->log.durable_seq;
    if (upto <= order->delivered_seq)
        return;
    struct order_update *update = order->update;
    if (update->deliver_first == 0)
        update->deliver_first = order->delivered_seq + 1;
    update->deliver_last = upto;
    while (order->delivered_seq < upto) {
        uint64_t seq = ++order->delivered_seq;
        const struct order_item *item = order_log_item(&order->log, seq);
        if (item != NULL)
            order_deliver_item(order, item);
        else
            order_deliver_lumped(order, seq);
    }
    order_log_drop_lumps(&order->log, upto);
    if (order->delivered_seq - order->snapshot_seq > ORDER_SNAPSHOT_EVERY)
        update->snapshot_wanted = true;
}
