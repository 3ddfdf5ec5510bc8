/* Happy path: an event gets its number and its line and goes into this node's ring; at the end of
 * the turn what is new is sent to the collector, or collected here.
 *
 * How it fails: an event that is too long is told without its row; a ring that is full loses its
 * oldest, which the hole in the numbers shows to the collector. */
#include "role/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/events_internal.h"
#include "role/raft_api.h"
#include "role/status_api.h"

struct event_draft {
    enum event_kind kind;
    enum log_level level;
    char *about;
    char *table;
    char *rest;
    size_t rest_len;
};

struct events *events_of(const struct node *node)
{
    return node_events(node);
}

void events_set_messages(struct node *node, void (*fn)(void *arg, struct buf *out), void *arg)
{
    struct events *events = events_of(node);
    if (events == NULL)
        return;
    events->messages.fn = fn;
    events->messages.arg = arg;
}

uint64_t events_position(const struct node *node)
{
    const struct events *events = events_of(node);
    return events != NULL ? events->position : 0;
}

bool events_enabled(const struct node *node)
{
    return node_events(node) != NULL;
}

/* ---- the line -------------------------------------------------------------------------------- */

static int events_put_text(struct buf *out, const char *key, const char *text)
{
    if (text == NULL || *text == '\0')
        return 0;
    int err = buf_printf(out, ",\"%s\":", key);
    size_t len = strnlen(text, EVENT_TEXT_MAX);
    return err < 0 ? err : json_text_append(out, text, len);
}

/* `value` as `"key":{...}`, or its members when `key` is NULL. */
static int events_put_json(struct buf *out, const char *key, const json_t *value)
{
    if (value == NULL || json_object_size(value) == 0)
        return 0;
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text == NULL)
        return 0;
    size_t len = strlen(text);
    int err = key != NULL ? buf_printf(out, ",\"%s\":", key) : buf_append_byte(out, ',');
    if (err == 0)
        err = key != NULL ? buf_append(out, text, len) : buf_append(out, text + 1, len - 2);
    free(text);
    return err;
}

static int events_put_patch(struct buf *out, const struct event_about *about, const char *table,
                            bool with_row)
{
    if (about->key == NULL || *table == '\0')
        return 0;
    int err = buf_printf(out, ",\"table\":\"%s\"", table);
    if (err == 0)
        err = events_put_text(out, "key", about->key);
    if (err == 0 && about->gone)
        err = buf_append_str(out, ",\"gone\":true");
    else if (err == 0 && with_row)
        err = events_put_json(out, "row", about->row);
    return err;
}

static enum log_level events_level(const struct event_kind_row *kind,
                                   const struct event_about *about)
{
    return about->minor ? LOG_LEVEL_DEBUG : kind->level;
}

static int events_put_rest(struct buf *out, const struct event_kind_row *kind,
                           const struct event_about *about, const char *table, const char *text,
                           bool with_row)
{
    buf_clear(out);
    int err = buf_printf(out, "\"kind\":\"%s\",\"level\":\"%s\",\"text\":", kind->name,
                         log_level_name(events_level(kind, about)));
    if (err == 0)
        err = json_text_append(out, text, strlen(text));
    if (err == 0)
        err = events_put_text(out, "node", about->node);
    if (err == 0)
        err = events_put_text(out, "by", about->by);
    if (err == 0)
        err = events_put_text(out, "cause", about->cause);
    if (err == 0 && with_row)
        err = events_put_json(out, NULL, about->more);
    if (err == 0)
        err = events_put_patch(out, about, table, with_row);
    return err < 0 ? err : buf_append_byte(out, '}');
}

static struct event_draft *events_vdraft(enum event_kind kind, const struct event_about *about,
                                         const char *fmt, va_list args)
{
    const struct event_kind_row *row = event_kind_row(kind);
    struct event_draft *draft = mem_zalloc(sizeof *draft);
    const char *table = about->table != NULL ? about->table : row->table;
    char text[EVENT_TEXT_MAX];
    struct buf out;
    buf_init(&out, EVENT_JSON_MAX - 256);
    (void)vsnprintf(text, sizeof text, fmt, args);
    if (events_put_rest(&out, row, about, table, text, true) < 0)
        (void)events_put_rest(&out, row, about, table, text, false);
    draft->kind = kind;
    draft->level = events_level(row, about);
    draft->about = mem_strndup(about->node != NULL ? about->node : "", EVENT_NAME_MAX);
    draft->table = mem_strdup(about->key != NULL ? table : "");
    draft->rest = buf_steal(&out, &draft->rest_len);
    return draft;
}

static void events_about_done(const struct event_about *about)
{
    json_decref(about->row);
    json_decref(about->more);
}

/* ---- telling --------------------------------------------------------------------------------- */

void events_to_wire(const struct event *event, Wire__Event *row)
{
    wire__event__init(row);
    row->node = event->node;
    row->seq = event->seq;
    row->position = event->position;
    row->at_ms = (uint64_t)event->at_ms;
    row->level = event->level;
    row->kind = (char *)(uintptr_t)event->kind;
    row->about = (char *)(uintptr_t)event->about;
    row->table = (char *)(uintptr_t)event->table;
    row->json.data = (uint8_t *)(uintptr_t)event->json;
    row->json.len = event->json_len;
}

struct event events_from_wire(const Wire__Event *row)
{
    return (struct event){.node = row->node,
                          .seq = row->seq,
                          .position = row->position,
                          .at_ms = (int64_t)row->at_ms,
                          .level = (enum log_level)row->level,
                          .kind = row->kind,
                          .about = row->about,
                          .table = row->table,
                          .json = (const char *)row->json.data,
                          .json_len = row->json.len};
}

void events_say(struct events *events, int64_t at_ms, const struct event *event, const char *rest,
                size_t rest_len)
{
    char at[CLOCK_RFC3339_MAX];
    struct event said = *event;
    struct buf line;
    buf_init(&line, EVENT_JSON_MAX);
    said.node = node_id(events->node);
    said.seq = event_seq_next(&events->seq);
    said.at_ms = at_ms;
    (void)buf_printf(&line, "{\"id\":\"%s:%" PRIu64 "\",\"at\":\"%s\",", events->name, said.seq,
                     clock_format_rfc3339(at_ms, at));
    (void)buf_append(&line, rest, rest_len);
    said.json = buf_cstr(&line);
    said.json_len = line.len;
    if (events->store != NULL) {
        Wire__Event row;
        events_to_wire(&said, &row);
        event_store_add(events->store, EVENT_STORE_OWN, said.seq, &row);
    }
    event_ring_push(&events->own, event_new(&said));
    buf_done(&line);
    loop_hook_arm(&events->hook);
}

struct event_draft *event_draft(struct node *node, enum event_kind kind,
                                const struct event_about *about, const char *fmt, ...)
{
    static const struct event_about nothing;
    struct event_draft *draft = NULL;
    about = about != NULL ? about : &nothing;
    if (events_of(node) != NULL) {
        va_list args;
        va_start(args, fmt);
        draft = events_vdraft(kind, about, fmt, args);
        va_end(args);
    }
    events_about_done(about);
    return draft;
}

void event_draft_free(struct event_draft *draft)
{
    if (draft == NULL)
        return;
    free(draft->about);
    free(draft->table);
    free(draft->rest);
    free(draft);
}

void event_publish(struct node *node, struct event_draft *draft)
{
    struct events *events = events_of(node);
    if (draft == NULL)
        return;
    const struct event_kind_row *row = event_kind_row(draft->kind);
    struct event event = {
        .kind = row->name, .level = draft->level, .about = draft->about, .table = draft->table};
    if (events != NULL)
        events_say(events, loop_wall_ms(node_loop(node)), &event, draft->rest, draft->rest_len);
    event_draft_free(draft);
}

void event_emit(struct node *node, enum event_kind kind, const struct event_about *about,
                const char *fmt, ...)
{
    static const struct event_about nothing;
    about = about != NULL ? about : &nothing;
    if (events_of(node) != NULL) {
        va_list args;
        va_start(args, fmt);
        event_publish(node, events_vdraft(kind, about, fmt, args));
        va_end(args);
    }
    events_about_done(about);
}

static void events_on_hook(void *arg)
{
    struct events *events = arg;
    if (events->collecting)
        events_collect_own(events);
    else
        events_send(events);
    if (!events->collecting && events->readers_n > 0)
        events_readers_wake(events);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void events_on_timer(void *arg)
{
    struct events *events = arg;
    loop_timer_start(&events->timer, EVENTS_TICK_MS);
    unsigned slice = events->slice;
    events->slice = (slice + 1) % EVENT_SLICES;
    if (events->begun) {
        events_frame_tick(events, slice);
        events_frame_keep(events);
    }
    if (events->collecting)
        events_mirrors_send(events);
    events_dark_look(events);
    events_waits_go_on(events);
    if (slice != 0)
        return;
    if (events->collecting || events->dark)
        events_vitals_tick(events);
    if (events->collecting)
        events_mirrors_choose(events);
    events_readers_tick(events);
}

static void events_election_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    const struct node *node = arg;
    struct node_election election;
    (void)slice;
    for (unsigned i = 0; node_election(node, i, &election); i++)
        event_rows_add(rows, election.group, status_election_json(node, &election));
}

/* Members of the Raft group without what changes with each entry of the log. */
static void events_raft_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    enum { EVENTS_LAG_MIN = 64 };
    static const char *const moving[] = {"match_index", "last_index", "applied_index"};
    const struct node *node = arg;
    (void)slice;
    if (!node_is_active(node))
        return;
    json_t *members = raft_api_members(node);
    for (size_t i = 0; i < json_array_size(members); i++) {
        json_t *row = json_incref(json_array_get(members, i));
        for (unsigned k = 0; k < MEM_COUNT(moving); k++)
            (void)json_object_del(row, moving[k]);
        if (json_integer_value(json_object_get(row, "lag")) < EVENTS_LAG_MIN)
            (void)json_object_set_new(row, "lag", json_integer(0));
        const char *name = json_string_value(json_object_get(row, "name"));
        event_rows_add(rows, name != NULL ? name : "", row);
    }
    json_decref(members);
}

/* What is worth a word of a replica: that it is one, how it takes part, whether it can be reached.
 */
static enum event_kind events_raft_tell(const char *key, const json_t *before, const json_t *row,
                                        char text[EVENT_SOURCE_TEXT_MAX])
{
    const char *role = json_string_value(json_object_get(row, "role"));
    const char *state = json_string_value(json_object_get(row, "state"));
    if (row == NULL)
        (void)snprintf(text, EVENT_SOURCE_TEXT_MAX, "%s is no replica any more", key);
    else if (json_equal(json_object_get(before, "role"), json_object_get(row, "role")) &&
             json_equal(json_object_get(before, "state"), json_object_get(row, "state")))
        return EVENT_NONE;
    else
        (void)snprintf(text, EVENT_SOURCE_TEXT_MAX, "the replica %s is a %s, %s", key,
                       role != NULL ? role : "?", state != NULL ? state : "?");
    return EVENT_RAFT_MEMBER;
}

static void events_add_sources(struct node *node)
{
    events_add_source(node, &(struct event_source){
                                .table = "elections", .fn = events_election_rows, .arg = node});
    events_add_source(node, &(struct event_source){.table = "raft",
                                                   .tell = events_raft_tell,
                                                   .whole = true,
                                                   .fn = events_raft_rows,
                                                   .arg = node});
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void events_on_flushing(void *arg)
{
    events_collect_flush(arg);
}

static void events_on_trouble(void *arg, int code, const char *text, uint64_t lost)
{
    struct events *events = arg;
    const char *name = events->name;
    if (code < 0) {
        log_warn(LOG_ABOUT(.role = "events", .code = code), "events cannot be kept on the disk: %s",
                 text);
        return;
    }
    event_emit(events->node, EVENT_DROPPED,
               EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "unkept", (json_int_t)lost)),
               "the disk of %s did not take %llu events; other nodes may have them", name,
               (unsigned long long)lost);
}

static void events_take_found(struct events *events, const struct event_store_found *found)
{
    events->position = found->last[EVENT_STORE_STREAM];
    for (size_t i = 0; i < found->marks_n; i++)
        events_mark_get(events, found->marks[i].node)->seq = found->marks[i].seq;
}

/* Without a disk that takes them events are kept in memory only. */
static bool events_open(struct events *events)
{
    const struct node_options *options = node_options(events->node);
    char *path = mem_printf("%s/events.db", options->data_dir);
    char *seq_path = mem_printf("%s/events.seq", options->data_dir);
    struct event_store_options store = {
        .loop = node_loop(events->node),
        .path = path,
        .bytes_max = options->events.bytes_max,
        .keep_ms = (int64_t)options->events.keep_ms,
        .ticks_keep_ms = {15 * 60 * 1000, 4 * 3600 * 1000, (int64_t)options->events.keep_ms},
        .flushing = events_on_flushing,
        .trouble = events_on_trouble,
        .arg = events,
    };
    struct event_store_found found = {0};
    struct error e;
    bool skipped = false;
    if (event_store_open(&events->store, &store, &found, &e) < 0)
        log_warn(LOG_ABOUT(.role = "events", .code = e.code), "events are kept in memory only: %s",
                 e.text);
    if (found.renewed)
        log_warn(LOG_ABOUT(.role = "events"),
                 "%s was damaged: it is %s.damaged now, and events are "
                 "kept in a new file",
                 path, path);
    events_take_found(events, &found);
    if (event_seq_open(&events->seq, seq_path, found.last[EVENT_STORE_OWN], &skipped, &e) < 0)
        log_warn(LOG_ABOUT(.role = "events", .code = e.code), "%s", e.text);
    free(found.marks);
    free(path);
    free(seq_path);
    return skipped;
}

static void events_measure(void *arg)
{
    events_mirrors_measure(arg);
}

static int events_start(struct node *node, void **self, struct error *e)
{
    const struct node_options *options = node_options(node);
    struct events *events = mem_zalloc(sizeof *events);
    (void)e;
    events->node = node;
    events->name = mem_strdup(options->name);
    events->log_level = options->events.log_level;
    event_ring_init(&events->own, EVENTS_OWN_MAX, options->events.memory_bytes);
    event_ring_init(&events->stream, EVENTS_STREAM_MAX, EVENTS_STREAM_BYTES_MAX);
    vitals_ticks_init(&events->ticks, EVENTS_TICKS_MAX, EVENTS_TICKS_BYTES_MAX);
    vitals_ticks_init(&events->tens, 6, EVENTS_TICKS_BYTES_MAX);
    TAILQ_INIT(&events->waits);
    events->state = event_state_new();
    TAILQ_INIT(&events->readers);
    TAILQ_INIT(&events->relays);
    TAILQ_INIT(&events->mirrors);
    TAILQ_INIT(&events->pasts);
    TAILQ_INIT(&events->reports);
    events_log_start(events); /* what goes wrong from here on is an event too */
    bool skipped = events_open(events);
    loop_hook_init(&events->hook, node_loop(node), LOOP_PHASE_FLUSH, events_on_hook, events);
    loop_timer_init(&events->timer, node_loop(node), events_on_timer, events);
    loop_timer_start(&events->timer, EVENTS_TICK_MS);
    metric_add_collector(events_measure, events);
    node_set_events(node, events);
    events_add_sources(node);
    events_api_add_routes(events);
    event_emit(
        node, EVENT_DAEMON_START,
        EVENT_ABOUT(.node = options->name, .more = json_pack("{s:s, s:b}", "version",
                                                             options->version, "skipped", skipped)),
        "clusterd %s has started on %s", options->version, options->name);
    *self = events;
    return 0;
}

static void events_on_stored(void *arg)
{
    struct events *events = arg;
    node_role_stopped(events->node);
}

static void events_stop(void *self)
{
    struct events *events = self;
    events->stopping = true;
    events_log_stop(events);
    events_readers_end(events, ERR_CLOSED, "this node is being stopped");
    events_mirrors_end(events);
    events_waits_end(events);
    events_pasts_end(events);
    loop_timer_stop(&events->timer);
    if (events->store == NULL) {
        node_role_stopped(events->node);
        return;
    }
    events_collect_flush(events);
    event_store_cancel(events->send_read);
    events->send_read = NULL;
    struct event_store *store = events->store;
    events->store = NULL;
    event_store_close(store, events_on_stored, events);
}

static void events_free(void *self)
{
    struct events *events = self;
    node_set_events(events->node, NULL);
    metric_remove_collector(events_measure, events);
    events_mirrors_end(events);
    events_reports_end(events);
    loop_hook_disarm(&events->hook);
    loop_timer_stop(&events->timer);
    events_collect_free(events);
    event_ring_done(&events->own);
    event_ring_done(&events->stream);
    vitals_ticks_done(&events->ticks);
    vitals_ticks_done(&events->tens);
    event_seq_close(&events->seq);
    event_state_free(events->state);
    (void)pthread_mutex_destroy(&events->log_mutex);
    free(events->name);
    free(events);
}

static void events_on_active(void *self)
{
    events_collect_begin(self);
}

static void events_on_inactive(void *self)
{
    events_collect_end(self);
}

static void events_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct events *events = self;
    if (session == 0) {
        events_relays_lost(events, peer);
        events_mirror_lost(events, peer);
        if (peer == events->asked_by)
            events_send_lost(events);
    } else if (events->collecting) {
        events_collect_ask(events, peer);
    } else {
        events_readers_linked(events, peer);
    }
}

static void events_on_leader(void *self, uint64_t leader, uint64_t term)
{
    struct events *events = self;
    (void)term;
    if (leader != events->asked_by)
        events_send_lost(events);
    if (leader != 0)
        events_readers_end_partial(events);
}

static const struct role_handler events_handlers[] = {
    {WIRE_EVENT_BATCH, events_on_batch},
    {WIRE_EVENT_ACK, events_on_ack},
    {WIRE_EVENT_READ, events_on_read},
    {WIRE_EVENT_CREDIT, events_on_credit},
    {WIRE_EVENT_READ_CANCEL, events_on_read_cancel},
    {WIRE_EVENT_MIRROR, events_on_mirror},
    {WIRE_EVENT_MIRROR_ACK, events_on_mirror_ack},
    {WIRE_EVENT_VITALS, events_on_vitals},
    {0, NULL},
};

const struct role events_role = {
    .name = "events",
    .start = events_start,
    .stop = events_stop,
    .free = events_free,
    .on_leader = events_on_leader,
    .on_link = events_on_link,
    .on_active = events_on_active,
    .on_inactive = events_on_inactive,
    .handlers = events_handlers,
};
