#include "tui/track.h"

#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/str.h"
#include "tui/model_state.h"
#include "tui/model_text.h"

void track_init(struct track *track,
                int (*take)(const struct model_line *line, struct track_point *point))
{
    *track = (struct track){.take = take};
}

void track_update(struct track *track, const struct model_lines *lines, uint64_t end)
{
    uint64_t generation = model_lines_generation(lines);
    if (track->generation != generation || track->next > end) {
        track_init(track, track->take);
        track->generation = generation;
    }
    uint64_t first = model_lines_first(lines);
    if (track->next < first)
        track->next = first;
    for (; track->next < end; track->next++) {
        struct model_line line;
        struct track_point point = {0};
        model_lines_get(lines, track->next, &line);
        if (!track->take(&line, &point))
            continue;
        point.when_ms = line.when_ms;
        track->points[track->n++ % TRACK_POINTS_MAX] = point;
    }
}

const struct track_point *track_at(const struct track *track, size_t i)
{
    size_t kept = track->n < TRACK_POINTS_MAX ? track->n : TRACK_POINTS_MAX;
    return i < kept ? &track->points[(track->n - kept + i) % TRACK_POINTS_MAX] : NULL;
}

/* Reads a text and a number of the event's patch. */
static void track_read_row(const struct model_line *line, const char *text_field,
                           const char *number_field, struct track_point *point)
{
    struct json_scan s;
    struct json_slice key;
    struct json_slice value;
    if (line->row == NULL)
        return;
    json_scan_init(&s, line->row, line->row_len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        if (json_slice_is(&key, text_field) && json_scan_peek(&s) == JSON_KIND_STRING) {
            if (json_scan_string(&s, &value))
                (void)snprintf(point->who, sizeof point->who, "%.*s",
                               (int)(value.len < TRACK_NAME_MAX ? value.len : TRACK_NAME_MAX - 1),
                               value.text);
        } else if (json_slice_is(&key, number_field) && json_scan_peek(&s) == JSON_KIND_NUMBER) {
            if (json_scan_skip(&s, &value))
                point->value = model_text_number(&value);
        } else {
            (void)json_scan_skip(&s, NULL);
        }
    }
    json_scan_done(&s);
}

int track_take_lead(const struct model_line *line, struct track_point *point)
{
    bool is_raft = str_starts_with(line->kind, "raft.");
    bool is_lead = strcmp(line->kind, "raft.lead") == 0 || strcmp(line->kind, "chat.lead") == 0;
    bool is_none = strcmp(line->kind, "raft.none") == 0 || strcmp(line->kind, "raft.lost") == 0 ||
                   strcmp(line->kind, "chat.lost") == 0;
    if (!is_lead && !is_none)
        return 0;
    (void)snprintf(point->subject, sizeof point->subject, "%s", is_raft ? "cluster" : "chat");
    if (is_none)
        return 1;
    (void)snprintf(point->who, sizeof point->who, "%.*s", TRACK_NAME_MAX - 1, line->source);
    track_read_row(line, "leader", "term", point);
    return 1;
}

int track_take_weight(const struct model_line *line, struct track_point *point)
{
    if (line->table != MODEL_ROLLOUTS || line->gone)
        return 0;
    point->value = -1;
    (void)snprintf(point->subject, sizeof point->subject, "%.*s", TRACK_NAME_MAX - 1, line->key);
    track_read_row(line, "model", "weight", point);
    return point->value >= 0;
}
