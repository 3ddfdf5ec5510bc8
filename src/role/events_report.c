/* A report is being made: every node is asked for its configuration, the chat for its last
 * messages, then a worker writes it all; the reader gets the file.
 *
 * While nobody collects the state and what nobody collected come first (events_past.c,
 * events_read_part.c), and report.json says that it is a part. */
#include "role/events_report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"

enum {
    REPORT_ASK_MS = 3000,
    REPORT_MESSAGES_BYTES_MAX = 16 << 20,
    REPORT_EVENTS_MAX = 1000000, /* that nobody collected */
    REPORT_EVENTS_BYTES_MAX = 64 << 20,
};

struct events_report_job {
    struct events *events;
    struct events_report report;
    events_report_fn fn; /* NULL: nobody waits any more */
    void *arg;
    unsigned asked;               /* nodes that have not answered, and what else is awaited */
    struct events_past *past;     /* while nobody collects */
    struct events_reader *reader; /* the same */
    bool working;
    int fd;
    struct error error;
    TAILQ_ENTRY(events_report_job) link;
};

struct events_report_ask {
    struct events_report_job *job;
    uint64_t node;
};

static void report_free(struct events_report_job *job)
{
    if (job->events != NULL)
        TAILQ_REMOVE(&job->events->reports, job, link);
    events_report_done(&job->report);
    free(job);
}

static void report_on_work(void *arg)
{
    struct events_report_job *job = arg;
    job->fd = events_report_write(&job->report, &job->error);
}

static void report_on_written(void *arg, int code)
{
    struct events_report_job *job = arg;
    (void)code;
    if (job->fn != NULL)
        job->fn(job->arg, job->fd, job->fd < 0 ? &job->error : NULL);
    else if (job->fd >= 0)
        (void)close(job->fd);
    report_free(job);
}

static void report_go_on(struct events_report_job *job)
{
    if (job->asked > 0 || job->working)
        return;
    if (job->fn == NULL) {
        report_free(job);
        return;
    }
    job->working = true;
    (void)loop_work(node_loop(job->events->node), report_on_work, report_on_written, job);
}

/* ---- configurations -------------------------------------------------------------------------- */

/* The settings of a node as YAML: JSON strings are YAML too. */
static void report_take_settings(struct events_report *report, const char *node,
                                 const json_t *settings)
{
    struct buf yaml;
    char section[64] = "";
    const json_t *row;
    size_t i;
    buf_init(&yaml, 1 << 20);
    json_array_foreach(settings, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *dot = name != NULL ? strchr(name, '.') : NULL;
        char *value = json_dumps(json_object_get(row, "value"), JSON_ENCODE_ANY);
        if (dot != NULL && value != NULL && (size_t)(dot - name) < sizeof section) {
            if (strncmp(section, name, (size_t)(dot - name)) != 0 || section[dot - name] != '\0') {
                (void)snprintf(section, sizeof section, "%.*s", (int)(dot - name), name);
                (void)buf_printf(&yaml, "%s:\n", section);
            }
            (void)buf_printf(&yaml, "  %s: %s\n", dot + 1, value);
        }
        free(value);
    }
    MEM_GROW(report->configs, report->configs_cap, report->configs_n + 1);
    report->configs[report->configs_n++] =
        (struct events_report_config){.node = mem_strdup(node), .yaml = buf_steal(&yaml, &i)};
}

json_t *events_report_settings(const struct node *node)
{
    const struct node_options *options = node_options(node);
    json_t *rows = json_array();
    for (size_t i = 0; i < options->settings_n; i++)
        json_array_append_new(rows, json_pack("{s:s, s:o, s:s}", "name", options->settings[i].name,
                                              "value", api_json_text(options->settings[i].value),
                                              "description", options->settings[i].description));
    return rows;
}

static void report_on_settings(void *arg, int code, const ProtobufCMessage *message)
{
    struct events_report_ask *ask = arg;
    struct events_report_job *job = ask->job;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    const Wire__Node *member = node_member(job->events->node, ask->node);
    (void)code;
    if (reply != NULL && reply->status == 200 && member != NULL) {
        json_t *settings = json_loadb((char *)reply->body.data, reply->body.len, 0, NULL);
        report_take_settings(&job->report, member->name, settings);
        json_decref(settings);
    }
    free(ask);
    job->asked--;
    report_go_on(job);
}

static void report_ask_nodes(struct events_report_job *job)
{
    struct node *node = job->events->node;
    const Wire__Members *members = node_members(node);
    json_t *own = events_report_settings(node);
    report_take_settings(&job->report, node_options(node)->name, own);
    json_decref(own);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        MEM_GROW(job->report.names, job->report.names_cap, job->report.names_n + 1);
        job->report.names[job->report.names_n++] =
            (struct events_report_name){member->id, mem_strdup(member->name)};
        if (member->removed || member->poll || member->id == node_id(node) ||
            node_session(node, member->id) == 0)
            continue;
        Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
        struct events_report_ask *ask = mem_zalloc(sizeof *ask);
        ask->job = job;
        ask->node = member->id;
        request.method = (char *)(uintptr_t) "GET";
        request.path = (char *)(uintptr_t) "/api/settings";
        request.user = (char *)(uintptr_t) "report";
        request.here = true;
        request.hops = 1;
        job->asked++;
        (void)node_call(node, member->id, WIRE_API_REQUEST, &request.base, false, REPORT_ASK_MS,
                        report_on_settings, ask);
    }
}

/* ---- while nobody collects ------------------------------------------------------------------- */

static void report_on_past(void *arg, char *text, size_t len, const struct error *e,
                           const char *hint)
{
    struct events_report_job *job = arg;
    (void)hint;
    job->past = NULL;
    if (text != NULL) {
        job->report.frame = text;
        job->report.frame_len = len;
    } else {
        log_warn(LOG_ABOUT(.role = "events", .code = e->code), "a report is without a state: %s",
                 e->text);
    }
    job->asked--;
    report_go_on(job);
}

static void report_on_event(void *arg, const char *json, size_t len, uint64_t position)
{
    struct events_report_job *job = arg;
    (void)position;
    if (buf_append(&job->report.events, json, len) < 0 ||
        buf_append_byte(&job->report.events, '\n') < 0)
        job->report.events_lost++;
}

static void report_on_read(void *arg, const struct error *e)
{
    struct events_report_job *job = arg;
    (void)e;
    job->reader = NULL;
    job->asked--;
    report_go_on(job);
}

/* Everything is awaited before `asked` can fall to 0. */
static void report_ask_partial(struct events_report_job *job)
{
    struct events *events = job->events;
    struct events_report *report = &job->report;
    char since[CLOCK_RFC3339_MAX];
    struct error e;
    struct events_query query = {
        .has_since = true,
        .since_ms = report->since_ms,
        .target =
            mem_printf("/api/events?since=%s",
                       clock_format_rfc3339(report->since_ms > 0 ? report->since_ms : 1000, since)),
        .uncollected = true,
        .level = LOG_LEVEL_DEBUG,
        .limit = REPORT_EVENTS_MAX};
    struct events_out out = {.event = report_on_event, .end = report_on_read, .arg = job};
    report->partial = events_dark_json(events);
    nodeset_init(&query.nodes);
    job->reader = events_reader_new(events, &query, &out);
    job->past = events_past_start(events, report->now_ms, report_on_past, job, &e);
    job->asked += 1 + (job->past != NULL);
}

/* ---- begin and end --------------------------------------------------------------------------- */

struct events_report_job *events_report_start(struct events *events, int64_t since_ms,
                                              events_report_fn fn, void *arg)
{
    const struct node_options *options = node_options(events->node);
    struct events_report_job *job = mem_zalloc(sizeof *job);
    struct events_report *report = &job->report;
    job->events = events;
    job->fn = fn;
    job->arg = arg;
    job->fd = -1;
    TAILQ_INSERT_TAIL(&events->reports, job, link);
    report->path = mem_printf("%s/events.db", options->data_dir);
    report->dir = mem_strdup(options->data_dir);
    report->cluster_id = mem_strdup(node_cluster_id(events->node));
    report->node = mem_strdup(options->name);
    report->version = mem_strdup(options->version);
    report->now_ms = loop_wall_ms(node_loop(events->node));
    report->since_ms = since_ms;
    buf_init(&report->messages, REPORT_MESSAGES_BYTES_MAX);
    buf_init(&report->events, REPORT_EVENTS_BYTES_MAX);
    if (events->collecting)
        report->frame = events_frame_text(events, &report->frame_len);
    else
        report_ask_partial(job);
    if (events->messages.fn != NULL)
        events->messages.fn(events->messages.arg, &report->messages);
    report_ask_nodes(job);
    if (job->asked == 0) {
        job->working = true; /* never called from within */
        (void)loop_work(node_loop(events->node), report_on_work, report_on_written, job);
    }
    return job;
}

/* What a worker has is freed when it is done. */
void events_reports_end(struct events *events)
{
    struct events_report_job *job;
    while ((job = TAILQ_FIRST(&events->reports)) != NULL) {
        TAILQ_REMOVE(&events->reports, job, link);
        job->events = NULL;
        job->fn = NULL;
        if (job->past != NULL)
            events_past_cancel(job->past);
        if (job->reader != NULL)
            events_reader_free(job->reader);
        if (!job->working) {
            events_report_done(&job->report);
            free(job); /* nobody is asked any more: the node is gone */
        }
    }
}

void events_report_cancel(struct events_report_job *job)
{
    job->fn = NULL;
}
