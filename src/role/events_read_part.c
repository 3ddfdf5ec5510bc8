/* While nobody collects a reader gets, behind the stream that the last collector gave this node,
 * what this node has told since, and then what the nodes that it is linked to have. The first line
 * says so. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/events_read_internal.h"

static void part_put_json(struct events_reader *reader, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text != NULL && reader->out.event == NULL)
        (void)buf_printf(&reader->lines, "%s\n", text);
    free(text);
}

void events_reader_begin_partial(struct events_reader *reader)
{
    struct events *events = reader->events;
    const struct events_query *query = &reader->query;
    int64_t now_ms = loop_wall_ms(node_loop(events->node));
    reader->partial = true;
    reader->own_mark =
        query->own ? query->own_after : events_mark_get(events, node_id(events->node))->seq;
    reader->own_after =
        query->has_since || query->exact ? reader->own_mark : event_seq_last(&events->seq);
    if (query->begin > events->position) /* a page of own events behind another */
        reader->own_after += query->begin - events->position;
    reader->since_ms = query->exact ? INT64_MIN : query->has_since ? query->since_ms : now_ms;
    if (!query->own && !query->report)
        part_put_json(reader, events_dark_json(events));
}

/* ---- this node's own ------------------------------------------------------------------------- */

static void part_take_own(struct events_reader *reader, const struct event *event)
{
    const struct events_query *query = &reader->query;
    reader->own_after = event->seq;
    if (query->has_until && event->at_ms > query->until_ms) {
        reader->own_over = query->exact || event->at_ms > query->until_ms + EVENTS_UNTIL_MS;
        return;
    }
    if (event->at_ms >= reader->since_ms && events_query_wants(query, event))
        events_reader_put(reader, event->json, event->json_len,
                          query->rows ? reader->events->position + (event->seq - reader->own_mark)
                                      : reader->after);
}

static void part_on_own(void *arg, int code, const Wire__EventBatch *batch, uint64_t first,
                        uint64_t last)
{
    struct events_reader *reader = arg;
    reader->read = NULL;
    (void)first;
    reader->own_off_disk = code < 0 || batch == NULL;
    for (size_t i = 0; batch != NULL && i < batch->n_events; i++) {
        struct event event = events_from_wire(batch->events[i]);
        if (event.seq > reader->own_after && reader->left > 0 && !reader->own_over)
            part_take_own(reader, &event);
    }
    if (batch != NULL && !reader->own_over && reader->left > 0 && reader->own_after < last)
        reader->own_after = last;
    loop_hook_arm(&reader->hook);
}

/* False: the disk is asked first, or others want a turn. */
static bool part_pump_own(struct events_reader *reader)
{
    struct events *events = reader->events;
    const struct event_ring *ring = &events->own;
    uint64_t first = ring->n > 0 ? event_ring_at(ring, 0)->seq : event_seq_last(&events->seq) + 1;
    if (reader->own_over)
        return true;
    if (reader->own_after + 1 < first && !reader->own_off_disk && events->store != NULL) {
        struct event_store_want want = {.list = EVENT_STORE_OWN,
                                        .after = reader->own_after,
                                        .before = first,
                                        .since_ms = reader->since_ms};
        reader->read = event_store_read_events(events->store, &want, part_on_own, reader);
        return false;
    }
    size_t at = event_ring_after_seq(ring, reader->own_after);
    for (; at < ring->n && !reader->full && reader->left > 0 && !reader->own_over; at++) {
        if (reader->lines.len >= EVENTS_OUT_BYTES) {
            loop_hook_arm(&reader->hook);
            return false;
        }
        part_take_own(reader, event_ring_at(ring, at));
    }
    return at >= ring->n || reader->own_over;
}

/* ---- what other nodes have ------------------------------------------------------------------- */

static void part_on_line(void *arg, const char *json, size_t len)
{
    struct events_reader *reader = arg;
    if (reader->left > 0)
        events_reader_put(reader, json, len, reader->after);
}

static void part_on_lost(void *arg, uint64_t node)
{
    struct events_reader *reader = arg;
    const char *name = node_member_name(reader->events->node, node);
    char *reason = mem_printf("%s did not answer to the end", name);
    part_put_json(reader, json_pack("{s:s, s:s, s:[s]}", "partial",
                                    node_options(reader->events->node)->name, "reason", reason,
                                    "missing", name));
    free(reason);
}

static void part_on_heard(void *arg)
{
    struct events_reader *reader = arg;
    loop_hook_arm(&reader->hook);
}

/* As a client would ask for it, of a time that a frame of the past is made of. */
static char *part_target(const struct events_query *query)
{
    char until[CLOCK_RFC3339_MAX];
    if (query->target != NULL)
        return mem_strdup(query->target);
    return mem_printf("/api/events?since=1970-01-01T00:00:01Z&until=%s",
                      clock_format_rfc3339(query->until_ms, until));
}

static void part_ask_others(struct events_reader *reader)
{
    char *target = part_target(&reader->query);
    struct events_others_ask ask = {.target = target,
                                    .since_ms = reader->since_ms,
                                    .follow = reader->query.follow,
                                    .line = part_on_line,
                                    .lost = part_on_lost,
                                    .heard = part_on_heard,
                                    .arg = reader};
    reader->others = events_others_new(reader->events, &ask);
    free(target);
}

bool events_reader_pump_part(struct events_reader *reader)
{
    if (!part_pump_own(reader))
        return false;
    if (reader->query.own || reader->query.rows)
        return true;
    if (reader->others == NULL)
        part_ask_others(reader);
    return reader->query.follow || events_others_ended(reader->others);
}
