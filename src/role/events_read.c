/* Readers of the collected stream, and of the vitals: what is kept, then what comes. What is not in
 * memory any more is read from the disk, a block at a time, as fast as the reader takes it.
 *
 * While nobody collects a reader gets what this node has: the stream that the last collector gave
 * it, then what nobody collected (events_read_part.c). Its cursors stand where that stream ends, so
 * that whoever collects next goes on without a loss.
 *
 * A reader that is slower than the stream for so long that what it has not read is not kept any
 * more hears how many events it missed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "role/events_read_internal.h"

enum {
    EVENTS_PUMP_MAX = 4096,  /* events in one turn */
    EVENTS_APART_MS = 60000, /* clocks of the nodes, and what comes late, differ by less */
};

static void reader_drop_ticks(struct events_reader *reader)
{
    for (size_t i = 0; i < reader->ticks_n; i++)
        free(reader->ticks[i]);
    reader->ticks_n = 0;
    reader->ticks_ms = 0;
}

void events_reader_free(struct events_reader *reader)
{
    TAILQ_REMOVE(&reader->events->readers, reader, link);
    reader->events->readers_n--;
    loop_hook_disarm(&reader->hook);
    event_store_cancel(reader->read);
    events_others_free(reader->others);
    if (reader->report != NULL)
        events_report_cancel(reader->report);
    if (reader->fd >= 0)
        (void)close(reader->fd);
    events_query_done(&reader->query);
    reader_drop_ticks(reader);
    free(reader->ticks);
    buf_done(&reader->lines);
    free(reader);
}

/* False: the reader is gone. */
static bool reader_flush(struct events_reader *reader)
{
    size_t at = 0;
    while (at < reader->lines.len && reader->out.write != NULL) {
        size_t n = reader->lines.len - at;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        int rc = reader->out.write(reader->out.arg, reader->lines.data + at, n);
        if (rc == ERR_CLOSED) {
            struct events_out out = reader->out;
            events_reader_free(reader);
            out.end(out.arg, NULL);
            return false;
        }
        reader->full = reader->full || rc != 0;
        at += n;
    }
    buf_clear(&reader->lines);
    return true;
}

static bool reader_has_cursor(const struct events_reader *reader)
{
    return !reader->query.vitals && !reader->query.report && !reader->query.own;
}

static void reader_put_cursor(struct events_reader *reader)
{
    char cursor[EVENTS_CURSOR_MAX];
    char at[CLOCK_RFC3339_MAX];
    int64_t now_ms = loop_wall_ms(node_loop(reader->events->node));
    if (reader->partial && reader->after == 0) /* of no stream: a time is as good */
        (void)clock_format_rfc3339(reader->since_ms, cursor);
    else
        (void)events_cursor(reader->after, now_ms, cursor);
    (void)buf_printf(&reader->lines, "{\"cursor\":\"%s\",\"at\":\"%s\"}\n", cursor,
                     clock_format_rfc3339(now_ms, at));
}

static void reader_end_with(struct events_reader *reader, const struct error *e)
{
    struct events_out out = reader->out;
    if (reader_has_cursor(reader) && e == NULL)
        reader_put_cursor(reader);
    if (!reader_flush(reader))
        return;
    events_reader_free(reader);
    out.end(out.arg, e);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool reader_in_time(struct events_reader *reader, int64_t at_ms, bool past)
{
    const struct events_query *query = &reader->query;
    if (query->has_until && at_ms > query->until_ms) {
        reader->over = reader->over || query->exact || at_ms > query->until_ms + EVENTS_UNTIL_MS;
        return false;
    }
    return !past || !query->has_since || query->has_cursor || at_ms >= query->since_ms;
}

/* Positions of one collector have no gaps. */
static void reader_note_gap(struct events_reader *reader, uint64_t position)
{
    bool same = position >> EVENTS_TERM_SHIFT == reader->after >> EVENTS_TERM_SHIFT;
    if (reader->counts && same && position > reader->after + 1)
        (void)buf_printf(&reader->lines, "{\"dropped\":%llu}\n",
                         (unsigned long long)(position - reader->after - 1));
    reader->counts = true;
}

void events_reader_put(struct events_reader *reader, const char *json, size_t len,
                       uint64_t position)
{
    reader->left--;
    if (reader->out.event != NULL) {
        reader->out.event(reader->out.arg, json, len, position);
        return;
    }
    (void)buf_append(&reader->lines, json, len);
    (void)buf_append_byte(&reader->lines, '\n');
}

static void reader_take(struct events_reader *reader, const struct event *event)
{
    reader_note_gap(reader, event->position);
    bool wanted = reader_in_time(reader, event->at_ms, event->position <= reader->past) &&
                  events_query_wants(&reader->query, event);
    if (reader->over)
        return;
    reader->after = event->position;
    if (wanted)
        events_reader_put(reader, event->json, event->json_len, event->position);
}

static void reader_on_events(void *arg, int code, const Wire__EventBatch *batch, uint64_t first,
                             uint64_t last)
{
    struct events_reader *reader = arg;
    reader->read = NULL;
    (void)first;
    reader->off_disk = code < 0 || batch == NULL;
    for (size_t i = 0; batch != NULL && i < batch->n_events; i++) {
        const Wire__Event *row = batch->events[i];
        struct event event = events_from_wire(row);
        if (row->position > reader->after && reader->left > 0 && !reader->over)
            reader_take(reader, &event);
    }
    if (batch != NULL && !reader->over && reader->left > 0 && reader->after < last)
        reader->after = last; /* a block without any that is wanted */
    loop_hook_arm(&reader->hook);
}

/* Position of the oldest event in memory, or behind the last. */
static uint64_t reader_ring_first(const struct events_reader *reader)
{
    const struct event_ring *ring = &reader->events->stream;
    return ring->n > 0 ? event_ring_at(ring, 0)->position : reader->events->position + 1;
}

/* True: the disk is asked, or has answered that it has no more. */
static bool reader_ask_disk(struct events_reader *reader)
{
    struct events *events = reader->events;
    uint64_t first = reader_ring_first(reader);
    if (reader->after + 1 >= first || reader->off_disk || events->store == NULL)
        return false;
    struct event_store_want want = {.list = EVENT_STORE_STREAM,
                                    .after = reader->after,
                                    .before = first,
                                    .since_ms = reader->query.has_since && !reader->query.has_cursor
                                                    ? reader->query.since_ms
                                                    : INT64_MIN};
    reader->read = event_store_read_events(events->store, &want, reader_on_events, reader);
    return true;
}

/* False: the disk is asked first, or others want a turn. */
static bool reader_pump_events(struct events_reader *reader)
{
    const struct event_ring *ring = &reader->events->stream;
    if (reader_ask_disk(reader))
        return false;
    size_t at = event_ring_after_position(ring, reader->after);
    for (unsigned n = 0; at < ring->n && !reader->full && reader->left > 0 && !reader->over; at++) {
        if (++n > EVENTS_PUMP_MAX) {
            loop_hook_arm(&reader->hook);
            return false;
        }
        reader_take(reader, event_ring_at(ring, at));
        if (reader->lines.len >= EVENTS_OUT_BYTES)
            break;
    }
    if (at < ring->n && reader->left > 0 && !reader->over) {
        loop_hook_arm(&reader->hook);
        return false;
    }
    if (at >= ring->n)
        reader->after =
            reader->after > reader->events->position ? reader->after : reader->events->position;
    return true;
}

/* ---- vitals ---------------------------------------------------------------------------------- */

static const char *reader_name(const void *arg, uint64_t node)
{
    return node_member_name(arg, node);
}

/* Several ticks become one of the step that is asked for. */
static void reader_take_tick(struct events_reader *reader, const struct vitals_tick *tick)
{
    reader->after_ms = tick->at_ms;
    if (!reader_in_time(reader, tick->at_ms, true))
        return;
    MEM_GROW(reader->ticks, reader->ticks_cap, reader->ticks_n + 1);
    reader->ticks[reader->ticks_n++] = mem_dup(tick, vitals_tick_bytes(tick));
    reader->ticks_ms += tick->step_ms;
    if (reader->ticks_ms < reader->query.step_ms)
        return;
    struct vitals_tick *mean = vitals_tick_mean((const struct vitals_tick *const *)reader->ticks,
                                                reader->ticks_n, (uint32_t)reader->ticks_ms);
    (void)events_vitals_line(reader_name, reader->events->node, mean,
                             reader->query.has_nodes ? &reader->query.nodes : NULL, &reader->lines);
    reader->left--;
    free(mean);
    reader_drop_ticks(reader);
}

static void reader_on_ticks(void *arg, int code, const struct event_store_tick *ticks, size_t n)
{
    struct events_reader *reader = arg;
    reader->read = NULL;
    reader->off_disk = code < 0 || n == 0;
    for (size_t i = 0; i < n && reader->left > 0 && !reader->over; i++) {
        struct vitals_tick *tick = vitals_tick_unpack(ticks[i].data, ticks[i].len);
        reader->after_ms = ticks[i].at_ms;
        if (tick != NULL)
            reader_take_tick(reader, tick);
        free(tick);
    }
    loop_hook_arm(&reader->hook);
}

static bool reader_pump_vitals(struct events_reader *reader)
{
    struct events *events = reader->events;
    const struct vitals_tick *tick = TAILQ_FIRST(&events->ticks.list);
    int64_t first_ms = tick != NULL ? tick->at_ms : INT64_MAX;
    if (!reader->off_disk && events->store != NULL && reader->after_ms + 1 < first_ms) {
        reader->read = event_store_read_ticks(events->store, reader->after_ms, first_ms,
                                              reader_on_ticks, reader);
        return false;
    }
    TAILQ_FOREACH (tick, &events->ticks.list, link) {
        if (tick->at_ms <= reader->after_ms || reader->left == 0 || reader->over)
            continue;
        if (reader->full || reader->lines.len >= EVENTS_OUT_BYTES) {
            loop_hook_arm(&reader->hook);
            return false;
        }
        reader_take_tick(reader, tick);
    }
    return true;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void reader_on_report(void *arg, int fd, const struct error *e)
{
    struct events_reader *reader = arg;
    reader->report = NULL;
    reader->fd = fd;
    if (e != NULL)
        reader_end_with(reader, e);
    else
        loop_hook_arm(&reader->hook);
}

/* The file was written a moment ago: it is in memory. */
static void reader_pump_report(struct events_reader *reader)
{
    while (reader->fd >= 0 && !reader->full) {
        if (buf_reserve(&reader->lines, EVENTS_OUT_BYTES) < 0)
            return;
        ssize_t n = read(reader->fd, reader->lines.data, EVENTS_OUT_BYTES);
        if (n < 0) {
            struct error e;
            (void)error_set(&e, -errno, "the report cannot be read: %s", err_text(-errno));
            reader_end_with(reader, &e);
            return;
        }
        reader->lines.len = (size_t)n;
        if (n == 0) {
            reader_end_with(reader, NULL);
            return;
        }
        if (!reader_flush(reader))
            return;
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

static void reader_pump(struct events_reader *reader)
{
    bool ended = reader->left == 0 || reader->over;
    if (reader->query.report) {
        reader_pump_report(reader);
        return;
    }
    if (reader->read != NULL)
        return;
    if (!reader->full && !ended) {
        bool caught_up = reader->query.vitals ? reader_pump_vitals(reader)
                         : reader->query.own || reader->query.uncollected
                             ? true
                             : reader_pump_events(reader);
        if (caught_up && reader->partial && !reader->query.vitals && !reader->over)
            caught_up = events_reader_pump_part(reader);
        ended = reader->left == 0 || reader->over || (caught_up && !reader->query.follow);
        if (caught_up && reader->query.follow && reader_has_cursor(reader) && !reader->greeted) {
            reader->greeted = true;
            reader_put_cursor(reader);
        }
    }
    if (!reader_flush(reader) || reader->read != NULL)
        return;
    if (reader->others != NULL && !reader->full)
        events_others_pay(reader->others);
    if (reader->query.has_until && reader->query.follow)
        ended = ended || loop_wall_ms(node_loop(reader->events->node)) >
                             reader->query.until_ms + EVENTS_UNTIL_MS;
    if (ended)
        reader_end_with(reader, NULL);
}

static void reader_on_hook(void *arg)
{
    reader_pump(arg);
}

void events_reader_resume(struct events_reader *reader)
{
    reader->full = false;
    loop_hook_arm(&reader->hook);
}

void events_readers_wake(struct events *events)
{
    struct events_reader *reader;
    TAILQ_FOREACH (reader, &events->readers, link)
        if (!reader->full)
            loop_hook_arm(&reader->hook);
}

void events_readers_tick(struct events *events)
{
    struct events_reader *reader;
    TAILQ_FOREACH (reader, &events->readers, link) {
        if (reader->full)
            continue;
        if (reader_has_cursor(reader) && reader->query.follow && reader->read == NULL)
            reader_put_cursor(reader);
        loop_hook_arm(&reader->hook);
    }
}

void events_readers_end(struct events *events, int code, const char *text)
{
    struct events_reader *reader;
    struct error e;
    (void)error_set(&e, code, "%s", text);
    while ((reader = TAILQ_FIRST(&events->readers)) != NULL)
        reader_end_with(reader, &e);
}

void events_readers_end_partial(struct events *events)
{
    struct events_reader *reader, *next;
    struct error e;
    (void)error_set(&e, ERR_NOT_LEADER, "a node leads again, which collects the events: ask again");
    for (reader = TAILQ_FIRST(&events->readers); reader != NULL; reader = next) {
        next = TAILQ_NEXT(reader, link);
        if (reader->partial && reader->query.follow)
            reader_end_with(reader, &e);
    }
}

void events_readers_linked(struct events *events, uint64_t node)
{
    struct events_reader *reader;
    TAILQ_FOREACH (reader, &events->readers, link)
        if (reader->others != NULL)
            events_others_linked(reader->others, node);
}

/* A cursor of behind the stream is of another one, or of more of it than this node was given: what
 * is there since its time. */
static void reader_check_cursor(struct events_reader *reader)
{
    struct events_query *query = &reader->query;
    int64_t now_ms = loop_wall_ms(node_loop(reader->events->node));
    if (!query->has_cursor || query->cursor <= reader->events->position)
        return;
    query->has_cursor = false;
    if (query->since_ms > now_ms)
        query->since_ms = now_ms;
}

/* Where to begin. When memory reaches back far enough the disk is left alone. */
static void reader_begin(struct events_reader *reader)
{
    const struct events_query *query = &reader->query;
    const struct events *events = reader->events;
    const struct event_ring *ring = &events->stream;
    reader_check_cursor(reader);
    reader->past = events->position;
    reader->after = query->has_cursor ? query->cursor : query->has_since ? 0 : events->position;
    reader->counts = query->has_cursor || !query->has_since;
    reader->after_ms =
        query->has_since ? query->since_ms - 1 : loop_wall_ms(node_loop(events->node));
    /* of vitals memory has less than of events */
    if (!query->has_cursor && query->has_since && !query->vitals && ring->n > 0 &&
        event_ring_at(ring, 0)->at_ms < query->since_ms - EVENTS_APART_MS) {
        reader->after = event_ring_at(ring, 0)->position - 1;
        reader->off_disk = true;
    }
    if (query->begin > reader->after)
        reader->after = query->begin;
}

struct events_reader *events_reader_new(struct events *events, struct events_query *query,
                                        const struct events_out *out)
{
    struct events_reader *reader = mem_zalloc(sizeof *reader);
    reader->events = events;
    reader->query = *query;
    nodeset_init(&query->nodes);
    query->target = NULL;
    reader->out = *out;
    reader->left = query->limit;
    reader->fd = -1;
    buf_init(&reader->lines, SIZE_MAX / 4);
    loop_hook_init(&reader->hook, node_loop(events->node), LOOP_PHASE_FLUSH, reader_on_hook,
                   reader);
    TAILQ_INSERT_TAIL(&events->readers, reader, link);
    events->readers_n++;
    reader_begin(reader);
    if (!events->collecting || reader->query.own)
        events_reader_begin_partial(reader);
    if (reader->query.report)
        reader->report = events_report_start(
            events, reader->query.has_since ? reader->query.since_ms : 0, reader_on_report, reader);
    loop_hook_arm(&reader->hook);
    return reader;
}
