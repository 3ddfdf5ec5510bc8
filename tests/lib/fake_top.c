#include "tests/lib/fake_top.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "tests/lib/fake_api.h"

enum {
    TOP_HISTORY = 64 * 1024, /* events kept; a power of two */
    TOP_FRAME_MAX = 256 * 1024 * 1024,
    TOP_SERVERS_MAX = 4,
    TOP_TICK_MS = 20,
    TOP_SAID_MAX = 16,
    TOP_REPORT_STEP_MS = 10000,
};

/* What says that no node leads. */
#define TOP_PART                                                                                   \
    "\"partial\":\"n1\",\"reason\":\"no node "                                                     \
    "leads\",\"reached\":[\"n1\"],\"missing\":[\"n2\",\"n3\"]"

struct top_event {
    char *line;
    int64_t at_ms;
};

struct top_node {
    uint64_t number; /* of its next event */
    const char *state;
    double cpu;
};

struct top_server {
    struct fake_top *top;
    struct fake_api *api;
    bool hangs;
};

struct fake_top {
    struct fake_top_options options;
    char *socket_path;
    pthread_mutex_t lock;
    pthread_cond_t more; /* history, said, or closing */
    pthread_t thread;
    bool has_thread, closing, is_old, is_leaderless;
    struct prng prng;
    struct top_server servers[TOP_SERVERS_MAX];
    size_t n_servers;
    struct top_node *nodes;
    unsigned leader; /* index */
    unsigned term;
    const char **job_states;
    uint64_t end; /* events so far */
    uint64_t oldest_cursor;
    struct top_event history[TOP_HISTORY];
    char *said[TOP_SAID_MAX];
    size_t n_said;
    unsigned n_followers; /* of events */
    char *last_change;
    unsigned n_frames;
    int64_t began_ms;
    char *first_frame;
};

/* The world. All with the lock held. */

static const char *top_pick(struct fake_top *top, const char *const *from, size_t n)
{
    return from[prng_below(&top->prng, n)];
}

static void top_keep(struct fake_top *top, char *line, int64_t at_ms)
{
    struct top_event *event = &top->history[top->end++ % TOP_HISTORY];
    free(event->line);
    *event = (struct top_event){.line = line, .at_ms = at_ms};
    (void)pthread_cond_broadcast(&top->more);
}

static void top_emit(struct fake_top *top, unsigned node, const char *kind, const char *level,
                     const char *text, const char *more)
{
    char at[CLOCK_RFC3339_MAX];
    struct buf b;
    int64_t now_ms = clock_wall_ms();
    buf_init(&b, 1 << 20);
    (void)buf_printf(&b, "{\"id\":\"n%u:%llu\",\"at\":\"%s\",\"kind\":\"%s\",\"level\":\"%s\"",
                     node, (unsigned long long)top->nodes[node - 1].number++,
                     clock_format_rfc3339(now_ms, at), kind, level);
    (void)buf_printf(&b, ",\"node\":\"n%u\",\"text\":", node);
    if (top->options.is_hostile && prng_chance(&top->prng, 1, 3))
        (void)buf_printf(&b, "\"\\u001b[2J\\u001b]0;x\\u0007%s\\u202e\\u009b31m \xff\xfe\"", kind);
    else
        (void)json_text_append(&b, text, strlen(text));
    (void)buf_printf(&b, "%s}", more);
    top_keep(top, buf_steal(&b, NULL), now_ms);
}

static void top_something(struct fake_top *top)
{
    static const char *const states[] = {"pending", "running", "completed", "failed"};
    static const char *const words[] = {"link to the store is slow",   "snapshot written",
                                        "GET /api/jobs 200 in 0.4 ms", "task started",
                                        "checkpoint of 4096 entries",  "retry in 200 ms"};
    unsigned node = (unsigned)prng_below(&top->prng, top->options.nodes) + 1;
    char text[256], more[512];
    switch (prng_below(&top->prng, 20)) {
    case 0: {
        struct top_node *n = &top->nodes[node - 1];
        n->state =
            strcmp(n->state, "online") == 0 && prng_chance(&top->prng, 1, 4) ? "suspect" : "online";
        (void)snprintf(more, sizeof more,
                       ",\"table\":\"nodes\",\"key\":\"n%u\",\"row\":{\"state\":\"%s\"}", node,
                       n->state);
        (void)snprintf(text, sizeof text, "n%u is %s", node, n->state);
        top_emit(top, node, strcmp(n->state, "online") == 0 ? "node.online" : "node.suspect",
                 strcmp(n->state, "online") == 0 ? "info" : "warn", text, more);
        break;
    }
    case 1 ... 4: {
        unsigned job = (unsigned)prng_below(&top->prng, top->options.jobs + 1);
        const char *state = top_pick(top, states, MEM_COUNT(states));
        unsigned i = (unsigned)prng_below(&top->prng, 100);
        (void)snprintf(more, sizeof more,
                       ",\"table\":\"tasks\",\"key\":\"job-%u_%u\",\"row\":{\"id\":\"job-%u_%u\","
                       "\"job\":\"job-%u\",\"index\":%u,\"state\":\"%s\",\"node\":\"n%u\"}",
                       job, i, job, i, job, i, state, node);
        (void)snprintf(text, sizeof text, "task of job-%u is %s on n%u", job, state, node);
        top_emit(top, node, "task.state", "debug", text, more);
        break;
    }
    case 5: {
        unsigned job = (unsigned)prng_below(&top->prng, top->options.jobs + 1);
        const char *state = top_pick(top, states, MEM_COUNT(states));
        if (job < top->options.jobs)
            top->job_states[job] = state;
        (void)snprintf(
            more, sizeof more,
            ",\"table\":\"jobs\",\"key\":\"job-%u\",\"row\":{\"id\":\"job-%u\",\"state\":"
            "\"%s\"}",
            job, job, state);
        (void)snprintf(text, sizeof text, "job-%u is %s", job, state);
        top_emit(top, node, "job.state", strcmp(state, "failed") == 0 ? "warn" : "info", text,
                 more);
        break;
    }
    default:
        (void)snprintf(text, sizeof text, "%s (%u)", top_pick(top, words, MEM_COUNT(words)),
                       (unsigned)prng_below(&top->prng, 100000));
        top_emit(top, node, "log.record", prng_chance(&top->prng, 1, 50) ? "error" : "info", text,
                 "");
    }
}

static void top_row(struct buf *b, bool *is_first, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void top_row(struct buf *b, bool *is_first, const char *fmt, ...)
{
    char row[4096];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(row, sizeof row, fmt, args);
    va_end(args);
    assert(n > 0 && (size_t)n < sizeof row);
    if (!*is_first)
        (void)buf_append_str(b, ",");
    (void)buf_append(b, row, (size_t)n);
    *is_first = false;
}

static void top_frame_nodes(struct fake_top *top, struct buf *b, int64_t at_ms)
{
    char at[CLOCK_RFC3339_MAX];
    bool first = true;
    (void)clock_format_rfc3339(at_ms, at);
    (void)buf_append_str(b, "\"nodes\":[");
    for (unsigned i = 0; i < top->options.nodes; i++) {
        const char *label = top->options.is_hostile ? "\\u001b[31mred\\u0007" : "zone=a";
        top_row(
            b, &first,
            "{\"name\":\"n%u\",\"id\":%u,\"state\":\"%s\",\"roles\":[\"worker\",\"chat\"%s],"
            "\"address\":\"127.0.0.1:%u\",\"api_address\":\"%s\",\"leader\":%s,\"pid\":%u,"
            "\"slots\":8,\"slots_used\":%u,\"tasks_running\":%u,\"tasks_queued\":0,"
            "\"cpu_percent\":%.1f,\"load\":%.2f,\"memory_total_bytes\":16000000000,"
            "\"memory_available_bytes\":%u,\"disk_total_bytes\":100000000000,"
            "\"disk_free_bytes\":50000000000,\"rtt_ms\":0.4,\"labels\":[\"%s\"],"
            "\"draining\":false,\"drain_reason\":null,\"last_seen\":\"%s\",\"joined_at\":\"%s\","
            "\"version\":\"0.1.0\",\"uptime_ms\":%lld,\"kind\":\"node\"}",
            i + 1, i + 1, top->is_leaderless && i > 0 ? "offline" : top->nodes[i].state,
            i < 3 ? ",\"metadata\",\"coordinator\"" : "", 7400 + i,
            i < top->n_servers ? fake_api_endpoint(top->servers[i].api) : "",
            i == top->leader ? "true" : "false", 1000 + i, i % 8, i % 8, top->nodes[i].cpu,
            top->nodes[i].cpu / 25, 1000000000U + i * 1000U, label, at, at,
            (long long)(at_ms - top->began_ms + 86400000));
    }
    (void)buf_append_str(b, "]");
}

static void top_frame_groups(struct fake_top *top, struct buf *b, const char *at)
{
    unsigned voters = top->options.nodes < 5 ? top->options.nodes : 5;
    bool first = true;
    char leader[32] = "null";
    if (!top->is_leaderless)
        (void)snprintf(leader, sizeof leader, "\"n%u\"", top->leader + 1);
    (void)buf_append_str(b, ",\"elections\":[");
    top_row(b, &first,
            "{\"group\":\"cluster\",\"leader\":%s,\"term\":%u,\"since\":\"%s\",\"state\":"
            "\"leader\",\"reason\":\"start\",\"elections\":%u,\"members\":%u}",
            leader, top->term, at, top->term, voters);
    top_row(
        b, &first,
        "{\"group\":\"chat\",\"leader\":\"n1\",\"term\":1,\"since\":\"%s\",\"state\":\"leader\","
        "\"reason\":\"start\",\"elections\":1,\"members\":%u}",
        at, voters);
    (void)buf_append_str(b, "],\"raft\":[");
    first = true;
    for (unsigned i = 0; i < voters; i++)
        top_row(b, &first,
                "{\"name\":\"n%u\",\"id\":%u,\"role\":\"voter\",\"leader\":%s,\"term\":%u,"
                "\"match_index\":%llu,\"last_index\":%llu,\"applied_index\":%llu,\"lag\":0,"
                "\"state\":\"replicate\"}",
                i + 1, i + 1, i == top->leader ? "true" : "false", top->term,
                (unsigned long long)top->end, (unsigned long long)top->end,
                (unsigned long long)top->end);
    (void)buf_append_str(b, "],\"chat\":[");
    first = true;
    for (unsigned i = 0; i < voters; i++)
        top_row(b, &first,
                "{\"name\":\"n%u\",\"id\":%u,\"leader\":%s,\"voter\":true,\"state\":\"online\","
                "\"durable_seq\":7,\"delivered_seq\":7,\"lag\":0}",
                i + 1, i + 1, i == 0 ? "true" : "false");
    (void)buf_append_str(b, "]");
}

static void top_frame_work(struct fake_top *top, struct buf *b, const char *at)
{
    bool first = true;
    (void)buf_append_str(b, ",\"jobs\":[");
    for (unsigned i = 0; i < top->options.jobs; i++)
        top_row(
            b, &first,
            "{\"id\":\"job-%u\",\"seq\":%u,\"name\":\"%s-%u\",\"user\":\"ann\",\"state\":\"%s\","
            "\"reason\":\"\",\"elements\":100,\"running\":%u,\"completed\":%u,\"failed\":0,"
            "\"cancelled\":0,\"pending\":%u,\"priority\":0,\"submitted_at\":\"%s\","
            "\"started_at\":\"%s\",\"ended_at\":null,\"wall_ms\":1000,\"commands\":[\"true\"]}",
            i, i, i % 2 == 0 ? "render" : "index", i, top->job_states[i], i % 9, i % 90,
            100 - i % 90, at, at);
    (void)buf_append_str(b, "],\"queries\":[");
    first = true;
    for (unsigned i = 0; i < 3; i++)
        top_row(
            b, &first,
            "{\"query\":\"query-%u\",\"state\":\"running\",\"sql\":\"SELECT count(*) FROM t%u\","
            "\"user\":\"bob\",\"session\":\"s\",\"wall_ms\":%u,\"rows\":0,\"node\":\"n1\"}",
            i, i, 1000 * i);
    (void)buf_append_str(b, "],\"stages\":[");
    first = true;
    for (unsigned i = 0; i < 6; i++)
        top_row(b, &first,
                "{\"query\":\"query-%u\",\"stage\":%u,\"state\":\"running\",\"tasks\":8,"
                "\"tasks_done\":%u}",
                i / 2, i % 2, i);
    (void)buf_append_str(b, "],\"rollouts\":[");
    first = true;
    top_row(b, &first,
            "{\"id\":\"r1\",\"kind\":\"canary\",\"service\":\"rank\",\"model\":\"m2\",\"state\":"
            "\"watching\",\"step\":1,\"steps_n\":4,\"weight\":25,\"steps\":\"5:1m,25:10m,100\","
            "\"began_at\":\"%s\",\"since\":\"%s\",\"ended_at\":null,\"text\":\"\",\"gates\":[]}",
            at, at);
    (void)buf_append_str(b, "],\"routing\":[");
    first = true;
    for (unsigned i = 0; i < top->options.nodes; i++)
        top_row(b, &first,
                "{\"node\":\"n%u\",\"service\":\"rank\",\"version\":3,\"stable_model_id\":\"m1\","
                "\"canary_model_id\":\"m2\",\"weights\":{\"stable\":75,\"canary\":25},\"status\":"
                "\"canary\",\"txid\":\"t9\",\"in_rotation\":true,\"in_doubt\":false}",
                i + 1);
    (void)buf_append_str(b, "],\"transactions\":[]");
}

/* At `at_ms`, with the times in its rows as of `rows_ms`. */
static char *top_frame(struct fake_top *top, int64_t at_ms, int64_t rows_ms, size_t *len)
{
    char at[CLOCK_RFC3339_MAX];
    struct buf b;
    buf_init(&b, TOP_FRAME_MAX);
    (void)clock_format_rfc3339(at_ms, at);
    (void)buf_printf(&b, "{\"at\":\"%s\",\"cursor\":\"c%llu\",", at, (unsigned long long)top->end);
    if (top->is_leaderless)
        (void)buf_append_str(&b, TOP_PART ",");
    top_frame_nodes(top, &b, rows_ms);
    (void)clock_format_rfc3339(rows_ms, at);
    top_frame_groups(top, &b, at);
    top_frame_work(top, &b, at);
    (void)buf_append_str(&b, "}");
    return buf_steal(&b, len);
}

static char *top_vitals(struct fake_top *top, int64_t at_ms, int64_t step_ms, size_t *len)
{
    static const char columns[] = "\"cpu_percent\",\"load\",\"memory_percent\",\"disk_percent\","
                                  "\"tasks_running\",\"rtt_ms\",\"beat_ms\",\"beat_jitter_ms\"";
    char at[CLOCK_RFC3339_MAX];
    struct buf b;
    bool first = true;
    buf_init(&b, TOP_FRAME_MAX);
    (void)buf_printf(&b, "{\"at\":\"%s\",\"step_ms\":%lld,\"columns\":[%s],\"nodes\":{",
                     clock_format_rfc3339(at_ms, at), (long long)step_ms, columns);
    for (unsigned i = 0; i < top->options.nodes; i++) {
        unsigned dice = (unsigned)((uint64_t)(at_ms / 1000 + i) * 2654435761U >> 7);
        if (dice % 50 == 0) {
            top_row(&b, &first, "\"n%u\":[null,null,null,null,null,null,null,null]", i + 1);
            continue;
        }
        top_row(&b, &first, "\"n%u\":[%u.%u,%u.%02u,%u,%u,%u,0.%u,%u,%u.%u]", i + 1, dice % 100,
                dice % 10, dice % 9, dice % 100, 20 + i % 60, 10 + i % 80, dice % 8, 1 + dice % 9,
                995 + dice % 10, dice % 7, dice % 10);
    }
    (void)buf_append_str(&b, "}}\n");
    return buf_steal(&b, len);
}

/* Requests */

static int64_t top_time_param(const struct fake_request *request, const char *name)
{
    const char *text = fake_param(request, name);
    int64_t ms;
    if (text[0] == '\0')
        return 0;
    if (clock_parse_rfc3339(text, &ms) == 0)
        return ms;
    return str_parse_duration_ms(text, &ms) == 0 ? clock_wall_ms() - ms : 0;
}

static void top_get_frame(struct fake_top *top, struct fake_conn *conn,
                          const struct fake_request *request)
{
    int64_t at_ms = top_time_param(request, "at");
    size_t len;
    (void)pthread_mutex_lock(&top->lock);
    top->n_frames++;
    char *frame = top_frame(top, at_ms > 0 ? at_ms : clock_wall_ms(),
                            at_ms > 0 ? at_ms : top->began_ms, &len);
    (void)pthread_mutex_unlock(&top->lock);
    fake_answer(conn, 200, "application/json", frame, len);
    free(frame);
}

/* Waits for `pos` to come, or until `until_ms`. True when there is something to send. */
static bool top_wait(struct fake_top *top, uint64_t pos, size_t said, int64_t until_ms)
{
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool was_leaderless = top->is_leaderless;
    while (!top->closing && top->end <= pos && top->n_said <= said &&
           top->is_leaderless == was_leaderless) {
        if (pthread_cond_timedwait(&top->more, &top->lock, &at) != 0)
            return false;
    }
    return !top->closing;
}

static void top_send_cursor(struct fake_conn *conn, uint64_t pos)
{
    char at[CLOCK_RFC3339_MAX];
    fake_printf(conn, "{\"cursor\":\"c%llu\",\"at\":\"%s\"}\n", (unsigned long long)pos,
                clock_format_rfc3339(clock_wall_ms(), at));
}

static uint64_t top_since(struct fake_top *top, const struct fake_request *request)
{
    const char *since = fake_param(request, "since");
    uint64_t oldest = top->end > TOP_HISTORY ? top->end - TOP_HISTORY : 0, pos = top->end;
    if (since[0] == 'c') {
        pos = strtoull(since + 1, NULL, 10);
        pos = pos > 3 ? pos - 3 : 0; /* a little earlier, as at another collector */
        return pos > oldest ? pos : oldest;
    }
    int64_t since_ms = top_time_param(request, "since");
    while (since_ms > 0 && pos > oldest && top->history[(pos - 1) % TOP_HISTORY].at_ms >= since_ms)
        pos--;
    return pos;
}

/* Copies what there is from *pos on, at most 64 KiB. */
static char *top_take(struct fake_top *top, uint64_t *pos, int64_t until_ms, size_t *len)
{
    struct buf b;
    buf_init(&b, 1 << 22);
    if (top->end > TOP_HISTORY && *pos < top->end - TOP_HISTORY)
        *pos = top->end - TOP_HISTORY;
    for (; *pos < top->end && b.len < 64 * 1024; (*pos)++) {
        const struct top_event *event = &top->history[*pos % TOP_HISTORY];
        if (until_ms > 0 && event->at_ms > until_ms)
            break;
        (void)buf_printf(&b, "%s\n", event->line);
    }
    *len = b.len;
    return buf_steal(&b, NULL);
}

static void top_get_events(struct fake_top *top, struct fake_conn *conn,
                           const struct fake_request *request)
{
    bool follows = strcmp(fake_param(request, "follow"), "true") == 0;
    char since[64]; /* what fake_param gives lasts until the next */
    (void)snprintf(since, sizeof since, "%s", fake_param(request, "since"));
    int64_t until_ms = top_time_param(request, "until"), cursor_ms = clock_wall_ms();
    size_t len;
    (void)pthread_mutex_lock(&top->lock);
    if (since[0] == 'c' && strtoull(since + 1, NULL, 10) < top->oldest_cursor) {
        (void)pthread_mutex_unlock(&top->lock);
        fake_answer_error(conn, 404, "not_found", "that cursor is too old", "");
        return;
    }
    uint64_t pos = top_since(top, request);
    size_t said = top->n_said;
    bool is_part = top->is_leaderless;
    top->n_followers += follows;
    (void)pthread_mutex_unlock(&top->lock);
    fake_begin(conn, 200, "application/x-ndjson");
    if (is_part)
        fake_printf(conn, "{%s}\n", TOP_PART);
    while (!fake_is_closed(conn)) {
        (void)pthread_mutex_lock(&top->lock);
        bool more = !follows || top_wait(top, pos, said, cursor_ms + top->options.cursor_ms);
        char *chunk = top_take(top, &pos, until_ms, &len);
        char *line = said < top->n_said ? mem_printf("%s\n", top->said[said++]) : NULL;
        bool is_over = top->closing || (!follows && len == 0);
        bool has_turned = is_part != top->is_leaderless;
        bool hangs = top->servers[0].hangs && strchr(fake_header(request, "Host"), ':') == NULL;
        (void)pthread_mutex_unlock(&top->lock);
        if (hangs) {
            free(chunk);
            free(line);
            fake_wait_closed(conn);
            return;
        }
        fake_write(conn, chunk, len);
        if (line != NULL)
            fake_write(conn, line, strlen(line));
        free(chunk);
        free(line);
        if (has_turned)
            fake_printf(conn, "{\"error\":{\"code\":\"no_leader\",\"message\":\"the lead "
                              "has changed\"}}\n");
        if (is_over || has_turned)
            break;
        if (!more || clock_wall_ms() - cursor_ms >= top->options.cursor_ms) {
            top_send_cursor(conn, pos);
            cursor_ms = clock_wall_ms();
        }
    }
    if (!follows)
        top_send_cursor(conn, pos);
    fake_end(conn);
}

static void top_get_vitals(struct fake_top *top, struct fake_conn *conn,
                           const struct fake_request *request)
{
    bool follows = strcmp(fake_param(request, "follow"), "true") == 0;
    int64_t since_ms = top_time_param(request, "since"),
            until_ms = top_time_param(request, "until");
    int64_t now_ms = clock_wall_ms();
    if (until_ms == 0 || until_ms > now_ms)
        until_ms = now_ms;
    int64_t at_ms = since_ms > 0 ? (since_ms + 999) / 1000 * 1000 : until_ms / 1000 * 1000;
    size_t len;
    bool is_over = false;
    fake_begin(conn, 200, "application/x-ndjson");
    while (!fake_is_closed(conn) && !is_over) {
        for (; at_ms <= (follows ? clock_wall_ms() : until_ms) && top->options.with_vitals;
             at_ms += 1000) {
            char *line = top_vitals(top, at_ms, 1000, &len);
            fake_write(conn, line, len);
            free(line);
        }
        if (!follows)
            break;
        (void)pthread_mutex_lock(&top->lock);
        struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = 1000000};
        while (!top->closing && pthread_cond_timedwait(&top->more, &top->lock, &at) == 0)
            continue;
        is_over = top->closing;
        (void)pthread_mutex_unlock(&top->lock);
    }
    fake_end(conn);
}

static void top_get_messages(struct fake_top *top, struct fake_conn *conn,
                             const struct fake_request *request)
{
    char at[CLOCK_RFC3339_MAX];
    unsigned from = (unsigned)strtoul(fake_param(request, "from"), NULL, 10);
    fake_begin(conn, 200, "application/x-ndjson");
    for (unsigned i = from > 1 ? from : 1; i <= 3; i++)
        fake_printf(conn,
                    "{\"seq\":%u,\"at\":\"%s\",\"channel\":\"general\",\"from\":\"ann\",\"text\":"
                    "\"message %u%s\"}\n",
                    i, clock_format_rfc3339(top->began_ms, at), i,
                    top->options.is_hostile ? "\\u001b[2J" : "");
    fake_wait_closed(conn);
}

static void top_get_tasks(struct fake_conn *conn, const char *job,
                          const struct fake_request *request)
{
    struct buf b;
    bool first = true;
    const char *after = fake_param(request, "after");
    unsigned begin = after[0] != '\0' ? (unsigned)strtoul(after, NULL, 10) + 1 : 0;
    unsigned limit = (unsigned)strtoul(fake_param(request, "limit"), NULL, 10);
    buf_init(&b, TOP_FRAME_MAX);
    (void)buf_append_str(&b, "[");
    for (unsigned i = begin; i < begin + limit && i < 1500; i++)
        top_row(&b, &first,
                "{\"id\":\"%s_%u\",\"job\":\"%s\",\"index\":%u,\"attempt\":1,\"state\":\"%s\","
                "\"node\":\"n1\",\"exit_code\":0,\"wall_ms\":%u,\"stdout_bytes\":12}",
                job, i, job, i, i % 3 == 0 ? "running" : "completed", i);
    (void)buf_append_str(&b, "]");
    fake_answer(conn, 200, "application/json", buf_cstr(&b), b.len);
    buf_done(&b);
}

static void top_get_output(struct fake_top *top, struct fake_conn *conn,
                           const struct fake_request *request)
{
    unsigned offset = (unsigned)strtoul(fake_param(request, "offset"), NULL, 10);
    const char *stream = fake_param(request, "stream");
    char *text =
        mem_printf("one of %s\ntwo%s\nthree", stream, top->options.is_hostile ? "\x1b[2J\xff" : "");
    fake_begin(conn, 200, "application/octet-stream");
    if (offset < strlen(text))
        fake_write(conn, text + offset, strlen(text) - offset);
    fake_end(conn);
    free(text);
}

static void top_change(struct fake_top *top, struct fake_conn *conn,
                       const struct fake_request *request)
{
    (void)pthread_mutex_lock(&top->lock);
    free(top->last_change);
    top->last_change = mem_printf("%s %s %s", request->method, request->path, request->body);
    (void)pthread_mutex_unlock(&top->lock);
    if (strstr(request->path, "/nodes/refuse/") != NULL)
        fake_answer_error(conn, 409, "conflict", "no\\u001b[2J", "try something else");
    else
        fake_answer_json(conn, 200, "{}");
}

static void top_serve(void *arg, struct fake_conn *conn, const struct fake_request *request)
{
    struct top_server *server = arg;
    struct fake_top *top = server->top;
    const char *path = request->path;
    char job[128];
    (void)pthread_mutex_lock(&top->lock);
    bool hangs = server->hangs, is_old = top->is_old;
    (void)pthread_mutex_unlock(&top->lock);
    bool is_new = strcmp(path, "/api/frame") == 0 || strcmp(path, "/api/events") == 0 ||
                  strcmp(path, "/api/vitals") == 0;
    if (hangs) {
        fake_wait_closed(conn);
    } else if (strcmp(request->method, "GET") != 0) {
        top_change(top, conn, request);
    } else if (is_old && is_new) {
        fake_answer_error(conn, 404, "not_found", "there is no such request", "");
    } else if (strcmp(path, "/api/frame") == 0) {
        top_get_frame(top, conn, request);
    } else if (strcmp(path, "/api/events") == 0) {
        top_get_events(top, conn, request);
    } else if (strcmp(path, "/api/vitals") == 0) {
        top_get_vitals(top, conn, request);
    } else if (strcmp(path, "/api/chat/messages") == 0) {
        top_get_messages(top, conn, request);
    } else if (sscanf(path, "/api/jobs/%127[^/]/tasks", job) == 1 &&
               strstr(path, "/tasks") != NULL) {
        top_get_tasks(conn, job, request);
    } else if (strstr(path, "/output") != NULL) {
        top_get_output(top, conn, request);
    } else if (strcmp(path, "/api/nodes") == 0) {
        size_t len;
        struct buf b;
        buf_init(&b, TOP_FRAME_MAX);
        (void)pthread_mutex_lock(&top->lock);
        top_frame_nodes(top, &b, clock_wall_ms());
        (void)pthread_mutex_unlock(&top->lock);
        len = b.len - strlen("\"nodes\":");
        fake_answer(conn, 200, "application/json", buf_cstr(&b) + strlen("\"nodes\":"), len);
        buf_done(&b);
    } else {
        fake_answer_error(conn, 404, "not_found", "there is no such request", "");
    }
}

/* Life */

static void *top_main(void *arg)
{
    struct fake_top *top = arg;
    double owed = 0;
    int64_t before_us = clock_mono_us();
    (void)pthread_mutex_lock(&top->lock);
    while (!top->closing) {
        int64_t until_ms = clock_wall_ms() + TOP_TICK_MS, now_us;
        struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        while (!top->closing && clock_wall_ms() < until_ms)
            (void)pthread_cond_timedwait(&top->more, &top->lock, &at);
        now_us = clock_mono_us();
        owed += top->options.rate * (double)(now_us - before_us) / 1e6;
        before_us = now_us;
        for (; owed >= 1; owed--)
            top_something(top);
    }
    (void)pthread_mutex_unlock(&top->lock);
    return NULL;
}

static void top_add_server(struct fake_top *top, const char *socket_path)
{
    assert(top->n_servers < TOP_SERVERS_MAX);
    struct top_server *server = &top->servers[top->n_servers];
    server->top = top;
    server->api = fake_api_new(socket_path, top_serve, server);
    top->n_servers++;
}

struct fake_top *fake_top_new(const struct fake_top_options *options)
{
    struct fake_top *top = mem_zalloc(sizeof *top);
    top->options = *options;
    top->options.cursor_ms = options->cursor_ms > 0 ? options->cursor_ms : 1000;
    top->socket_path = mem_strdup(options->socket_path);
    (void)pthread_mutex_init(&top->lock, NULL);
    (void)pthread_cond_init(&top->more, NULL);
    prng_init(&top->prng, options->seed);
    top->nodes = mem_calloc(options->nodes, sizeof *top->nodes);
    top->job_states = mem_calloc(options->jobs + 1, sizeof *top->job_states);
    top->term = 3;
    top->began_ms = clock_wall_ms();
    for (unsigned i = 0; i < options->nodes; i++)
        top->nodes[i] = (struct top_node){
            .number = 1, .state = "online", .cpu = (double)prng_below(&top->prng, 1000) / 10};
    for (unsigned i = 0; i < options->jobs; i++)
        top->job_states[i] = i % 3 == 0 ? "running" : "completed";
    top_add_server(top, top->socket_path);
    size_t len;
    top->first_frame = top_frame(top, top->began_ms, top->began_ms, &len);
    top->has_thread = options->rate > 0;
    if (top->has_thread && pthread_create(&top->thread, NULL, top_main, top) != 0)
        abort();
    return top;
}

void fake_top_free(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    top->closing = true;
    (void)pthread_cond_broadcast(&top->more);
    (void)pthread_mutex_unlock(&top->lock);
    if (top->has_thread)
        (void)pthread_join(top->thread, NULL);
    for (size_t i = 0; i < top->n_servers; i++)
        fake_api_free(top->servers[i].api);
    for (size_t i = 0; i < TOP_HISTORY; i++)
        free(top->history[i].line);
    for (size_t i = 0; i < top->n_said; i++)
        free(top->said[i]);
    free(top->last_change);
    free(top->first_frame);
    free(top->nodes);
    free(top->job_states);
    free(top->socket_path);
    (void)pthread_mutex_destroy(&top->lock);
    (void)pthread_cond_destroy(&top->more);
    free(top);
}

const char *fake_top_endpoint(struct fake_top *top)
{
    return fake_api_endpoint(top->servers[0].api);
}

const char *fake_top_add_server(struct fake_top *top)
{
    top_add_server(top, NULL);
    return fake_api_endpoint(top->servers[top->n_servers - 1].api);
}

void fake_top_stop(struct fake_top *top)
{
    fake_api_free(top->servers[0].api);
    top->servers[0].api = NULL;
}

void fake_top_start(struct fake_top *top)
{
    top->servers[0].api = fake_api_new(top->socket_path, top_serve, &top->servers[0]);
}

void fake_top_hang(struct fake_top *top, bool hangs)
{
    (void)pthread_mutex_lock(&top->lock);
    top->servers[0].hangs = hangs;
    (void)pthread_cond_broadcast(&top->more);
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_be_old(struct fake_top *top, bool is_old)
{
    (void)pthread_mutex_lock(&top->lock);
    top->is_old = is_old;
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_be_leaderless(struct fake_top *top, bool is_leaderless)
{
    (void)pthread_mutex_lock(&top->lock);
    top->is_leaderless = is_leaderless;
    (void)pthread_cond_broadcast(&top->more);
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_forget_cursors(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    top->oldest_cursor = top->end + 1;
    top->end++; /* so that the next frame's is known */
    top->history[(top->end - 1) % TOP_HISTORY].line = mem_strdup("");
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_say(struct fake_top *top, const char *line)
{
    (void)pthread_mutex_lock(&top->lock);
    assert(top->n_said < TOP_SAID_MAX);
    top->said[top->n_said++] = mem_strdup(line);
    (void)pthread_cond_broadcast(&top->more);
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_emit(struct fake_top *top, unsigned node, const char *kind, const char *text,
                   const char *more)
{
    (void)pthread_mutex_lock(&top->lock);
    top_emit(top, node, kind, "info", text, more);
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_burst(struct fake_top *top, unsigned n)
{
    (void)pthread_mutex_lock(&top->lock);
    for (; n > 0; n--)
        top_something(top);
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_set_rate(struct fake_top *top, double rate)
{
    (void)pthread_mutex_lock(&top->lock);
    assert(top->has_thread);
    top->options.rate = rate;
    (void)pthread_mutex_unlock(&top->lock);
}

void fake_top_lose(struct fake_top *top, unsigned node, unsigned n)
{
    (void)pthread_mutex_lock(&top->lock);
    top->nodes[node - 1].number += n;
    (void)pthread_mutex_unlock(&top->lock);
}

uint64_t fake_top_events(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    uint64_t n = top->end;
    (void)pthread_mutex_unlock(&top->lock);
    return n;
}

unsigned fake_top_followers(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    unsigned n = top->n_followers;
    (void)pthread_mutex_unlock(&top->lock);
    return n;
}

char *fake_top_last_change(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    char *change = mem_strdup(top->last_change);
    (void)pthread_mutex_unlock(&top->lock);
    return change;
}

unsigned fake_top_frames(struct fake_top *top)
{
    (void)pthread_mutex_lock(&top->lock);
    unsigned n = top->n_frames;
    (void)pthread_mutex_unlock(&top->lock);
    return n;
}

/* Reports */

static int top_pack(struct archive *a, struct buf *list, const char *name, const struct buf *data)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (int64_t)data->len);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    int rc = archive_write_header(a, entry);
    if (rc == ARCHIVE_OK && data->len > 0 && archive_write_data(a, data->data, data->len) < 0)
        rc = ARCHIVE_FATAL;
    archive_entry_free(entry);
    if (list != NULL)
        (void)buf_printf(list, "%s{\"name\":\"%s\",\"bytes\":%zu,\"xxh\":\"%016llx\"}",
                         list->data[list->len - 1] == '[' ? "" : ",", name, data->len,
                         (unsigned long long)XXH3_64bits(data->data, data->len));
    return rc == ARCHIVE_OK ? 0 : -1;
}

static void top_report_parts(struct fake_top *top, struct buf parts[4], unsigned frames)
{
    int64_t now_ms = clock_wall_ms();
    size_t len;
    for (unsigned i = 0; i < frames; i++) {
        int64_t at_ms = now_ms - (int64_t)(frames - 1 - i) * TOP_REPORT_STEP_MS;
        char *frame =
            frames == 1 ? mem_strdup(top->first_frame) : top_frame(top, at_ms, at_ms, &len);
        (void)buf_printf(&parts[0], "%s\n", frame);
        free(frame);
        char *vitals = top_vitals(top, at_ms, 1000, &len);
        (void)buf_append(&parts[2], vitals, len);
        free(vitals);
    }
    for (uint64_t pos = top->end > TOP_HISTORY ? top->end - TOP_HISTORY : 0; pos < top->end; pos++)
        (void)buf_printf(&parts[1], "%s\n", top->history[pos % TOP_HISTORY].line);
    (void)buf_append_str(&parts[3], "{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\",\"channel\":"
                                    "\"general\",\"from\":\"ann\",\"text\":\"hello\"}\n");
}

int fake_top_report(struct fake_top *top, const char *path, unsigned frames)
{
    static const char *const names[] = {"frames.jsonl", "events.jsonl", "vitals.jsonl",
                                        "messages.jsonl"};
    char at[CLOCK_RFC3339_MAX];
    struct buf parts[4], head;
    for (size_t i = 0; i < 4; i++)
        buf_init(&parts[i], TOP_FRAME_MAX);
    buf_init(&head, 1 << 20);
    (void)pthread_mutex_lock(&top->lock);
    top_report_parts(top, parts, frames);
    (void)pthread_mutex_unlock(&top->lock);
    struct archive *a = archive_write_new();
    (void)archive_write_add_filter_zstd(a);
    (void)archive_write_set_format_pax_restricted(a);
    int rc = archive_write_open_filename(a, path) == ARCHIVE_OK ? 0 : -1;
    (void)buf_printf(&head, "{\"format\":1,\"at\":\"%s\",\"version\":\"0.1.0\",\"members\":[",
                     clock_format_rfc3339(clock_wall_ms(), at));
    for (size_t i = 0; i < 4 && rc == 0; i++)
        rc = top_pack(a, &head, names[i], &parts[i]);
    (void)buf_append_str(&head, "]}");
    if (rc == 0)
        rc = top_pack(a, NULL, "report.json", &head);
    if (archive_write_close(a) != ARCHIVE_OK)
        rc = -1;
    (void)archive_write_free(a);
    for (size_t i = 0; i < 4; i++)
        buf_done(&parts[i]);
    buf_done(&head);
    return rc;
}
