/* Requests whose answers are lines of the archive: those that fit are handed out a piece at a time,
 * so that a console stays awake over a large report. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/str.h"
#include "client/client_nodes.h"
#include "client/client_replay_internal.h"

enum { CLIENT_REPLAY_LIMIT_MAX = 10 * 1000 * 1000, CLIENT_REPLAY_MESSAGES_LAST = 100 };

/* What is asked for */

static const char *client_replay_param(const struct client_replay_answer *answer, const char *name)
{
    const char *value = http_target_query(&answer->target, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int client_replay_time(struct client_replay_answer *answer, const char *name, int64_t *at_ms)
{
    const char *text = client_replay_param(answer, name);
    if (text == NULL || clock_parse_moment(text, answer->replay->at_ms, at_ms) == 0)
        return 0;
    client_replay_fail(answer, ERR_INVALID, "",
                       "%s=%.64s is neither a time as 2026-11-20T20:15:00Z nor a duration back as "
                       "10m",
                       name, text);
    return ERR_INVALID;
}

static int client_replay_resolve(void *arg, const char *name, struct nodeset *set)
{
    return client_nodes_group(arg, name, set);
}

static int client_replay_only_nodes(struct client_replay_answer *answer, const char *param)
{
    struct client_replay_stream *stream = &answer->stream;
    const char *text = client_replay_param(answer, param);
    struct error e = {0};
    if (text == NULL)
        return 0;
    json_t *nodes = client_replay_rows(answer->replay, "nodes");
    int rc = nodeset_parse(&stream->nodes, text, client_replay_resolve, nodes, &e);
    json_decref(nodes);
    stream->has_nodes = true;
    if (rc != 0)
        client_replay_fail(answer, rc, "", "%s", e.text);
    return rc;
}

/* What all streams have. False when the answer is a failure already. */
static bool client_replay_begin(struct client_replay_answer *answer, enum replay_part_name part)
{
    struct client_replay_stream *stream = &answer->stream;
    const char *follow = client_replay_param(answer, "follow");
    const char *limit = client_replay_param(answer, "limit");
    stream->part = part;
    stream->since_ms = INT64_MIN;
    stream->until_ms = answer->replay->at_ms;
    stream->left = CLIENT_REPLAY_LIMIT_MAX;
    if (follow != NULL && strcmp(follow, "false") != 0 && strcmp(follow, "0") != 0) {
        client_replay_fail(answer, ERR_UNSUPPORTED, "without --follow it shows what there was",
                           "this is a replay of %s: nothing more comes to follow",
                           answer->replay->path);
        return false;
    }
    if (limit != NULL && str_parse_u64(limit, 1, UINT64_MAX, &stream->left) != 0) {
        client_replay_fail(answer, ERR_INVALID, "", "limit must be a number from 1 on");
        return false;
    }
    return true;
}

static void client_replay_begun(struct client_replay_answer *answer)
{
    struct client_replay_stream *stream = &answer->stream;
    if (stream->until_ms > answer->replay->at_ms) /* what has not happened yet */
        stream->until_ms = answer->replay->at_ms;
    answer->status = 200;
    answer->is_stream = true;
}

void client_replay_ask_events(struct client_replay_answer *answer)
{
    struct client_replay_stream *stream = &answer->stream;
    const char *kinds = client_replay_param(answer, "kind");
    const char *level = client_replay_param(answer, "level");
    const char *table = client_replay_param(answer, "table");
    struct error e = {0};
    if (!client_replay_begin(answer, REPLAY_EVENTS))
        return;
    stream->since_ms = answer->replay->at_ms;
    if (client_replay_time(answer, "since", &stream->since_ms) != 0 ||
        client_replay_time(answer, "until", &stream->until_ms) != 0 ||
        client_replay_only_nodes(answer, "node") != 0)
        return;
    if (kinds != NULL && event_kind_check_patterns(kinds, &e) != 0)
        client_replay_fail(answer, e.code, "", "%s", e.text);
    else if (level != NULL && log_parse_level(level, &stream->level) != 0)
        client_replay_fail(answer, ERR_INVALID, "", "level must be debug, info, warn or error");
    if (answer->status != 0)
        return;
    (void)snprintf(stream->kinds, sizeof stream->kinds, "%s", kinds != NULL ? kinds : "");
    (void)snprintf(stream->table, sizeof stream->table, "%s", table != NULL ? table : "");
    client_replay_begun(answer);
}

void client_replay_ask_vitals(struct client_replay_answer *answer)
{
    if (!client_replay_begin(answer, REPLAY_VITALS))
        return;
    answer->stream.since_ms = answer->replay->at_ms;
    if (client_replay_time(answer, "since", &answer->stream.since_ms) == 0 &&
        client_replay_time(answer, "until", &answer->stream.until_ms) == 0)
        client_replay_begun(answer);
}

/* A message's number; 0 when it has none. */
static int64_t client_replay_seq(const char *line, size_t len, char *channel, size_t size)
{
    struct json_scan s;
    struct json_slice key, text;
    int64_t seq = 0;
    channel[0] = '\0';
    json_scan_init(&s, line, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        if (json_slice_is(&key, "seq") && json_scan_peek(&s) == JSON_KIND_NUMBER) {
            (void)json_scan_i64(&s, &seq);
        } else if (json_slice_is(&key, "channel") && json_scan_peek(&s) == JSON_KIND_STRING) {
            if (json_scan_string(&s, &text) && text.len < size) {
                memcpy(channel, text.text, text.len);
                channel[text.len] = '\0';
            }
        } else {
            (void)json_scan_skip(&s, NULL);
        }
    }
    bool ok = json_scan_end(&s);
    json_scan_done(&s);
    return ok ? seq : 0;
}

/* Without "from": near the end of what was said up to then. */
static int64_t client_replay_near_end(const struct client_replay *replay)
{
    const struct replay_part *messages = &replay->archive->parts[REPLAY_MESSAGES];
    char channel[128];
    size_t offset = 0, len;
    const char *line;
    int64_t last = 0;
    while ((line = replay_part_line(messages, &offset, &len)) != NULL) {
        int64_t seq = replay_line_at(line, len) <= replay->at_ms
                          ? client_replay_seq(line, len, channel, sizeof channel)
                          : 0;
        last = seq > last ? seq : last;
    }
    return last - CLIENT_REPLAY_MESSAGES_LAST + 1;
}

void client_replay_ask_messages(struct client_replay_answer *answer)
{
    struct client_replay_stream *stream = &answer->stream;
    const char *from = client_replay_param(answer, "from");
    const char *channel = client_replay_param(answer, "channel");
    if (!client_replay_begin(answer, REPLAY_MESSAGES))
        return;
    if (from == NULL)
        stream->from_seq = client_replay_near_end(answer->replay);
    else if (str_parse_i64(from, 0, INT64_MAX, &stream->from_seq) != 0 &&
             client_replay_time(answer, "from", &stream->since_ms) != 0)
        return;
    (void)snprintf(stream->channel, sizeof stream->channel, "%s", channel != NULL ? channel : "");
    client_replay_begun(answer);
}

/* Lines */

static bool client_replay_event_fits(const struct client_replay_stream *stream, const char *line,
                                     size_t len)
{
    struct client_replay_event event;
    return client_replay_read_event(line, len, &event) && event.at_ms >= stream->since_ms &&
           event.at_ms <= stream->until_ms && event.level >= stream->level &&
           (stream->kinds[0] == '\0' || event_kind_matches(stream->kinds, event.kind)) &&
           (stream->table[0] == '\0' || strcmp(stream->table, event.table) == 0) &&
           (!stream->has_nodes || nodeset_contains(&stream->nodes, event.node));
}

static bool client_replay_line_fits(const struct client_replay_stream *stream, const char *line,
                                    size_t len)
{
    char channel[sizeof stream->channel];
    if (stream->part == REPLAY_EVENTS)
        return client_replay_event_fits(stream, line, len);
    int64_t at_ms = replay_line_at(line, len);
    if (at_ms < stream->since_ms || at_ms > stream->until_ms)
        return false;
    return stream->part != REPLAY_MESSAGES ||
           (client_replay_seq(line, len, channel, sizeof channel) >= stream->from_seq &&
            (stream->channel[0] == '\0' || strcmp(stream->channel, channel) == 0));
}

static void client_replay_end(struct client_replay_answer *answer, struct buf *out)
{
    char at[CLOCK_RFC3339_MAX];
    answer->stream.is_over = true;
    if (answer->stream.part == REPLAY_EVENTS)
        (void)buf_printf(out, "{\"cursor\":\"replay\",\"at\":\"%s\"}\n",
                         clock_format_rfc3339(answer->replay->at_ms, at));
}

void client_replay_stream_next(struct client_replay_answer *answer, struct buf *out)
{
    struct client_replay_stream *stream = &answer->stream;
    const struct replay_part *part = &answer->replay->archive->parts[stream->part];
    size_t begin = stream->offset, len;
    const char *line = NULL;
    for (unsigned n = 0; n < CLIENT_REPLAY_PIECE_LINES && stream->left > 0 &&
                         stream->offset - begin < CLIENT_REPLAY_PIECE_BYTES;
         n++) {
        line = replay_part_line(part, &stream->offset, &len);
        if (line == NULL)
            break;
        if (len > CLIENT_LINE_BYTES_MAX || !client_replay_line_fits(stream, line, len))
            continue;
        (void)buf_append(out, line, len);
        (void)buf_append_byte(out, '\n');
        stream->left--;
    }
    if (line == NULL || stream->left == 0)
        client_replay_end(answer, out);
}
