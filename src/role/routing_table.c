#include "role/routing_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

struct routing_table_count_key {
    char service[ROUTING_NAME_MAX + 1];
    char model[ROUTING_NAME_MAX + 1];
};

struct routing_table_count {
    struct routing_table_count_key key;
    struct health total;  /* since the node's start */
    struct health before; /* of these, before the service began to have the model */
    struct health health; /* the difference */
    UT_hash_handle hh;
};

struct routing_table_service {
    struct routing_state state;
    UT_hash_handle hh;
};

struct routing_table {
    struct routing_table_service *services;
    struct routing_table_count *counts;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } watchers[ROUTING_TABLE_WATCHERS_MAX];
    unsigned watchers_n;
    bool out;
    char reason[ROUTING_REASON_MAX];
};

struct routing_table *routing_table_new(void)
{
    return mem_zalloc(sizeof(struct routing_table));
}

void routing_table_free(struct routing_table *table)
{
    if (table == NULL)
        return;
    struct routing_table_service *service;
    struct routing_table_service *service_next;
    HASH_ITER (hh, table->services, service, service_next) {
        HASH_DEL(table->services, service);
        free(service);
    }
    struct routing_table_count *count;
    struct routing_table_count *count_next;
    HASH_ITER (hh, table->counts, count, count_next) {
        HASH_DEL(table->counts, count);
        free(count);
    }
    free(table);
}

void routing_table_on_change(struct routing_table *table, void (*fn)(void *arg), void *arg)
{
    unsigned i = 0;
    while (i < table->watchers_n && table->watchers[i].arg != arg)
        i++;
    if (fn == NULL) {
        if (i < table->watchers_n)
            table->watchers[i] = table->watchers[--table->watchers_n];
        return;
    }
    assert(i < ROUTING_TABLE_WATCHERS_MAX);
    table->watchers[i].fn = fn;
    table->watchers[i].arg = arg;
    if (i == table->watchers_n)
        table->watchers_n++;
}

static void routing_table_changed(const struct routing_table *table)
{
    for (unsigned i = 0; i < table->watchers_n; i++)
        table->watchers[i].fn(table->watchers[i].arg);
}

/* ---- health ------------------------------------------------------------------------------------
 */

static struct routing_table_count *routing_table_counter(const struct routing_table *table,
                                                         const char *service, const char *model)
{
    struct routing_table_count_key key = {{0}, {0}};
    (void)snprintf(key.service, sizeof key.service, "%s", service);
    (void)snprintf(key.model, sizeof key.model, "%s", model);
    struct routing_table_count *count;
    HASH_FIND(hh, table->counts, &key, sizeof key, count);
    return count;
}

static struct routing_table_count *routing_table_get(struct routing_table *table,
                                                     const char *service, const char *model)
{
    struct routing_table_count *count = routing_table_counter(table, service, model);
    if (count != NULL)
        return count;
    if (HASH_COUNT(table->counts) >= ROUTING_TABLE_COUNTS_MAX) {
        struct routing_table_count *oldest = table->counts; /* of a model that is long gone */
        HASH_DEL(table->counts, oldest);
        free(oldest);
    }
    count = mem_zalloc(sizeof *count);
    (void)snprintf(count->key.service, sizeof count->key.service, "%s", service);
    (void)snprintf(count->key.model, sizeof count->key.model, "%s", model);
    HASH_ADD(hh, table->counts, key, sizeof count->key, count);
    return count;
}

void routing_table_set_health(struct routing_table *table, const char *service, const char *model,
                              const struct health *health)
{
    struct routing_table_count *count = routing_table_get(table, service, model);
    count->total = *health;
    health_since(health, &count->before, &count->health);
}

bool routing_table_health_at(const struct routing_table *table, size_t i, const char **service,
                             const char **model, const struct health **health)
{
    const struct routing_table_count *count = table->counts;
    while (count != NULL && i > 0) {
        count = count->hh.next;
        i--;
    }
    if (count == NULL)
        return false;
    *service = count->key.service;
    *model = count->key.model;
    *health = &count->health;
    return true;
}

const struct health *routing_table_health(const struct routing_table *table, const char *service,
                                          const char *model)
{
    const struct routing_table_count *count = routing_table_counter(table, service, model);
    return count != NULL ? &count->health : NULL;
}

/* The service begins to have the model, unless it had it: what came before counts no more. */
static void routing_table_begin(const struct routing_table *table, const struct routing_state *was,
                                const char *model)
{
    struct routing_table_count *count = routing_table_counter(table, was->service, model);
    if (count == NULL || strcmp(was->stable, model) == 0 || strcmp(was->canary, model) == 0)
        return;
    count->before = count->total;
    count->health = (struct health){0};
}

/* ---- states ------------------------------------------------------------------------------------
 */

static int routing_table_order(const struct routing_table_service *a,
                               const struct routing_table_service *b)
{
    return strcmp(a->state.service, b->state.service);
}

void routing_table_apply(struct routing_table *table, const struct routing_state *state)
{
    struct routing_table_service *service;
    HASH_FIND_STR(table->services, state->service, service);
    if (service == NULL) {
        service = mem_zalloc(sizeof *service);
        memcpy(service->state.service, state->service, sizeof service->state.service);
        HASH_ADD_KEYPTR_INORDER(hh, table->services, service->state.service,
                                strlen(service->state.service), service, routing_table_order);
    }
    if (state->version <= service->state.version)
        return;
    routing_table_begin(table, &service->state, state->stable);
    routing_table_begin(table, &service->state, state->canary);
    service->state = *state;
    routing_table_changed(table);
}

const struct routing_state *routing_table_at(const struct routing_table *table, size_t i)
{
    const struct routing_table_service *service = table->services;
    while (service != NULL && i > 0) {
        service = service->hh.next;
        i--;
    }
    return service != NULL ? &service->state : NULL;
}

const struct routing_state *routing_table_find(const struct routing_table *table, const char *name)
{
    const struct routing_table_service *service;
    HASH_FIND_STR(table->services, name, service);
    return service != NULL ? &service->state : NULL;
}

void routing_table_set_rotation(struct routing_table *table, bool in_rotation, const char *reason)
{
    table->out = !in_rotation;
    (void)snprintf(table->reason, sizeof table->reason, "%s", in_rotation ? "" : reason);
    routing_table_changed(table);
}

bool routing_table_in_rotation(const struct routing_table *table, const char **reason)
{
    *reason = table->reason;
    return !table->out;
}

const struct routing_state *routing_table_default(const struct routing_table *table)
{
    const struct routing_state *named = routing_table_find(table, "default");
    if (named != NULL)
        return named;
    return HASH_COUNT(table->services) == 1 ? &table->services->state : NULL;
}
