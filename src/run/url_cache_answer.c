#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/url_cache_internal.h"

struct http_fresh url_cache_fresh(const struct http_answer *answer)
{
    enum { FIELDS = 6, TEXT_MAX = 1024 };
    static const char *const names[FIELDS] = {"Cache-Control", "Age",           "Date",
                                              "ETag",          "Last-Modified", "Vary"};
    char texts[FIELDS][TEXT_MAX];
    const char *fields[FIELDS];
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = http_answer_fields(answer, names[i], texts[i], TEXT_MAX) > 0 ? texts[i] : NULL;
    struct http_fresh fresh;
    http_fresh_parse(&(struct http_fresh_fields){.cache_control = fields[0],
                                                 .age = fields[1],
                                                 .date = fields[2],
                                                 .etag = fields[3],
                                                 .last_modified = fields[4],
                                                 .vary = fields[5]},
                     &fresh);
    return fresh;
}

char *url_cache_place(const struct http_answer *answer)
{
    const char *url = http_answer_url(answer);
    return mem_printf("%.*s", (int)strcspn(url, "?#"), url);
}

int url_cache_judge(const char *url, const struct http_answer *answer, struct error *e)
{
    if (answer->code < 0)
        return error_set(e, answer->code, "%s", answer->text);
    if (answer->status < 200 || answer->status > 299)
        return error_set(e, ERR_UNAVAILABLE, "%.400s answers with status %u", url, answer->status);
    return 0;
}

/* ---- URLs that are not to be kept
 * ----------------------------------------------------------------
 */

static uint64_t url_cache_hash(const char *url)
{
    uint64_t hash = XXH3_64bits(url, strlen(url));
    return hash != 0 ? hash : 1;
}

uint64_t *url_cache_stranger(struct url_cache *cache, const char *url)
{
    uint64_t hash = url_cache_hash(url);
    for (size_t i = 0; i < URL_CACHE_STRANGERS_MAX; i++)
        if (cache->strangers[i] == hash)
            return &cache->strangers[i];
    return NULL;
}

void url_cache_note_stranger(struct url_cache *cache, const char *url, bool is_one)
{
    uint64_t *known = url_cache_stranger(cache, url);
    if (known != NULL && !is_one)
        *known = 0;
    else if (known == NULL && is_one)
        cache->strangers[cache->strangers_at++ % URL_CACHE_STRANGERS_MAX] = url_cache_hash(url);
}
