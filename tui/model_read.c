/* One pass over a line gathers its parts; then it is judged: new or repeated, after a hole or not;
 * then it stands in the list and its patch in the live state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "tui/model_internal.h"
#include "tui/model_text.h"

enum {
    MODEL_AHEAD_MAX_MS = 5000, /* a node's clock that is further ahead doesn't move the time */
};

static void model_complain(struct model *model, const char *what, const char *text, size_t len)
{
    model->malformed++;
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

/* Frames */

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
        model_past_keep(model, true);
        model->generation++;
    }
    model_state_done(&state);
    return ok ? 0 : error_set(e, ERR_PROTOCOL, "the server's frame can't be read");
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

enum model_part {
    PART_ID,
    PART_AT,
    PART_KIND,
    PART_LEVEL,
    PART_TEXT,
    PART_NODE,
    PART_BY,
    PART_CAUSE,
    PART_TABLE,
    PART_KEY,
    PART_CURSOR,
    PARTS
};

static const char *const model_part_names[PARTS] = {
    "id", "at", "kind", "level", "text", "node", "by", "cause", "table", "key", "cursor"};

struct model_parts {
    size_t offset[PARTS]; /* in the scratch; SIZE_MAX: not there */
    size_t len[PARTS];
    struct json_slice row;
    bool gone;
    int64_t lost, dropped; /* -1: not there */
    bool has_error;
    struct json_slice error;
};

static int model_part_find(const struct json_slice *key)
{
    for (int i = 0; i < PARTS; i++)
        if (json_slice_is(key, model_part_names[i]))
            return i;
    return -1;
}

static void model_parts_read_other(struct json_scan *s, const struct json_slice *key,
                                   struct model_parts *parts)
{
    enum json_kind kind = json_scan_peek(s);
    if (json_slice_is(key, "row") && kind == JSON_KIND_OBJECT) {
        (void)json_scan_skip(s, &parts->row);
    } else if (json_slice_is(key, "gone") && (kind == JSON_KIND_TRUE || kind == JSON_KIND_FALSE)) {
        (void)json_scan_bool(s, &parts->gone);
    } else if (json_slice_is(key, "lost") && kind == JSON_KIND_NUMBER) {
        (void)json_scan_i64(s, &parts->lost);
    } else if (json_slice_is(key, "dropped") && kind == JSON_KIND_NUMBER) {
        (void)json_scan_i64(s, &parts->dropped);
    } else if (json_slice_is(key, "error") && kind == JSON_KIND_OBJECT) {
        parts->has_error = true;
        (void)json_scan_skip(s, &parts->error);
    } else {
        (void)json_scan_skip(s, NULL);
    }
}

static bool model_parts_read(struct model *model, struct model_parts *parts, const char *text,
                             size_t len)
{
    struct json_scan s;
    struct json_slice key, value;
    *parts = (struct model_parts){.lost = -1, .dropped = -1};
    for (size_t i = 0; i < PARTS; i++)
        parts->offset[i] = SIZE_MAX;
    buf_clear(&model->scratch);
    json_scan_init(&s, text, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        int part = model_part_find(&key);
        if (part < 0 || json_scan_peek(&s) != JSON_KIND_STRING) {
            model_parts_read_other(&s, &key, parts);
            continue;
        }
        if (!json_scan_string(&s, &value))
            break;
        parts->offset[part] = model->scratch.len;
        parts->len[part] = value.len;
        (void)buf_append(&model->scratch, value.text, value.len);
        (void)buf_append_byte(&model->scratch, '\0');
    }
    bool ok = json_scan_end(&s);
    json_scan_done(&s);
    return ok;
}

static const char *model_part(const struct model *model, const struct model_parts *parts,
                              enum model_part part)
{
    return parts->offset[part] == SIZE_MAX
               ? ""
               : (const char *)model->scratch.data + parts->offset[part];
}

static void model_parts_line(const struct model *model, const struct model_parts *parts,
                             struct model_line *line)
{
    const char *at = model_part(model, parts, PART_AT),
               *table = model_part(model, parts, PART_TABLE);
    const char *key = model_part(model, parts, PART_KEY);
    *line = (struct model_line){
        .at_ms = clock_rfc3339_ms(at, strlen(at)),
        .level = model_level_from_name(model_part(model, parts, PART_LEVEL)),
        .source = model_part(model, parts, PART_NODE),
        .kind = model_part(model, parts, PART_KIND),
        .text = model_part(model, parts, PART_TEXT),
        .text_len = parts->len[PART_TEXT],
        .by = model_part(model, parts, PART_BY),
        .cause = model_part(model, parts, PART_CAUSE),
        .table = -1,
        .gone = parts->gone,
    };
    enum model_table number = model_table_from_name(table, strlen(table));
    bool is_whole = strlen(key) == parts->len[PART_KEY]; /* no NUL in it */
    if (number < MODEL_TABLES && key[0] != '\0' && is_whole) {
        line->table = (int)number;
        line->key = key;
        line->row = parts->gone ? NULL : parts->row.text;
        line->row_len = parts->gone ? 0 : parts->row.len;
    }
}

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
    model_parts_line(model, parts, &line);
    char *id = (char *)model->scratch.data + parts->offset[PART_ID];
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
    bool is_known = model_sources_know(model->sources, id, id_len);
    bool is_covered = model->is_resuming && !is_known && line.at_ms < model->frame_ms;
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
    if (missing > 0)
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
    if (!model_parts_read(model, &parts, text, len)) {
        model_complain(model, "a line of the events", text, len);
        return;
    }
    if (parts.offset[PART_ID] == SIZE_MAX || parts.offset[PART_KIND] == SIZE_MAX)
        return;
    model_parts_line(model, &parts, &line);
    if (line.at_ms == 0)
        return;
    char *id = (char *)model->scratch.data + parts.offset[PART_ID];
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
    const char *at = model_part(model, parts, PART_AT);
    int64_t at_ms = clock_rfc3339_ms(at, strlen(at));
    if (at_ms > model->live_ms) /* the collector's clock counts */
        model->live_ms = model->live.at_ms = at_ms;
    if (parts->len[PART_CURSOR] < sizeof model->cursor)
        (void)snprintf(model->cursor, sizeof model->cursor, "%s",
                       model_part(model, parts, PART_CURSOR));
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
    if (!model_parts_read(model, &parts, text, len)) {
        model_complain(model, "a line of the events", text, len);
        return MODEL_LINE_MALFORMED;
    }
    if (parts.has_error) {
        model_take_error(&parts, e);
        return MODEL_LINE_ERROR;
    }
    if (parts.offset[PART_ID] != SIZE_MAX) {
        uint64_t malformed = model->malformed;
        model_take_event(model, &parts, text, len);
        return model->malformed > malformed ? MODEL_LINE_MALFORMED : MODEL_LINE_EVENT;
    }
    if (parts.offset[PART_CURSOR] != SIZE_MAX) {
        model_take_cursor(model, &parts);
        return MODEL_LINE_CURSOR;
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
    if (!model->is_elsewhere || !model_parts_read(model, &parts, text, len) ||
        parts.offset[PART_ID] == SIZE_MAX)
        return;
    model_parts_line(model, &parts, &line);
    char *id = (char *)model->scratch.data + parts.offset[PART_ID];
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

/* Vitals, messages, output */

void model_read_vitals(struct model *model, const char *text, size_t len)
{
    if (!model_vitals_read(model->vitals, text, len)) {
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

struct model_message {
    struct json_slice at, channel, from, text;
    char *owned[4];
    int64_t seq, gone_before;
};

static bool model_message_parse(struct json_scan *s, struct model_message *message)
{
    static const char *const names[] = {"at", "channel", "from", "text"};
    struct json_slice key, value;
    (void)json_scan_object(s);
    while (json_scan_key(s, &key)) {
        enum json_kind kind = json_scan_peek(s);
        if (kind == JSON_KIND_NUMBER && json_slice_is(&key, "seq")) {
            (void)json_scan_i64(s, &message->seq);
        } else if (kind == JSON_KIND_NUMBER && json_slice_is(&key, "gone_before")) {
            (void)json_scan_i64(s, &message->gone_before);
        } else if (kind == JSON_KIND_STRING) {
            if (!json_scan_string(s, &value))
                break;
            for (size_t i = 0; i < MEM_COUNT(names); i++) {
                if (!json_slice_is(&key, names[i]))
                    continue;
                free(message->owned[i]);
                message->owned[i] = json_slice_dup(&value);
                if (i == 3)
                    message->text.len = value.len;
            }
        } else {
            (void)json_scan_skip(s, NULL);
        }
    }
    return json_scan_end(s);
}

void model_read_message(struct model *model, const char *text, size_t len)
{
    struct model_message message = {.seq = -1, .gone_before = -1};
    struct json_scan s;
    json_scan_init(&s, text, len);
    bool ok = model_message_parse(&s, &message);
    json_scan_done(&s);
    const char *at = message.owned[0] != NULL ? message.owned[0] : "";
    struct model_line line = {
        .at_ms = clock_rfc3339_ms(at, strlen(at)),
        .number = message.seq > 0 ? (uint64_t)message.seq : 0,
        .level = MODEL_LEVEL_INFO,
        .source = message.owned[2] != NULL ? message.owned[2] : "",
        .kind = message.owned[1] != NULL ? message.owned[1] : "",
        .text = message.owned[3] != NULL ? message.owned[3] : "",
        .text_len = message.text.len,
        .table = -1,
    };
    line.when_ms = line.at_ms;
    if (ok && message.gone_before > 0) {
        line.text = "earlier messages are not kept any more";
        line.text_len = strlen(line.text);
        line.source = "clustertop";
        line.is_hole = true;
        (void)model_lines_add(model->messages, &line);
    } else if (!ok || message.seq < 0) {
        model_complain(model, "a message", text, len);
    } else if (line.number < model->message_next) {
        model->duplicates++;
    } else {
        model->message_next = line.number + 1;
        (void)model_lines_add(model->messages, &line);
    }
    for (size_t i = 0; i < MEM_COUNT(message.owned); i++)
        free(message.owned[i]);
    model->generation++;
}

void model_clear_output(struct model *model)
{
    model_lines_clear(model->output);
    model->generation++;
}

void model_add_output(struct model *model, const char *stream, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t n = newline != NULL ? (size_t)(newline - bytes) : len;
        size_t shown = n > 0 && bytes[n - 1] == '\r' ? n - 1 : n;
        (void)model_lines_add(
            model->output,
            &(struct model_line){
                .when_ms = model->live_ms,
                .at_ms = model->live_ms,
                .level = strcmp(stream, "stderr") == 0 ? MODEL_LEVEL_WARN : MODEL_LEVEL_INFO,
                .source = "",
                .kind = stream,
                .text = bytes,
                .text_len = shown,
                .table = -1,
            });
        n += newline != NULL;
        bytes += n;
        len -= n;
    }
    model->generation++;
}
