/* The state of the cluster as the collector knows it: the rows that it found when it took the lead,
 * the patches of the events that it collects, and about once a second a look at what the roles have
 * now. What that look finds changed is told as an event, so that readers hear of it too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"

enum { EVENTS_FRAME_BYTES_MAX = EVENT_STATE_BYTES_MAX + (8 << 20) };

struct event_seen {
    char *key;
    UT_hash_handle hh;
};

struct event_rows {
    struct events *events;
    const struct event_source *source;
    bool anyway;             /* whatever the state holds */
    struct event_seen *seen; /* of a whole table */
};

void events_frame_apply(struct events *events, const struct event *event)
{
    if (event->table[0] != '\0')
        (void)event_state_apply(events->state, event->json, event->json_len);
}

/* The fields of `row` that differ from those of `old`; NULL when none does. */
static json_t *event_rows_changed(const json_t *old, const json_t *row)
{
    json_t *changed = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, key, value)
    {
        if (!json_equal(json_object_get(old, key), value))
            (void)json_object_set(changed, key, value);
    }
    if (json_object_size(changed) > 0)
        return changed;
    json_decref(changed);
    return NULL;
}

static void event_rows_note(struct event_rows *rows, const char *key)
{
    struct event_seen *seen = mem_zalloc(sizeof *seen);
    seen->key = mem_strdup(key);
    HASH_ADD_KEYPTR(hh, rows->seen, seen->key, strlen(seen->key), seen);
}

/* `row` NULL: gone. Takes `changed`. What a new collector finds is no news. */
static void event_rows_say(const struct event_rows *rows, const char *key, const json_t *before,
                           const json_t *row, json_t *changed)
{
    struct node *node = rows->events->node;
    const struct event_source *source = rows->source;
    char text[EVENT_SOURCE_TEXT_MAX];
    enum event_kind kind = source->tell != NULL && !rows->events->finding
                               ? source->tell(key, before, row, text)
                               : EVENT_NONE;
    if (kind == EVENT_NONE)
        (void)snprintf(text, sizeof text, "%s %s%s", source->table, key,
                       row == NULL ? " is gone" : "");
    event_emit(node, kind != EVENT_NONE ? kind : EVENT_STATE_ROW,
               EVENT_ABOUT(.table = source->table, .key = key, .row = changed, .gone = row == NULL,
                           .node = kind != EVENT_NONE ? key : NULL),
               "%s", text);
}

void event_rows_add(struct event_rows *rows, const char *key, json_t *row)
{
    struct events *events = rows->events;
    const char *table = rows->source->table;
    const char *before = event_state_row(events->state, table, key);
    if (rows->source->whole)
        event_rows_note(rows, key);
    if (before != NULL && !rows->anyway) {
        char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(6));
        bool same = text != NULL && strcmp(text, before) == 0;
        json_t *old = same ? NULL : json_loads(before, 0, NULL);
        json_t *changed = same ? NULL : event_rows_changed(old, row);
        free(text);
        if (changed != NULL)
            event_rows_say(rows, key, old, row, changed);
        json_decref(old);
    } else {
        event_rows_say(rows, key, NULL, row, json_incref(row));
    }
    json_decref(row);
}

static void event_rows_sweep(void *arg, const char *key, const char *row)
{
    struct event_rows *rows = arg;
    struct event_seen *seen = NULL;
    (void)row;
    HASH_FIND_STR(rows->seen, key, seen);
    if (seen == NULL)
        event_rows_say(rows, key, NULL, NULL, NULL);
}

static void events_ask_source(struct events *events, const struct event_source *source,
                              unsigned slice)
{
    struct event_rows rows = {.events = events, .source = source, .anyway = source->local};
    source->fn(source->arg, &rows, slice);
    if (!source->whole)
        return;
    event_state_each(events->state, source->table, event_rows_sweep, &rows);
    struct event_seen *seen;
    struct event_seen *next;
    HASH_ITER (hh, rows.seen, seen, next) {
        HASH_DEL(rows.seen, seen);
        free(seen->key);
        free(seen);
    }
}

void events_frame_tick(struct events *events, unsigned slice)
{
    for (unsigned i = 0; i < events->sources_n; i++) {
        const struct event_source *source = &events->sources[i];
        if (!source->local && (source->sliced || i % EVENT_SLICES == slice))
            events_ask_source(events, source, source->sliced ? slice : 0);
    }
}

void events_tell_local(struct events *events)
{
    for (unsigned i = 0; i < events->sources_n; i++)
        if (events->sources[i].local)
            events_ask_source(events, &events->sources[i], 0);
}

void events_add_source(struct node *node, const struct event_source *source)
{
    struct events *events = events_of(node);
    if (events != NULL && events->sources_n < EVENT_SOURCES_MAX)
        events->sources[events->sources_n++] = *source;
}

void events_begin(struct node *node)
{
    struct events *events = events_of(node);
    if (events == NULL || !events->collecting)
        return;
    events->begun = true;
    events->finding = true;
    for (unsigned slice = 0; slice < EVENT_SLICES; slice++)
        events_frame_tick(events, slice);
    events_tell_local(events);
    events->finding = false;
    events_collect_own(events);
    events->frame_ms = 0;
    events_frame_keep(events);
}

void events_found_row(struct node *node, const char *table, const char *key, json_t *row)
{
    struct events *events = events_of(node);
    if (events != NULL && events->collecting && event_state_row(events->state, table, key) == NULL)
        (void)event_state_patch(events->state, table, key, row, false);
    json_decref(row);
}

static void events_frame_more(void *arg, const char *table, const char *key, struct buf *out)
{
    if (strcmp(table, "nodes") == 0)
        events_vitals_print(arg, key, out);
}

/* The first one at once, then each minute in which something happened. */
void events_frame_keep(struct events *events)
{
    int64_t now_ms = loop_now_ms(node_loop(events->node));
    size_t len;
    if (events->store == NULL || events->position == events->frame_position ||
        (events->frame_ms != 0 && now_ms - events->frame_ms < EVENTS_FRAME_MS))
        return;
    events->frame_ms = now_ms;
    events->frame_position = events->position;
    char *text = events_frame_text(events, &len);
    int64_t at_ms = loop_wall_ms(node_loop(events->node));
    events_mirrors_give(events, 0, at_ms, events->position, text, len);
    event_store_add_frame(events->store, events->position, at_ms, text, len);
}

char *events_frame_text(struct events *events, size_t *len)
{
    char at[CLOCK_RFC3339_MAX];
    char cursor[EVENTS_CURSOR_MAX];
    int64_t now_ms = loop_wall_ms(node_loop(events->node));
    struct buf out;
    buf_init(&out, EVENTS_FRAME_BYTES_MAX);
    (void)buf_printf(&out, "{\"at\":\"%s\",\"cursor\":\"%s\",", clock_format_rfc3339(now_ms, at),
                     events_cursor(events->position, now_ms, cursor));
    (void)event_state_print(events->state, events_frame_more, events, &out);
    (void)buf_append_str(&out, "}\n");
    return buf_steal(&out, len);
}
