/* The numbers that nodes give their events: which came already, which are missing. */
#ifndef TUI_MODEL_SOURCE_H
#define TUI_MODEL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_SOURCES_MAX = 4096,   /* nodes; the numbers of further ones are not watched */
    MODEL_SOURCE_WINDOW = 1024, /* how far behind the newest a late number is told from a repeated
                                 * one; what is later still counts as repeated */
};

struct model_sources;

struct model_sources *model_sources_new(void);
void model_sources_free(struct model_sources *sources);

bool model_sources_know(const struct model_sources *sources, const char *name, size_t len);

/* Whether that very number was taken, and not too long ago (MODEL_SOURCE_WINDOW). */
bool model_sources_have(const struct model_sources *sources, const char *name, size_t len,
                        uint64_t number);

/* Whether the event `number` of node `name` is new. *missing (0 or more) is how many numbers were
 * left out just before it, *filled whether it was itself missing until now. The first number of a
 * node is the begin of its row: earlier ones count as repeated. */
bool model_sources_take(struct model_sources *sources, const char *name, size_t len,
                        uint64_t number, uint64_t *missing, bool *filled);

#endif
