#include "shell/chat_send.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shell/request.h"

enum { RETRY_MS = 200 };

struct chat_send_item {
    char *body;
    size_t len;
    unsigned tries;
    STAILQ_ENTRY(chat_send_item) entry;
};

void chat_send_init(struct chat_send *send, struct shell *shell)
{
    struct uuid id;
    *send = (struct chat_send){.shell = shell};
    uuid_generate(&id);
    (void)uuid_format(&id, send->client);
    STAILQ_INIT(&send->items);
}

static void drop_first(struct chat_send *send)
{
    struct chat_send_item *item = STAILQ_FIRST(&send->items);
    STAILQ_REMOVE_HEAD(&send->items, entry);
    send->n--;
    free(item->body);
    free(item);
}

void chat_send_done(struct chat_send *send)
{
    if (send->call != NULL)
        client_cancel(send->call);
    send->call = NULL;
    while (!STAILQ_EMPTY(&send->items))
        drop_first(send);
}

/* Whether the cluster may take it later or has taken it already: the number makes asking safe. */
static bool may_help(const struct client_reply *reply)
{
    return reply->code == ERR_OUTCOME_UNKNOWN || reply->code == ERR_NO_LEADER ||
           reply->code == ERR_UNAVAILABLE || reply->code == ERR_TIMEOUT || reply->code == ERR_BUSY;
}

static void on_done(void *arg, const struct client_reply *reply)
{
    struct chat_send *send = arg;
    struct chat_send_item *item = STAILQ_FIRST(&send->items);
    send->call = NULL;
    if (reply->code != 0 && may_help(reply) && ++item->tries < CHAT_SEND_TRIES_MAX &&
        reply->connected) {
        send->retry_ms = clock_mono_ms() + RETRY_MS;
        return;
    }
    int status = reply->code != 0 ? request_report_reply(send->shell, reply) : SHELL_STATUS_OK;
    if (send->status == SHELL_STATUS_OK)
        send->status = status;
    drop_first(send);
    if (send->on_answer != NULL)
        send->on_answer(send->arg, reply->code == 0 ? reply->json : NULL);
}

void chat_send_work(struct chat_send *send)
{
    static const struct client_handler handler = {.done = on_done};
    const struct chat_send_item *item = STAILQ_FIRST(&send->items);
    struct error e;
    if (item == NULL || send->call != NULL || clock_mono_ms() < send->retry_ms)
        return;
    send->call = client_start(send->shell->client,
                              &CLIENT_REQUEST(.method = "POST", .path = "/api/chat/messages",
                                              .data = item->body, .data_len = item->len,
                                              .repeatable = true, .attempt_ms = SHELL_ATTEMPT_MS,
                                              .timeout_ms = SHELL_TIMEOUT_MS),
                              &handler, send, &e);
    if (send->call == NULL)
        send->retry_ms = clock_mono_ms() + RETRY_MS;
}

int chat_send_add(struct chat_send *send, const char *channel, const char *text)
{
    if (send->n >= CHAT_SEND_WAITING_MAX)
        return ERR_BUSY;
    json_t *body = json_pack("{s:s, s:s, s:I}", "text", text, "client", send->client, "number",
                             (json_int_t)(send->number + 1));
    if (body == NULL) /* not UTF-8 */
        return ERR_INVALID;
    if (channel != NULL && json_object_set_new(body, "channel", json_string(channel)) != 0) {
        json_decref(body);
        return ERR_INVALID;
    }
    send->number++;
    struct chat_send_item *item = mem_zalloc(sizeof *item);
    item->body = json_dumps(body, JSON_COMPACT);
    item->len = strlen(item->body);
    json_decref(body);
    STAILQ_INSERT_TAIL(&send->items, item, entry);
    send->n++;
    chat_send_work(send);
    return 0;
}

bool chat_send_is_idle(const struct chat_send *send)
{
    return STAILQ_EMPTY(&send->items);
}

int64_t chat_send_deadline_ms(const struct chat_send *send)
{
    return !STAILQ_EMPTY(&send->items) && send->call == NULL ? send->retry_ms : INT64_MAX;
}
