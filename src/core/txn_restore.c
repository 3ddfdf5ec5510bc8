/* From records to the state that wrote them, and back. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "core/txn_internal.h"

static int txn_restore_damage(struct txn_update *update, const struct txn_record *record,
                              const char *what)
{
    char id[UUID_TEXT_MAX];
    txn_text(update->text, "the log of transactions contradicts itself at %s: %s",
             uuid_format(&record->txid, id), what);
    return ERR_CORRUPT;
}

static int txn_restore_prepared(struct txn *txn, const struct txn_record *record,
                                struct txn_update *update)
{
    if (record->body == NULL || !txn_body_has(record->body, txn->config.self))
        return txn_restore_damage(update, record, "prepared without being a participant");
    if (txn_entry_find(txn, &record->txid) != NULL)
        return txn_restore_damage(update, record, "prepared twice");
    for (size_t i = 0; i < record->body->writes_n; i++) {
        const struct txn_key *key = txn_key_get(txn, record->body->writes[i].key);
        if (key == NULL || !uuid_is_nil(&key->holder) ||
            txn_key_version(key) != record->body->writes[i].base_version)
            return txn_restore_damage(update, record, "prepared on another version");
    }
    struct txn_entry *entry = txn_entry_new(txn, &record->txid);
    entry->body = txn_body_ref(record->body);
    entry->restored = true;
    txn_entry_hold(txn, entry);
    txn_entry_set(txn, entry, TXN_STATE_PREPARED, "replayed", update);
    return 0;
}

static int txn_restore_decided(struct txn *txn, const struct txn_record *record,
                               struct txn_update *update)
{
    struct txn_entry *entry = txn_entry_find(txn, &record->txid);
    bool commit = record->outcome == TXN_OUTCOME_COMMIT;
    if (record->outcome == TXN_OUTCOME_NONE)
        return txn_restore_damage(update, record, "decided as nothing");
    if (entry != NULL && !txn_entry_is_prepared(entry))
        return txn_restore_damage(update, record, "decided twice");
    if (entry == NULL)
        entry = txn_entry_new(txn, &record->txid);
    else if (commit)
        txn_apply(txn, entry->body, record->at_ms, 0, update);
    txn_entry_set(txn, entry, commit ? TXN_STATE_COMMITTED : TXN_STATE_ABORTED,
                  record->text != NULL ? record->text : "replayed", update);
    return 0;
}

static int txn_restore_coordinated(struct txn *txn, const struct txn_record *record,
                                   struct txn_update *update)
{
    if (record->body == NULL || record->outcome == TXN_OUTCOME_NONE ||
        txn_round_find(txn, &record->txid) != NULL)
        return txn_restore_damage(update, record, "decided twice, or without participants");
    struct txn_round *round = txn_round_new(txn, record->body);
    enum txn_state to =
        record->outcome == TXN_OUTCOME_COMMIT ? TXN_STATE_COMMITTED : TXN_STATE_ABORTED;
    txn_changed(update, &round->txid, TXN_SIDE_COORDINATOR, TXN_STATE_NONE, to, "replayed");
    round->state = to;
    txn_text(round->text, "%s", record->text != NULL ? record->text : "replayed");
    return 0;
}

static int txn_restore_item(struct txn *txn, const struct txn_record *record,
                            struct txn_update *update)
{
    struct txn_key *key = record->item != NULL ? txn_key_get(txn, record->item->key) : NULL;
    if (key == NULL || record->item->version <= txn_key_version(key))
        return txn_restore_damage(update, record, "a version goes back");
    txn_key_install(txn, key, record->item);
    return 0;
}

static int txn_restore_one(struct txn *txn, const struct txn_record *record,
                           struct txn_update *update)
{
    struct txn_entry *entry = NULL;
    struct txn_round *round = NULL;
    assert(!txn->restored);
    switch (record->type) {
    case TXN_RECORD_PREPARED:
        return txn_restore_prepared(txn, record, update);
    case TXN_RECORD_REFUSED:
        if (txn_entry_find(txn, &record->txid) != NULL)
            return txn_restore_damage(update, record, "refused after a vote");
        entry = txn_entry_new(txn, &record->txid);
        txn_entry_set(txn, entry, TXN_STATE_REFUSED,
                      record->text != NULL ? record->text : "replayed", update);
        return 0;
    case TXN_RECORD_DECIDED:
        return txn_restore_decided(txn, record, update);
    case TXN_RECORD_COORDINATED:
        return txn_restore_coordinated(txn, record, update);
    case TXN_RECORD_ENDED:
        round = txn_round_find(txn, &record->txid);
        if (round != NULL)
            txn_round_free(txn, round);
        return 0;
    case TXN_RECORD_ITEM:
        return txn_restore_item(txn, record, update);
    }
    return txn_restore_damage(update, record, "an unknown kind of record");
}

int txn_restore_record(struct txn *txn, const struct txn_record *record, struct txn_update *update)
{
    int err = txn_restore_one(txn, record, update);
    txn_update_clear(update); /* what happened then concerns nobody now */
    return err;
}

void txn_restore_end(struct txn *txn, struct txn_update *update)
{
    txn->restored = true;
    txn->heartbeat_ms = txn->now_ms;
    struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->live, link) {
        txn_entry_set(txn, entry, TXN_STATE_DOUBT, "prepared before a restart", update);
        entry->ask_ms = txn->now_ms;
    }
    for (struct txn_round *round = txn->rounds; round != NULL; round = round->hh.next)
        round->resend_ms = txn->now_ms;
    for (const struct txn_key *key = txn->keys; key != NULL; key = key->hh.next) {
        if (key->versions_n > 0)
            txn_add_effect(update, TXN_EFFECT_APPLY, 0, NULL)->item =
                txn_items_copy(&key->versions[key->versions_n - 1], 1);
    }
}

/* ---- the other way round
 * ----------------------------------------------------------------------------- */

static void txn_snapshot_entry(const struct txn_entry *entry, txn_record_fn fn, void *arg)
{
    struct txn_record record = {
        .txid = entry->txid, .text = (char *)(uintptr_t)entry->text, .body = entry->body};
    switch (entry->state) {
    case TXN_STATE_PREPARED:
    case TXN_STATE_DOUBT:
        record.type = TXN_RECORD_PREPARED;
        break;
    case TXN_STATE_REFUSED:
        record.type = TXN_RECORD_REFUSED;
        break;
    case TXN_STATE_COMMITTED:
    case TXN_STATE_ABORTED:
        record.type = TXN_RECORD_DECIDED;
        record.outcome =
            entry->state == TXN_STATE_COMMITTED ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT;
        break;
    default:
        return;
    }
    fn(arg, &record);
}

void txn_snapshot(const struct txn *txn, txn_record_fn fn, void *arg)
{
    for (const struct txn_key *key = txn->keys; key != NULL; key = key->hh.next) {
        for (size_t i = 0; i < key->versions_n; i++) {
            const struct txn_record record = {.type = TXN_RECORD_ITEM, .item = &key->versions[i]};
            fn(arg, &record);
        }
    }
    const struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->past, link)
        txn_snapshot_entry(entry, fn, arg);
    TAILQ_FOREACH (entry, &txn->live, link)
        txn_snapshot_entry(entry, fn, arg);
    for (const struct txn_round *round = txn->rounds; round != NULL; round = round->hh.next) {
        if (txn_round_is_open(round))
            continue;
        const struct txn_record record = {
            .type = TXN_RECORD_COORDINATED,
            .txid = round->txid,
            .text = (char *)(uintptr_t)round->text,
            .outcome = round->state == TXN_STATE_COMMITTED ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT,
            .body = round->body};
        fn(arg, &record);
    }
}

/* ---- invariants
 * --------------------------------------------------------------------------------------- */

static void txn_check_key(const struct txn *txn, const struct txn_key *key)
{
    for (size_t i = 1; i < key->versions_n; i++)
        assert(key->versions[i - 1].version < key->versions[i].version);
    assert(key->versions_n <= TXN_HISTORY_MAX);
    if (uuid_is_nil(&key->holder))
        return;
    const struct txn_entry *entry = txn_entry_find(txn, &key->holder);
    assert(entry != NULL && txn_entry_is_live(entry) && entry->body != NULL);
}

static void txn_check_entry(const struct txn *txn, const struct txn_entry *entry)
{
    assert((entry->body != NULL) == txn_entry_is_live(entry));
    assert(entry->seq <= txn->seq);
    for (size_t i = 0; entry->body != NULL && i < entry->body->writes_n; i++) {
        const struct txn_write *write = &entry->body->writes[i];
        const struct txn_key *key = txn_key_find(txn, write->key);
        assert(key != NULL && uuid_compare(&key->holder, &entry->txid) == 0);
        assert(!txn_entry_is_prepared(entry) || txn_key_version(key) == write->base_version);
    }
}

void txn_check(const struct txn *txn)
{
    for (const struct txn_key *key = txn->keys; key != NULL; key = key->hh.next)
        txn_check_key(txn, key);
    size_t live = 0;
    size_t past = 0;
    const struct txn_entry *entry;
    TAILQ_FOREACH (entry, &txn->live, link) {
        txn_check_entry(txn, entry);
        live++;
    }
    TAILQ_FOREACH (entry, &txn->past, link) {
        assert(!txn_entry_is_live(entry));
        past++;
    }
    assert(live == txn->live_n && past == txn->past_n && past <= TXN_PAST_MAX);
    assert(live + past == HASH_COUNT(txn->entries));
}
