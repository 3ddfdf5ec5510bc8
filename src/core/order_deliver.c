/* Entries that are on a majority's disks and on this one, in their order. */
#include <assert.h>

#include "core/order_internal.h"

static void order_deliver_one(struct order *order, const struct order_item *item)
{
    const struct order_entry *entry = &item->entry;
    order->delivered_seq = entry->seq;
    order->log.open_bytes -= item->form_len;
    if (entry->type == ORDER_ENTRY_MESSAGE) {
        if (!order_marks_add(&order->marks, &entry->client, entry->number))
            order_trouble(order, "entry %llu is in the log twice", (unsigned long long)entry->seq);
        order_client_delivered(order, entry);
    } else if (entry->type == ORDER_ENTRY_MEMBERS) {
        order_conf_delivered(order);
    }
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
    while (order->delivered_seq < upto)
        order_deliver_one(order, order_log_item(&order->log, order->delivered_seq + 1));
    if (order->delivered_seq - order->snapshot_seq > ORDER_SNAPSHOT_EVERY)
        update->snapshot_wanted = true;
}
