#include "shell/chat_send.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shell/request.h"
#include "shell/text.h"

enum { RETRY_MS = 200, SHOWN_COLUMNS = 60 };

struct chat_send_item {
    char *body;
    size_t len;
    char *text;
    int64_t begun_ms; /* first sent; 0: not yet */
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
    free(item->text);
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

/* Says of which message it is: others may have been typed since. */
static int report(struct chat_send *send, const struct chat_send_item *item,
                  const struct client_reply *reply)
{
    char *cut = text_cut(item->text, SHOWN_COLUMNS);
    bool is_unknown = reply->code == ERR_OUTCOME_UNKNOWN || reply->code == ERR_TIMEOUT;
    char *text = mem_printf(is_unknown ? "not acknowledged, it may still come: \"%s\": %s"
                                       : "not sent: \"%s\": %s",
                            cut, reply->text);
    struct client_reply named = *reply;
    named.text = text;
    int status = request_report_reply(send->shell, &named);
    free(text);
    free(cut);
    return status;
}

static void on_done(void *arg, const struct client_reply *reply)
{
    struct chat_send *send = arg;
    struct chat_send_item *item = STAILQ_FIRST(&send->items);
    send->call = NULL;
    if (reply->code != 0 && may_help(reply) && reply->connected &&
        clock_mono_ms() - item->begun_ms < CHAT_SEND_PATIENCE_MS) {
        send->retry_ms = clock_mono_ms() + RETRY_MS;
        return;
    }
    int status = reply->code == 0    ? SHELL_STATUS_OK
                 : send->names_texts ? report(send, item, reply)
                                     : request_report_reply(send->shell, reply);
    if (send->status == SHELL_STATUS_OK)
        send->status = status;
    drop_first(send);
    if (send->on_answer != NULL)
        send->on_answer(send->arg, reply->code == 0 ? reply->json : NULL);
}

bool chat_send_is_late(const struct chat_send *send, int64_t ms)
{
    const struct chat_send_item *item = STAILQ_FIRST(&send->items);
    return item != NULL && item->begun_ms != 0 && clock_mono_ms() - item->begun_ms >= ms;
}

void chat_send_work(struct chat_send *send)
{
    static const struct client_handler handler = {.done = on_done};
    struct chat_send_item *item = STAILQ_FIRST(&send->items);
    struct error e;
    if (item == NULL || send->call != NULL || clock_mono_ms() < send->retry_ms)
        return;
    if (item->begun_ms == 0)
        item->begun_ms = clock_mono_ms();
    send->call = client_start(
        send->shell->client,
        &CLIENT_REQUEST(.method = "POST", .path = "/api/chat/messages", .data = item->body,
                        .data_len = item->len, .repeatable = true,
                        .attempt_ms = CHAT_SEND_ATTEMPT_MS, .timeout_ms = CHAT_SEND_PATIENCE_MS),
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
    item->text = text_clean(text, strlen(text), false);
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
