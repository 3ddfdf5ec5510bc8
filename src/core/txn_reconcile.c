/* Who missed a decision finds out by the heartbeats of others, and takes the newest versions from
 * one of them. A key that a prepared transaction holds is left alone: its outcome brings the
 * version, and the question for it goes out at once. */
#include <string.h>

#include "base/str.h"
#include "core/txn_internal.h"

static void txn_reconcile_rotation(struct txn *txn, struct txn_update *update)
{
    const struct txn_key *behind = NULL;
    for (const struct txn_key *key = txn->keys; key != NULL && behind == NULL; key = key->hh.next) {
        if (key->behind_ms != INT64_MAX && txn->now_ms - key->behind_ms >= txn->config.lag_ms)
            behind = key;
    }
    if ((behind != NULL) == txn->behind)
        return;
    txn->behind = behind != NULL;
    struct txn_effect *effect = txn_add_effect(update, TXN_EFFECT_ROTATION, txn->seq, NULL);
    effect->yes = !txn->behind;
    if (behind != NULL)
        txn_text(effect->text,
                 "%s is at version %llu here and at %llu on node %llu: out of rotation until it "
                 "has been fetched",
                 behind->name, (unsigned long long)txn_key_version(behind),
                 (unsigned long long)behind->seen_version, (unsigned long long)behind->seen_at);
    else
        txn_text(effect->text, "every service is at the newest version known");
}

void txn_reconcile_look(struct txn *txn, struct txn_key *key, struct txn_update *update)
{
    if (key->seen_version <= txn_key_version(key))
        key->behind_ms = INT64_MAX;
    else if (key->behind_ms == INT64_MAX)
        key->behind_ms = txn->now_ms;
    txn_reconcile_rotation(txn, update);
}

/* The transaction that is prepared on this key; NULL: none. */
static struct txn_entry *txn_reconcile_holder(const struct txn *txn, const struct txn_key *key)
{
    struct txn_entry *entry = uuid_is_nil(&key->holder) ? NULL : txn_entry_find(txn, &key->holder);
    return entry != NULL && txn_entry_is_prepared(entry) ? entry : NULL;
}

void txn_reconcile_heartbeat(struct txn *txn, const struct txn_message *message,
                             struct txn_update *update)
{
    struct txn_item *wanted = mem_calloc(TXN_FETCH_ITEMS_MAX, sizeof *wanted);
    size_t wanted_n = 0;
    for (size_t i = 0; i < message->items_n; i++) {
        const struct txn_item *item = &message->items[i];
        struct txn_key *key = txn_key_find(txn, item->key);
        if (item->version <= txn_key_version(key) || !str_is_name(item->key, TXN_KEY_MAX))
            continue;
        key = key != NULL ? key : txn_key_get(txn, item->key);
        if (key == NULL)
            continue;
        if (item->version > key->seen_version) {
            key->seen_version = item->version;
            key->seen_at = message->peer;
        }
        txn_reconcile_look(txn, key, update);
        if (txn->now_ms < key->fetch_ms || wanted_n == TXN_FETCH_ITEMS_MAX)
            continue;
        key->fetch_ms = txn->now_ms + txn->config.retry_ms;
        struct txn_entry *holder = txn_reconcile_holder(txn, key);
        if (holder != NULL)
            txn_doubt_ask(txn, holder, message->peer, false, update);
        else
            wanted[wanted_n++] =
                (struct txn_item){.key = key->name, .version = txn_key_version(key)};
    }
    if (wanted_n > 0) {
        struct txn_message *fetch = txn_send(update, 0, message->peer, TXN_MESSAGE_FETCH, NULL);
        fetch->items = txn_items_copy(wanted, wanted_n);
        fetch->items_n = wanted_n;
    }
    free(wanted);
}

void txn_reconcile_fetch(struct txn *txn, const struct txn_message *message,
                         struct txn_update *update)
{
    struct txn_item *found = mem_calloc(TXN_FETCH_ITEMS_MAX, sizeof *found);
    size_t n = 0;
    for (size_t i = 0; i < message->items_n && n < TXN_FETCH_ITEMS_MAX; i++) {
        const struct txn_item *item = txn_item(txn, message->items[i].key, 0);
        if (item != NULL && item->version > message->items[i].version)
            found[n++] = *item; /* borrowed */
    }
    if (n > 0) {
        struct txn_message *reply =
            txn_send(update, txn->seq, message->peer, TXN_MESSAGE_ITEMS, NULL);
        reply->items = txn_items_copy(found, n);
        reply->items_n = n;
    }
    free(found);
}

/* The next version of a key that is held says what became of its holder. */
static void txn_reconcile_evidence(struct txn *txn, struct txn_entry *entry,
                                   const struct txn_item *item, uint64_t version,
                                   struct txn_update *update)
{
    char why[TXN_TEXT_MAX];
    bool same = uuid_compare(&item->txid, &entry->txid) == 0;
    if (item->version != version + 1)
        return;
    txn_text(why, "version %llu of %s was made by %s", (unsigned long long)item->version, item->key,
             same ? "this transaction" : "another transaction");
    txn_entry_decide(txn, entry, same ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT, why, update);
}

void txn_reconcile_items(struct txn *txn, const struct txn_message *message,
                         struct txn_update *update)
{
    for (size_t i = 0; i < message->items_n; i++) {
        const struct txn_item *item = &message->items[i];
        struct txn_key *key = txn_key_find(txn, item->key);
        if (item->len > TXN_VALUE_BYTES_MAX || uuid_is_nil(&item->txid) || key == NULL)
            continue; /* it did not ask for that */
        struct txn_entry *holder = txn_reconcile_holder(txn, key);
        if (holder != NULL)
            txn_reconcile_evidence(txn, holder, item, txn_key_version(key), update);
        if (item->version <= txn_key_version(key) || txn_reconcile_holder(txn, key) != NULL)
            continue;
        uint64_t seq =
            txn_write_record(txn, update,
                             (struct txn_record){.type = TXN_RECORD_ITEM,
                                                 .item = (struct txn_item *)(uintptr_t)item});
        txn_key_install(txn, key, item);
        txn_add_effect(update, TXN_EFFECT_APPLY, seq, &item->txid)->item = txn_items_copy(item, 1);
        txn_reconcile_look(txn, key, update);
    }
}

static void txn_reconcile_beat(struct txn *txn, struct txn_update *update)
{
    size_t n = 0;
    struct txn_item *items = mem_calloc(HASH_COUNT(txn->keys) + 1, sizeof *items);
    for (const struct txn_key *key = txn->keys; key != NULL; key = key->hh.next) {
        if (txn_key_version(key) > 0)
            items[n++] = (struct txn_item){.key = key->name, .version = txn_key_version(key)};
    }
    for (size_t i = 0; i < txn->peers_n; i++) {
        if (txn->peers[i].id == txn->config.self)
            continue;
        struct txn_message *message =
            txn_send(update, txn->seq, txn->peers[i].id, TXN_MESSAGE_HEARTBEAT, NULL);
        message->items = txn_items_copy(items, n);
        message->items_n = n;
    }
    free(items);
}

void txn_reconcile_tick(struct txn *txn, struct txn_update *update)
{
    txn_reconcile_rotation(txn, update);
    if (txn->now_ms < txn->heartbeat_ms)
        return;
    txn_reconcile_beat(txn, update);
    txn->heartbeat_ms = txn->now_ms + txn->config.heartbeat_ms;
}
