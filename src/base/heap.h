/* A binary heap of pointers to structs, each of which knows its own place, so that any of them can
 * be moved or removed in O(log n).
 *
 * The struct embeds a `size_t` that starts as 0 and belongs to the heap while the struct is in it.
 * The heap owns nothing but its array. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether `a` stands before `b`. A strict order. */
typedef bool (*heap_before_fn)(const void *a, const void *b);

enum heap_verdict {
    HEAP_VERDICT_TAKE, /* this one */
    HEAP_VERDICT_NEXT,
    HEAP_VERDICT_STOP, /* neither this one nor any behind it */
};

typedef enum heap_verdict (*heap_judge_fn)(const void *item, void *arg);

struct heap {
    void **items;
    size_t n;
    size_t cap;
    heap_before_fn before;
    size_t offset;   /* of the embedded place */
    size_t *visited; /* scratch of heap_search */
    size_t visited_cap;
};

void heap_init(struct heap *heap, heap_before_fn before, size_t offset);
void heap_done(struct heap *heap);

/* Whether `item` is in a heap. */
bool heap_holds(const struct heap *heap, const void *item);

void heap_insert(struct heap *heap, void *item); /* not in it yet */
void heap_remove(struct heap *heap, void *item); /* in it */
void heap_moved(struct heap *heap, void *item);  /* in it; its order changed */

void *heap_first(const struct heap *heap); /* NULL when empty */

/* Offers items in order until `judge` takes one and returns it; NULL when none was taken.
 * O(k log k) for k offered. `judge` must not change the heap. */
void *heap_search(struct heap *heap, heap_judge_fn judge, void *arg);

/* Asserts the order and every place. For tests. */
void heap_check(const struct heap *heap);

#endif
