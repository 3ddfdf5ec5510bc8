/* Things that are kept until there is no room for them: bounded in bytes and in number, the longest
 * unused goes first, what is in use stays.
 *
 * The owner embeds an item in each thing, counts its users there, and takes it out of the list when
 * the thing goes, for whatever reason. Who holds the list drops what is unused. */
#ifndef BASE_LRU_H
#define BASE_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct lru_item { /* zeroed to begin with */
    unsigned users;
    bool kept; /* in the list, and counted */
    uint64_t bytes;
    TAILQ_ENTRY(lru_item) link;
};

/* The thing goes: it must end with lru_remove(). */
typedef void (*lru_drop_fn)(struct lru_item *item);

struct lru {
    uint64_t bytes_max;
    uint64_t bytes;
    size_t n_max;
    size_t n;
    lru_drop_fn drop;
    TAILQ_HEAD(, lru_item) items; /* the longest unused first */
};

void lru_init(struct lru *lru, uint64_t bytes_max, size_t n_max, lru_drop_fn drop);

/* Drops what is unused, the longest first, until so many bytes and one item more have room. False:
 * they have none. For what is larger than everything nothing is dropped. */
bool lru_make_room(struct lru *lru, uint64_t bytes);

/* As the one that was used last, whether there is room or not. It is not kept yet. */
void lru_add(struct lru *lru, struct lru_item *item, uint64_t bytes);
void lru_remove(struct lru *lru, struct lru_item *item); /* not kept: no effect */
void lru_use(struct lru *lru, struct lru_item *item);    /* just now; not kept: no effect */

/* Drops everything that is unused. */
void lru_clear(struct lru *lru);

#endif
