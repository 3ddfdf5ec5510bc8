/* What a transaction changes, and items: copies that others hold. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/txn_internal.h"

static int txn_node_order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int txn_write_order(const void *a, const void *b)
{
    return strcmp(((const struct txn_write *)a)->key, ((const struct txn_write *)b)->key);
}

/* Sorted already: equal ones are neighbours. */
static bool txn_body_check(const struct txn_body *body, char why[static TXN_TEXT_MAX])
{
    for (size_t i = 0; i < body->participants_n; i++) {
        if (body->participants[i] != 0 &&
            (i == 0 || body->participants[i] != body->participants[i - 1]))
            continue;
        txn_text(why, "participant %llu stands there twice or is none",
                 (unsigned long long)body->participants[i]);
        return false;
    }
    for (size_t i = 0; i < body->writes_n; i++) {
        const struct txn_write *write = &body->writes[i];
        if (!str_is_name(write->key, TXN_KEY_MAX))
            txn_text(why, "a name has 1 to %d letters, digits, '-', '_' or '.'", TXN_KEY_MAX);
        else if (i > 0 && strcmp(write->key, body->writes[i - 1].key) == 0)
            txn_text(why, "%s is changed twice in one transaction", write->key);
        else if (write->len > TXN_VALUE_BYTES_MAX)
            txn_text(why, "the state of %s is larger than %d bytes", write->key,
                     TXN_VALUE_BYTES_MAX);
        else
            continue;
        return false;
    }
    return true;
}

struct txn_body *txn_body_new(const struct txn_body *from, char why[static TXN_TEXT_MAX])
{
    if (uuid_is_nil(&from->txid) || from->coordinator == 0) {
        txn_text(why, "a transaction needs an id and a coordinator");
        return NULL;
    }
    if (from->participants_n == 0 || from->participants_n > TXN_PARTICIPANTS_MAX) {
        txn_text(why, "a transaction has 1 to %d participants", TXN_PARTICIPANTS_MAX);
        return NULL;
    }
    if (from->writes_n == 0 || from->writes_n > TXN_WRITES_MAX) {
        txn_text(why, "a transaction changes 1 to %d services", TXN_WRITES_MAX);
        return NULL;
    }
    struct txn_body *body = mem_dup(from, sizeof *from);
    body->refs = 1;
    body->participants =
        mem_dup(from->participants, from->participants_n * sizeof *from->participants);
    qsort(body->participants, body->participants_n, sizeof *body->participants, txn_node_order);
    body->writes = mem_calloc(from->writes_n, sizeof *body->writes);
    for (size_t i = 0; i < from->writes_n; i++) {
        const struct txn_write *write = &from->writes[i];
        body->writes[i] = *write;
        body->writes[i].key = mem_strdup(write->key);
        body->writes[i].value = write->len > 0 ? mem_dup(write->value, write->len) : NULL;
    }
    qsort(body->writes, body->writes_n, sizeof *body->writes, txn_write_order);
    if (!txn_body_check(body, why)) {
        txn_body_free(body);
        return NULL;
    }
    return body;
}

struct txn_body *txn_body_ref(struct txn_body *body)
{
    body->refs++;
    return body;
}

void txn_body_free(struct txn_body *body)
{
    if (body == NULL || --body->refs > 0)
        return;
    for (size_t i = 0; i < body->writes_n; i++) {
        free(body->writes[i].key);
        free(body->writes[i].value);
    }
    free(body->writes);
    free(body->participants);
    free(body);
}

bool txn_body_has(const struct txn_body *body, uint64_t node)
{
    return bsearch(&node, body->participants, body->participants_n, sizeof node, txn_node_order) !=
           NULL;
}

struct txn_item *txn_items_copy(const struct txn_item *items, size_t n)
{
    if (items == NULL || n == 0)
        return NULL;
    struct txn_item *copy = mem_calloc(n, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = items[i];
        copy[i].key = mem_strdup(items[i].key);
        copy[i].value = items[i].len > 0 ? mem_dup(items[i].value, items[i].len) : NULL;
    }
    return copy;
}

void txn_items_free(struct txn_item *items, size_t n)
{
    for (size_t i = 0; items != NULL && i < n; i++) {
        free(items[i].key);
        free(items[i].value);
    }
    free(items);
}
