#include "tui/model_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct model_source {
    UT_hash_handle hh;
    uint64_t first, newest;
    uint64_t seen[MODEL_SOURCE_WINDOW / 64]; /* ring of bits by number */
    char name[];
};

struct model_sources {
    struct model_source *by_name;
    size_t n;
};

struct model_sources *model_sources_new(void)
{
    return mem_zalloc(sizeof(struct model_sources));
}

void model_sources_free(struct model_sources *sources)
{
    struct model_source *source, *next;
    if (sources == NULL)
        return;
    HASH_ITER (hh, sources->by_name, source, next) {
        HASH_DEL(sources->by_name, source);
        free(source);
    }
    free(sources);
}

static struct model_source *model_sources_find(const struct model_sources *sources,
                                               const char *name, size_t len)
{
    struct model_source *source;
    HASH_FIND(hh, sources->by_name, name, len, source);
    return source;
}

bool model_sources_know(const struct model_sources *sources, const char *name, size_t len)
{
    return model_sources_find(sources, name, len) != NULL;
}

static void model_source_mark(struct model_source *source, uint64_t number, bool seen)
{
    uint64_t bit = UINT64_C(1) << (number % 64);
    uint64_t *word = &source->seen[number % MODEL_SOURCE_WINDOW / 64];
    *word = seen ? *word | bit : *word & ~bit;
}

static bool model_source_has(const struct model_source *source, uint64_t number)
{
    return (source->seen[number % MODEL_SOURCE_WINDOW / 64] >> (number % 64) & 1) != 0;
}

bool model_sources_have(const struct model_sources *sources, const char *name, size_t len,
                        uint64_t number)
{
    const struct model_source *source = model_sources_find(sources, name, len);
    return source != NULL && number >= source->first && number <= source->newest &&
           source->newest - number < MODEL_SOURCE_WINDOW && model_source_has(source, number);
}

bool model_sources_take(struct model_sources *sources, const char *name, size_t len,
                        uint64_t number, uint64_t *missing, bool *filled)
{
    struct model_source *source = model_sources_find(sources, name, len);
    *missing = 0;
    *filled = false;
    if (source == NULL) {
        if (sources->n == MODEL_SOURCES_MAX)
            return true;
        source = mem_zalloc(sizeof *source + len + 1);
        memcpy(source->name, name, len);
        HASH_ADD_KEYPTR(hh, sources->by_name, source->name, len, source);
        sources->n++;
        source->first = source->newest = number;
        model_source_mark(source, number, true);
        return true;
    }
    if (number > source->newest) {
        *missing = number - source->newest - 1;
        uint64_t clear = *missing < MODEL_SOURCE_WINDOW ? *missing : MODEL_SOURCE_WINDOW;
        for (uint64_t i = 1; i <= clear; i++)
            model_source_mark(source, number - i, false);
        model_source_mark(source, number, true);
        source->newest = number;
        return true;
    }
    if (number < source->first || source->newest - number >= MODEL_SOURCE_WINDOW ||
        model_source_has(source, number))
        return false;
    model_source_mark(source, number, true);
    *filled = true;
    return true;
}
