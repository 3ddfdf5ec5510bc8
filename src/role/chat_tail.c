/* GET /api/chat/messages: the messages from a number or a time on, as JSON lines, and those to
 * come.
 *
 * Happy path: what the machine has in memory is written at once, older entries are read from the
 * disk piece by piece, as fast as the client takes them; then each delivery is passed on.
 *
 * How it fails: entries that retention took are told as one line {"gone_before":N}; a disk that
 * fails pauses the stream until it is back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/chat_api.h"

enum {
    READ_ENTRIES = 1024,
    READ_BYTES = 512 << 10,
    OUT_BYTES = 32 << 10, /* gathered before they are written */
    LAST_DEFAULT = 100,   /* numbers before the end where a stream without "from" begins */
};

struct chat_tail {
    struct chat_api *api;
    struct http_request *req;
    char channel[ORDER_CHANNEL_MAX + 1]; /* "": all */
    bool system;                         /* entries that are no messages too */
    bool follow;
    uint64_t next;
    uint64_t left; /* messages */
    bool full;     /* the client has to read first */
    struct chat_disk_read *read;

    /* While the beginning is searched for: the first entry of at_ms or later is in [next, high]. */
    bool searching;
    uint64_t high;
    int64_t at_ms;

    struct buf out;
    size_t written; /* of it */
    struct loop_hook hook;
    TAILQ_ENTRY(chat_tail) entry;
};

static void pump(struct chat_tail *tail);

static void free_tail(struct chat_tail *tail)
{
    chat_disk_read_cancel(tail->read);
    loop_hook_disarm(&tail->hook);
    buf_done(&tail->out);
    TAILQ_REMOVE(&tail->api->tails, tail, entry);
    tail->api->tails_n--;
    free(tail);
}

static void end_tail(struct chat_tail *tail)
{
    struct http_request *req = tail->req;
    free_tail(tail);
    http_request_on_close(req, NULL, NULL);
    http_stream_end(req);
}

static void on_close(struct http_request *req, void *arg)
{
    free_tail(arg);
    http_stream_abort(req);
}

static void on_drain(struct http_request *req, void *arg)
{
    struct chat_tail *tail = arg;
    (void)req;
    tail->full = false;
    loop_hook_arm(&tail->hook);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* What the client has no room for yet stays. */
static void flush(struct chat_tail *tail)
{
    while (tail->written < tail->out.len && !tail->full) {
        size_t n = tail->out.len - tail->written;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        tail->full = http_stream_write(tail->req, tail->out.data + tail->written, n) != 0;
        tail->written += n;
    }
    if (tail->written == tail->out.len) {
        buf_clear(&tail->out);
        tail->written = 0;
    }
}

void chat_api_put_message(struct chat_api *api, struct buf *out, const struct order_entry *entry)
{
    (void)buf_printf(out, "{\"seq\":%" PRIu64 ",\"at\":\"", entry->seq);
    (void)buf_append_str(out, chat_line_time(&api->clock, entry->wall_ms));
    (void)buf_append_str(out, "\",\"channel\":");
    (void)json_text_append(out, entry->channel, entry->channel_len);
    (void)buf_append_str(out, ",\"from\":");
    (void)json_text_append(out, entry->sender, entry->sender_len);
    (void)buf_append_str(out, ",\"text\":");
    (void)json_text_append(out, entry->payload, entry->payload_len);
    (void)buf_append_str(out, "}\n");
}

static void put_system(struct chat_tail *tail, const struct order_entry *entry)
{
    (void)buf_printf(&tail->out,
                     "{\"seq\":%" PRIu64 ",\"at\":\"%s\",\"kind\":\"%s\",\"term\":%" PRIu64 "}\n",
                     entry->seq, chat_line_time(&tail->api->clock, entry->wall_ms),
                     order_entry_type_name(entry->type), entry->term);
}

static bool is_wanted(const struct chat_tail *tail, const struct order_entry *entry)
{
    if (entry->type != ORDER_ENTRY_MESSAGE)
        return tail->system;
    size_t len = strlen(tail->channel);
    return len == 0 ||
           (len == entry->channel_len && memcmp(tail->channel, entry->channel, len) == 0);
}

/* Passes on an entry in its turn; false when the client has to read first or has enough. */
static bool take(struct chat_tail *tail, const struct order_entry *entry)
{
    tail->next = entry->seq + 1;
    if (is_wanted(tail, entry)) {
        if (entry->type == ORDER_ENTRY_MESSAGE)
            chat_api_put_message(tail->api, &tail->out, entry);
        else
            put_system(tail, entry);
        tail->left--;
    }
    if (tail->out.len >= OUT_BYTES)
        flush(tail);
    return tail->left > 0 && !tail->full;
}

/* ---- from the disk --------------------------------------------------------------------------- */

static void note_gone(struct chat_tail *tail, uint64_t first)
{
    (void)buf_printf(&tail->out, "{\"gone_before\":%" PRIu64 "}\n", first);
    tail->next = first;
}

/* One step of the search by time: `entry` lies in the middle. */
static void narrow(struct chat_tail *tail, const struct order_entry *entry)
{
    if (entry->wall_ms >= tail->at_ms)
        tail->high = entry->seq;
    else
        tail->next = entry->seq + 1;
}

static void on_read(void *arg, int code, const struct order_entry *entries, size_t n)
{
    struct chat_tail *tail = arg;
    struct chat *chat = tail->api->chat;
    tail->read = NULL;
    uint64_t first = chat_first(chat);
    if (code == ERR_NOT_FOUND && tail->next < first) {
        note_gone(tail, first);
    } else if (code < 0) {
        struct http_request *req = tail->req; /* damaged or unreadable: a part only */
        free_tail(tail);
        http_request_on_close(req, NULL, NULL);
        http_stream_abort(req);
        return;
    } else if (tail->searching) {
        narrow(tail, &entries[0]);
    } else {
        uint64_t delivered = chat_delivered(chat);
        for (size_t i = 0; i < n && entries[i].seq <= delivered; i++)
            if (!take(tail, &entries[i]))
                break;
    }
    pump(tail);
}

/* False: the stream waits for the disk. */
static bool search(struct chat_tail *tail)
{
    struct chat *chat = tail->api->chat;
    while (tail->searching && tail->next < tail->high) {
        uint64_t middle = tail->next + (tail->high - tail->next) / 2;
        const struct order_entry *entry = order_entry(chat->order, middle);
        if (entry == NULL) {
            tail->read = chat_disk_read(chat->disk, middle, 1, 1, on_read, tail);
            return false;
        }
        narrow(tail, entry);
    }
    tail->searching = false;
    return true;
}

static void pump(struct chat_tail *tail)
{
    struct chat *chat = tail->api->chat;
    if (tail->out.len > 0 && !tail->full)
        flush(tail);
    if (chat->order == NULL || chat->disk == NULL || tail->read != NULL || tail->full ||
        !search(tail))
        return;
    uint64_t delivered = chat_delivered(chat);
    while (tail->next <= delivered && tail->left > 0 && !tail->full) {
        const struct order_entry *entry = order_entry(chat->order, tail->next);
        if (entry == NULL) {
            flush(tail);
            if (!tail->full)
                tail->read =
                    chat_disk_read(chat->disk, tail->next, READ_ENTRIES, READ_BYTES, on_read, tail);
            return;
        }
        (void)take(tail, entry);
    }
    flush(tail);
    if (tail->out.len == 0 && (tail->left == 0 || (!tail->follow && tail->next > delivered)))
        end_tail(tail);
}

static void on_hook(void *arg)
{
    pump(arg);
}

void chat_api_tails_delivered(struct chat_api *api)
{
    struct chat_tail *tail;
    TAILQ_FOREACH (tail, &api->tails, entry)
        loop_hook_arm(&tail->hook);
}

void chat_api_tails_disk_gone(struct chat_api *api)
{
    struct chat_tail *tail;
    TAILQ_FOREACH (tail, &api->tails, entry) {
        chat_disk_read_cancel(tail->read);
        tail->read = NULL;
    }
}

void chat_api_tails_stop(struct chat_api *api)
{
    struct chat_tail *tail;
    while ((tail = TAILQ_FIRST(&api->tails)) != NULL)
        end_tail(tail);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* "from": a number, a time, or nothing: near the end. */
static int take_from(struct chat_tail *tail, const char *from, struct error *e)
{
    struct chat *chat = tail->api->chat;
    uint64_t delivered = chat_delivered(chat);
    uint64_t first = chat_first(chat);
    if (from == NULL || *from == '\0') {
        tail->next = delivered > LAST_DEFAULT ? delivered + 1 - LAST_DEFAULT : 1;
        tail->next = tail->next < first ? first : tail->next;
        return 0;
    }
    if (str_parse_u64(from, 1, UINT64_MAX - 1, &tail->next) == 0)
        return 0;
    if (strcmp(from, "0") == 0) {
        tail->next = first;
        return 0;
    }
    if (clock_parse_rfc3339(from, &tail->at_ms) < 0)
        return error_set(e, ERR_INVALID,
                         "from=%.64s is neither a message's number nor a time as "
                         "2026-11-20T20:15:00Z",
                         from);
    tail->searching = true;
    tail->next = first;
    tail->high = delivered + 1;
    return 0;
}

static int take_query(struct chat_tail *tail, struct http_request *req, struct error *e)
{
    const char *channel = http_request_query(req, "channel");
    tail->left = CHAT_LIMIT_MAX;
    int rc = http_request_query_bool(req, "follow", &tail->follow, e);
    if (rc == 0)
        rc = http_request_query_bool(req, "system", &tail->system, e);
    if (rc == 0)
        rc = http_request_query_u64(req, "limit", 1, CHAT_LIMIT_MAX, &tail->left, e);
    if (rc == 0 && channel != NULL && *channel != '\0' && !str_is_name(channel, ORDER_CHANNEL_MAX))
        rc = error_set(e, ERR_INVALID, "\"%.80s\" is no channel's name", channel);
    if (rc < 0)
        return rc;
    if (channel != NULL)
        memcpy(tail->channel, channel, strlen(channel) + 1);
    return take_from(tail, http_request_query(req, "from"), e);
}

unsigned chat_api_tails(const struct chat_api *api)
{
    return api->tails_n;
}

void chat_api_get_messages(struct http_request *req, void *arg)
{
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    struct error e;
    struct chat_tail *tail = mem_zalloc(sizeof *tail);
    tail->api = api;
    tail->req = req;
    int rc = take_query(tail, req, &e);
    if (rc == 0 && (chat->order == NULL || chat->stopping))
        rc = error_set(&e, ERR_UNAVAILABLE, "the chat log of this node cannot be read now");
    if (rc == 0 && api->tails_n >= CHAT_TAILS_MAX)
        rc = error_set(&e, ERR_BUSY, "%u clients follow the chat on this node", api->tails_n);
    if (rc < 0) {
        free(tail);
        http_reply_failure(req, &e, NULL);
        return;
    }
    buf_init(&tail->out, SIZE_MAX / 4);
    loop_hook_init(&tail->hook, chat->loop, LOOP_PHASE_FLUSH, on_hook, tail);
    TAILQ_INSERT_TAIL(&api->tails, tail, entry);
    api->tails_n++;
    http_stream_begin(req, 200, "application/x-ndjson", HTTP_STREAM_CHUNKED);
    http_request_on_close(req, on_close, tail);
    http_stream_on_drain(req, on_drain, tail);
    if (!tail->searching && tail->next < chat_first(chat))
        note_gone(tail, chat_first(chat));
    loop_hook_arm(&tail->hook);
}
