/* What is kept of rollouts in the replicated state, so that whoever leads has it: written with each
 * step, before what the step asks for is done; read by a new leader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/rollouts_internal.h"
#include "run/state_query.h"

static const struct log_about record_log = {.role = "rollout"};

/* A write on its way, and what happens behind it. */
struct rollouts_write {
    struct rollouts *rollouts;
    struct rollouts_entry *entry;
    uint64_t epoch;
    struct rollout_update update;
    struct http_request *req;
};

void rollouts_put(struct rollouts *rollouts, const char *key, json_t *json, changes_done_fn done,
                  void *arg)
{
    char *text = json_dumps(json, JSON_COMPACT);
    Wire__KvPut put = WIRE__KV_PUT__INIT;
    put.key = (char *)(uintptr_t)key;
    put.value.data = (uint8_t *)text;
    put.value.len = strlen(text);
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_PUT;
    change.kv_put = &put;
    changes_add(node_replica(rollouts->node)->changes, &change, done, arg);
    free(text);
}

void rollouts_delete(struct rollouts *rollouts, const char *key)
{
    Wire__KvDelete request = WIRE__KV_DELETE__INIT;
    request.key = (char *)(uintptr_t)key;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_DELETE;
    change.kv_delete = &request;
    changes_add(node_replica(rollouts->node)->changes, &change, NULL, NULL);
}

static void rollouts_key(const struct rollouts_entry *entry, bool past, char out[static 128])
{
    char id[UUID_TEXT_MAX];
    (void)uuid_format(&entry->r.id, id);
    if (past)
        (void)snprintf(out, 128, ROLLOUTS_PAST_PREFIX "%015lld-%s", (long long)entry->r.began_ms,
                       id);
    else
        (void)snprintf(out, 128, ROLLOUTS_ACTIVE_PREFIX "%s", id);
}

static void rollouts_on_written(void *arg, int code, const struct state_result *result)
{
    (void)result;
    struct rollouts_write *write = arg;
    struct rollouts *rollouts = write->rollouts;
    struct error e;
    bool void_now = write->epoch != rollouts->epoch || !rollouts->active;
    if (write->req != NULL && code == 0 && !void_now) {
        http_reply_json(write->req, 200, rollouts_json(write->entry));
    } else if (write->req != NULL) {
        (void)error_set(&e, code < 0 ? code : ERR_OUTCOME_UNKNOWN, "%s",
                        err_text(code < 0 ? code : ERR_OUTCOME_UNKNOWN));
        http_reply_failure(write->req, &e, "rollout status tells how far it is");
    }
    if (!void_now) {
        write->entry->writes--;
        if (code == 0)
            rollouts_perform(write->entry, &write->update);
    }
    free(write);
}

static void rollouts_drop_old(struct rollouts *rollouts)
{
    struct rollouts_entry *entry = TAILQ_FIRST(&rollouts->entries);
    while (rollouts->past_n > ROLLOUTS_PAST_MAX && entry != NULL) {
        struct rollouts_entry *next = TAILQ_NEXT(entry, link);
        char key[128];
        if (entry->past && entry->writes == 0) {
            rollouts_key(entry, true, key);
            rollouts_delete(rollouts, key);
            rollouts_entry_free(entry);
        }
        entry = next;
    }
}

void rollouts_write(struct rollouts_entry *entry, const struct rollout_update *update,
                    struct http_request *req)
{
    struct rollouts *rollouts = entry->rollouts;
    struct rollouts_write *write = mem_zalloc(sizeof *write);
    char key[128];
    write->rollouts = rollouts;
    write->entry = entry;
    write->epoch = rollouts->epoch;
    write->update = *update;
    write->req = req;
    entry->writes++;
    if (update->ended) {
        rollouts_key(entry, false, key);
        rollouts_delete(rollouts, key);
        entry->past = true;
        metric_series_add(metric_series(METRIC_ROLLOUTS_ENDED, rollout_state_name(entry->r.state)),
                          1);
        rollouts->active_n--;
        rollouts->past_n++;
    }
    rollouts_key(entry, entry->past, key);
    json_t *json = rollouts_json(entry);
    rollouts_put(rollouts, key, json, rollouts_on_written, write);
    json_decref(json);
    if (update->ended)
        rollouts_drop_old(rollouts);
}

/* ---- a new leader reads it ---- */

struct rollouts_load {
    struct rollouts *rollouts;
    uint64_t epoch;
    json_t *models;
    json_t *rows; /* of rollouts, past ones first */
};

static int rollouts_load_prefix(sqlite3 *db, const char *prefix, json_t *into)
{
    json_t *keys = NULL;
    int err = state_query_kv_list(db, prefix, 100000, &keys);
    size_t i;
    json_t *row;
    json_array_foreach(keys, i, row)
    {
        struct state_query_value value = {0};
        if (state_query_kv(db, json_string_value(json_object_get(row, "key")), &value) == 0) {
            json_t *json = json_loadb(value.data, value.len, 0, NULL);
            if (json != NULL)
                json_array_append_new(into, json);
        }
        free(value.data);
    }
    json_decref(keys);
    return err;
}

static int rollouts_load_query(sqlite3 *db, void *arg)
{
    struct rollouts_load *load = arg;
    load->models = json_array();
    load->rows = json_array();
    int err = rollouts_load_prefix(db, ROLLOUTS_MODEL_PREFIX, load->models);
    if (err == 0)
        err = rollouts_load_prefix(db, ROLLOUTS_PAST_PREFIX, load->rows);
    if (err == 0)
        err = rollouts_load_prefix(db, ROLLOUTS_ACTIVE_PREFIX, load->rows);
    return err;
}

static void rollouts_load_one(struct rollouts *rollouts, const json_t *json)
{
    struct rollout r;
    json_t *notes = NULL;
    if (rollouts_parse(json, &r, &notes) < 0) {
        log_error(&record_log, "a rollout in the replicated state cannot be read and is left out");
        return;
    }
    struct rollouts_entry *entry = rollouts_entry_new(rollouts, &r);
    json_decref(entry->notes);
    entry->notes = notes;
    if (rollout_is_ended(&r)) {
        entry->past = true;
        rollouts->active_n--;
        rollouts->past_n++;
    }
}

static void rollouts_on_loaded(void *arg, int code)
{
    struct rollouts_load *load = arg;
    struct rollouts *rollouts = load->rollouts;
    size_t i;
    json_t *json;
    if (code == 0 && load->epoch == rollouts->epoch && node_is_active(rollouts->node)) {
        json_array_foreach(load->models, i, json) rollouts_model_load(rollouts, json);
        json_array_foreach(load->rows, i, json) rollouts_load_one(rollouts, json);
        rollouts->active = true;
        struct rollouts_entry *entry;
        TAILQ_FOREACH (entry, &rollouts->entries, link) {
            if (!entry->past)
                (void)rollouts_step(entry, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED},
                                    NULL, NULL);
        }
    } else if (code < 0 && load->epoch == rollouts->epoch) {
        log_error(&record_log, "cannot read the rollouts: %s", err_text(code));
    }
    json_decref(load->models);
    json_decref(load->rows);
    free(load);
}

void rollouts_load(struct rollouts *rollouts)
{
    struct rollouts_load *load = mem_zalloc(sizeof *load);
    load->rollouts = rollouts;
    load->epoch = ++rollouts->epoch;
    state_read(node_replica(rollouts->node)->state, STATE_WEAK, rollouts_load_query,
               rollouts_on_loaded, load);
}
