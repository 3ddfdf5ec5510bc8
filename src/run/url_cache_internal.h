/* What the parts of run/url_cache share; nobody else includes it. */
#ifndef RUN_URL_CACHE_INTERNAL_H
#define RUN_URL_CACHE_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "base/lru.h"
#include "run/file_copier.h"
#include "run/http_fresh.h"
#include "run/url_cache.h"

TAILQ_HEAD(url_cache_gets, url_cache_get);

struct url_cache_entry {
    struct lru_item item; /* used by gets that wait for it or copy it */
    struct url_cache *cache;
    char *url;
    char *place; /* where redirects led to, without the query; NULL: no answer yet */
    char *path;  /* of the file; NULL: not ready */
    bool listed; /* in the table of URLs */
    uint64_t bytes;
    uint64_t xxh3;
    struct http_fresh fresh;
    int64_t asked_ms;
    bool spoilt;            /* its file is not what it was */
    struct http_call *call; /* a download, or the question whether it is still the same */
    bool asks;
    char *part;
    int64_t call_ms;
    struct url_cache_gets waiting;
    UT_hash_handle hh;
};

/* One file for one task. */
struct url_cache_get {
    struct url_cache *cache;
    struct url_cache_entry *entry; /* NULL: straight, or at its end */
    char *url;
    char *path;
    bool waits;             /* in entry->waiting */
    struct http_call *call; /* straight to its place */
    struct file_copier_job copy;
    bool repeated;
    bool ended;
    struct error e;
    struct loop_timer limit;
    struct loop_hook hook;
    url_cache_fn fn;
    void *arg;
    TAILQ_ENTRY(url_cache_get) link;
};

struct url_cache {
    struct loop *loop;
    struct http_client *http;
    char *dir;
    uint64_t download_bytes_max;
    uint64_t names;
    struct url_cache_entry *entries;
    struct lru kept;
    struct file_copier copier;
    uint64_t strangers[URL_CACHE_STRANGERS_MAX]; /* hashes of URLs that are not to be kept */
    unsigned strangers_at;
};

/* ---- url_cache_entry.c: the books -------------------------------------------------------------
 */

struct url_cache_entry *url_cache_find(const struct url_cache *cache, const char *url);
struct url_cache_entry *url_cache_add(struct url_cache *cache, const char *url);
/* Of url_cache.kept. */
void url_cache_drop_item(struct lru_item *item);
/* Nobody finds it any more; it is freed, with its file, when nobody uses it. */
void url_cache_drop(struct url_cache_entry *entry);
void url_cache_entry_free(struct url_cache_entry *entry);
/* Keeps it if there is room after what is unused has gone; else drops it. */
void url_cache_keep(struct url_cache_entry *entry);
/* Ends its call, if one is under way, and removes what that has fetched. */
void url_cache_end_call(struct url_cache_entry *entry);
/* A get begins to wait for it, or has done with it; what nobody wants any more ends. */
void url_cache_join(struct url_cache_get *get, struct url_cache_entry *entry);
void url_cache_leave(struct url_cache_get *get);

/* ---- url_cache_answer.c: what servers say ------------------------------------------------------
 */

struct http_fresh url_cache_fresh(const struct http_answer *answer);
/* malloc'ed: where it came from in the end, without query. */
char *url_cache_place(const struct http_answer *answer);
/* 0 for a status of 2xx, else a code and a sentence. */
int url_cache_judge(const char *url, const struct http_answer *answer, struct error *e);
/* URLs whose answers are not to be kept; a few are remembered. */
uint64_t *url_cache_stranger(struct url_cache *cache, const char *url);
void url_cache_note_stranger(struct url_cache *cache, const char *url, bool is_one);

#endif
