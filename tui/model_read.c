/* A line's parts (model_parts.h) are judged: new or repeated, after a hole or not;
 * then it stands in the list and its patch in the live state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "tui/model_internal.h"
#include "tui/model_parts.h"
#include "tui/model_text.h"

enum {
    MODEL_AHEAD_MAX_MS = 5000, /* a node's clock that is further ahead doesn't move the time */
};

void model_complain(struct model *model, const char *what, const char *text, size_t len)
{
    model->malformed++;
    model->generation++;
    if (model->complaint[0] != '\0')
        return;
    char *shown = str_printable(text, len < 80 ? len : 80, false);
    (void)snprintf(model->complaint, sizeof model->complaint, "%s can't be read: %s", what, shown);
    free(shown);
}

static void model_move_time(struct model *model, int64_t at_ms)
{
    bool is_ahead = model->live_ms > 0 && at_ms > model->live_ms + MODEL_AHEAD_MAX_MS;
    if (at_ms > model->live_ms && !is_ahead)
        model->live_ms = at_ms;
    model->live.at_ms = model->live_ms;
}

/* Parts of the truth */

/* ["n2","n3"] as "n2, n3". */
static void model_partial_missing(const struct json_slice *missing, char *out, size_t size)
{
    struct json_scan s;
    struct json_slice name;
    size_t n = 0;
    out[0] = '\0';
    json_scan_init(&s, missing->text, missing->len);
    (void)json_scan_array(&s);
    while (json_scan_element(&s)) {
        if (json_scan_peek(&s) != JSON_KIND_STRING || !json_scan_string(&s, &name))
            break;
        int len =
            snprintf(out + n, size - n, "%s%.*s", n > 0 ? ", " : "", (int)name.len, name.text);
        n += len > 0 ? (size_t)len : 0;
        if (n >= size)
            break;
    }
    json_scan_done(&s);
}

static void model_take_partial(struct model *model, const struct model_parts *parts)
{
    char missing[MODEL_PARTIAL_MAX / 2] = "", text[MODEL_PARTIAL_MAX];
    if (!model_parts_has(parts, MODEL_PART_PARTIAL)) {
        model->partial[0] = '\0';
        return;
    }
    const char *reason = model_part(parts, MODEL_PART_REASON);
    if (parts->missing.len > 0)
        model_partial_missing(&parts->missing, missing, sizeof missing);
    (void)snprintf(text, sizeof text, "%.200s: this is what %.100s knows%s%s",
                   reason[0] != '\0' ? reason : "no node leads",
                   model_part(parts, MODEL_PART_PARTIAL),
                   missing[0] != '\0' ? "; nothing is heard of " : "", missing);
    char *clean = str_printable(text, strlen(text), false);
    (void)snprintf(model->partial, sizeof model->partial, "%s", clean);
    free(clean);
    model->generation++;
}

/* Frames */

/* Frames are long, and nearly all are whole: looked at once more only when they may not be. */
static void model_frame_partial(struct model *model, const char *text, size_t len)
{
    static const char name[] = "\"partial\"";
    struct model_parts parts;
    if (memmem(text, len, name, sizeof name - 1) == NULL)
        model->partial[0] = '\0';
    else if (model_parts_read(&parts, &model->scratch, text, len))
        model_take_partial(model, &parts);
}

int model_read_frame(struct model *model, const char *text, size_t len, struct error *e)
{
    struct model_state state;
    char cursor[MODEL_CURSOR_MAX] = "";
    model_state_init(&state);
    model_state_copy(&state, &model->live);
    bool ok = model_state_read_frame(&state, text, len, cursor, sizeof cursor);
    if (ok) {
        int64_t live_ms = state.at_ms > model->live_ms ? state.at_ms : model->live_ms;
        model_state_copy(&model->live, &state);
        model->live_ms = live_ms;
        if (model->cursor[0] == '\0' || model->frame_ms == 0)
            model->frame_ms = live_ms;
        if (model->cursor[0] == '\0')
            (void)snprintf(model->cursor, sizeof model->cursor, "%s", cursor);
        model_frame_partial(model, text, len);
        model_past_keep(model, true);
        model->generation++;
    }
    model_state_done(&state);
    return ok ? 0
              : error_set(e, ERR_PROTOCOL, "the server's frame is none that this clustertop knows");
}

int model_read_rows(struct model *model, enum model_table table, const char *text, size_t len,
                    struct error *e)
{
    struct json_scan s;
    json_scan_init(&s, text, len);
    bool ok = model_state_read_table(&model->live, table, true, &s) && json_scan_end(&s);
    json_scan_done(&s);
    model->generation++;
    return ok ? 0
              : error_set(e, ERR_PROTOCOL, "the server's rows of %s can't be read",
                          model_table_name(table));
}

/* Events */

static void model_add_hole(struct model *model, const char *source, int64_t when_ms,
                           const char *text)
{
    (void)model_lines_add(model->events, &(struct model_line){
                                             .at_ms = when_ms,
                                             .when_ms = when_ms,
                                             .level = MODEL_LEVEL_WARN,
                                             .source = source,
                                             .kind = "events.hole",
                                             .text = text,
                                             .text_len = strlen(text),
                                             .table = -1,
                                             .is_hole = true,
                                         });
}

void model_forget_cursor(struct model *model)
{
    if (model->cursor[0] == '\0')
        return;
    model->cursor[0] = '\0';
    model_add_hole(model, "clustertop", model->live_ms,
                   "what happened here, while there was no connection, is not kept any more");
    model->generation++;
}

static void model_count_missing(struct model *model, const char *source, uint64_t number,
                                uint64_t missing, int64_t when_ms)
{
    char text[128];
    model->lost += missing;
    if (model->announced >= missing) {
        model->announced -= missing;
        return;
    }
    model->announced = 0;
    (void)snprintf(text, sizeof text, "%llu event%s of this node %s missing here (%llu to %llu)",
                   (unsigned long long)missing, missing == 1 ? "" : "s",
                   missing == 1 ? "is" : "are", (unsigned long long)(number - missing),
                   (unsigned long long)(number - 1));
    model_add_hole(model, source, when_ms, text);
}

static void model_take_event(struct model *model, const struct model_parts *parts, const char *text,
                             size_t len)
{
    struct model_line line;
    model_parts_line(parts, &line);
    char *id = (char *)model->scratch.data + parts->offset[MODEL_PART_ID];
    char *colon = strrchr(id, ':');
    uint64_t missing = 0;
    bool filled = false;
    if (colon == NULL || str_parse_u64(colon + 1, 0, UINT64_MAX - 1, &line.number) != 0 ||
        line.at_ms == 0 || line.kind[0] == '\0') {
        model_complain(model, "an event", text, len);
        return;
    }
    *colon = '\0';
    size_t id_len = (size_t)(colon - id);
    bool is_covered = model->is_resuming && line.at_ms < model->frame_ms &&
                      !model_sources_know(model->sources, id, id_len);
    if (is_covered ||
        !model_sources_take(model->sources, id, id_len, line.number, &missing, &filled)) {
        model->duplicates++;
        return;
    }
    if (line.source[0] == '\0')
        line.source = id;
    model_move_time(model, line.at_ms);
    model_past_keep(model, false);
    line.when_ms = model->live_ms;
    if (missing > 0 && !parts->skipped)
        model_count_missing(model, id, line.number, missing, line.when_ms);
    if (filled && model->lost > 0)
        model->lost--;
    if (parts->lost > 0 && (uint64_t)parts->lost > missing)
        model->lost += (uint64_t)parts->lost - missing;
    if (model_sources_have(model->earlier, id, id_len, line.number))
        line.text_len = 0; /* listed already; its patch still counts */
    (void)model_lines_add(model->events, &line);
    if (model->frame_ms > 0)
        model_apply(&model->live, &line);
    if (model->mode == MODEL_MODE_LIVE)
        model->generation++;
}

void model_read_earlier(struct model *model, const char *text, size_t len)
{
    struct model_parts parts;
    struct model_line line;
    if (!model_parts_read(&parts, &model->scratch, text, len)) {
        model_complain(model, "a line of the events", text, len);
        return;
    }
    if (!model_parts_has(&parts, MODEL_PART_ID) || !model_parts_has(&parts, MODEL_PART_KIND))
        return;
    model_parts_line(&parts, &line);
    if (line.at_ms == 0)
        return;
    char *id = (char *)model->scratch.data + parts.offset[MODEL_PART_ID];
    char *colon = strrchr(id, ':');
    if (colon == NULL || str_parse_u64(colon + 1, 0, UINT64_MAX - 1, &line.number) != 0)
        return;
    *colon = '\0';
    uint64_t missing;
    bool filled;
    (void)model_sources_take(model->earlier, id, (size_t)(colon - id), line.number, &missing,
                             &filled);
    if (line.source[0] == '\0')
        line.source = id;
    line.when_ms = line.at_ms < model->live_ms ? line.at_ms : model->live_ms;
    (void)model_lines_add(model->events, &line);
    model->generation++;
}

void model_end_earlier(struct model *model)
{
    /* what was added must not be applied again to a frame that has it */
    model_past_restart(model);
    model->generation++;
}

static void model_take_cursor(struct model *model, const struct model_parts *parts)
{
    const char *at = model_part(parts, MODEL_PART_AT);
    int64_t at_ms = clock_rfc3339_ms(at, strlen(at));
    if (at_ms > model->live_ms) /* the collector's clock counts */
        model->live_ms = model->live.at_ms = at_ms;
    if (parts->len[MODEL_PART_CURSOR] < sizeof model->cursor)
        (void)snprintf(model->cursor, sizeof model->cursor, "%s",
                       model_part(parts, MODEL_PART_CURSOR));
    model->is_resuming = false;
    model_past_keep(model, false);
    if (model->mode == MODEL_MODE_LIVE)
        model->generation++;
}

static void model_take_dropped(struct model *model, int64_t n)
{
    char text[128];
    model->announced += (uint64_t)n;
    (void)snprintf(text, sizeof text,
                   "%lld events are missing here: they came faster than they could be sent",
                   (long long)n);
    model_add_hole(model, "clustertop", model->live_ms, text);
    model->generation++;
}

static void model_take_error(const struct model_parts *parts, struct error *e)
{
    struct json_scan s;
    struct json_slice key, value;
    char *message = NULL;
    json_scan_init(&s, parts->error.text, parts->error.len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        if (!json_slice_is(&key, "message") || json_scan_peek(&s) != JSON_KIND_STRING) {
            (void)json_scan_skip(&s, NULL);
        } else if (json_scan_string(&s, &value)) {
            free(message);
            message = str_printable(value.text, value.len, false);
        }
    }
    json_scan_done(&s);
    (void)error_set(e, ERR_UNAVAILABLE, "%.400s", message != NULL ? message : "no reason given");
    free(message);
}

enum model_line_kind model_read_event(struct model *model, const char *text, size_t len,
                                      struct error *e)
{
    struct model_parts parts;
    if (!model_parts_read(&parts, &model->scratch, text, len)) {
        model_complain(model, "a line of the events", text, len);
        return MODEL_LINE_MALFORMED;
    }
    if (parts.has_error) {
        model_take_error(&parts, e);
        return MODEL_LINE_ERROR;
    }
    if (model_parts_has(&parts, MODEL_PART_ID)) {
        uint64_t malformed = model->malformed;
        model_take_event(model, &parts, text, len);
        return model->malformed > malformed ? MODEL_LINE_MALFORMED : MODEL_LINE_EVENT;
    }
    if (model_parts_has(&parts, MODEL_PART_CURSOR)) {
        model_take_cursor(model, &parts);
        return MODEL_LINE_CURSOR;
    }
    if (model_parts_has(&parts, MODEL_PART_PARTIAL)) {
        model_take_partial(model, &parts);
        return MODEL_LINE_PARTIAL;
    }
    if (parts.dropped > 0) {
        model_take_dropped(model, parts.dropped);
        return MODEL_LINE_DROPPED;
    }
    model_complain(model, "a line of the events", text, len);
    return MODEL_LINE_MALFORMED;
}

void model_past_line(struct model *model, const char *text, size_t len)
{
    struct model_parts parts;
    struct model_line line;
    if (!model->is_elsewhere)
        return;
    if (!model_parts_read(&parts, &model->scratch, text, len)) {
        model_complain(model, "a line of the events", text, len);
        return;
    }
    if (!model_parts_has(&parts, MODEL_PART_ID))
        return;
    model_parts_line(&parts, &line);
    char *id = (char *)model->scratch.data + parts.offset[MODEL_PART_ID];
    char *colon = strrchr(id, ':');
    if (colon == NULL || line.at_ms == 0 || line.at_ms > model->shown_ms ||
        str_parse_u64(colon + 1, 0, UINT64_MAX - 1, &line.number) != 0)
        return;
    *colon = '\0';
    if (line.source[0] == '\0')
        line.source = id;
    line.when_ms = line.at_ms;
    (void)model_lines_add(model->past_events, &line);
    if (line.at_ms >= model->past_from_ms) {
        model->past_from_ms = INT64_MIN; /* whatever its clock says, what follows is later */
        model_apply(&model->shown, &line);
    }
    model->generation++;
}

/* Vitals */

void model_read_vitals(struct model *model, const char *text, size_t len)
{
    struct model_parts parts;
    if (!model_vitals_read(model->vitals, text, len)) {
        if (model_parts_read(&parts, &model->scratch, text, len) &&
            model_parts_has(&parts, MODEL_PART_PARTIAL))
            return;
        model_complain(model, "a line of the vitals", text, len);
        return;
    }
    if (model->mode == MODEL_MODE_LIVE)
        model->generation++;
}

void model_past_vitals_line(struct model *model, const char *text, size_t len)
{
    if (model->is_elsewhere && model_vitals_read(model->past_vitals, text, len))
        model->generation++;
}
