#include "shell/live.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/client.h"
#include "shell/interrupt.h"
#include "shell/shell.h"

enum { LIVE_TIMEOUT_MS = 1500 };

static const char *const live_paths[] = {
    [LIVE_STATUS] = "/api/status",
    [LIVE_NODES] = "/api/nodes?consistency=stale",
    [LIVE_JOBS] = "/api/jobs?limit=100&consistency=stale",
    [LIVE_KEYS] = "/api/kv?consistency=stale",
};

void live_init(struct live *live, struct shell *shell)
{
    *live = (struct live){0};
    for (int kind = 0; kind < LIVE_KINDS; kind++)
        live->items[kind] = (struct live_item){.shell = shell, .kind = (enum live_kind)kind};
}

void live_done(struct live *live)
{
    for (int kind = 0; kind < LIVE_KINDS; kind++) {
        struct live_item *item = &live->items[kind];
        if (item->call != NULL)
            client_cancel(item->call);
        json_decref(item->value);
        *item = (struct live_item){.shell = item->shell, .kind = item->kind};
    }
}

static void live_on_done(void *arg, const struct client_reply *reply)
{
    struct live_item *item = arg;
    struct live *live = &item->shell->live;
    int64_t now_ms = clock_mono_ms();
    item->call = NULL;
    if (reply->code == 0 && reply->json != NULL) {
        json_decref(item->value);
        item->value = json_incref(reply->json);
        item->fetched_ms = now_ms;
        item->failed_ms = 0;
        item->trouble[0] = '\0';
        if (item->kind == LIVE_NODES)
            client_learn(item->shell->client, item->value);
    } else {
        item->failed_ms = now_ms;
        (void)snprintf(item->trouble, sizeof item->trouble, "%s", reply->text);
        if (item->kind == LIVE_STATUS) {
            json_decref(item->value);
            item->value = NULL;
        }
    }
    if (item->kind == LIVE_STATUS)
        live->changes++;
}

void live_fetch(struct live *live, enum live_kind kind)
{
    struct live_item *item = &live->items[kind];
    if (item->call != NULL || item->shell->client == NULL)
        return;
    static const struct client_handler handler = {.done = live_on_done};
    item->call = client_start(
        item->shell->client,
        &CLIENT_REQUEST(.method = "GET", .path = live_paths[kind], .timeout_ms = LIVE_TIMEOUT_MS),
        &handler, item, NULL);
}

const json_t *live_get(struct live *live, enum live_kind kind, int64_t wait_ms)
{
    struct live_item *item = &live->items[kind];
    int64_t now_ms = clock_mono_ms();
    bool is_fresh = item->value != NULL && now_ms - item->fetched_ms < LIVE_FRESH_MS;
    if (is_fresh || item->shell->client == NULL)
        return item->value;
    bool failed_lately = item->failed_ms != 0 && now_ms - item->failed_ms < LIVE_FAILED_MS;
    live_fetch(live, kind);
    int64_t until_ms = now_ms + (failed_lately ? 0 : wait_ms);
    while (item->call != NULL && now_ms < until_ms && !interrupt_pending()) {
        struct pollfd p = {.fd = client_fd(item->shell->client), .events = POLLIN};
        if (poll(&p, 1, (int)(until_ms - now_ms)) > 0)
            client_dispatch(item->shell->client);
        now_ms = clock_mono_ms();
    }
    return item->value;
}
