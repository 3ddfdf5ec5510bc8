#include "tui/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tui/model_internal.h"

struct model *model_new(void)
{
    static const struct model_lines_limits events = {MODEL_EVENTS_MAX, MODEL_EVENT_BYTES_MAX};
    static const struct model_lines_limits messages = {MODEL_MESSAGES_MAX, MODEL_MESSAGE_BYTES_MAX};
    static const struct model_lines_limits output = {MODEL_OUTPUT_MAX, MODEL_OUTPUT_BYTES_MAX};
    struct model *model = mem_zalloc(sizeof *model);
    model_state_init(&model->live);
    model_state_init(&model->shown);
    model->events = model_lines_new(&events);
    model->messages = model_lines_new(&messages);
    model->output = model_lines_new(&output);
    model->vitals = model_vitals_new();
    model->sources = model_sources_new();
    model->earlier = model_sources_new();
    buf_init(&model->scratch, SIZE_MAX / 4);
    return model;
}

void model_free(struct model *model)
{
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->n_frames; i++)
        model_state_done(&model->frames[i].state);
    free(model->frames);
    model_state_done(&model->live);
    model_state_done(&model->shown);
    model_lines_free(model->events);
    model_lines_free(model->messages);
    model_lines_free(model->output);
    model_lines_free(model->past_events);
    model_vitals_free(model->vitals);
    model_vitals_free(model->past_vitals);
    model_sources_free(model->sources);
    model_sources_free(model->earlier);
    buf_done(&model->scratch);
    free(model);
}

const struct model_state *model_state(const struct model *model)
{
    return model->mode == MODEL_MODE_LIVE ? &model->live : &model->shown;
}

enum model_mode model_mode(const struct model *model)
{
    return model->mode;
}

int64_t model_at_ms(const struct model *model)
{
    return model->mode == MODEL_MODE_LIVE ? model->live_ms : model->shown_ms;
}

const struct model_lines *model_events(const struct model *model)
{
    return model->is_elsewhere ? model->past_events : model->events;
}

uint64_t model_events_end(const struct model *model)
{
    if (model->is_elsewhere)
        return model_lines_end(model->past_events);
    uint64_t first = model_lines_first(model->events);
    if (model->mode == MODEL_MODE_LIVE)
        return model_lines_end(model->events);
    return model->shown_pos > first ? model->shown_pos : first;
}

const struct model_vitals *model_vitals(const struct model *model)
{
    return model->is_elsewhere ? model->past_vitals : model->vitals;
}

const struct model_lines *model_messages(const struct model *model)
{
    return model->messages;
}

uint64_t model_messages_end(const struct model *model)
{
    return model->mode == MODEL_MODE_LIVE ? model_lines_end(model->messages)
                                          : model_lines_after(model->messages, model->shown_ms);
}

const struct model_lines *model_output(const struct model *model)
{
    return model->output;
}

uint64_t model_generation(const struct model *model)
{
    return model->generation;
}

const struct model_state *model_live_state(const struct model *model)
{
    return &model->live;
}

const struct model_lines *model_live_events(const struct model *model)
{
    return model->events;
}

const struct model_vitals *model_live_vitals(const struct model *model)
{
    return model->vitals;
}

int64_t model_live_ms(const struct model *model)
{
    return model->live_ms;
}

uint64_t model_lost(const struct model *model)
{
    return model->lost + model->announced;
}

uint64_t model_left_out(const struct model *model)
{
    const struct model_state *state = model_state(model);
    return state->refused + state->left_out;
}

uint64_t model_duplicates(const struct model *model)
{
    return model->duplicates;
}

uint64_t model_malformed(const struct model *model)
{
    return model->malformed;
}

static void model_gap(char *out, size_t size, uint64_t n, const char *noun, const char *what)
{
    size_t len = strlen(out);
    if (n > 0)
        (void)snprintf(out + len, size - len, "%s%llu %s%s %s", len > 0 ? ", " : "",
                       (unsigned long long)n, noun, n == 1 ? "" : "s", what);
}

const char *model_gaps(const struct model *model, bool brief, char *out, size_t size)
{
    uint64_t lost = model_lost(model), left_out = model_left_out(model);
    out[0] = '\0';
    if (brief && lost + model->malformed + left_out > 0) {
        (void)snprintf(out, size, "%llu missing",
                       (unsigned long long)(lost + model->malformed + left_out));
        return out;
    }
    model_gap(out, size, lost, "event", "lost");
    model_gap(out, size, model->malformed, "line", "unreadable");
    model_gap(out, size, left_out, "row", "left out");
    return out;
}

const char *model_cursor(const struct model *model)
{
    return model->cursor;
}

const char *model_partial(const struct model *model)
{
    return model->partial;
}

uint64_t model_message_next(const struct model *model)
{
    return model->message_next;
}

const char *model_complaint(const struct model *model)
{
    return model->complaint;
}

void model_resume(struct model *model)
{
    model->is_resuming = true;
}

size_t model_bytes(const struct model *model)
{
    size_t bytes = model_row_bytes_all() + model_lines_bytes(model->events) +
                   model_lines_bytes(model->messages) + model_lines_bytes(model->output) +
                   model_vitals_bytes(model->vitals);
    if (model->past_events != NULL)
        bytes += model_lines_bytes(model->past_events) + model_vitals_bytes(model->past_vitals);
    return bytes;
}
