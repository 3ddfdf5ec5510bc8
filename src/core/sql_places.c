#include "core/sql_places.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct sql_places {
    struct {
        uint64_t file, node; /* 0: nothing */
    } entries[SQL_PLACES_FILES];
};

struct sql_places *sql_places_new(void)
{
    return mem_zalloc(sizeof(struct sql_places));
}

void sql_places_free(struct sql_places *places)
{
    free(places);
}

/* FNV-1a, 64 bits. */
static uint64_t sql_places_hash(const struct sql_place_file *file)
{
    const char *const parts[] = {file->root, "/", file->path};
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < MEM_COUNT(parts); i++) {
        for (const char *c = parts[i]; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    }
    return hash != 0 ? hash : 1;
}

void sql_places_note(struct sql_places *places, const struct sql_place_file *file, uint64_t node)
{
    uint64_t hash = sql_places_hash(file);
    places->entries[hash % SQL_PLACES_FILES].file = hash;
    places->entries[hash % SQL_PLACES_FILES].node = node;
}

static uint64_t sql_places_find(const struct sql_places *places, const struct sql_place_file *file)
{
    uint64_t hash = sql_places_hash(file);
    return places->entries[hash % SQL_PLACES_FILES].file == hash
               ? places->entries[hash % SQL_PLACES_FILES].node
               : 0;
}

struct sql_choice {
    const struct sql_place_node *nodes;
    size_t nodes_n;
    size_t share;    /* of tasks, at most, for a node */
    unsigned busy;   /* a node that runs more than so many is left alone */
    size_t *given;   /* by node */
    uint64_t *bytes; /* of the task in question, by node */
};

static bool sql_choice_may(const struct sql_choice *c, size_t node)
{
    return c->given[node] < c->share && c->nodes[node].running <= c->busy;
}

/* The node that has most of the task's bytes; SIZE_MAX: none that may. */
static size_t sql_choice_known(const struct sql_choice *c)
{
    size_t best = SIZE_MAX;
    for (size_t n = 0; n < c->nodes_n; n++) {
        if (c->bytes[n] > 0 && sql_choice_may(c, n) &&
            (best == SIZE_MAX || c->bytes[n] > c->bytes[best]))
            best = n;
    }
    return best;
}

/* The node with the least tasks; among these the one whose turn it is, by ids. */
static size_t sql_choice_next(const struct sql_choice *c, size_t turn)
{
    size_t best = SIZE_MAX, best_rank = 0;
    for (size_t n = 0; n < c->nodes_n; n++) {
        size_t before = 0;
        for (size_t k = 0; k < c->nodes_n; k++)
            before += c->nodes[k].id < c->nodes[n].id;
        size_t rank = (before + c->nodes_n - turn % c->nodes_n) % c->nodes_n;
        if (!sql_choice_may(c, n))
            rank += c->nodes_n * (1 + c->given[n]);
        if (best == SIZE_MAX || rank < best_rank) {
            best = n;
            best_rank = rank;
        }
    }
    return best;
}

void sql_places_choose(const struct sql_places *places, const struct sql_place_file *files,
                       const size_t *first, size_t tasks, const struct sql_place_node *nodes,
                       size_t nodes_n, unsigned slots, size_t *out)
{
    assert(nodes_n >= 1 && nodes_n <= SQL_PLACES_NODES_MAX);
    struct sql_choice c = {.nodes = nodes,
                           .nodes_n = nodes_n,
                           .share = (tasks + nodes_n - 1) / nodes_n,
                           .busy = UINT32_MAX};
    for (size_t n = 0; n < nodes_n; n++)
        c.busy = nodes[n].running < c.busy ? nodes[n].running : c.busy;
    c.busy += slots;
    c.given = mem_calloc(nodes_n, sizeof *c.given);
    c.bytes = mem_calloc(nodes_n, sizeof *c.bytes);
    for (size_t t = 0; t < tasks; t++) {
        for (size_t n = 0; n < nodes_n; n++)
            c.bytes[n] = 0;
        for (size_t f = first[t]; f < first[t + 1]; f++) {
            uint64_t node = sql_places_find(places, &files[f]);
            for (size_t n = 0; n < nodes_n && node != 0; n++)
                c.bytes[n] += nodes[n].id == node ? files[f].bytes + 1 : 0;
        }
        out[t] = sql_choice_known(&c);
        if (out[t] != SIZE_MAX)
            c.given[out[t]]++;
    }
    for (size_t t = 0; t < tasks; t++) {
        if (out[t] != SIZE_MAX)
            continue;
        out[t] = sql_choice_next(&c, t);
        c.given[out[t]]++;
    }
    free(c.given);
    free(c.bytes);
}
