/* A node's own health: what its vote looks at, and what it tells the leader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/participant_internal.h"
#include "role/routing_table.h"

/* ---- readings
 * -------------------------------------------------------------------------------------- */

static struct participant_window *judge_window(struct participant *participant, const char *service,
                                               const char *model)
{
    struct participant_window *window;
    TAILQ_FOREACH (window, &participant->windows, link) {
        if (strcmp(window->service, service) == 0 && strcmp(window->model, model) == 0)
            return window;
    }
    return NULL;
}

/* Whether the service's present state names the model. */
static bool judge_is_served(const struct participant *participant, const char *service,
                            const char *model)
{
    const struct routing_state *state =
        routing_table_find(node_routing(participant->node), service);
    return state != NULL &&
           (strcmp(state->stable, model) == 0 || strcmp(state->canary, model) == 0);
}

void participant_read_health(struct participant *participant)
{
    const struct routing_table *table = node_routing(participant->node);
    const char *service;
    const char *model;
    const struct health *health;
    int64_t now_ms = loop_now_ms(node_loop(participant->node));
    for (size_t i = 0; routing_table_health_at(table, i, &service, &model, &health); i++) {
        struct participant_window *window = judge_window(participant, service, model);
        if (!judge_is_served(participant, service, model)) {
            if (window != NULL) {
                TAILQ_REMOVE(&participant->windows, window, link);
                free(window);
            }
            continue;
        }
        if (window == NULL) {
            static const struct health nothing;
            window = mem_zalloc(sizeof *window);
            (void)snprintf(window->service, sizeof window->service, "%s", service);
            (void)snprintf(window->model, sizeof window->model, "%s", model);
            TAILQ_INSERT_TAIL(&participant->windows, window, link);
            /* counted since the last look */
            health_window_read(&window->window, now_ms, PARTICIPANT_GATE_WINDOW_MS, &nothing);
        }
        health_window_read(&window->window, now_ms, PARTICIPANT_GATE_WINDOW_MS, health);
    }
}

/* ---- the vote
 * ---------------------------------------------------------------------------------------- */

static bool judge_gate(struct participant *participant, const struct routing_state *state,
                       char why[static TXN_TEXT_MAX])
{
    const struct routing_gate *gate = &state->gate;
    struct participant_window *window = judge_window(participant, state->service, gate->model);
    struct health health;
    if (gate->model[0] == '\0' || window == NULL)
        return true;
    participant_read_health(participant);
    health_window_get(&window->window, loop_now_ms(node_loop(participant->node)),
                      PARTICIPANT_GATE_WINDOW_MS, &health);
    if (health.requests == 0 || health.requests < gate->samples_min)
        return true;
    unsigned errors = health_errors_permille(&health);
    uint64_t p95_us = health_percentile_us(&health, 950);
    const char *name = node_options(participant->node)->name;
    if (gate->errors_permille_max > 0 && errors > gate->errors_permille_max) {
        (void)snprintf(why, TXN_TEXT_MAX, "%s answers with %g %% errors on %s", gate->model,
                       errors / 10.0, name);
        return false;
    }
    if (gate->p95_us_max > 0 && p95_us > gate->p95_us_max) {
        (void)snprintf(why, TXN_TEXT_MAX, "%s takes %llu ms for 95 %% of its requests on %s",
                       gate->model, (unsigned long long)p95_us / 1000, name);
        return false;
    }
    return true;
}

bool participant_judge(struct participant *participant, const struct txn_body *body,
                       char why[static TXN_TEXT_MAX])
{
    const char *reason;
    if (participant->full) {
        (void)snprintf(why, TXN_TEXT_MAX, "the disk of %s is nearly full",
                       node_options(participant->node)->name);
        return false;
    }
    if (!routing_table_in_rotation(node_routing(participant->node), &reason)) {
        (void)snprintf(why, TXN_TEXT_MAX, "%s is out of rotation: %.180s",
                       node_options(participant->node)->name, reason);
        return false;
    }
    for (size_t i = 0; i < body->writes_n; i++) {
        struct routing_state state;
        const struct txn_write *write = &body->writes[i];
        if (routing_decode(write->value, write->len, &state) < 0 ||
            strcmp(state.service, write->key) != 0) {
            (void)snprintf(why, TXN_TEXT_MAX, "the new state of %s makes no sense to %s",
                           write->key, node_options(participant->node)->name);
            return false;
        }
        if (!judge_gate(participant, &state, why))
            return false;
    }
    return true;
}

/* ---- for the leader
 * ------------------------------------------------------------------------------------ */

void participant_send_snapshot(struct participant *participant)
{
    enum { JUDGE_MODELS_MAX = 256 };
    const struct routing_table *table = node_routing(participant->node);
    Wire__ModelHealth models[JUDGE_MODELS_MAX];
    Wire__ModelHealth *pointers[JUDGE_MODELS_MAX];
    Wire__HealthSnapshot snapshot = WIRE__HEALTH_SNAPSHOT__INIT;
    const char *service;
    const char *model;
    const char *reason;
    const struct health *health;
    uint64_t leader = node_leader(participant->node);
    if (leader == 0)
        return;
    for (size_t i = 0; snapshot.n_models < JUDGE_MODELS_MAX &&
                       routing_table_health_at(table, i, &service, &model, &health);
         i++) {
        if (!judge_is_served(participant, service, model))
            continue;
        Wire__ModelHealth *row = &models[snapshot.n_models];
        wire__model_health__init(row);
        row->service = (char *)(uintptr_t)service;
        row->model_id = (char *)(uintptr_t)model;
        row->requests = health->requests;
        row->errors = health->errors;
        row->latency = (uint64_t *)(uintptr_t)health->latency;
        row->n_latency = HEALTH_BUCKETS;
        pointers[snapshot.n_models++] = row;
    }
    snapshot.models = pointers;
    snapshot.boot = (uint64_t)node_options(participant->node)->started_ms;
    snapshot.in_rotation = routing_table_in_rotation(table, &reason);
    snapshot.reason = (char *)(uintptr_t)reason;
    struct txn_doubt doubt;
    while (participant->txn != NULL && txn_doubt_at(participant->txn, snapshot.in_doubt, &doubt))
        snapshot.in_doubt++;
    (void)node_send(participant->node, leader, WIRE_HEALTH_SNAPSHOT, &snapshot.base);
}
