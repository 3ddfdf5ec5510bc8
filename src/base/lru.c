#include "base/lru.h"

#include <assert.h>

void lru_init(struct lru *lru, uint64_t bytes_max, size_t n_max, lru_drop_fn drop)
{
    *lru = (struct lru){.bytes_max = bytes_max, .n_max = n_max, .drop = drop};
    TAILQ_INIT(&lru->items);
}

static bool lru_has_room(const struct lru *lru, uint64_t bytes)
{
    return lru->bytes <= lru->bytes_max && bytes <= lru->bytes_max - lru->bytes &&
           lru->n < lru->n_max;
}

bool lru_make_room(struct lru *lru, uint64_t bytes)
{
    struct lru_item *item = TAILQ_FIRST(&lru->items);
    while (item != NULL && bytes <= lru->bytes_max && !lru_has_room(lru, bytes)) {
        struct lru_item *next = TAILQ_NEXT(item, link);
        if (item->users == 0)
            lru->drop(item);
        item = next;
    }
    return lru_has_room(lru, bytes);
}

void lru_add(struct lru *lru, struct lru_item *item, uint64_t bytes)
{
    assert(!item->kept);
    item->kept = true;
    item->bytes = bytes;
    lru->bytes += bytes;
    lru->n++;
    TAILQ_INSERT_TAIL(&lru->items, item, link);
}

void lru_remove(struct lru *lru, struct lru_item *item)
{
    if (!item->kept)
        return;
    assert(lru->bytes >= item->bytes && lru->n > 0);
    item->kept = false;
    lru->bytes -= item->bytes;
    lru->n--;
    TAILQ_REMOVE(&lru->items, item, link);
}

void lru_use(struct lru *lru, struct lru_item *item)
{
    if (!item->kept)
        return;
    TAILQ_REMOVE(&lru->items, item, link);
    TAILQ_INSERT_TAIL(&lru->items, item, link);
}

void lru_clear(struct lru *lru)
{
    struct lru_item *item = TAILQ_FIRST(&lru->items);
    while (item != NULL) {
        struct lru_item *next = TAILQ_NEXT(item, link);
        if (item->users == 0)
            lru->drop(item);
        item = next;
    }
}
