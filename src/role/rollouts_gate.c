/* Measuring: what the nodes' counters say, what HTTP and command gates answer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/exec_server.h"
#include "role/rollouts_internal.h"
#include "run/http_client.h"
#include "wire/task_code.h"

/* ---- counters
 * ---------------------------------------------------------------------------------------- */

static struct rollouts_reading *gate_reading(struct rollouts_entry *entry, uint64_t node,
                                             size_t target)
{
    struct rollouts_reading *reading;
    TAILQ_FOREACH (reading, &entry->readings, link) {
        if (reading->node == node && reading->target == target)
            return reading;
    }
    reading = mem_zalloc(sizeof *reading);
    reading->node = node;
    reading->target = target;
    TAILQ_INSERT_TAIL(&entry->readings, reading, link);
    return reading;
}

static void gate_read(struct rollouts_entry *entry, uint64_t from, uint64_t boot, size_t target,
                      const Wire__ModelHealth *row)
{
    struct rollouts_reading *reading = gate_reading(entry, from, target);
    int64_t now_ms = loop_now_ms(node_loop(entry->rollouts->node));
    struct health health = {.requests = row->requests, .errors = row->errors};
    for (size_t i = 0; i < row->n_latency && i < HEALTH_BUCKETS; i++)
        health.latency[i] = row->latency[i];
    if (reading->boot != boot) {
        memset(&reading->window, 0, sizeof reading->window);
        reading->boot = boot;
    }
    health_window_read(&reading->window, now_ms, entry->r.window_ms, &health);
}

void rollouts_on_snapshot(struct rollouts *rollouts, uint64_t from,
                          const Wire__HealthSnapshot *snapshot)
{
    struct rollouts_entry *entry;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        if (rollout_is_ended(&entry->r) || entry->r.gates_n == 0)
            continue;
        for (size_t target = 0; target < entry->r.targets_n; target++) {
            static const Wire__ModelHealth nothing = WIRE__MODEL_HEALTH__INIT;
            const Wire__ModelHealth *row = &nothing;
            for (size_t i = 0; i < snapshot->n_models; i++) {
                if (strcmp(snapshot->models[i]->service, entry->r.targets[target].service) == 0 &&
                    strcmp(snapshot->models[i]->model_id, entry->r.targets[target].canary) == 0)
                    row = snapshot->models[i];
            }
            gate_read(entry, from, snapshot->boot, target, row);
        }
    }
}

void rollouts_measure(struct rollouts_entry *entry)
{
    struct health health[ROLLOUT_TARGETS_MAX] = {{0}};
    int64_t now_ms = loop_now_ms(node_loop(entry->rollouts->node));
    struct rollouts_reading *reading;
    TAILQ_FOREACH (reading, &entry->readings, link) {
        struct health part;
        health_window_get(&reading->window, now_ms, entry->r.window_ms, &part);
        health_add(&health[reading->target], &part);
    }
    (void)rollouts_step(
        entry, (struct rollout_event){.type = ROLLOUT_EVENT_SAMPLE, .health = health}, NULL, NULL);
}

/* ---- HTTP, commands
 * ------------------------------------------------------------------------------------ */

static void gate_tell(struct rollouts_entry *entry, size_t gate, enum rollout_verdict verdict,
                      double value, const char *text)
{
    (void)rollouts_step(entry,
                        (struct rollout_event){.type = ROLLOUT_EVENT_GATE,
                                               .gate = gate,
                                               .verdict = verdict,
                                               .value = value,
                                               .text = text},
                        NULL, NULL);
}

/* A body {"pass": true | false | null, "value": number} has the word; without one 2xx passes. */
static enum rollout_verdict gate_read_answer(const struct http_answer *answer, double *value,
                                             char text[static ROLLOUT_TEXT_MAX])
{
    *value = NAN;
    (void)snprintf(text, ROLLOUT_TEXT_MAX, "status %u", answer->status);
    if (answer->code < 0) {
        (void)snprintf(text, ROLLOUT_TEXT_MAX, "%.*s", ROLLOUT_TEXT_MAX - 1, answer->text);
        return ROLLOUT_VERDICT_INCONCLUSIVE;
    }
    if (answer->status < 200 || answer->status > 299)
        return ROLLOUT_VERDICT_FAIL;
    json_t *json = json_loadb(answer->body, answer->body_len, 0, NULL);
    const json_t *pass = json_object_get(json, "pass");
    enum rollout_verdict verdict = ROLLOUT_VERDICT_PASS;
    if (json_is_number(json_object_get(json, "value")))
        *value = json_number_value(json_object_get(json, "value"));
    if (pass != NULL && !json_is_boolean(pass)) {
        verdict = ROLLOUT_VERDICT_INCONCLUSIVE;
        (void)snprintf(text, ROLLOUT_TEXT_MAX, "it cannot tell yet");
    } else if (json_is_false(pass)) {
        verdict = ROLLOUT_VERDICT_FAIL;
        (void)snprintf(text, ROLLOUT_TEXT_MAX, "it says no");
    }
    json_decref(json);
    return verdict;
}

static void gate_on_answer(void *arg, const struct http_answer *answer)
{
    struct rollouts_gate_arg *call = arg;
    struct rollouts_entry *entry = call->entry;
    size_t gate = call->gate;
    char text[ROLLOUT_TEXT_MAX];
    double value;
    entry->gate_https[gate] = NULL;
    enum rollout_verdict verdict = gate_read_answer(answer, &value, text);
    gate_tell(entry, gate, verdict, value, text);
}

static void gate_http(struct rollouts_entry *entry, size_t gate)
{
    if (entry->gate_https[gate] != NULL)
        return; /* the last question is still open */
    entry->gate_args[gate] = (struct rollouts_gate_arg){.entry = entry, .gate = gate};
    const struct http_call_options options = {
        .url = entry->r.gates[gate].argument,
        .body_max = 64 * 1024,
        .connect_timeout_ms = 2000,
        .total_timeout_ms = ROLLOUTS_GATE_MS,
        .on_done = gate_on_answer,
        .arg = &entry->gate_args[gate],
    };
    entry->gate_https[gate] = http_client_call(node_http(entry->rollouts->node), &options);
}

static void gate_on_command(void *arg, int code, const ProtobufCMessage *message)
{
    struct rollouts_gate_arg *call = arg;
    struct rollouts_entry *entry = call->entry;
    struct node *node = entry->rollouts->node;
    const Wire__ExecUpdate *update = (const Wire__ExecUpdate *)message;
    char text[ROLLOUT_TEXT_MAX];
    if (update != NULL && !update->ended) {
        Wire__ExecCredit credit = WIRE__EXEC_CREDIT__INIT;
        credit.call = entry->gate_calls[call->gate];
        credit.bytes = update->stdout_data.len + update->stderr_data.len;
        (void)node_send(node, node_id(node), WIRE_EXEC_CREDIT, &credit.base);
        return;
    }
    size_t gate = call->gate;
    enum rollout_verdict verdict = ROLLOUT_VERDICT_INCONCLUSIVE;
    (void)snprintf(text, sizeof text, "%.200s",
                   update != NULL && update->text[0] != '\0' ? update->text : err_text(code));
    if (update != NULL && update->report != NULL && update->report->exit_code >= 0) {
        enum { GATE_EXIT_TEMPORARY = 75 }; /* EX_TEMPFAIL */
        int exit_code = update->report->exit_code;
        (void)snprintf(text, sizeof text, "exit code %d", exit_code);
        verdict = exit_code == 0                     ? ROLLOUT_VERDICT_PASS
                  : exit_code == GATE_EXIT_TEMPORARY ? ROLLOUT_VERDICT_INCONCLUSIVE
                                                     : ROLLOUT_VERDICT_FAIL;
    } else if (update != NULL && update->report != NULL) {
        (void)snprintf(text, sizeof text, "%.200s", update->report->text);
    }
    if (update != NULL)
        node_call_end(node, entry->gate_calls[gate]);
    entry->gate_calls[gate] = 0;
    gate_tell(entry, gate, verdict, NAN, text);
}

static void gate_command(struct rollouts_entry *entry, size_t gate)
{
    struct node *node = entry->rollouts->node;
    if (entry->gate_calls[gate] != 0)
        return;
    char *argv[] = {entry->r.gates[gate].argument};
    Wire__ExecStart start = WIRE__EXEC_START__INIT;
    entry->gate_args[gate] = (struct rollouts_gate_arg){.entry = entry, .gate = gate};
    start.argv = argv;
    start.n_argv = 1;
    start.time_limit_ms = ROLLOUTS_GATE_MS;
    start.user = entry->r.by;
    start.credit = EXEC_SERVER_CREDIT_MAX;
    entry->gate_calls[gate] = node_call(node, node_id(node), WIRE_EXEC_START, &start.base, true, 0,
                                        gate_on_command, &entry->gate_args[gate]);
}

void rollouts_run_gates(struct rollouts_entry *entry, uint32_t gates)
{
    for (size_t i = 0; i < entry->r.gates_n; i++) {
        if ((gates & (UINT32_C(1) << i)) == 0)
            continue;
        if (entry->r.gates[i].kind == ROLLOUT_GATE_HTTP)
            gate_http(entry, i);
        else
            gate_command(entry, i);
    }
}

void rollouts_stop_gates(struct rollouts_entry *entry)
{
    struct node *node = entry->rollouts->node;
    for (size_t i = 0; i < ROLLOUT_GATES_MAX; i++) {
        if (entry->gate_https[i] != NULL)
            http_call_cancel(entry->gate_https[i]);
        if (entry->gate_calls[i] != 0) {
            Wire__ExecCancel cancel = WIRE__EXEC_CANCEL__INIT;
            cancel.call = entry->gate_calls[i];
            (void)node_send(node, node_id(node), WIRE_EXEC_CANCEL, &cancel.base);
            node_call_end(node, entry->gate_calls[i]);
        }
        entry->gate_https[i] = NULL;
        entry->gate_calls[i] = 0;
    }
}
