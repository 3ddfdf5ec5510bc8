/* What running attempts use: the nodes that run them are asked, and what they say is added to the
 * rows of an answer. A node that does not answer in time leaves its rows as they are. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/coordinator_read.h"
#include "wire/task_key.h"

enum {
    COORDINATOR_USAGE_MS = 1000,
    COORDINATOR_USAGE_TASKS_MAX = 1024, /* of one answer; further rows stay as they are */
};

struct coordinator_usage_ask {
    struct coordinator_usage *usage;
    uint64_t node;
    uint64_t call; /* 0: over */
};

struct coordinator_usage {
    struct coordinator *coordinator;
    struct coordinator_read *read;
    void (*done)(struct coordinator_read *read);
    struct coordinator_usage_ask *asks;
    size_t asks_n;
    size_t left;
    TAILQ_ENTRY(coordinator_usage) link;
};

static void coordinator_usage_free(struct coordinator_usage *usage)
{
    for (size_t i = 0; i < usage->asks_n; i++)
        if (usage->asks[i].call != 0)
            node_call_end(usage->coordinator->node, usage->asks[i].call);
    TAILQ_REMOVE(&usage->coordinator->usages, usage, link);
    http_request_on_close(usage->read->req, NULL, NULL);
    free(usage->asks);
    free(usage);
}

static void coordinator_usage_end(struct coordinator_usage *usage)
{
    struct coordinator_read *read = usage->read;
    void (*done)(struct coordinator_read * read) = usage->done;
    coordinator_usage_free(usage);
    done(read);
}

static void coordinator_usage_on_close(struct http_request *req, void *arg)
{
    struct coordinator_usage *usage = arg;
    struct coordinator_read *read = usage->read;
    coordinator_usage_free(usage);
    http_reply(req, 499, NULL, NULL, 0);
    coordinator_read_free(read);
}

/* Takes what is said of a running attempt into its row. */
static void coordinator_usage_add(const struct coordinator_read *read, Wire__TaskReport *report)
{
    struct task_key key;
    if (report->phase != WIRE__TASK_PHASE__TASK_PHASE_RUNNING ||
        task_key_read(report->key, &key) < 0)
        return;
    for (size_t i = 0; i < read->found_n; i++) {
        Wire__TaskRow *row = read->found[i];
        if (row->index != key.index || row->attempt != key.attempt)
            continue;
        if (row->report == NULL) {
            row->report = mem_alloc(sizeof *row->report);
            wire__task_report__init(row->report);
            row->report->exit_code = -1;
            row->report->started_ms = report->started_ms;
        }
        row->report->user_us = report->user_us;
        row->report->system_us = report->system_us;
        row->report->rss_max_bytes = report->rss_max_bytes;
        row->report->stdout_bytes = report->stdout_bytes;
        row->report->stderr_bytes = report->stderr_bytes;
        return;
    }
}

static void coordinator_usage_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct coordinator_usage_ask *ask = arg;
    struct coordinator_usage *usage = ask->usage;
    const Wire__TaskStatus *status = (const Wire__TaskStatus *)message;
    (void)code;
    ask->call = 0;
    for (size_t i = 0; status != NULL && i < status->n_reports; i++)
        coordinator_usage_add(usage->read, status->reports[i]);
    if (--usage->left == 0)
        coordinator_usage_end(usage);
}

static bool coordinator_usage_is_wanted(const struct coordinator_read *read,
                                        const Wire__TaskRow *row)
{
    return row->state == WIRE__ATTEMPT_STATE__ATTEMPT_STATE_RUNNING &&
           node_member(read->coordinator->node, row->node_id) != NULL;
}

static struct coordinator_usage_ask *coordinator_usage_ask_of(struct coordinator_usage *usage,
                                                              uint64_t node)
{
    for (size_t i = 0; i < usage->asks_n; i++)
        if (usage->asks[i].node == node)
            return &usage->asks[i];
    usage->asks[usage->asks_n] = (struct coordinator_usage_ask){.usage = usage, .node = node};
    return &usage->asks[usage->asks_n++];
}

static void coordinator_usage_send(struct coordinator_usage_ask *ask)
{
    const struct coordinator_read *read = ask->usage->read;
    Wire__GetTaskStatus request = WIRE__GET_TASK_STATUS__INIT;
    struct task_key *keys = mem_calloc(read->found_n, sizeof *keys);
    Wire__TaskKey *messages = mem_calloc(read->found_n, sizeof *messages);
    request.keys = mem_calloc(read->found_n, sizeof(Wire__TaskKey *));
    for (size_t i = 0; i < read->found_n && request.n_keys < COORDINATOR_USAGE_TASKS_MAX; i++) {
        const Wire__TaskRow *row = read->found[i];
        if (!coordinator_usage_is_wanted(read, row) || row->node_id != ask->node)
            continue;
        size_t n = request.n_keys++;
        memcpy(keys[n].job.bytes, read->row->id.data, sizeof keys[n].job.bytes);
        keys[n].index = row->index;
        keys[n].attempt = row->attempt;
        task_key_write(&keys[n], &messages[n]);
        request.keys[n] = &messages[n];
    }
    ask->call =
        node_call(ask->usage->coordinator->node, ask->node, WIRE_GET_TASK_STATUS, &request.base,
                  false, COORDINATOR_USAGE_MS, coordinator_usage_on_reply, ask);
    free(request.keys);
    free(messages);
    free(keys);
}

void coordinator_usage_fetch(struct coordinator_read *read,
                             void (*done)(struct coordinator_read *read))
{
    struct coordinator *c = read->coordinator;
    struct coordinator_usage *usage = mem_zalloc(sizeof *usage);
    usage->coordinator = c;
    usage->read = read;
    usage->done = done;
    usage->asks = mem_calloc(read->found_n + 1, sizeof *usage->asks);
    TAILQ_INSERT_TAIL(&c->usages, usage, link);
    for (size_t i = 0; i < read->found_n; i++)
        if (coordinator_usage_is_wanted(read, read->found[i]))
            (void)coordinator_usage_ask_of(usage, read->found[i]->node_id);
    usage->left = usage->asks_n;
    if (usage->left == 0) {
        coordinator_usage_end(usage);
        return;
    }
    http_request_on_close(read->req, coordinator_usage_on_close, usage);
    for (size_t i = 0; i < usage->asks_n; i++)
        coordinator_usage_send(&usage->asks[i]);
}

void coordinator_usages_end(struct coordinator *c)
{
    struct coordinator_usage *usage;
    while ((usage = TAILQ_FIRST(&c->usages)) != NULL)
        coordinator_usage_end(usage);
}
