/* Readers of the collected stream, and of the vitals: what is kept, then what comes.
 *
 * A reader that is slower than the stream for so long that what it has not read is not kept any
 * more hears how many events it missed. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/events_internal.h"

enum { EVENTS_OUT_BYTES = 32 << 10, EVENTS_PUMP_MAX = 4096 };

struct events_reader {
    struct events *events;
    struct events_query query;
    struct events_out out;
    struct loop_hook hook;
    uint64_t next; /* index in the ring of events, or of ticks */
    uint64_t past; /* indices below are the past, where times are looked at */
    uint64_t left; /* lines */
    bool full;
    bool told; /* a cursor since the last event */
    struct buf lines;
    TAILQ_ENTRY(events_reader) link;
};

static uint64_t reader_first(const struct events_reader *reader)
{
    const struct events *events = reader->events;
    return reader->query.vitals ? events->ticks.first : events->stream.first;
}

static uint64_t reader_end(const struct events_reader *reader)
{
    const struct events *events = reader->events;
    return reader->query.vitals ? events->ticks.first + events->ticks.n
                                : events->stream.first + events->stream.n;
}

void events_reader_free(struct events_reader *reader)
{
    TAILQ_REMOVE(&reader->events->readers, reader, link);
    reader->events->readers_n--;
    loop_hook_disarm(&reader->hook);
    events_query_done(&reader->query);
    buf_done(&reader->lines);
    free(reader);
}

/* False: the reader is gone. */
static bool reader_flush(struct events_reader *reader)
{
    size_t at = 0;
    while (at < reader->lines.len) {
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

static void reader_put_cursor(struct events_reader *reader)
{
    char cursor[EVENTS_CURSOR_MAX];
    char at[CLOCK_RFC3339_MAX];
    const struct events *events = reader->events;
    int64_t now_ms = loop_wall_ms(node_loop(events->node));
    uint64_t position = events->position;
    if (reader->next < reader_end(reader) && reader->next > events->stream.first)
        position = event_ring_at(&events->stream, (size_t)(reader->next - events->stream.first) - 1)
                       ->position;
    (void)buf_printf(&reader->lines, "{\"cursor\":\"%s\",\"at\":\"%s\"}\n",
                     events_cursor(position, now_ms, cursor), clock_format_rfc3339(now_ms, at));
}

static void reader_end_with(struct events_reader *reader, const struct error *e)
{
    struct events_out out = reader->out;
    if (!reader->query.vitals && e == NULL)
        reader_put_cursor(reader);
    if (!reader_flush(reader))
        return;
    events_reader_free(reader);
    out.end(out.arg, e);
}

static bool reader_in_time(const struct events_reader *reader, int64_t at_ms)
{
    const struct events_query *query = &reader->query;
    if (reader->next < reader->past && query->has_since && at_ms < query->since_ms &&
        !query->has_cursor)
        return false;
    return !query->has_until || at_ms <= query->until_ms;
}

static void reader_take_event(struct events_reader *reader)
{
    const struct event_ring *ring = &reader->events->stream;
    const struct event *event = event_ring_at(ring, (size_t)(reader->next - ring->first));
    if (reader_in_time(reader, event->at_ms) && events_query_wants(&reader->query, event)) {
        (void)buf_append(&reader->lines, event->json, event->json_len);
        (void)buf_append_byte(&reader->lines, '\n');
        reader->left--;
    }
    reader->next++;
}

static const struct vitals_tick *reader_tick(const struct events_reader *reader, uint64_t at)
{
    const struct vitals_ticks *ticks = &reader->events->ticks;
    const struct vitals_tick *tick = TAILQ_FIRST(&ticks->list);
    if (at + 1 == ticks->first + ticks->n)
        return TAILQ_LAST(&ticks->list, vitals_tick_list);
    for (uint64_t i = ticks->first; i < at; i++)
        tick = TAILQ_NEXT(tick, link);
    return tick;
}

/* Takes the ticks of one step; false when they are not complete yet. */
static bool reader_take_ticks(struct events_reader *reader)
{
    size_t want = (size_t)(reader->query.step_ms / 1000);
    uint64_t end = reader_end(reader);
    if (end - reader->next < want && reader->query.follow)
        return false;
    size_t n = want < end - reader->next ? want : (size_t)(end - reader->next);
    const struct vitals_tick **ticks = mem_calloc(n, sizeof *ticks);
    ticks[0] = reader_tick(reader, reader->next);
    for (size_t i = 1; i < n; i++)
        ticks[i] = TAILQ_NEXT(ticks[i - 1], link);
    struct vitals_tick *mean =
        vitals_tick_mean(ticks, n, (uint32_t)(want > 1 ? want * 1000 : ticks[0]->step_ms));
    if (reader_in_time(reader, mean->at_ms)) {
        (void)events_vitals_line(reader->events, mean,
                                 reader->query.has_nodes ? &reader->query.nodes : NULL,
                                 &reader->lines);
        reader->left--;
    }
    reader->next += n;
    free(mean);
    free(ticks);
    return true;
}

static void reader_skip_lost(struct events_reader *reader)
{
    uint64_t first = reader_first(reader);
    if (reader->next >= first)
        return;
    if (!reader->query.vitals)
        (void)buf_printf(&reader->lines, "{\"dropped\":%llu}\n",
                         (unsigned long long)(first - reader->next));
    reader->next = first;
}

static void reader_pump(struct events_reader *reader)
{
    unsigned n = 0;
    reader_skip_lost(reader);
    while (!reader->full && reader->left > 0 && reader->next < reader_end(reader)) {
        if (++n > EVENTS_PUMP_MAX) { /* others want a turn too */
            loop_hook_arm(&reader->hook);
            break;
        }
        if (!reader->query.vitals)
            reader_take_event(reader);
        else if (!reader_take_ticks(reader))
            break;
        if (reader->lines.len >= EVENTS_OUT_BYTES && !reader_flush(reader))
            return;
    }
    if (!reader_flush(reader) || reader->full || n > EVENTS_PUMP_MAX)
        return;
    bool over = reader->query.has_until &&
                loop_wall_ms(node_loop(reader->events->node)) > reader->query.until_ms;
    if (reader->left == 0 || !reader->query.follow || over)
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
        if (!reader->query.vitals && reader->query.follow)
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

/* ---- where to begin -------------------------------------------------------------------------- */

static uint64_t reader_find_tick(const struct events_reader *reader, int64_t since_ms)
{
    const struct vitals_ticks *ticks = &reader->events->ticks;
    const struct vitals_tick *tick;
    uint64_t at = ticks->first;
    TAILQ_FOREACH (tick, &ticks->list, link) {
        if (tick->at_ms >= since_ms)
            break;
        at++;
    }
    return at;
}

static void reader_begin(struct events_reader *reader)
{
    const struct events_query *query = &reader->query;
    const struct event_ring *ring = &reader->events->stream;
    reader->past = reader->next = reader_end(reader);
    if (query->vitals)
        reader->next = query->has_since ? reader_find_tick(reader, query->since_ms) : reader->next;
    else if (query->has_cursor)
        reader->next = ring->first + event_ring_after_position(ring, query->cursor);
    else if (query->has_since)
        reader->next = ring->first;
}

struct events_reader *events_reader_new(struct events *events, struct events_query *query,
                                        const struct events_out *out)
{
    struct events_reader *reader = mem_zalloc(sizeof *reader);
    reader->events = events;
    reader->query = *query;
    nodeset_init(&query->nodes);
    reader->out = *out;
    reader->left = query->limit;
    buf_init(&reader->lines, SIZE_MAX / 4);
    loop_hook_init(&reader->hook, node_loop(events->node), LOOP_PHASE_FLUSH, reader_on_hook,
                   reader);
    TAILQ_INSERT_TAIL(&events->readers, reader, link);
    events->readers_n++;
    reader_begin(reader);
    loop_hook_arm(&reader->hook);
    return reader;
}
