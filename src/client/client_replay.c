/* A moment is the last frame before it with the patches of the events since. Events stand in the
 * order in which the collector got them, so that those around the frame are looked at again, and in
 * the order of their time: a patch that the frame has already changes nothing. */
#include "client/client_replay.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_replay_internal.h"
#include "client/client_vitals.h"

/* Lines */

static void client_replay_copy(struct json_scan *s, char *to, size_t size)
{
    struct json_slice text;
    if (json_scan_peek(s) != JSON_KIND_STRING) {
        (void)json_scan_skip(s, NULL);
    } else if (json_scan_string(s, &text) && text.len < size &&
               memchr(text.text, '\0', text.len) == NULL) {
        memcpy(to, text.text, text.len);
        to[text.len] = '\0';
    }
}

bool client_replay_read_event(const char *line, size_t len, struct client_replay_event *event)
{
    struct json_scan s;
    struct json_slice key;
    char at[64] = "", level[16] = "";
    *event = (struct client_replay_event){.level = LOG_LEVEL_INFO};
    json_scan_init(&s, line, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        if (json_slice_is(&key, "at"))
            client_replay_copy(&s, at, sizeof at);
        else if (json_slice_is(&key, "kind"))
            client_replay_copy(&s, event->kind, sizeof event->kind);
        else if (json_slice_is(&key, "level"))
            client_replay_copy(&s, level, sizeof level);
        else if (json_slice_is(&key, "node"))
            client_replay_copy(&s, event->node, sizeof event->node);
        else if (json_slice_is(&key, "table"))
            client_replay_copy(&s, event->table, sizeof event->table);
        else if (json_slice_is(&key, "key"))
            client_replay_copy(&s, event->key, sizeof event->key);
        else
            (void)json_scan_skip(&s, NULL);
    }
    bool ok = json_scan_end(&s) && clock_parse_rfc3339(at, &event->at_ms) == 0;
    json_scan_done(&s);
    (void)log_parse_level(level, &event->level);
    return ok;
}

/* Moments */

static int client_replay_compare_lines(const void *a, const void *b)
{
    const struct client_replay_line *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void client_replay_find_lines(const struct client_replay *replay, int64_t from_ms, int64_t to_ms,
                              const char *text, struct client_replay_lines *lines)
{
    const struct replay_part *events = &replay->archive->parts[REPLAY_EVENTS];
    size_t offset = 0, begin = 0, len;
    const char *line;
    for (; (line = replay_part_line(events, &offset, &len)) != NULL; begin = offset) {
        if (memmem(line, len, text, strlen(text)) == NULL)
            continue;
        int64_t at_ms = replay_line_at(line, len);
        if (at_ms < from_ms || at_ms > to_ms)
            continue;
        MEM_GROW(lines->all, lines->cap, lines->n + 1);
        lines->all[lines->n++] = (struct client_replay_line){at_ms, begin};
    }
    if (lines->n > 0)
        qsort(lines->all, lines->n, sizeof *lines->all, client_replay_compare_lines);
}

static int client_replay_load(const struct client_replay *replay, int64_t at_ms,
                              struct event_state *state, struct error *e)
{
    const struct replay_part *frames = &replay->archive->parts[REPLAY_FRAMES];
    const struct replay_part *events = &replay->archive->parts[REPLAY_EVENTS];
    const struct replay_mark *mark = replay_part_find(frames, at_ms);
    struct client_replay_lines patches = {0};
    size_t offset = mark->offset, len = 0;
    const char *line = replay_part_line(frames, &offset, &len);
    json_t *frame = line != NULL ? json_loadb(line, len, 0, NULL) : NULL;
    int rc = event_state_load(state, frame);
    json_decref(frame);
    if (rc != 0)
        return error_set(e, ERR_CORRUPT, "the report's state of that time can't be read");
    client_replay_find_lines(replay, mark->at_ms - REPLAY_APART_MS, at_ms, "\"table\"", &patches);
    for (size_t i = 0; i < patches.n; i++) {
        offset = patches.all[i].offset;
        line = replay_part_line(events, &offset, &len);
        (void)event_state_apply(state, line, len);
    }
    free(patches.all);
    return 0;
}

int client_replay_seek(struct client_replay *replay, int64_t at_ms, struct error *e)
{
    char first[CLOCK_RFC3339_MAX], last[CLOCK_RFC3339_MAX];
    if (at_ms < replay->first_ms || at_ms > replay->last_ms)
        return error_set(e, ERR_NOT_FOUND, "the report spans %s to %s",
                         clock_format_rfc3339(replay->first_ms, first),
                         clock_format_rfc3339(replay->last_ms, last));
    struct event_state *state = event_state_new();
    int rc = client_replay_load(replay, at_ms, state, e);
    if (rc != 0) {
        event_state_free(state);
        return rc;
    }
    event_state_free(replay->state);
    replay->state = state;
    replay->at_ms = at_ms;
    return 0;
}

/* The last thing that happened, or that the report was made. */
static int64_t client_replay_find_last(const struct replay_archive *archive)
{
    const struct replay_part *frames = &archive->parts[REPLAY_FRAMES];
    const struct replay_part *events = &archive->parts[REPLAY_EVENTS];
    int64_t last_ms = frames->marks[frames->n_marks - 1].at_ms;
    size_t offset = 0, len;
    const char *line;
    if (archive->made_ms > 0)
        return archive->made_ms > last_ms ? archive->made_ms : last_ms;
    while ((line = replay_part_line(events, &offset, &len)) != NULL) {
        int64_t at_ms = replay_line_at(line, len);
        last_ms = at_ms > last_ms ? at_ms : last_ms;
    }
    return last_ms;
}

int client_replay_open(const char *path, struct client_replay **replay, struct error *e)
{
    struct client_replay *made = mem_zalloc(sizeof *made);
    int rc = replay_archive_open(path, &made->archive, e);
    if (rc == 0) {
        made->path = mem_strdup(path);
        made->first_ms = made->archive->parts[REPLAY_FRAMES].marks[0].at_ms;
        made->last_ms = client_replay_find_last(made->archive);
        rc = client_replay_seek(made, made->last_ms, e);
        if (rc != 0)
            (void)error_prefix(e, "%s", path);
    }
    if (rc != 0)
        client_replay_free(made);
    else
        *replay = made;
    return rc;
}

void client_replay_free(struct client_replay *replay)
{
    if (replay == NULL)
        return;
    client_replay_lake_free(replay->lake);
    replay_archive_free(replay->archive);
    event_state_free(replay->state);
    free(replay->path);
    free(replay);
}

int64_t client_replay_at_ms(const struct client_replay *replay)
{
    return replay->at_ms;
}

void client_replay_span(const struct client_replay *replay, int64_t *first_ms, int64_t *last_ms)
{
    *first_ms = replay->first_ms;
    *last_ms = replay->last_ms;
}

const char *client_replay_partial(const struct client_replay *replay, const char **reason)
{
    const struct replay_archive *archive = replay->archive;
    *reason = archive->reason;
    return archive->partial[0] != '\0' ? archive->partial : NULL;
}

const char *client_replay_path(const struct client_replay *replay)
{
    return replay->path;
}

/* State */

struct client_replay_row {
    const char *key;
    const char *text;
};

struct client_replay_gather {
    struct client_replay_row *rows;
    size_t n, cap;
};

static void client_replay_take_row(void *arg, const char *key, const char *row)
{
    struct client_replay_gather *gather = arg;
    MEM_GROW(gather->rows, gather->cap, gather->n + 1);
    gather->rows[gather->n++] = (struct client_replay_row){key, row};
}

static int client_replay_compare_rows(const void *a, const void *b)
{
    const struct client_replay_row *x = a, *y = b;
    return nodeset_compare_names(x->key, y->key);
}

json_t *client_replay_rows(const struct client_replay *replay, const char *table)
{
    struct client_replay_gather gather = {0};
    json_t *rows = json_array();
    event_state_each(replay->state, table, client_replay_take_row, &gather);
    if (gather.n > 0)
        qsort(gather.rows, gather.n, sizeof *gather.rows, client_replay_compare_rows);
    for (size_t i = 0; i < gather.n; i++)
        (void)json_array_append_new(rows, json_loads(gather.rows[i].text, JSON_ALLOW_NUL, NULL));
    free(gather.rows);
    return rows;
}

/* The latest vitals at that moment; NULL when there are none, or none that are not too old. */
static json_t *client_replay_vitals(const struct client_replay *replay)
{
    const struct replay_part *vitals = &replay->archive->parts[REPLAY_VITALS];
    const char *line, *best = NULL;
    size_t offset = 0, len, best_len = 0;
    int64_t best_ms = INT64_MIN;
    while ((line = replay_part_line(vitals, &offset, &len)) != NULL) {
        int64_t at_ms = replay_line_at(line, len);
        if (at_ms > replay->at_ms || at_ms < best_ms)
            continue;
        best = line;
        best_len = len;
        best_ms = at_ms;
    }
    json_t *tick = best != NULL ? json_loadb(best, best_len, 0, NULL) : NULL;
    json_int_t step_ms = json_integer_value(json_object_get(tick, "step_ms"));
    if (tick != NULL && replay->at_ms - best_ms <= 2 * step_ms + REPLAY_APART_MS)
        return tick;
    json_decref(tick);
    return NULL;
}

json_t *client_replay_nodes(const struct client_replay *replay)
{
    json_t *nodes = client_replay_rows(replay, "nodes");
    json_t *tick = client_replay_vitals(replay);
    client_vitals_put(nodes, tick);
    json_decref(tick);
    return nodes;
}
