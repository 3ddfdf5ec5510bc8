#include "tui/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/replay_archive.h"

struct replay {
    struct replay_archive *archive;
    int64_t last_ms;
};

/* The cluster's time is that of its events: the report has no clock of its own. */
static void replay_move_time(struct model *model, const struct replay_archive *archive,
                             int64_t at_ms)
{
    char line[128], time[CLOCK_RFC3339_MAX];
    struct error e;
    if (at_ms <= model_live_ms(model) || (archive->made_ms > 0 && at_ms > archive->made_ms))
        return;
    int n = snprintf(line, sizeof line, "{\"cursor\":\"replay\",\"at\":\"%s\"}",
                     clock_format_rfc3339(at_ms, time));
    (void)model_read_event(model, line, (size_t)n, &e);
}

/* The frame to begin with: events from it on are at most REPLAY_EVENTS_MAX. */
static const struct replay_mark *replay_first_frame(const struct replay_archive *archive)
{
    const struct replay_part *frames = &archive->parts[REPLAY_FRAMES];
    const struct replay_part *events = &archive->parts[REPLAY_EVENTS];
    int64_t from_ms = INT64_MIN;
    for (size_t i = events->n_marks; i > 0; i--) {
        if (events->lines - events->marks[i - 1].line > REPLAY_EVENTS_MAX) {
            from_ms = events->marks[i - 1].at_ms + 1;
            break;
        }
    }
    for (size_t i = 0; i < frames->n_marks; i++)
        if (frames->marks[i].at_ms >= from_ms)
            return &frames->marks[i];
    return &frames->marks[frames->n_marks - 1];
}

static int replay_read_frame(const struct replay_archive *archive, const struct replay_mark *frame,
                             struct model *model, struct error *e)
{
    size_t offset = frame->offset, len = 0;
    const char *line = replay_part_line(&archive->parts[REPLAY_FRAMES], &offset, &len);
    if (line == NULL || model_read_frame(model, line, len, e) != 0)
        return error_set(e, ERR_CORRUPT, "a frame of the report can't be read");
    return 0;
}

static int replay_play(const struct replay_archive *archive, struct model *model, struct error *e)
{
    const struct replay_part *events = &archive->parts[REPLAY_EVENTS];
    const struct replay_part *vitals = &archive->parts[REPLAY_VITALS];
    const struct replay_part *messages = &archive->parts[REPLAY_MESSAGES];
    const struct replay_mark *frame = replay_first_frame(archive);
    const struct replay_mark *begin = replay_part_find(events, frame->at_ms - REPLAY_BACK_MS);
    size_t offset = begin != NULL ? begin->offset : 0, len;
    const char *line;
    bool is_framed = false;
    struct error ignored;
    while ((line = replay_part_line(events, &offset, &len)) != NULL) {
        int64_t at_ms = replay_line_at(line, len);
        if (!is_framed && at_ms >= frame->at_ms - REPLAY_APART_MS) {
            is_framed = true;
            if (replay_read_frame(archive, frame, model, e) != 0)
                return ERR_CORRUPT;
        }
        replay_move_time(model, archive, at_ms);
        (void)model_read_event(model, line, len, &ignored);
    }
    if (!is_framed && replay_read_frame(archive, frame, model, e) != 0)
        return ERR_CORRUPT;
    for (offset = 0; (line = replay_part_line(vitals, &offset, &len)) != NULL;)
        model_read_vitals(model, line, len);
    for (offset = 0; (line = replay_part_line(messages, &offset, &len)) != NULL;)
        model_read_message(model, line, len);
    replay_move_time(model, archive, archive->made_ms);
    return 0;
}

int replay_open(const char *path, struct model *model, struct replay **replay, struct error *e)
{
    struct replay_archive *archive;
    int rc = replay_archive_open(path, &archive, e);
    if (rc != 0)
        return rc;
    rc = replay_play(archive, model, e);
    if (rc != 0) {
        replay_archive_free(archive);
        (void)error_prefix(e, "%s", path);
        return rc;
    }
    struct replay *made = mem_zalloc(sizeof *made);
    made->archive = archive;
    made->last_ms = model_live_ms(model);
    *replay = made;
    return 0;
}

void replay_free(struct replay *replay)
{
    if (replay == NULL)
        return;
    replay_archive_free(replay->archive);
    free(replay);
}

/* Lines of `part` from REPLAY_BACK_MS before the moment up to it. */
static void replay_feed_past(const struct replay_part *part, struct model *model, int64_t at_ms,
                             void (*read)(struct model *, const char *, size_t))
{
    const struct replay_mark *from = replay_part_find(part, at_ms - REPLAY_BACK_MS);
    size_t offset = from != NULL ? from->offset : 0, len;
    const char *line;
    int64_t mark_ms = 0;
    for (size_t n = 0; (line = replay_part_line(part, &offset, &len)) != NULL; n++) {
        if (n % REPLAY_MARK_LINES == 0) {
            mark_ms = replay_line_at(line, len);
            if (mark_ms > at_ms)
                break;
        }
        read(model, line, len);
    }
}

int replay_seek(const struct replay *replay, struct model *model, int64_t at_ms, struct error *e)
{
    const struct replay_part *frames = &replay->archive->parts[REPLAY_FRAMES];
    const struct replay_mark *frame = replay_part_find(frames, at_ms);
    size_t offset, len = 0;
    if (frame->at_ms > at_ms)
        return error_set(e, ERR_NOT_FOUND, "the report begins later than that");
    offset = frame->offset;
    const char *line = replay_part_line(frames, &offset, &len);
    int rc = model_seek_frame(model, at_ms, line, len, e);
    if (rc != 0)
        return rc;
    model_past_apply_from(model, frame->at_ms - REPLAY_APART_MS);
    replay_feed_past(&replay->archive->parts[REPLAY_EVENTS], model, at_ms, model_past_line);
    replay_feed_past(&replay->archive->parts[REPLAY_VITALS], model, at_ms, model_past_vitals_line);
    return 0;
}

void replay_span(const struct replay *replay, int64_t *first_ms, int64_t *last_ms)
{
    *first_ms = replay->archive->parts[REPLAY_FRAMES].marks[0].at_ms;
    *last_ms = replay->last_ms;
}
