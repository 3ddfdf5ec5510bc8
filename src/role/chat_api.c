/* POST /api/chat/messages: one message (a JSON object), or many (lines of JSON objects, answered by
 * as many lines, in their order, each as soon as it is known).
 *
 * Happy path: checked here, numbered by the leader, answered when it is on a majority's disks.
 *
 * How it fails: what can be said at once (no text, too large, invalid, too fast) is; what the group
 * cannot decide in time is an unknown outcome, and the same client and number may be sent again
 * anywhere. */
#include "role/chat_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/chat.h"
#include "run/http_status.h"

#define DEFAULT_CHANNEL "general"

enum { RATES_MAX = 4096, REPLY_BYTES_MAX = 2048 };

/* ---- limits ---------------------------------------------------------------------------------- */

static struct chat_rate *find_rate(struct chat_api *api, const char *user, int64_t now_ms,
                                   double full)
{
    struct chat_rate *rate = NULL;
    HASH_FIND_STR(api->rates, user, rate);
    if (rate != NULL)
        return rate;
    if (HASH_COUNT(api->rates) >= RATES_MAX) { /* the oldest was added first */
        struct chat_rate *oldest = api->rates;
        HASH_DEL(api->rates, oldest);
        free(oldest->user);
        free(oldest);
    }
    rate = mem_zalloc(sizeof *rate);
    rate->user = mem_strdup(user);
    rate->tokens = full;
    rate->at_ms = now_ms;
    HASH_ADD_KEYPTR(hh, api->rates, rate->user, strlen(rate->user), rate);
    return rate;
}

bool chat_api_allow(struct chat_api *api, const char *user, unsigned n)
{
    uint64_t rate_max = node_options(api->chat->node)->chat.rate_max;
    if (rate_max == 0)
        return true;
    int64_t now_ms = loop_now_ms(api->chat->loop);
    struct chat_rate *rate = find_rate(api, user, now_ms, (double)rate_max);
    rate->tokens += (double)(now_ms - rate->at_ms) * (double)rate_max / 1000.0;
    if (rate->tokens > (double)rate_max)
        rate->tokens = (double)rate_max;
    rate->at_ms = now_ms;
    if (rate->tokens < n)
        return false;
    rate->tokens -= n;
    return true;
}

/* ---- one message ----------------------------------------------------------------------------- */

/* A client's name for itself counts for its user only: nobody can use up another's numbers. A UUID,
 * which nobody else hits on, is one client whoever its connection belongs to: a console that goes
 * on from a Unix socket to TCP is another user there. */
static void make_client(const char *user, const char *client, struct uuid *out)
{
    struct uuid id;
    if (uuid_parse(client, &id) == 0)
        user = "";
    XXH3_state_t *state = XXH3_createState();
    (void)XXH3_128bits_reset(state);
    (void)XXH3_128bits_update(state, user, strlen(user) + 1);
    (void)XXH3_128bits_update(state, client, strlen(client));
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    memcpy(out->bytes, canonical.digest, sizeof out->bytes);
    out->bytes[0] |= uuid_is_nil(out);
}

static int take_client(struct chat *chat, const json_t *client, const json_t *number,
                       const char *user, struct order_submit *out, struct error *e)
{
    if (client == NULL && number == NULL) {
        out->client = chat->own_client;
        out->number = ++chat->own_number;
        return 0;
    }
    const char *name = json_string_value(client);
    if (name == NULL || *name == '\0' || strlen(name) > CHAT_CLIENT_MAX)
        return error_set(e, ERR_INVALID, "\"client\" must be a text of 1 to %d bytes",
                         CHAT_CLIENT_MAX);
    if (!json_is_integer(number) || json_integer_value(number) <= 0)
        return error_set(e, ERR_INVALID,
                         "\"number\" must be the message's number by its client, from 1");
    make_client(user, name, &out->client);
    out->number = (uint64_t)json_integer_value(number);
    return 0;
}

static int refuse_unknown(const json_t *body, struct error *e)
{
    static const char *const known[] = {"channel", "text", "client", "number"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < MEM_COUNT(known); i++)
            is_known = is_known || strcmp(key, known[i]) == 0;
        if (!is_known)
            return error_set(e, ERR_INVALID,
                             "unknown key \"%.64s\": a message has text, channel, client, number",
                             key);
    }
    return 0;
}

/* Checks `body` and fills `out`, whose strings are borrowed from it and `user`. */
static int take_message(struct chat *chat, const json_t *body, const char *user,
                        struct order_submit *out, struct error *e)
{
    uint64_t bytes_max = node_options(chat->node)->chat.message_bytes_max;
    const json_t *text = json_object_get(body, "text");
    const json_t *channel = json_object_get(body, "channel");
    if (!json_is_object(body))
        return error_set(e, ERR_INVALID, "a message must be a JSON object");
    int rc = refuse_unknown(body, e);
    if (rc < 0)
        return rc;
    if (json_string_length(text) == 0)
        return error_set(e, ERR_INVALID, "\"text\" must be a text that is not empty");
    if (json_string_length(text) > bytes_max)
        return error_set(e, ERR_TOO_LARGE,
                         "the message has %zu bytes, at most %" PRIu64
                         " are allowed (chat.message_bytes_max)",
                         json_string_length(text), bytes_max);
    const char *name = channel == NULL ? DEFAULT_CHANNEL : json_string_value(channel);
    if (name == NULL || !str_is_name(name, ORDER_CHANNEL_MAX))
        return error_set(e, ERR_INVALID,
                         "\"channel\" must be letters, digits, '-', '_', '.', at most %d",
                         ORDER_CHANNEL_MAX);
    out->channel = name;
    out->channel_len = (uint8_t)strlen(name);
    out->sender = user;
    out->sender_len = (uint8_t)(strlen(user) < ORDER_SENDER_MAX ? strlen(user) : ORDER_SENDER_MAX);
    out->payload = json_string_value(text);
    out->payload_len = (uint32_t)json_string_length(text);
    return take_client(chat, json_object_get(body, "client"), json_object_get(body, "number"), user,
                       out, e);
}

static int check_ready(const struct chat *chat, struct error *e)
{
    if (chat->stopping)
        return error_set(e, ERR_UNAVAILABLE, "the node is shutting down");
    if (chat->order == NULL)
        return error_set(e, ERR_UNAVAILABLE,
                         chat->id == 0 ? "the node has not joined its cluster yet"
                                       : "the disk of this node's chat log failed");
    if (chat->submits_n >= CHAT_SUBMITS_MAX)
        return error_set(e, ERR_BUSY, "too many messages wait for their number");
    return 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

void chat_api_explain(const struct order_reply *reply, struct error *e, const char **hint)
{
    *hint = NULL;
    switch (reply->code) {
    case ERR_NO_LEADER:
        (void)error_set(e, reply->code, "no node leads the chat at the moment");
        *hint = "a majority of the chat nodes must be up: chat members; send it again";
        break;
    case ERR_OUTCOME_UNKNOWN:
    case ERR_CANCELLED:
        (void)error_set(e, ERR_OUTCOME_UNKNOWN, "the message may or may not be in the log");
        *hint = "send it again with the same client and number: it will be there once";
        break;
    case -ENOSPC:
        (void)error_set(e, reply->code, "the disk of the node that leads the chat is full");
        break;
    case ERR_TOO_LARGE:
        (void)error_set(e, reply->code, "too large, or too many numbers were left out before it");
        break;
    default:
        (void)error_set(e, reply->code, "the message was not taken: %s", err_text(reply->code));
        break;
    }
}

void chat_api_put_reply(struct chat_api *api, struct buf *out, const struct order_reply *reply)
{
    const struct order *order = api->chat->order;
    const struct order_entry *entry =
        reply->seq > 0 && order != NULL ? order_entry(order, reply->seq) : NULL;
    (void)buf_printf(out, "{\"seq\":%" PRIu64 ",\"at\":", reply->seq);
    if (entry != NULL) {
        (void)buf_append_byte(out, '"');
        (void)buf_append_str(out, chat_line_time(&api->clock, entry->wall_ms));
        (void)buf_append_str(out, "\",\"duplicate\":");
    } else {
        (void)buf_append_str(out, "null,\"duplicate\":");
    }
    (void)buf_append_str(out, reply->duplicate ? "true}" : "false}");
}

static void put_error(struct buf *out, const struct error *e, const char *hint)
{
    (void)buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", err_name(e->code));
    (void)json_text_append(out, e->text, strlen(e->text));
    if (hint != NULL) {
        (void)buf_append_str(out, ",\"hint\":");
        (void)json_text_append(out, hint, strlen(hint));
    }
    (void)buf_append_str(out, "}}");
}

/* ---- one message a request ------------------------------------------------------------------- */

struct chat_single {
    struct chat_submit submit; /* first: freed as it when it is forgotten */
    struct chat_api *api;
    struct http_request *req;
    TAILQ_ENTRY(chat_single) entry;
};

static void on_single_reply(struct chat_submit *submit, const struct order_reply *reply)
{
    struct chat_single *single = (struct chat_single *)submit;
    struct chat_api *api = single->api;
    struct http_request *req = single->req;
    TAILQ_REMOVE(&api->singles, single, entry);
    http_request_on_close(req, NULL, NULL);
    if (reply->code == 0) {
        buf_clear(&api->scratch);
        chat_api_put_reply(api, &api->scratch, reply);
        http_reply(req, reply->duplicate ? 200 : 201, "application/json", api->scratch.data,
                   api->scratch.len);
    } else {
        struct error e;
        const char *hint;
        chat_api_explain(reply, &e, &hint);
        http_reply_failure(req, &e, hint);
    }
    free(single);
}

static void on_single_close(struct http_request *req, void *arg)
{
    struct chat_single *single = arg;
    TAILQ_REMOVE(&single->api->singles, single, entry);
    chat_submit_forget(single->api->chat, &single->submit);
    http_reply(req, 499, NULL, NULL, 0);
}

static void post_single(struct chat_api *api, struct http_request *req)
{
    struct chat *chat = api->chat;
    struct error e;
    json_t *body = NULL;
    struct order_submit message = {0};
    const char *user = http_request_user(req);
    int rc = http_request_json(req, &body, &e);
    if (rc == 0)
        rc = check_ready(chat, &e);
    if (rc == 0)
        rc = take_message(chat, body, user, &message, &e);
    if (rc == 0 && !chat_api_allow(api, user, 1))
        rc = error_set(&e, ERR_BUSY, "%s sends more than chat.rate_max messages a second", user);
    if (rc < 0) {
        json_decref(body);
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct chat_single *single = mem_zalloc(sizeof *single);
    single->api = api;
    single->req = req;
    single->submit.submit = message;
    TAILQ_INSERT_TAIL(&api->singles, single, entry);
    http_request_on_close(req, on_single_close, single);
    (void)trace_parse(http_request_header(single->req, "traceparent"), &single->submit.trace);
    chat_submit(chat, &single->submit, on_single_reply);
    json_decref(body);
}

/* ---- many messages a request ----------------------------------------------------------------- */

struct chat_batch_item {
    struct chat_submit submit; /* first */
    struct chat_batch *batch;
    struct buf line; /* the answer, once it is known */
    bool done;
    bool submitted;
};

struct chat_batch {
    struct chat_api *api;
    struct http_request *req; /* NULL: the client is gone */
    struct loop_hook hook;
    size_t n;
    size_t told; /* answers that are on their way */
    size_t waiting;
    bool full; /* the client has to read first */
    TAILQ_ENTRY(chat_batch) entry;
    struct chat_batch_item items[];
};

static void free_batch(struct chat_batch *batch)
{
    struct chat_api *api = batch->api;
    for (size_t i = 0; i < batch->n; i++)
        buf_done(&batch->items[i].line);
    loop_hook_disarm(&batch->hook);
    TAILQ_REMOVE(&api->batches, batch, entry);
    api->batches_n--;
    free(batch);
}

/* Hands out the answers that are next in order. */
static void tell_batch(void *arg)
{
    struct chat_batch *batch = arg;
    struct buf out;
    buf_init(&out, HTTP_STREAM_WRITE_MAX);
    while (!batch->full && batch->told < batch->n && batch->items[batch->told].done) {
        const struct buf *line = &batch->items[batch->told].line;
        if (buf_append(&out, line->data, line->len) == 0) {
            batch->told++;
            continue;
        }
        batch->full = http_stream_write(batch->req, out.data, out.len) != 0;
        buf_clear(&out);
    }
    if (out.len > 0)
        batch->full = http_stream_write(batch->req, out.data, out.len) != 0;
    buf_done(&out);
    if (batch->told < batch->n)
        return;
    struct http_request *req = batch->req;
    free_batch(batch);
    http_request_on_close(req, NULL, NULL);
    http_stream_end(req);
}

static void on_batch_drain(struct http_request *req, void *arg)
{
    struct chat_batch *batch = arg;
    (void)req;
    batch->full = false;
    loop_hook_arm(&batch->hook);
}

static void on_item_reply(struct chat_submit *submit, const struct order_reply *reply)
{
    struct chat_batch_item *item = (struct chat_batch_item *)submit;
    struct chat_batch *batch = item->batch;
    batch->waiting--;
    if (batch->req == NULL) {
        if (batch->waiting == 0)
            free_batch(batch);
        return;
    }
    if (reply->code == 0) {
        chat_api_put_reply(batch->api, &item->line, reply);
    } else {
        struct error e;
        const char *hint;
        chat_api_explain(reply, &e, &hint);
        put_error(&item->line, &e, hint);
    }
    (void)buf_append_byte(&item->line, '\n');
    item->done = true;
    loop_hook_arm(&batch->hook);
}

static void on_batch_close(struct http_request *req, void *arg)
{
    struct chat_batch *batch = arg;
    batch->req = NULL;
    loop_hook_disarm(&batch->hook);
    if (batch->waiting == 0)
        free_batch(batch);
    http_stream_abort(req);
}

static size_t count_lines(const char *body, size_t len)
{
    size_t n = 0;
    const char *end = body + len;
    while (body < end) {
        const char *newline = memchr(body, '\n', (size_t)(end - body));
        size_t line = newline == NULL ? (size_t)(end - body) : (size_t)(newline - body);
        n += line > 0;
        body += line + 1;
    }
    return n;
}

static void add_item(struct chat_batch *batch, struct chat_batch_item *item, const char *line,
                     size_t len, const char *user)
{
    struct chat *chat = batch->api->chat;
    struct error e;
    json_error_t error;
    json_t *body = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    int rc = body == NULL ? error_set(&e, ERR_INVALID, "not JSON: %s", error.text)
                          : take_message(chat, body, user, &item->submit.submit, &e);
    item->batch = batch;
    buf_init(&item->line, REPLY_BYTES_MAX);
    if (rc == 0) {
        item->submitted = true;
        batch->waiting++;
        chat_submit(chat, &item->submit, on_item_reply);
    } else {
        put_error(&item->line, &e, NULL);
        (void)buf_append_byte(&item->line, '\n');
        item->done = true;
    }
    json_decref(body);
}

static void start_batch(struct chat_api *api, struct http_request *req, const char *body,
                        size_t len, size_t n)
{
    struct chat_batch *batch = mem_zalloc(sizeof *batch + n * sizeof batch->items[0]);
    batch->api = api;
    batch->req = req;
    batch->n = n;
    loop_hook_init(&batch->hook, api->chat->loop, LOOP_PHASE_FLUSH, tell_batch, batch);
    TAILQ_INSERT_TAIL(&api->batches, batch, entry);
    api->batches_n++;
    const char *user = http_request_user(req);
    const char *end = body + len;
    size_t i = 0;
    while (body < end) {
        const char *newline = memchr(body, '\n', (size_t)(end - body));
        size_t line = newline == NULL ? (size_t)(end - body) : (size_t)(newline - body);
        if (line > 0)
            add_item(batch, &batch->items[i++], body, line, user);
        body += line + 1;
    }
    http_stream_begin(req, 200, "application/x-ndjson", HTTP_STREAM_CHUNKED);
    http_request_on_close(req, on_batch_close, batch);
    http_stream_on_drain(req, on_batch_drain, batch);
    loop_hook_arm(&batch->hook);
}

static void post_batch(struct chat_api *api, struct http_request *req)
{
    struct error e;
    size_t len;
    const char *body = http_request_body(req, &len);
    size_t n = count_lines(body, len);
    int rc = check_ready(api->chat, &e);
    if (rc == 0 && n == 0)
        rc = error_set(&e, ERR_INVALID, "no message in the request");
    if (rc == 0 && n > CHAT_BATCH_MAX)
        rc = error_set(&e, ERR_TOO_LARGE, "%zu messages in one request, at most %d", n,
                       CHAT_BATCH_MAX);
    if (rc == 0 &&
        (api->batches_n >= CHAT_BATCHES_MAX || api->chat->submits_n + n > CHAT_SUBMITS_MAX))
        rc = error_set(&e, ERR_BUSY, "too many messages wait for their number");
    if (rc == 0 && !chat_api_allow(api, http_request_user(req), (unsigned)n))
        rc = error_set(&e, ERR_BUSY, "%s sends more than chat.rate_max messages a second",
                       http_request_user(req));
    if (rc < 0)
        http_reply_failure(req, &e, NULL);
    else
        start_batch(api, req, body, len, n);
}

static bool is_lines(const struct http_request *req)
{
    const char *type = http_request_header(req, "Content-Type");
    return type != NULL && (str_starts_with(type, "application/x-ndjson") ||
                            str_starts_with(type, "application/jsonl"));
}

static void post_messages(struct http_request *req, void *arg)
{
    if (is_lines(req))
        post_batch(arg, req);
    else
        post_single(arg, req);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const struct http_route chat_routes[] = {
    {.method = "POST",
     .path = "/api/chat/messages",
     .flags = HTTP_ROUTE_STREAM | HTTP_ROUTE_BYTES,
     .body_max = CHAT_BATCH_BYTES_MAX,
     .handler = post_messages},
    {.method = "GET",
     .path = "/api/chat/messages",
     .flags = HTTP_ROUTE_STREAM,
     .handler = chat_api_get_messages},
    {.method = "GET", .path = "/api/chat/rows", .handler = chat_api_get_rows},
    {.method = "GET", .path = "/api/chat/members", .handler = chat_api_get_members},
    {.method = "POST", .path = "/api/chat/transfer", .handler = chat_api_transfer},
};

struct chat_api *chat_api_new(struct chat *chat)
{
    struct chat_api *api = mem_zalloc(sizeof *api);
    api->chat = chat;
    TAILQ_INIT(&api->tails);
    TAILQ_INIT(&api->rows);
    TAILQ_INIT(&api->batches);
    TAILQ_INIT(&api->singles);
    buf_init(&api->scratch, SIZE_MAX / 4);
    http_router_add(node_router(chat->node), chat_routes, MEM_COUNT(chat_routes), api);
    node_set_election(chat->node, chat_api_describe, api);
    chat_api_add_source(api);
    return api;
}

void chat_api_delivered(struct chat_api *api)
{
    chat_api_tails_delivered(api);
}

void chat_api_disk_gone(struct chat_api *api)
{
    chat_api_tails_disk_gone(api);
    chat_api_rows_disk_gone(api);
}

void chat_api_stop(struct chat_api *api)
{
    chat_api_rows_disk_gone(api);
    chat_api_tails_stop(api); /* what was sent is answered when the machine goes */
}

void chat_api_free(struct chat_api *api)
{
    struct chat_rate *rate;
    struct chat_rate *next;
    HASH_ITER (hh, api->rates, rate, next) {
        HASH_DEL(api->rates, rate);
        free(rate->user);
        free(rate);
    }
    buf_done(&api->scratch);
    free(api);
}

/* ---- nodes without the role ------------------------------------------------------------------ */

static void refuse(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply_error(req, 501, "unsupported", "this node takes no part in the chat",
                     "ask a node with the role chat (node list), or add it to node.roles");
}

static const struct http_route refuse_routes[] = {
    {.method = "POST",
     .path = "/api/chat/messages",
     .flags = HTTP_ROUTE_BYTES,
     .body_max = CHAT_BATCH_BYTES_MAX,
     .handler = refuse},
    {.method = "GET", .path = "/api/chat/messages", .handler = refuse},
    {.method = "GET", .path = "/api/chat/rows", .handler = refuse},
    {.method = "GET", .path = "/api/chat/members", .handler = refuse},
    {.method = "POST", .path = "/api/chat/transfer", .handler = refuse},
};

void chat_api_refuse(struct node *node)
{
    http_router_add(node_router(node), refuse_routes, MEM_COUNT(refuse_routes), node);
}
