#include "shell/live.h"

#include <assert.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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
    [LIVE_TABLES] = "/api/tables",
};

void live_init(struct live *live, struct shell *shell)
{
    *live = (struct live){0};
    for (int kind = 0; kind < LIVE_KINDS; kind++)
        live->items[kind] = (struct live_item){.shell = shell, .kind = (enum live_kind)kind};
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        live->columns[i] = (struct live_item){.shell = shell, .kind = LIVE_COLUMNS};
}

static void live_item_done(struct live_item *item)
{
    if (item->call != NULL)
        client_cancel(item->call);
    json_decref(item->value);
    free(item->path);
    *item = (struct live_item){.shell = item->shell, .kind = item->kind};
}

void live_done(struct live *live)
{
    for (int kind = 0; kind < LIVE_KINDS; kind++)
        live_item_done(&live->items[kind]);
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        live_item_done(&live->columns[i]);
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

static void live_item_fetch(struct live_item *item)
{
    const char *path = item->path != NULL ? item->path : live_paths[item->kind];
    if (item->call != NULL || item->shell->client == NULL)
        return;
    static const struct client_handler handler = {.done = live_on_done};
    item->call =
        client_start(item->shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path, .timeout_ms = LIVE_TIMEOUT_MS),
                     &handler, item, NULL);
}

void live_fetch(struct live *live, enum live_kind kind)
{
    live_item_fetch(&live->items[kind]);
}

static const json_t *live_item_get(struct live_item *item, int64_t wait_ms)
{
    int64_t now_ms = clock_mono_ms();
    bool is_fresh = item->value != NULL && now_ms - item->fetched_ms < LIVE_FRESH_MS;
    if (is_fresh || item->shell->client == NULL)
        return item->value;
    bool failed_lately = item->failed_ms != 0 && now_ms - item->failed_ms < LIVE_FAILED_MS;
    live_item_fetch(item);
    int64_t until_ms = now_ms + (failed_lately ? 0 : wait_ms);
    while (item->call != NULL && now_ms < until_ms && !interrupt_pending()) {
        struct pollfd p = {.fd = client_fd(item->shell->client), .events = POLLIN};
        if (poll(&p, 1, (int)(until_ms - now_ms)) > 0)
            client_dispatch(item->shell->client);
        now_ms = clock_mono_ms();
    }
    return item->value;
}

const json_t *live_get(struct live *live, enum live_kind kind, int64_t wait_ms)
{
    return live_item_get(&live->items[kind], wait_ms);
}

const json_t *live_get_columns(struct live *live, const char *table, int64_t wait_ms)
{
    struct live_item *item = NULL;
    struct buf path;
    buf_init(&path, 4096);
    (void)buf_append_str(&path, "/api/tables/");
    for (const unsigned char *c = (const unsigned char *)table; *c != '\0'; c++)
        (void)(isalnum(*c) || strchr("_-.", *c) != NULL ? buf_append_byte(&path, *c)
                                                        : buf_printf(&path, "%%%02X", *c));
    for (int i = 0; i < LIVE_COLUMNS_TABLES; i++)
        if (live->columns[i].path != NULL && strcmp(live->columns[i].path, buf_cstr(&path)) == 0)
            item = &live->columns[i];
    if (item == NULL) {
        item = &live->columns[live->next_columns++ % LIVE_COLUMNS_TABLES];
        live_item_done(item);
        item->path = mem_strdup(buf_cstr(&path));
    }
    buf_done(&path);
    return live_item_get(item, wait_ms);
}
