/* A frame of the past: the frame that was kept before that time, and the patches between. Both are
 * read from the disk and from memory; the state is made on a worker.
 *
 * While nobody collects every frame is made so: of what the last collector gave this node, what it
 * and others have told since, and what it sees now. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/events_internal.h"

enum { EVENTS_PAST_BYTES_MAX = 128 << 20, EVENTS_PASTS_MAX = 16 };

struct events_past {
    struct events *events; /* NULL: the node is being stopped */
    events_past_fn fn;     /* NULL: nobody waits any more */
    void *arg;
    json_t *partial; /* what is said of it; NULL: it is whole */
    json_t *fixes;   /* of events_dark_fix() */
    int64_t at_ms;
    struct event_store_read *read;
    struct events_reader *reader;
    char *frame;
    size_t frame_len;
    uint64_t position;
    struct buf lines; /* events with patches */
    bool working;
    int code;
    struct buf out;
    TAILQ_ENTRY(events_past) link;
};

static void past_free(struct events_past *past)
{
    event_store_cancel(past->read);
    if (past->reader != NULL)
        events_reader_free(past->reader);
    if (past->events != NULL)
        TAILQ_REMOVE(&past->events->pasts, past, link);
    json_decref(past->partial);
    json_decref(past->fixes);
    buf_done(&past->lines);
    buf_done(&past->out);
    free(past->frame);
    free(past);
}

static void past_fail(struct events_past *past, int code, const char *text, const char *hint)
{
    events_past_fn fn = past->fn;
    void *arg = past->arg;
    struct error e;
    (void)error_set(&e, code, "%s", text);
    past_free(past);
    if (fn != NULL)
        fn(arg, NULL, 0, &e, hint);
}

/* ---- on the worker --------------------------------------------------------------------------- */

static int past_apply_lines(struct event_state *state, const struct buf *lines)
{
    const char *at = (const char *)lines->data;
    const char *end = at + lines->len;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            return ERR_CORRUPT;
        (void)event_state_apply(state, at, (size_t)(line_end - at));
        at = line_end + 1;
    }
    return 0;
}

/* Its members among those of the frame. */
static int past_put_partial(struct events_past *past)
{
    char *text = past->partial != NULL ? json_dumps(past->partial, JSON_COMPACT) : NULL;
    int err = text == NULL ? 0 : buf_append(&past->out, text + 1, strlen(text) - 2);
    if (text != NULL && err == 0)
        err = buf_append_byte(&past->out, ',');
    free(text);
    return err;
}

static void past_on_work(void *arg)
{
    struct events_past *past = arg;
    struct event_state *state = event_state_new();
    json_t *frame = json_loadb(past->frame, past->frame_len, 0, NULL);
    char at[CLOCK_RFC3339_MAX];
    char cursor[EVENTS_CURSOR_MAX];
    past->code = event_state_load(state, frame);
    if (past->code == 0)
        past->code = past_apply_lines(state, &past->lines);
    if (past->code == 0)
        events_dark_fix(state, past->fixes);
    if (past->code == 0)
        past->code = buf_printf(&past->out, "{\"at\":\"%s\",\"cursor\":\"%s\",",
                                clock_format_rfc3339(past->at_ms, at),
                                events_cursor(past->position, past->at_ms, cursor));
    if (past->code == 0)
        past->code = past_put_partial(past);
    if (past->code == 0)
        past->code = event_state_print(state, NULL, NULL, &past->out);
    if (past->code == 0)
        past->code = buf_append_str(&past->out, "}\n");
    json_decref(frame);
    event_state_free(state);
}

static void past_on_made(void *arg, int code)
{
    struct events_past *past = arg;
    (void)code;
    past->working = false;
    if (past->code < 0) {
        past_fail(past, past->code, "the state that was kept cannot be read", NULL);
        return;
    }
    events_past_fn fn = past->fn;
    void *fn_arg = past->arg;
    size_t len;
    char *text = buf_steal(&past->out, &len);
    past_free(past);
    if (fn != NULL)
        fn(fn_arg, text, len, NULL, NULL);
    else
        free(text);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void past_on_event(void *arg, const char *json, size_t len, uint64_t position)
{
    struct events_past *past = arg;
    past->position = position;
    if (buf_append(&past->lines, json, len) < 0 || buf_append_byte(&past->lines, '\n') < 0)
        past->code = ERR_TOO_LARGE;
}

static void past_on_end(void *arg, const struct error *e)
{
    struct events_past *past = arg;
    past->reader = NULL;
    if (e != NULL || past->code < 0) {
        past_fail(past, e != NULL ? e->code : past->code,
                  e != NULL ? e->text : "too much has happened since the state was kept", NULL);
        return;
    }
    past->working = true;
    (void)loop_work(node_loop(past->events->node), past_on_work, past_on_made, past);
}

static void past_on_frame(void *arg, int code, const char *data, size_t len, uint64_t position,
                          int64_t at_ms)
{
    struct events_past *past = arg;
    past->read = NULL;
    if (code == ERR_NOT_FOUND && past->fixes != NULL) { /* no collector has given it any */
        static const char nothing[] = "{}";
        code = 0;
        data = nothing;
        len = sizeof nothing - 1;
        at_ms = 0;
    }
    if (code < 0) {
        past_fail(past, code,
                  code == ERR_NOT_FOUND ? "nothing is known of that time"
                                        : "the file of events cannot be read",
                  "events.keep says how long events are kept");
        return;
    }
    past->frame = mem_strndup(data, len);
    past->frame_len = len;
    past->position = position;
    if (at_ms > past->at_ms)
        past->at_ms = at_ms; /* nothing older is kept */
    struct events_query query = {.has_cursor = true,
                                 .cursor = position,
                                 .has_until = true,
                                 .until_ms = past->at_ms,
                                 .exact = true,
                                 .level = LOG_LEVEL_DEBUG,
                                 .limit = UINT64_MAX};
    nodeset_init(&query.nodes);
    struct events_out out = {.event = past_on_event, .end = past_on_end, .arg = past};
    past->reader = events_reader_new(past->events, &query, &out);
}

struct events_past *events_past_start(struct events *events, int64_t at_ms, events_past_fn fn,
                                      void *arg, struct error *e)
{
    struct events_past *past;
    unsigned n = 0;
    TAILQ_FOREACH (past, &events->pasts, link)
        n++;
    if (n >= EVENTS_PASTS_MAX) {
        (void)error_set(e, ERR_BUSY, "many frames of the past are being made already");
        return NULL;
    }
    if (events->store == NULL) {
        (void)error_set(e, ERR_UNAVAILABLE, "this node keeps no events on its disk");
        return NULL;
    }
    past = mem_zalloc(sizeof *past);
    past->events = events;
    past->fn = fn;
    past->arg = arg;
    past->at_ms = at_ms;
    if (!events->collecting)
        past->partial = events_dark_json(events);
    if (!events->collecting && at_ms >= events->dark_wall_ms)
        past->fixes = events_dark_fixes(events);
    buf_init(&past->lines, EVENTS_PAST_BYTES_MAX);
    buf_init(&past->out, EVENTS_PAST_BYTES_MAX);
    TAILQ_INSERT_TAIL(&events->pasts, past, link);
    past->read = event_store_read_frame(events->store, at_ms, past_on_frame, past);
    return past;
}

void events_past_cancel(struct events_past *past)
{
    past->fn = NULL;
}

/* ---- for a client ---------------------------------------------------------------------------- */

static void past_on_answer(void *arg, char *text, size_t len, const struct error *e,
                           const char *hint)
{
    if (text != NULL)
        http_reply_take(arg, 200, "application/json", text, len);
    else
        http_reply_failure(arg, e, hint);
}

void events_past_frame(struct events *events, struct http_request *req, int64_t at_ms)
{
    struct error e;
    if (events_past_start(events, at_ms, past_on_answer, req, &e) == NULL)
        http_reply_failure(req, &e, NULL);
}

/* Those that a worker has are freed when it is done. */
void events_pasts_end(struct events *events)
{
    struct events_past *past = TAILQ_FIRST(&events->pasts);
    while (past != NULL) {
        struct events_past *next = TAILQ_NEXT(past, link);
        events_past_fn fn = past->fn;
        void *arg = past->arg;
        struct error e;
        (void)error_set(&e, ERR_UNAVAILABLE, "this node is being stopped");
        past->fn = NULL;
        if (past->working) {
            TAILQ_REMOVE(&events->pasts, past, link);
            past->events = NULL;
        } else {
            past_free(past);
        }
        if (fn != NULL)
            fn(arg, NULL, 0, &e, NULL);
        past = next;
    }
}
