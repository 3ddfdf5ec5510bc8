/* Places count from 1, so that 0 means "in no heap"; the children of i are 2i and 2i + 1.
 *
 * A search keeps the places whose parents were offered already in a second, small heap, ordered
 * like the first: its head is always the next item in order. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void heap_init(struct heap *heap, heap_before_fn before, size_t offset)
{
    *heap = (struct heap){.before = before, .offset = offset};
}

void heap_done(struct heap *heap)
{
    free(heap->items);
    free(heap->visited);
    heap_init(heap, heap->before, heap->offset);
}

static size_t *heap_place(const struct heap *heap, const void *item)
{
    return (size_t *)(void *)((char *)(uintptr_t)item + heap->offset);
}

static void *heap_at(const struct heap *heap, size_t place)
{
    return heap->items[place - 1];
}

static void heap_put(struct heap *heap, size_t place, void *item)
{
    heap->items[place - 1] = item;
    *heap_place(heap, item) = place;
}

bool heap_holds(const struct heap *heap, const void *item)
{
    size_t place = *heap_place(heap, item);
    assert(place == 0 || (place <= heap->n && heap_at(heap, place) == item));
    return place != 0;
}

static void heap_rise(struct heap *heap, size_t place)
{
    void *item = heap_at(heap, place);
    for (; place > 1 && heap->before(item, heap_at(heap, place / 2)); place /= 2)
        heap_put(heap, place, heap_at(heap, place / 2));
    heap_put(heap, place, item);
}

static void heap_sink(struct heap *heap, size_t place)
{
    void *item = heap_at(heap, place);
    for (;;) {
        size_t child = place * 2;
        if (child < heap->n && heap->before(heap_at(heap, child + 1), heap_at(heap, child)))
            child++;
        if (child > heap->n || !heap->before(heap_at(heap, child), item))
            break;
        heap_put(heap, place, heap_at(heap, child));
        place = child;
    }
    heap_put(heap, place, item);
}

void heap_insert(struct heap *heap, void *item)
{
    assert(!heap_holds(heap, item));
    MEM_GROW(heap->items, heap->cap, heap->n + 1);
    heap->n++;
    heap_put(heap, heap->n, item);
    heap_rise(heap, heap->n);
}

void heap_remove(struct heap *heap, void *item)
{
    assert(heap_holds(heap, item));
    size_t place = *heap_place(heap, item);
    void *last = heap_at(heap, heap->n);
    heap->n--;
    *heap_place(heap, item) = 0;
    if (last == item)
        return;
    heap_put(heap, place, last);
    heap_moved(heap, last);
}

void heap_moved(struct heap *heap, void *item)
{
    assert(heap_holds(heap, item));
    heap_rise(heap, *heap_place(heap, item));
    heap_sink(heap, *heap_place(heap, item));
}

void *heap_first(const struct heap *heap)
{
    return heap->n > 0 ? heap->items[0] : NULL;
}

/* `visited` is a heap of places: moves the one at `i` (from 0) up or down. */
static void heap_visited_rise(struct heap *heap, size_t i)
{
    size_t place = heap->visited[i];
    for (; i > 0 && heap->before(heap_at(heap, place), heap_at(heap, heap->visited[(i - 1) / 2]));
         i = (i - 1) / 2)
        heap->visited[i] = heap->visited[(i - 1) / 2];
    heap->visited[i] = place;
}

static void heap_visited_sink(struct heap *heap, size_t n)
{
    size_t place = heap->visited[0];
    size_t i = 0;
    for (;;) {
        size_t child = i * 2 + 1;
        if (child + 1 < n && heap->before(heap_at(heap, heap->visited[child + 1]),
                                          heap_at(heap, heap->visited[child])))
            child++;
        if (child >= n || !heap->before(heap_at(heap, heap->visited[child]), heap_at(heap, place)))
            break;
        heap->visited[i] = heap->visited[child];
        i = child;
    }
    heap->visited[i] = place;
}

void *heap_search(struct heap *heap, heap_judge_fn judge, void *arg)
{
    if (heap->n == 0)
        return NULL;
    MEM_GROW(heap->visited, heap->visited_cap, heap->n / 2 + 2);
    heap->visited[0] = 1;
    for (size_t n = 1; n > 0;) {
        size_t place = heap->visited[0];
        void *item = heap_at(heap, place);
        enum heap_verdict verdict = judge(item, arg);
        if (verdict != HEAP_VERDICT_NEXT)
            return verdict == HEAP_VERDICT_TAKE ? item : NULL;
        heap->visited[0] = heap->visited[--n];
        if (n > 0)
            heap_visited_sink(heap, n);
        for (size_t child = place * 2; child <= place * 2 + 1 && child <= heap->n; child++) {
            heap->visited[n] = child;
            heap_visited_rise(heap, n++);
        }
    }
    return NULL;
}

void heap_check(const struct heap *heap)
{
    for (size_t place = 1; place <= heap->n; place++) {
        assert(*heap_place(heap, heap_at(heap, place)) == place);
        assert(place == 1 || !heap->before(heap_at(heap, place), heap_at(heap, place / 2)));
    }
}
