/* What is told of statements (role/events.h): so many a second one by one, others only when they
 * take long or fail. Those that ended stay in the frames for a while. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/events.h"
#include "role/query_internal.h"

enum {
    QUERY_TELL_MAX = 50,   /* statements a second */
    QUERY_TELL_ENDED = 50, /* that ended and stay */
    QUERY_TELL_SQL_BYTES = 1024,
};

/* A statement that has ended. */
struct query_ended {
    char id[UUID_TEXT_MAX];
    size_t stages_n;
    STAILQ_ENTRY(query_ended) link;
};

struct query_events {
    STAILQ_HEAD(, query_ended) ended;
    unsigned ended_n;
    unsigned left; /* in this second */
    int64_t second;
};

static struct query_events *query_events(struct queries *role)
{
    if (role->events == NULL) {
        role->events = mem_zalloc(sizeof *role->events);
        STAILQ_INIT(&role->events->ended);
    }
    return role->events;
}

static bool query_may_tell(struct queries *role)
{
    struct query_events *events = query_events(role);
    int64_t second = loop_now_ms(node_loop(role->node)) / 1000;
    if (second != events->second)
        events->left = QUERY_TELL_MAX;
    events->second = second;
    if (events->left == 0)
        return false;
    events->left--;
    return true;
}

static json_t *query_row(const struct query *q, const char *state)
{
    int64_t wall_ms = loop_now_ms(node_loop(q->role->node)) - q->began_ms;
    size_t len = strnlen(q->text, QUERY_TELL_SQL_BYTES);
    char *text = mem_strndup(q->text, len);
    json_t *row = json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "query", q->id_text, "node",
        api_json_text(node_options(q->role->node)->name), "state", state, "sql",
        api_json_text(text), "user", api_json_text(q->user), "session", api_json_text(q->session),
        "began_at", api_json_time((uint64_t)(loop_wall_ms(node_loop(q->role->node)) - wall_ms)),
        "wall_ms", (json_int_t)wall_ms, "rows", (json_int_t)q->rows_out);
    free(text);
    return row;
}

static void query_tell(struct query *q)
{
    q->told = true;
    event_emit(q->role->node, EVENT_QUERY_BEGIN,
               EVENT_ABOUT(.node = node_options(q->role->node)->name, .by = q->user,
                           .key = q->id_text, .row = query_row(q, "running")),
               "%s runs a statement on %s: %.200s", q->user, node_options(q->role->node)->name,
               q->text);
}

void query_tell_begin(struct query *q)
{
    if (events_enabled(q->role->node) && query_may_tell(q->role))
        query_tell(q);
}

void query_tell_slow(struct query *q)
{
    if (events_enabled(q->role->node) && !q->told && !q->waiting)
        query_tell(q);
}

static void query_say_stage(struct query *q, const char *state, const char *what)
{
    const struct query_stage *stage = &q->stages[q->stage];
    bool ended = strcmp(state, "running") != 0;
    const char *node = node_options(q->role->node)->name;
    char *key = mem_printf("%s/%zu", q->id_text, q->stage + 1);
    json_t *row =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "query", q->id_text, "stage",
                  (json_int_t)(q->stage + 1), "state", state, "tasks", (json_int_t)stage->tasks_n,
                  "tasks_done", (json_int_t)stage->done_n, "rows", (json_int_t)stage->rows, "bytes",
                  (json_int_t)stage->bytes, "wall_ms", (json_int_t)(ended ? stage->wall_ms : 0));
    event_emit(q->role->node, EVENT_QUERY_STAGE, EVENT_ABOUT(.node = node, .key = key, .row = row),
               "stage %zu of %zu of %s %s: %zu tasks, %llu rows", q->stage + 1, q->plan.stages_n,
               q->id_text, what, stage->tasks_n, (unsigned long long)stage->rows);
    free(key);
}

void query_tell_stage(struct query *q, bool ended)
{
    if (q->told && events_enabled(q->role->node))
        query_say_stage(q, ended ? "completed" : "running", ended ? "has ended" : "begins");
}

/* A statement that ended long ago leaves the frames, with its stages. */
static void query_drop_ended(struct queries *role, unsigned keep)
{
    struct query_events *events = query_events(role);
    while (events->ended_n > keep) {
        struct query_ended *ended = STAILQ_FIRST(&events->ended);
        STAILQ_REMOVE_HEAD(&events->ended, link);
        events->ended_n--;
        for (size_t i = 1; i <= ended->stages_n; i++) {
            char *key = mem_printf("%s/%zu", ended->id, i);
            event_emit(role->node, EVENT_STATE_ROW,
                       EVENT_ABOUT(.table = "stages", .key = key, .gone = true), "stages %s is old",
                       key);
            free(key);
        }
        event_emit(role->node, EVENT_STATE_ROW,
                   EVENT_ABOUT(.table = "queries", .key = ended->id, .gone = true),
                   "queries %s is old", ended->id);
        free(ended);
    }
}

void query_tell_end(struct query *q, const char *why)
{
    struct queries *role = q->role;
    bool failed = q->code < 0 && q->code != ERR_CANCELLED;
    if (!events_enabled(role->node) || (!q->told && !(failed && query_may_tell(role))))
        return;
    const char *state = q->code == 0 ? "completed" : failed ? "failed" : "cancelled";
    json_t *row = query_row(q, state);
    json_object_set_new(row, "ended_at",
                        api_json_time((uint64_t)loop_wall_ms(node_loop(role->node))));
    if (q->code < 0)
        json_object_set_new(row, "code", json_string(err_name(q->code)));
    if (why != NULL)
        json_object_set_new(row, "text", api_json_text(why));
    const char *node = node_options(role->node)->name;
    if (q->told && q->code < 0 && q->stages != NULL && q->stages[q->stage].tasks_n > 0)
        query_say_stage(q, state, state);
    event_emit(
        role->node, failed ? EVENT_QUERY_FAIL : EVENT_QUERY_END,
        EVENT_ABOUT(.node = node, .by = q->user, .key = q->id_text, .cause = why, .row = row),
        "a statement of %s on %s is %s%s%.200s", q->user, node, state, why != NULL ? ": " : "",
        why != NULL ? why : "");
    struct query_ended *ended = mem_zalloc(sizeof *ended);
    memcpy(ended->id, q->id_text, sizeof ended->id);
    ended->stages_n = q->stages != NULL ? q->stage + 1 : 0;
    STAILQ_INSERT_TAIL(&query_events(role)->ended, ended, link);
    query_events(role)->ended_n++;
    q->told = false;
    query_drop_ended(role, QUERY_TELL_ENDED);
}

static void query_rows_now(void *arg, struct event_rows *rows, unsigned slice)
{
    struct queries *role = arg;
    struct query *q;
    (void)slice;
    TAILQ_FOREACH (q, &role->all, entry)
        if (q->told && !q->ended)
            event_rows_add(rows, q->id_text, query_row(q, "running"));
}

void query_events_start(struct queries *role)
{
    events_add_source(role->node,
                      &(struct event_source){
                          .table = "queries", .local = true, .fn = query_rows_now, .arg = role});
}

void query_events_free(struct queries *role)
{
    struct query_ended *ended;
    while (role->events != NULL && (ended = STAILQ_FIRST(&role->events->ended)) != NULL) {
        STAILQ_REMOVE_HEAD(&role->events->ended, link);
        free(ended);
    }
    free(role->events);
}
