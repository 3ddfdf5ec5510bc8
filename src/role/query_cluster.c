/* Happy path: pages of a list are asked of the leader one after the other; their objects become
 * lines with the table's columns. Rows that belong to an item (commits to a table)
 * come with the list or from a request for each item of it. Messages of the chat come as lines from
 * a node that takes part in it. Many rows are handed over in pieces. */
#include "role/query_cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/chat_request.h"
#include "role/leader_request.h"
#include "role/query_cluster_internal.h"
#include "role/query_internal.h"

/* ---- loading --------------------------------------------------------------------------------- */

struct query_cluster {
    struct query *q;
    const struct query_cluster_table *table;
    size_t at;
    query_cluster_fn fn;
    struct leader_request *request;
    struct chat_request *chat; /* or this one */
    uint64_t chat_node;        /* that answered the last one */
    uint64_t chat_to;          /* the last message that there was when it began */
    struct loop_timer timer;   /* for what needs no request, or goes on */
    struct buf lines;
    size_t rows, piece_rows; /* of all; of what was not handed over */
    char **items;
    size_t items_n, items_cap;
    size_t item;            /* that is asked for */
    bool at_end;            /* of the list or the item */
    bool in_items;          /* the list is done */
    bool has_cursor;        /* a page was read */
    uint64_t cursor;        /* of the last row */
    char *next;             /* parameters of the next page, as the last one gave them; or NULL */
    struct sql_range range; /* that the statement can see */
};

static void query_cluster_next(struct query_cluster *load);

static void query_cluster_free(struct query_cluster *load)
{
    if (load->request != NULL)
        leader_request_cancel(load->request);
    if (load->chat != NULL)
        chat_request_cancel(load->chat);
    loop_timer_stop(&load->timer);
    for (size_t i = 0; i < load->items_n; i++)
        free(load->items[i]);
    free(load->items);
    free(load->next);
    buf_done(&load->lines);
    free(load);
}

void query_cluster_cancel(struct query_cluster *load)
{
    if (load != NULL)
        query_cluster_free(load);
}

static void query_cluster_fail(struct query_cluster *load, int code, const char *hint,
                               const char *text)
{
    query_fail(load->q, code, load->at, hint, "cluster.%s: %s", load->table->name, text);
}

static void query_cluster_end(struct query_cluster *load)
{
    struct query *q = load->q;
    query_cluster_fn fn = load->fn;
    size_t rows = load->piece_rows, len = 0;
    char *lines = buf_steal(&load->lines, &len);
    q->cluster = NULL;
    query_cluster_free(load);
    fn(q, lines, len, rows, false);
}

/* Whether a piece was handed over: then query_cluster_more() goes on. */
static bool query_cluster_hand_over(struct query_cluster *load)
{
    size_t rows = load->piece_rows, len = 0;
    if (load->lines.len < QUERY_CLUSTER_PIECE_BYTES)
        return false;
    char *lines = buf_steal(&load->lines, &len);
    load->piece_rows = 0;
    load->fn(load->q, lines, len, rows, true);
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void query_cluster_too_many(struct query_cluster *load)
{
    query_cluster_fail(load, ERR_TOO_LARGE,
                       load->table->ranged != NULL
                           ? "WHERE time > now() - INTERVAL 1 HOUR reads less"
                           : "the API lists it in pages",
                       "more rows than a statement may read");
}

/* The statement needs no more. */
static bool query_cluster_has_enough(const struct query_cluster *load)
{
    return load->range.rows >= 0 && !load->range.backwards &&
           load->rows >= (uint64_t)load->range.rows;
}

/* False after query_fail(). */
static bool query_cluster_add(struct query_cluster *load, const json_t *object, const char *item)
{
    json_t *row = json_object();
    for (size_t i = 0; i < load->table->columns_n; i++) {
        const char *name = load->table->columns[i].name;
        if (item != NULL && strcmp(name, "table_name") == 0)
            (void)json_object_set_new_nocheck(row, name, api_json_text(item));
        else if (json_object_get(object, name) != NULL)
            (void)json_object_set_nocheck(row, name, json_object_get(object, name));
    }
    char *text = json_dumps(row, JSON_COMPACT);
    json_decref(row);
    load->piece_rows++;
    int err = ++load->rows > QUERY_CLUSTER_ROWS_MAX ? ERR_TOO_LARGE : 0;
    if (err == 0)
        err = buf_append_str(&load->lines, text);
    if (err == 0)
        err = buf_append_byte(&load->lines, '\n');
    free(text);
    if (err < 0)
        query_cluster_too_many(load);
    return err == 0;
}

static void query_cluster_add_item(struct query_cluster *load, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, load->table->item));
    if (name == NULL)
        return;
    MEM_GROW(load->items, load->items_cap, load->items_n + 1);
    load->items[load->items_n++] = mem_strdup(name);
}

/* Takes a page; whether there may be another one. */
static bool query_cluster_page(struct query_cluster *load, const json_t *page, bool *failed)
{
    const struct query_cluster_list *list = load->in_items ? load->table->each : load->table->list;
    const char *item = load->in_items ? load->items[load->item] : NULL;
    bool has_items = load->table->item != NULL && !load->in_items;
    size_t n = json_array_size(page);
    for (size_t i = 0; i < n && !*failed; i++) {
        const json_t *object = json_array_get(page, i);
        if (has_items)
            query_cluster_add_item(load, object);
        else
            *failed = !query_cluster_add(load, object, item);
    }
    if (*failed || list->parameter == NULL || query_cluster_has_enough(load))
        return false;
    const json_t *last = n > 0 ? json_object_get(json_array_get(page, n - 1), list->cursor) : NULL;
    load->cursor = (uint64_t)json_integer_value(last);
    load->has_cursor = true;
    return n >= list->limit && load->cursor > 0;
}

/* A page that says itself what comes behind it; whether something does. */
static bool query_cluster_page_next(struct query_cluster *load, const json_t *json, bool *failed)
{
    const char *next = json_string_value(json_object_get(json, "next"));
    (void)query_cluster_page(load, json_object_get(json, "tasks"), failed);
    free(load->next);
    load->next = next != NULL ? mem_strdup(next) : NULL;
    return !*failed && next != NULL && !query_cluster_has_enough(load);
}

static void query_cluster_advance(struct query_cluster *load)
{
    load->has_cursor = false;
    if (load->in_items)
        load->item++;
    load->in_items = true;
    if (load->table->item == NULL || load->item == load->items_n)
        query_cluster_end(load);
    else
        query_cluster_next(load);
}

/* What was read is taken care of. */
static void query_cluster_go_on(struct query_cluster *load)
{
    if (load->at_end)
        query_cluster_advance(load);
    else
        query_cluster_next(load);
}

static void query_cluster_on_page(void *arg, json_t *json, const struct error *e)
{
    struct query_cluster *load = arg;
    bool failed = false;
    load->request = NULL;
    if (json == NULL && load->in_items && e->code == ERR_NOT_FOUND) {
        query_cluster_advance(load); /* has gone since the list */
        return;
    }
    if (json == NULL) {
        query_cluster_fail(load, e->code, "repeat the statement", e->text);
        return;
    }
    load->at_end = json_is_object(json) ? !query_cluster_page_next(load, json, &failed)
                                        : !query_cluster_page(load, json, &failed);
    if (!failed && !query_cluster_hand_over(load))
        query_cluster_go_on(load);
}

/* ---- messages of the chat -------------------------------------------------------------------- */

static void query_cluster_on_chat(void *arg, const struct chat_page *page, const struct error *e)
{
    struct query_cluster *load = arg;
    load->chat = NULL;
    if (e != NULL) {
        query_cluster_fail(load, e->code, "chat members shows who has the messages", e->text);
        return;
    }
    int err = buf_append(&load->lines, page->lines, page->len);
    load->rows += page->rows;
    load->piece_rows += page->rows;
    if (err < 0 || load->rows > QUERY_CLUSTER_ROWS_MAX) {
        query_cluster_too_many(load);
        return;
    }
    load->chat_node = page->node;
    if (!load->has_cursor || page->to < load->chat_to)
        load->chat_to = page->to;
    load->cursor = page->next;
    load->has_cursor = true;
    load->at_end = page->next > load->chat_to || query_cluster_has_enough(load);
    if (!query_cluster_hand_over(load))
        query_cluster_go_on(load);
}

/* A name in a path. */
static void query_cluster_encode(struct buf *path, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z') ||
                     strchr("-_.~", *c) != NULL;
        (void)(plain ? buf_append_byte(path, *c) : buf_printf(path, "%%%02X", *c));
    }
}

/* What the statement can see of it: the rest need not come. */
static void query_cluster_put_range(const struct query_cluster *load, struct buf *path)
{
    char time[CLOCK_RFC3339_MAX];
    if (load->range.since_ms > 0)
        (void)buf_printf(path, "&since=%s", clock_format_rfc3339(load->range.since_ms, time));
    if (load->range.until_ms < INT64_MAX)
        (void)buf_printf(path, "&until=%s", clock_format_rfc3339(load->range.until_ms, time));
}

static void query_cluster_next_chat(struct query_cluster *load)
{
    const struct sql_range *range = &load->range;
    struct buf path;
    uint64_t limit = load->table->list->limit;
    if (range->rows >= 0 && !range->backwards && (uint64_t)range->rows - load->rows < limit)
        limit = (uint64_t)range->rows - load->rows;
    if (range->last < 1 || range->first > range->last || limit == 0 || range->rows == 0) {
        loop_timer_start(&load->timer, 0); /* nothing is asked for */
        load->at_end = true;
        return;
    }
    buf_init(&path, 16384);
    (void)buf_printf(&path, "%s?limit=%" PRIu64, load->table->list->path, limit);
    if (load->has_cursor)
        (void)buf_printf(&path, "&from=%" PRIu64 "&to=%" PRIu64, load->cursor, load->chat_to);
    else if (range->first > 0)
        (void)buf_printf(&path, "&from=%" PRId64, range->first);
    if (!load->has_cursor && range->last < INT64_MAX)
        (void)buf_printf(&path, "&to=%" PRId64, range->last);
    if (!load->has_cursor && range->backwards)
        (void)buf_printf(&path, "&last=%" PRId64, range->rows);
    if (range->text[0] != '\0') {
        (void)buf_append_str(&path, "&channel=");
        query_cluster_encode(&path, range->text);
    }
    query_cluster_put_range(load, &path);
    load->chat = chat_request_start(load->q->role->node, buf_cstr(&path), load->q->user,
                                    load->chat_node, query_cluster_on_chat, load);
    buf_done(&path);
}

static void query_cluster_next(struct query_cluster *load)
{
    if (load->table->from == QUERY_CLUSTER_CHAT) {
        query_cluster_next_chat(load);
        return;
    }
    const struct query_cluster_list *list = load->in_items ? load->table->each : load->table->list;
    struct buf path;
    buf_init(&path, 16384);
    (void)buf_append_str(&path, load->table->list->path);
    if (load->in_items) {
        (void)buf_append_byte(&path, '/');
        query_cluster_encode(&path, load->items[load->item]);
        (void)buf_append_str(&path, list->path);
    }
    char mark = strchr(list->path, '?') != NULL ? '&' : '?';
    if (list->limit > 0)
        (void)buf_printf(&path, "%climit=%u", mark, list->limit);
    if (load->next != NULL)
        (void)buf_printf(&path, "&%s", load->next);
    if (list->parameter != NULL && load->has_cursor)
        (void)buf_printf(&path, "&%s=%" PRIu64, list->parameter, load->cursor);
    if (load->table->ranged != NULL)
        query_cluster_put_range(load, &path);
    struct leader_request_spec spec = {.method = "GET",
                                       .path = buf_cstr(&path),
                                       .user = load->q->user,
                                       .here = load->table->from == QUERY_CLUSTER_ANY};
    load->request = leader_request_start(load->q->role->node, &spec, query_cluster_on_page, load);
    buf_done(&path);
}

/* The settings of the node that answers. */
static void query_cluster_settings(struct query_cluster *load)
{
    const struct node_options *options = node_options(load->q->role->node);
    bool good = true;
    for (size_t i = 0; good && i < options->settings_n; i++) {
        const struct node_setting *setting = &options->settings[i];
        json_t *object = json_pack("{s:o,s:s,s:o,s:s}", "node", api_json_text(options->name),
                                   "name", setting->name, "value", api_json_text(setting->value),
                                   "description", setting->description);
        good = query_cluster_add(load, object, NULL);
        json_decref(object);
    }
    if (good)
        query_cluster_end(load);
}

static void query_cluster_on_timer(void *arg)
{
    struct query_cluster *load = arg;
    if (load->table->from == QUERY_CLUSTER_SELF)
        query_cluster_settings(load);
    else
        query_cluster_go_on(load);
}

void query_cluster_more(struct query_cluster *load)
{
    buf_init(&load->lines, QUERY_CLUSTER_BYTES_MAX);
    query_cluster_go_on(load);
}

struct query_cluster *query_cluster_load(struct query *q, const struct query_cluster_table *table,
                                         size_t at, query_cluster_fn fn)
{
    struct query_cluster *load = mem_zalloc(sizeof *load);
    load->q = q;
    load->table = table;
    load->at = at;
    load->fn = fn;
    buf_init(&load->lines, QUERY_CLUSTER_BYTES_MAX);
    static const struct sql_range_columns nothing;
    sql_range_of(q->tree, QUERY_CLUSTER_SCHEMA, table->name,
                 table->ranged != NULL ? table->ranged : &nothing,
                 loop_wall_ms(node_loop(q->role->node)), &load->range);
    loop_timer_init(&load->timer, node_loop(q->role->node), query_cluster_on_timer, load);
    if (table->list != NULL)
        query_cluster_next(load);
    else
        loop_timer_start(&load->timer, 0);
    return load;
}
