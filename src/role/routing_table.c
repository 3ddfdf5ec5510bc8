#include "role/routing_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/prng.h"
#include "base/uuid.h"

struct routing_table_count_key {
    char service[ROUTING_NAME_MAX + 1];
    char model[ROUTING_NAME_MAX + 1];
};

struct routing_table_count {
    struct routing_table_count_key key;
    struct health health;
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
    struct prng prng;
    bool out;
    char reason[ROUTING_REASON_MAX];
};

struct routing_table *routing_table_new(void)
{
    struct routing_table *table = mem_zalloc(sizeof *table);
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    prng_init(&table->prng, seed);
    return table;
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
    assert(table->watchers_n < ROUTING_TABLE_WATCHERS_MAX);
    table->watchers[table->watchers_n].fn = fn;
    table->watchers[table->watchers_n++].arg = arg;
}

static void routing_table_changed(const struct routing_table *table)
{
    for (unsigned i = 0; i < table->watchers_n; i++)
        table->watchers[i].fn(table->watchers[i].arg);
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

/* ---- requests -----------------------------------------------------------------------------------
 */

static const struct routing_state *routing_table_named(const struct routing_table *table,
                                                       const char *service, struct error *e)
{
    const struct routing_state *state;
    if (service != NULL && service[0] != '\0') {
        state = routing_table_find(table, service);
        if (state == NULL)
            error_set(e, ERR_NOT_FOUND, "no service is called %.64s: routing show lists them",
                      service);
        return state;
    }
    state = routing_table_at(table, 0);
    if (state == NULL) {
        error_set(e, ERR_NOT_FOUND, "there is no service yet: rollout start makes one");
    } else if (HASH_COUNT(table->services) > 1) {
        error_set(e, ERR_NOT_FOUND, "there are %u services: name the one that is meant",
                  HASH_COUNT(table->services));
        return NULL;
    }
    return state;
}

int routing_table_choose(struct routing_table *table, const char *service, const char *sticky,
                         struct routing_target *target, struct error *e)
{
    const struct routing_state *state = routing_table_named(table, service, e);
    if (state == NULL)
        return ERR_NOT_FOUND;
    if (table->out)
        return error_set(e, ERR_UNAVAILABLE, "this node is out of rotation: %s", table->reason);
    uint64_t number = sticky != NULL && sticky[0] != '\0'
                          ? routing_hash(state->service, sticky, strlen(sticky))
                          : prng_next(&table->prng);
    enum routing_model which = routing_choose(state, number);
    *target = (struct routing_target){.version = state->version, .which = which};
    memcpy(target->service, state->service, sizeof target->service);
    (void)snprintf(target->model, sizeof target->model, "%s", routing_model_id(state, which));
    (void)snprintf(target->url, sizeof target->url, "%s", routing_model_url(state, which));
    return 0;
}

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

static struct health *routing_table_get(struct routing_table *table, const char *service,
                                        const char *model)
{
    struct routing_table_count *count = routing_table_counter(table, service, model);
    if (count != NULL)
        return &count->health;
    if (HASH_COUNT(table->counts) >= ROUTING_TABLE_COUNTS_MAX) {
        struct routing_table_count *oldest = table->counts; /* of a model that is long gone */
        HASH_DEL(table->counts, oldest);
        free(oldest);
    }
    count = mem_zalloc(sizeof *count);
    (void)snprintf(count->key.service, sizeof count->key.service, "%s", service);
    (void)snprintf(count->key.model, sizeof count->key.model, "%s", model);
    HASH_ADD(hh, table->counts, key, sizeof count->key, count);
    return &count->health;
}

void routing_table_count(struct routing_table *table, const char *service, const char *model,
                         bool error, uint64_t latency_us)
{
    health_count(routing_table_get(table, service, model), error, latency_us);
}

void routing_table_set_health(struct routing_table *table, const char *service, const char *model,
                              const struct health *health)
{
    *routing_table_get(table, service, model) = *health;
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
