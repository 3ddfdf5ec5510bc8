/* GET /api/chat/rows: a page of messages as lines with the columns of the table cluster.messages.
 *
 *   {"seq":7,"time":"…","channel":"general","sender":"anna","text":"…"}
 *   ...
 *   {"next":8,"to":90}
 *
 * The last line says where the next page begins and which entry is the last one to ask for; there
 * is none when next > to. A page may be empty all the same: a request looks at a bounded number of
 * entries. A node that follows names who leads, {"leader":"n3"}, and answers by itself with
 * any=true: the leader has everything that was acknowledged.
 *
 * `last`=N wants no more than the last N: the beginning is moved there, or before it when they lie
 * far apart. Times narrow only so far as the clocks of leaders may differ. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/chat_api.h"

enum {
    CHAT_ROWS_MAX = 4096,
    CHAT_ROWS_BYTES = 512 << 10,
    CHAT_ROWS_LOOKED_MAX = 64 << 10, /* entries, in one request */
    CHAT_ROWS_BACK_MAX = 256 << 10,  /* in the search for the last ones */
    CHAT_ROWS_READ = 1024,           /* entries */
    CHAT_ROWS_APART_MS = 60000,      /* the clocks of two leaders differ by less */
    CHAT_ROWS_AT_ONCE = 64,
};

enum chat_rows_phase { CHAT_ROWS_SINCE, CHAT_ROWS_BACK, CHAT_ROWS_FORTH };

struct chat_rows {
    struct chat_api *api;
    struct http_request *req;
    enum chat_rows_phase phase;
    uint64_t from, to; /* what is asked for */
    uint64_t next;
    uint64_t high;          /* SINCE: the first entry that is wanted is in [next, high] */
    uint64_t low, end;      /* BACK: the window is [low, end) */
    uint64_t last, matches; /* BACK: wanted, and found behind `next` */
    uint64_t left;          /* rows of this page */
    uint64_t looked;
    int64_t since_ms, until_ms;
    char channel[ORDER_CHANNEL_MAX + 1]; /* "": all */
    struct chat_disk_read *read;
    struct buf out;
    TAILQ_ENTRY(chat_rows) entry;
};

static void chat_rows_pump(struct chat_rows *rows);

static void chat_rows_free(struct chat_rows *rows)
{
    chat_disk_read_cancel(rows->read);
    buf_done(&rows->out);
    TAILQ_REMOVE(&rows->api->rows, rows, entry);
    rows->api->rows_n--;
    free(rows);
}

static void chat_rows_fail(struct chat_rows *rows, int code, const char *text)
{
    struct http_request *req = rows->req;
    struct error e;
    (void)error_set(&e, code, "%s", text);
    chat_rows_free(rows);
    http_request_on_close(req, NULL, NULL);
    http_reply_failure(req, &e, "chat members shows which nodes have the log");
}

static void chat_rows_end(struct chat_rows *rows)
{
    struct http_request *req = rows->req;
    size_t len;
    (void)buf_printf(&rows->out, "{\"next\":%" PRIu64 ",\"to\":%" PRIu64 "}\n", rows->next,
                     rows->to);
    char *text = buf_steal(&rows->out, &len);
    chat_rows_free(rows);
    http_request_on_close(req, NULL, NULL);
    http_reply_take(req, 200, "application/x-ndjson", text, len);
}

static void chat_rows_on_close(struct http_request *req, void *arg)
{
    chat_rows_free(arg);
    http_reply(req, 499, NULL, NULL, 0);
}

void chat_api_rows_disk_gone(struct chat_api *api)
{
    struct chat_rows *rows;
    while ((rows = TAILQ_FIRST(&api->rows)) != NULL)
        chat_rows_fail(rows, ERR_UNAVAILABLE, "the chat log of this node cannot be read now");
}

/* ---- entries --------------------------------------------------------------------------------- */

static bool chat_rows_wants(const struct chat_rows *rows, const struct order_entry *entry)
{
    size_t len = strlen(rows->channel);
    return entry->type == ORDER_ENTRY_MESSAGE && entry->wall_ms >= rows->since_ms &&
           entry->wall_ms <= rows->until_ms &&
           (len == 0 ||
            (len == entry->channel_len && memcmp(rows->channel, entry->channel, len) == 0));
}

static void chat_rows_put(struct chat_rows *rows, const struct order_entry *entry)
{
    struct buf *out = &rows->out;
    (void)buf_printf(out, "{\"seq\":%" PRIu64 ",\"time\":\"", entry->seq);
    (void)buf_append_str(out, chat_line_time(&rows->api->clock, entry->wall_ms));
    (void)buf_append_str(out, "\",\"channel\":");
    (void)json_text_append(out, entry->channel, entry->channel_len);
    (void)buf_append_str(out, ",\"sender\":");
    (void)json_text_append(out, entry->sender, entry->sender_len);
    (void)buf_append_str(out, ",\"text\":");
    (void)json_text_append(out, entry->payload, entry->payload_len);
    (void)buf_append_str(out, "}\n");
    rows->left--;
}

/* False: the page is full. */
static bool chat_rows_take(struct chat_rows *rows, const struct order_entry *entry)
{
    rows->next = entry->seq + 1;
    rows->looked++;
    if (rows->until_ms < INT64_MAX - CHAT_ROWS_APART_MS &&
        entry->wall_ms > rows->until_ms + CHAT_ROWS_APART_MS) {
        rows->next = rows->to + 1;
        return false;
    }
    if (chat_rows_wants(rows, entry))
        chat_rows_put(rows, entry);
    return rows->left > 0 && rows->out.len < CHAT_ROWS_BYTES && rows->looked < CHAT_ROWS_LOOKED_MAX;
}

/* One step of the search by time: `entry` lies in the middle. */
static void chat_rows_narrow(struct chat_rows *rows, const struct order_entry *entry)
{
    if (entry->wall_ms >= rows->since_ms - CHAT_ROWS_APART_MS)
        rows->high = entry->seq;
    else
        rows->next = entry->seq + 1;
}

/* The entry that comes next in this phase; 0: none. */
static uint64_t chat_rows_wanted(const struct chat_rows *rows)
{
    switch (rows->phase) {
    case CHAT_ROWS_SINCE:
        return rows->next < rows->high ? rows->next + (rows->high - rows->next) / 2 : 0;
    case CHAT_ROWS_BACK:
        return rows->next < rows->end ? rows->next : 0;
    case CHAT_ROWS_FORTH:
        break;
    }
    return rows->next <= rows->to ? rows->next : 0;
}

/* False: the page is full. */
static bool chat_rows_visit(struct chat_rows *rows, const struct order_entry *entry)
{
    switch (rows->phase) {
    case CHAT_ROWS_SINCE:
        chat_rows_narrow(rows, entry);
        return true;
    case CHAT_ROWS_BACK:
        rows->next = entry->seq + 1;
        rows->looked++;
        rows->matches += chat_rows_wants(rows, entry);
        return true;
    case CHAT_ROWS_FORTH:
        break;
    }
    return chat_rows_take(rows, entry);
}

static void chat_rows_window(struct chat_rows *rows, uint64_t end)
{
    rows->end = end;
    rows->low = end - rows->from > CHAT_ROWS_READ ? end - CHAT_ROWS_READ : rows->from;
    rows->next = rows->low;
}

/* The phase has nothing more to look at; false: that was the last. */
static bool chat_rows_advance(struct chat_rows *rows)
{
    if (rows->phase == CHAT_ROWS_SINCE) {
        rows->from = rows->next;
        rows->phase = rows->last > 0 && rows->from <= rows->to ? CHAT_ROWS_BACK : CHAT_ROWS_FORTH;
        if (rows->phase == CHAT_ROWS_BACK)
            chat_rows_window(rows, rows->to + 1);
        return true;
    }
    if (rows->phase == CHAT_ROWS_FORTH)
        return false;
    if (rows->matches < rows->last && rows->low > rows->from && rows->looked < CHAT_ROWS_BACK_MAX) {
        chat_rows_window(rows, rows->low);
        return true;
    }
    rows->next = rows->matches < rows->last ? rows->from : rows->low;
    rows->looked = 0;
    rows->phase = CHAT_ROWS_FORTH;
    return true;
}

static void chat_rows_on_read(void *arg, int code, const struct order_entry *entries, size_t n)
{
    struct chat_rows *rows = arg;
    uint64_t first = chat_first(rows->api->chat);
    bool more = true;
    rows->read = NULL;
    if (code == ERR_NOT_FOUND && chat_rows_wanted(rows) < first) { /* given up meanwhile */
        rows->from = rows->from < first ? first : rows->from;
        rows->next = rows->next < first ? first : rows->next;
    } else if (code < 0) {
        chat_rows_fail(rows, code, "the chat log of this node cannot be read");
        return;
    }
    for (size_t i = 0; more && i < n && entries[i].seq == chat_rows_wanted(rows); i++)
        more = chat_rows_visit(rows, &entries[i]);
    if (more)
        chat_rows_pump(rows);
    else
        chat_rows_end(rows);
}

static void chat_rows_pump(struct chat_rows *rows)
{
    const struct chat *chat = rows->api->chat;
    uint64_t seq;
    do {
        while ((seq = chat_rows_wanted(rows)) != 0) {
            const struct order_entry *entry = order_entry(chat->order, seq);
            if (entry == NULL) {
                unsigned n = rows->phase == CHAT_ROWS_SINCE ? 1 : CHAT_ROWS_READ;
                rows->read =
                    chat_disk_read(chat->disk, seq, n, CHAT_ROWS_BYTES, chat_rows_on_read, rows);
                return;
            }
            if (!chat_rows_visit(rows, entry)) {
                chat_rows_end(rows);
                return;
            }
        }
    } while (chat_rows_advance(rows));
    chat_rows_end(rows);
}

/* ---- the request ----------------------------------------------------------------------------- */

static int chat_rows_time(const struct http_request *req, const char *name, int64_t *ms,
                          struct error *e)
{
    const char *text = http_request_query(req, name);
    if (text == NULL || clock_parse_rfc3339(text, ms) == 0)
        return 0;
    return error_set(e, ERR_INVALID, "%s=%.64s is no time as 2026-11-20T20:15:00Z", name, text);
}

static int chat_rows_query(struct chat_rows *rows, const struct http_request *req, bool *any,
                           struct error *e)
{
    const char *channel = http_request_query(req, "channel");
    uint64_t delivered = chat_delivered(rows->api->chat), first = chat_first(rows->api->chat);
    rows->to = delivered;
    rows->left = CHAT_ROWS_MAX;
    rows->since_ms = INT64_MIN;
    rows->until_ms = INT64_MAX;
    int err = http_request_query_u64(req, "from", 0, INT64_MAX, &rows->from, e);
    if (err == 0)
        err = http_request_query_u64(req, "to", 0, INT64_MAX, &rows->to, e);
    if (err == 0)
        err = http_request_query_u64(req, "last", 1, INT64_MAX, &rows->last, e);
    if (err == 0)
        err = http_request_query_u64(req, "limit", 1, CHAT_ROWS_MAX, &rows->left, e);
    if (err == 0)
        err = chat_rows_time(req, "since", &rows->since_ms, e);
    if (err == 0)
        err = chat_rows_time(req, "until", &rows->until_ms, e);
    if (err == 0)
        err = http_request_query_bool(req, "any", any, e);
    if (err == 0 && channel != NULL && strlen(channel) > ORDER_CHANNEL_MAX)
        err = error_set(e, ERR_INVALID, "\"%.80s\" is no channel's name", channel);
    if (err < 0)
        return err;
    memcpy(rows->channel, channel != NULL ? channel : "",
           channel != NULL ? strlen(channel) + 1 : 1);
    rows->from = rows->from < first ? first : rows->from;
    rows->to = rows->to < delivered ? rows->to : delivered;
    return 0;
}

/* The leader has what this node may not have yet. True: answered. */
static bool chat_rows_leader(const struct chat *chat, struct http_request *req)
{
    struct order_view view;
    order_view(chat->order, &view);
    if (view.leader == chat->id)
        return false;
    if (view.leader == 0) {
        struct error e;
        (void)error_set(&e, ERR_NO_LEADER, "no node leads the chat at the moment");
        http_reply_failure(req, &e, "any=true reads what this node has");
        return true;
    }
    char *text = mem_printf("{\"leader\":\"%s\"}\n", chat_name(chat, view.leader));
    http_reply_take(req, 200, "application/x-ndjson", text, strlen(text));
    return true;
}

void chat_api_get_rows(struct http_request *req, void *arg)
{
    struct chat_api *api = arg;
    struct chat *chat = api->chat;
    struct error e = {0};
    bool any = false;
    struct chat_rows *rows = mem_zalloc(sizeof *rows);
    rows->api = api;
    rows->req = req;
    if (chat->order == NULL || chat->disk == NULL || chat->stopping)
        (void)error_set(&e, ERR_UNAVAILABLE, "the chat log of this node cannot be read now");
    else if (api->rows_n >= CHAT_ROWS_AT_ONCE)
        (void)error_set(&e, ERR_BUSY, "%u requests read the chat on this node", api->rows_n);
    else
        (void)chat_rows_query(rows, req, &any, &e);
    if (e.code < 0) {
        free(rows);
        http_reply_failure(req, &e, NULL);
        return;
    }
    if (!any && chat_rows_leader(chat, req)) {
        free(rows);
        return;
    }
    buf_init(&rows->out, SIZE_MAX / 4);
    TAILQ_INSERT_TAIL(&api->rows, rows, entry);
    api->rows_n++;
    rows->next = rows->from;
    rows->high = rows->since_ms > INT64_MIN + CHAT_ROWS_APART_MS ? rows->to + 1 : rows->from;
    http_request_on_close(req, chat_rows_on_close, rows);
    chat_rows_pump(rows);
}
