/* Keys: their versions, and who holds them. */
#include <assert.h>
#include <string.h>

#include "core/txn_internal.h"

struct txn_key *txn_key_find(const struct txn *txn, const char *name)
{
    struct txn_key *key;
    HASH_FIND_STR(txn->keys, name, key);
    return key;
}

static int txn_key_order(const struct txn_key *a, const struct txn_key *b)
{
    return strcmp(a->name, b->name);
}

struct txn_key *txn_key_get(struct txn *txn, const char *name)
{
    struct txn_key *key = txn_key_find(txn, name);
    if (key != NULL || HASH_COUNT(txn->keys) >= TXN_KEYS_MAX)
        return key;
    key = mem_zalloc(sizeof *key);
    key->name = mem_strdup(name);
    key->behind_ms = INT64_MAX;
    HASH_ADD_KEYPTR_INORDER(hh, txn->keys, key->name, strlen(key->name), key, txn_key_order);
    return key;
}

uint64_t txn_key_version(const struct txn_key *key)
{
    return key != NULL && key->versions_n > 0 ? key->versions[key->versions_n - 1].version : 0;
}

void txn_key_install(struct txn *txn, struct txn_key *key, const struct txn_item *item)
{
    (void)txn;
    assert(item->version > txn_key_version(key));
    if (key->versions_n == TXN_HISTORY_MAX) {
        free(key->versions[0].key);
        free(key->versions[0].value);
        memmove(key->versions, key->versions + 1, --key->versions_n * sizeof *key->versions);
    }
    MEM_GROW(key->versions, key->versions_cap, key->versions_n + 1);
    struct txn_item *copy = txn_items_copy(item, 1);
    key->versions[key->versions_n++] = *copy;
    free(copy);
}

const struct txn_item *txn_key_item(const struct txn_key *key, uint64_t version)
{
    for (size_t i = key != NULL ? key->versions_n : 0; i > 0; i--) {
        if (key->versions[i - 1].version == version)
            return &key->versions[i - 1];
    }
    return NULL;
}

void txn_keys_free(struct txn *txn)
{
    struct txn_key *key;
    struct txn_key *next;
    HASH_ITER (hh, txn->keys, key, next) {
        HASH_DEL(txn->keys, key);
        txn_items_free(key->versions, key->versions_n);
        free(key->name);
        free(key);
    }
}

/* ---- questions
 * ------------------------------------------------------------------------------------ */

uint64_t txn_version(const struct txn *txn, const char *name)
{
    return txn_key_version(txn_key_find(txn, name));
}

const struct txn_item *txn_item(const struct txn *txn, const char *name, uint64_t version)
{
    const struct txn_key *key = txn_key_find(txn, name);
    return txn_key_item(key, version != 0 ? version : txn_key_version(key));
}

const struct uuid *txn_holder(const struct txn *txn, const char *name)
{
    const struct txn_key *key = txn_key_find(txn, name);
    return key != NULL && !uuid_is_nil(&key->holder) ? &key->holder : NULL;
}

bool txn_in_rotation(const struct txn *txn)
{
    return !txn->behind;
}
