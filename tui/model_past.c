/* The past is the last frame before a moment and the patches of the events since. Frames share
 * their rows with each other and with the present, so that one costs a pointer for each row of the
 * tables that changed, and the rows that only it still holds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tui/model_internal.h"

enum { MODEL_PAST_LINES_MAX = 16 * 1024, MODEL_PAST_LINE_BYTES_MAX = 4 * 1024 * 1024 };

void model_apply(struct model_state *state, const struct model_line *line)
{
    if (line->table < 0)
        return;
    enum model_table table = (enum model_table)line->table;
    if (line->gone) {
        model_state_remove(state, table, line->key);
    } else if (line->row != NULL) {
        struct json_scan s;
        json_scan_init(&s, line->row, line->row_len);
        (void)model_state_patch(state, table, line->key, &s);
        json_scan_done(&s);
    }
}

/* Frames */

static void model_past_drop_first(struct model *model, size_t n)
{
    for (size_t i = 0; i < n; i++)
        model_state_done(&model->frames[i].state);
    memmove(model->frames, model->frames + n, (model->n_frames - n) * sizeof *model->frames);
    model->n_frames -= n;
}

static size_t model_past_live_bytes(const struct model *model)
{
    size_t bytes = 0;
    for (enum model_table table = 0; table < MODEL_TABLES; table++)
        for (size_t i = 0; i < model_state_count(&model->live, table); i++)
            bytes += model_row_bytes(model_state_at(&model->live, table, i));
    return bytes;
}

/* Pointers that a frame has for itself, because the next one has another table. */
static size_t model_past_frame_bytes(const struct model_frame *frame,
                                     const struct model_state *next)
{
    size_t bytes = sizeof *frame;
    for (enum model_table table = 0; table < MODEL_TABLES; table++)
        if (model_state_generation(&frame->state, table) != model_state_generation(next, table))
            bytes += model_state_count(&frame->state, table) * 4 * sizeof(void *);
    return bytes;
}

static void model_past_trim(struct model *model)
{
    size_t unreachable = 0;
    while (unreachable < model->n_frames &&
           model->frames[unreachable].pos < model_lines_first(model->events))
        unreachable++;
    model_past_drop_first(model, unreachable);

    size_t pointers = 0, live = model_past_live_bytes(model);
    for (size_t i = 0; i < model->n_frames; i++)
        pointers += model_past_frame_bytes(&model->frames[i], i + 1 < model->n_frames
                                                                  ? &model->frames[i + 1].state
                                                                  : &model->live);
    while (model->n_frames > 1) {
        size_t rows = model_row_bytes_all();
        size_t held = (rows > live ? rows - live : 0) + pointers;
        if (model->n_frames <= MODEL_FRAMES_MAX && held <= MODEL_PAST_BYTES_MAX)
            break;
        pointers -= model_past_frame_bytes(&model->frames[0], &model->frames[1].state);
        model_past_drop_first(model, 1);
    }
}

void model_past_keep(struct model *model, bool now)
{
    const struct model_frame *last =
        model->n_frames > 0 ? &model->frames[model->n_frames - 1] : NULL;
    if (!now && last == NULL) /* no frame of the server yet */
        return;
    bool is_due = last == NULL || model->live_ms - last->when_ms >= MODEL_FRAME_MS ||
                  model_lines_end(model->events) - last->pos > MODEL_FRAME_EVENTS;
    if (!now && !is_due)
        return;
    MEM_GROW(model->frames, model->frames_cap, model->n_frames + 1);
    struct model_frame *frame = &model->frames[model->n_frames++];
    *frame = (struct model_frame){.when_ms = model->live_ms, .pos = model_lines_end(model->events)};
    model_state_init(&frame->state);
    model_state_copy(&frame->state, &model->live);
    model_past_trim(model);
}

void model_past_restart(struct model *model)
{
    model_past_drop_first(model, model->n_frames);
    model_past_keep(model, true);
}

int64_t model_oldest_ms(const struct model *model)
{
    for (size_t i = 0; i < model->n_frames; i++)
        if (model->frames[i].pos >= model_lines_first(model->events))
            return model->frames[i].when_ms;
    return 0;
}

/* Moving */

static void model_leave_elsewhere(struct model *model)
{
    if (!model->is_elsewhere)
        return;
    model->is_elsewhere = false;
    model_lines_free(model->past_events);
    model_vitals_free(model->past_vitals);
    model->past_events = NULL;
    model->past_vitals = NULL;
}

static void model_forget_shown(struct model *model)
{
    struct model_state empty;
    model_state_init(&empty);
    model_state_copy(&model->shown, &empty);
    model_state_done(&empty);
}

void model_go_live(struct model *model)
{
    model_leave_elsewhere(model);
    model_forget_shown(model);
    model->mode = MODEL_MODE_LIVE;
    model->generation++;
}

void model_freeze(struct model *model)
{
    if (model->mode != MODEL_MODE_LIVE)
        return;
    model_state_copy(&model->shown, &model->live);
    model->shown_ms = model->live_ms;
    model->shown_pos = model_lines_end(model->events);
    model->mode = MODEL_MODE_FROZEN;
    model->generation++;
}

/* The last frame at or before position `pos` and moment `at_ms`. */
static const struct model_frame *model_past_find(const struct model *model, uint64_t pos,
                                                 int64_t at_ms)
{
    for (size_t i = model->n_frames; i > 0; i--) {
        const struct model_frame *frame = &model->frames[i - 1];
        if (frame->pos <= pos && frame->when_ms <= at_ms)
            return frame->pos >= model_lines_first(model->events) ? frame : NULL;
    }
    return NULL;
}

/* Shows the state before the event at `end`, whose moment is `at_ms`. */
static int model_show(struct model *model, uint64_t end, int64_t at_ms)
{
    uint64_t first = model_lines_first(model->events), from;
    const struct model_frame *frame = model_past_find(model, end, at_ms);
    bool goes_on = model->mode != MODEL_MODE_LIVE && !model->is_elsewhere &&
                   model->shown_pos >= first && model->shown_pos <= end &&
                   (frame == NULL || frame->pos <= model->shown_pos);
    if (frame == NULL && !goes_on)
        return ERR_UNAVAILABLE;
    if (goes_on) {
        from = model->shown_pos;
    } else {
        model_leave_elsewhere(model);
        model_state_copy(&model->shown, &frame->state);
        from = frame->pos;
    }
    for (uint64_t pos = from; pos < end; pos++) {
        struct model_line line;
        model_lines_get(model->events, pos, &line);
        model_apply(&model->shown, &line);
    }
    model->shown.at_ms = at_ms;
    model->shown_ms = at_ms;
    model->shown_pos = end;
    model->mode = MODEL_MODE_PAST;
    model->generation++;
    return 0;
}

int model_seek(struct model *model, int64_t at_ms)
{
    if (at_ms >= model->live_ms) {
        model_go_live(model);
        return 0;
    }
    return model_show(model, model_lines_after(model->events, at_ms), at_ms);
}

int model_seek_event(struct model *model, uint64_t pos)
{
    struct model_line line;
    if (pos < model_lines_first(model->events) || pos >= model_lines_end(model->events))
        return ERR_UNAVAILABLE;
    model_lines_get(model->events, pos, &line);
    return model_show(model, pos + 1, line.when_ms);
}

int model_seek_frame(struct model *model, int64_t at_ms, const char *text, size_t len,
                     struct error *e)
{
    static const struct model_lines_limits limits = {MODEL_PAST_LINES_MAX,
                                                     MODEL_PAST_LINE_BYTES_MAX};
    char cursor[MODEL_CURSOR_MAX];
    struct model_state state;
    model_state_init(&state);
    if (!model_state_read_frame(&state, text, len, cursor, sizeof cursor)) {
        model_state_done(&state);
        return error_set(e, ERR_PROTOCOL, "the server's frame of that moment can't be read");
    }
    model_leave_elsewhere(model);
    model_state_copy(&model->shown, &state);
    model_state_done(&state);
    model->past_events = model_lines_new(&limits);
    model->past_vitals = model_vitals_new();
    model->is_elsewhere = true;
    model->past_from_ms = INT64_MAX;
    model->mode = MODEL_MODE_PAST;
    model->shown_ms = at_ms;
    model->generation++;
    return 0;
}

void model_past_apply_from(struct model *model, int64_t from_ms)
{
    model->past_from_ms = from_ms;
}
