/* /api/rollouts: start, steer, look. The leader serves them, as it is the one who runs them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/rollouts_spec.h"

bool rollouts_serves(struct rollouts *rollouts, struct http_request *req, http_request_fn fn)
{
    struct error e;
    if (!node_serves(rollouts->node, req, fn, rollouts))
        return false;
    if (rollouts->active)
        return true;
    (void)error_set(&e, ERR_BUSY, "the new leader is still reading its rollouts");
    http_reply_failure(req, &e, "ask again in a moment");
    return false;
}

/* ---- steering
 * ----------------------------------------------------------------------------------------- */

static void api_audit(struct rollouts *rollouts, struct http_request *req, const char *action,
                      const char *service, const char *detail)
{
    char what[64];
    (void)snprintf(what, sizeof what, "rollout %s", action);
    changes_audit(node_replica(rollouts->node)->changes, http_request_user(req), what, service,
                  detail);
}

static void api_begin(struct rollouts *rollouts, struct http_request *req, const struct rollout *r,
                      const char *action)
{
    struct error e;
    if (rollouts->active_n >= ROLLOUTS_MAX) {
        (void)error_set(&e, ERR_BUSY, "%d rollouts are under way already", ROLLOUTS_MAX);
        http_reply_failure(req, &e, NULL);
        return;
    }
    api_audit(rollouts, req, action, r->targets[0].service, r->reason);
    struct rollouts_entry *entry = rollouts_entry_new(rollouts, r);
    (void)rollouts_step(entry, (struct rollout_event){.type = ROLLOUT_EVENT_START}, req, NULL);
}

/* The rollout as it would be. */
static void api_show(struct rollouts *rollouts, struct http_request *req, const struct rollout *r)
{
    struct rollouts_entry *entry = rollouts_entry_new(rollouts, r);
    http_reply_json(req, 200, rollouts_json(entry));
    rollouts_entry_free(entry);
}

static void api_start(struct rollouts *rollouts, struct http_request *req, const char *service,
                      const json_t *body)
{
    struct rollout r;
    struct error e;
    bool dry_run;
    if (rollouts_spec_start(rollouts, service, body, http_request_user(req), &r, &dry_run, &e) < 0)
        http_reply_failure(req, &e, NULL);
    else if (dry_run)
        api_show(rollouts, req, &r);
    else
        api_begin(rollouts, req, &r, "start");
}

static void api_no_rollout(struct http_request *req, const char *service)
{
    struct error e;
    (void)error_set(&e, ERR_NOT_FOUND, "%.64s has no rollout", service);
    http_reply_failure(req, &e, "rollout start begins one");
}

/* The one that is under way, else the latest. */
static struct rollouts_entry *api_find(const struct rollouts *rollouts, const char *service)
{
    struct rollouts_entry *entry = rollouts_find(rollouts, service, true);
    return entry != NULL ? entry : rollouts_find(rollouts, service, false);
}

static void api_retry(struct rollouts *rollouts, struct http_request *req, const char *service,
                      const json_t *body)
{
    const struct rollouts_entry *entry = api_find(rollouts, service);
    struct rollout r;
    struct error e;
    if (entry == NULL)
        api_no_rollout(req, service);
    else if (rollouts_spec_retry(rollouts, &entry->r, body, http_request_user(req), &r, &e) < 0)
        http_reply_failure(req, &e, NULL);
    else
        api_begin(rollouts, req, &r, "retry");
}

static void api_rollback(struct rollouts *rollouts, struct http_request *req, const char *service,
                         const json_t *body)
{
    struct rollouts_entry *active = rollouts_find(rollouts, service, true);
    struct rollout r;
    struct error e;
    if (rollouts_spec_rollback(rollouts, service, body, http_request_user(req),
                               active != NULL ? &active->r : NULL, &r, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    if (active != NULL)
        (void)rollouts_step(active,
                            (struct rollout_event){.type = ROLLOUT_EVENT_SUPERSEDE,
                                                   .by = http_request_user(req),
                                                   .text = r.reason},
                            NULL, NULL);
    api_begin(rollouts, req, &r, "rollback");
}

static const struct {
    const char *name;
    enum rollout_event_type type;
} api_actions[] = {
    {"promote", ROLLOUT_EVENT_PROMOTE}, {"pause", ROLLOUT_EVENT_PAUSE},
    {"freeze", ROLLOUT_EVENT_FREEZE},   {"resume", ROLLOUT_EVENT_RESUME},
    {"abort", ROLLOUT_EVENT_ABORT},
};

static void api_steer(struct rollouts *rollouts, struct http_request *req, const char *service,
                      size_t action, const json_t *body)
{
    struct rollouts_entry *entry = api_find(rollouts, service); /* an ended one says why not */
    char text[ROLLOUT_TEXT_MAX] = "";
    char reason[ROLLOUT_TEXT_MAX];
    bool full;
    struct error e;
    if (entry == NULL) {
        api_no_rollout(req, service);
        return;
    }
    bool promote = api_actions[action].type == ROLLOUT_EVENT_PROMOTE;
    if (rollouts_spec_steer(body, promote, &full, reason, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    const struct rollout_event event = {
        .type = api_actions[action].type,
        .full = full,
        .by = http_request_user(req),
        .text = reason,
    };
    int err = rollouts_step(entry, event, req, text);
    if (err < 0) {
        (void)error_set(&e, err, "%s", text);
        http_reply_failure(req, &e, NULL);
        return;
    }
    api_audit(rollouts, req, api_actions[action].name, service, event.text);
}

static void api_post(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    const char *service = http_request_param(req, "service");
    const char *action = http_request_param(req, "action");
    if (!rollouts_serves(rollouts, req, api_post))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    size_t i = 0;
    while (i < MEM_COUNT(api_actions) && strcmp(api_actions[i].name, action) != 0)
        i++;
    if (strcmp(action, "start") == 0)
        api_start(rollouts, req, service, body);
    else if (strcmp(action, "rollback") == 0)
        api_rollback(rollouts, req, service, body);
    else if (strcmp(action, "retry") == 0)
        api_retry(rollouts, req, service, body);
    else if (i < MEM_COUNT(api_actions))
        api_steer(rollouts, req, service, i, body);
    else
        http_reply_error(req, 404, "not_found", "a rollout has no such action",
                         "start, retry, promote, pause, freeze, resume, abort, rollback");
    json_decref(body);
}

/* ---- looking
 * --------------------------------------------------------------------------------------------- */

static void api_list(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    if (!rollouts_serves(rollouts, req, api_list))
        return;
    json_t *rows = json_array();
    const struct rollouts_entry *entry;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        if (rollouts_find(rollouts, entry->r.targets[0].service, false) == entry ||
            !rollout_is_ended(&entry->r))
            json_array_append_new(rows, rollouts_json(entry));
    }
    http_reply_json(req, 200, rows);
}

static void api_get(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    if (!rollouts_serves(rollouts, req, api_get))
        return;
    const char *service = http_request_param(req, "service");
    const struct rollouts_entry *entry = api_find(rollouts, service);
    if (entry != NULL)
        http_reply_json(req, 200, rollouts_json(entry));
    else
        api_no_rollout(req, service);
}

static json_t *api_history_row(const struct rollouts_entry *entry,
                               const struct rollout_target *target, const json_t *note)
{
    char id[UUID_TEXT_MAX];
    json_t *row = json_pack(
        "{s:o, s:s, s:s, s:s}", "at",
        api_json_time((uint64_t)json_integer_value(json_object_get(note, "at_ms"))), "service",
        target->service, "model", target->canary, "rollout", uuid_format(&entry->r.id, id));
    static const char *const keys[] = {"what", "by", "text", "state", "weight"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++)
        json_object_set(row, keys[i], json_object_get(note, keys[i]));
    json_t *version = json_object_get(json_object_get(note, "versions"), target->service);
    json_object_set_new(row, "version", version != NULL ? json_incref(version) : json_null());
    return row;
}

/* Newest first, of the service or of each rollout's first one. */
static void api_history(struct http_request *req, void *arg)
{
    struct rollouts *rollouts = arg;
    struct error e;
    uint64_t limit = 100;
    if (!rollouts_serves(rollouts, req, api_history))
        return;
    if (http_request_query_u64(req, "limit", 1, 10000, &limit, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    const char *service = http_request_query(req, "service");
    json_t *rows = json_array();
    const struct rollouts_entry *entry;
    TAILQ_FOREACH_REVERSE(entry, &rollouts->entries, rollouts_entries, link)
    {
        const struct rollout_target *target = service != NULL && service[0] != '\0'
                                                  ? rollouts_target(entry, service)
                                                  : &entry->r.targets[0];
        for (size_t i = json_array_size(entry->notes);
             i > 0 && target != NULL && json_array_size(rows) < limit; i--)
            json_array_append_new(
                rows, api_history_row(entry, target, json_array_get(entry->notes, i - 1)));
    }
    http_reply_json(req, 200, rows);
}

static const struct http_route api_routes[] = {
    {.method = "GET", .path = "/api/rollouts", .handler = api_list},
    {.method = "GET", .path = "/api/rollouts/history", .handler = api_history},
    {.method = "GET", .path = "/api/rollouts/{service}", .handler = api_get},
    {.method = "POST", .path = "/api/rollouts/{service}/{action}", .handler = api_post},
};

void rollouts_api_add_routes(struct rollouts *rollouts)
{
    http_router_add(node_router(rollouts->node), api_routes, MEM_COUNT(api_routes), rollouts);
}
