#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/overview.h"
#include "tui/view_rows.h"

static void problem_add(struct overview *o, bool is_bad, int64_t since_ms, const struct view *view,
                        const struct model_row *row, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

static void problem_add(struct overview *o, bool is_bad, int64_t since_ms, const struct view *view,
                        const struct model_row *row, const char *where, const char *fmt, ...)
{
    if (o->n == OVERVIEW_PROBLEMS_MAX)
        return;
    struct overview_problem *problem = &o->problems[o->n++];
    *problem = (struct overview_problem){.is_bad = is_bad, .since_ms = since_ms, .view = view};
    (void)snprintf(problem->key, sizeof problem->key, "%s", row != NULL ? model_row_key(row) : "");
    (void)snprintf(problem->where, sizeof problem->where, "%s", where);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(problem->what, sizeof problem->what, fmt, args);
    va_end(args);
}

/* A place for one more failure of a kind: that of the oldest when there are enough of newer ones.
 */
static bool problem_admit(struct overview *o, enum overview_failures kind, int64_t since_ms)
{
    struct overview_problem *oldest = NULL;
    size_t n = 0;
    int64_t *first_ms = &o->failures_since_ms[kind];
    *first_ms = o->n_failures[kind] == 0 || since_ms < *first_ms ? since_ms : *first_ms;
    o->n_failures[kind]++;
    for (size_t i = 0; i < o->n; i++) {
        if (o->problems[i].failure != kind)
            continue;
        n++;
        if (oldest == NULL || o->problems[i].since_ms < oldest->since_ms)
            oldest = &o->problems[i];
    }
    if (n < OVERVIEW_FAILURES_MAX)
        return o->n < OVERVIEW_PROBLEMS_MAX;
    if (oldest->since_ms >= since_ms)
        return false;
    *oldest = o->problems[--o->n];
    return true;
}

static void problem_add_rest(struct overview *o, enum overview_failures kind,
                             const struct view *view, const char *what)
{
    size_t n = o->n_failures[kind];
    if (n <= OVERVIEW_FAILURES_MAX || o->n == OVERVIEW_PROBLEMS_MAX)
        return;
    struct overview_problem *problem = &o->problems[o->n++];
    *problem =
        (struct overview_problem){.since_ms = o->failures_since_ms[kind], .view = view, .key = ""};
    (void)snprintf(problem->where, sizeof problem->where, "%s", view->name);
    (void)snprintf(problem->what, sizeof problem->what, "%zu more %s have failed since then",
                   n - OVERVIEW_FAILURES_MAX, what);
}

/* A process that began anew is worth a look, also when it is well again. */
static void problem_restart(struct overview *o, const struct model_row *row, int64_t at_ms)
{
    int64_t started_ms = model_row_time(row, "started_at");
    int64_t joined_ms = model_row_time(row, "joined_at");
    if (started_ms == 0 || started_ms > at_ms || at_ms - started_ms > OVERVIEW_RESTART_MS ||
        started_ms - joined_ms < 10000)
        return;
    problem_add(o, false, started_ms, &view_nodes, row, model_row_key(row),
                "has started anew, as process %lld", (long long)model_row_int(row, "pid", 0));
}

static void problem_node(struct overview *o, const struct model_row *row, int64_t at_ms)
{
    const char *word = model_row_text(row, "state");
    const char *name = model_row_key(row);
    int64_t seen_ms = model_row_time(row, "last_seen");
    const char *reason = model_row_text(row, "drain_reason");
    if (strcmp(word, "offline") == 0)
        problem_add(o, true, seen_ms, &view_nodes, row, name, "offline: not heard of");
    else if (strcmp(word, "suspect") == 0)
        problem_add(o, false, seen_ms, &view_nodes, row, name,
                    "suspect: its heartbeats are missing");
    else if (strcmp(word, "draining") == 0 || strcmp(word, "drained") == 0)
        problem_add(o, false, 0, &view_nodes, row, name, "%s: gets no new work%s%s", word,
                    reason[0] != '\0' ? ", " : "", reason);
    else
        problem_restart(o, row, at_ms);
    double total = model_row_real(row, "disk_total_bytes", 0);
    double available = model_row_real(row, "disk_free_bytes", total);
    if (total > 0 && available < total * 0.05)
        problem_add(o, available < total * 0.01, 0, &view_nodes, row, name,
                    "the disk is %.0f%% full", 100 * (1 - available / total));
}

static void problem_election(struct overview *o, const struct model_row *row)
{
    if (model_row_text(row, "leader")[0] != '\0')
        return;
    const char *reason = model_row_text(row, "reason");
    problem_add(o, true, model_row_time(row, "since"), &view_elections, row, model_row_key(row),
                "nobody leads, nothing can be changed%s%s", reason[0] != '\0' ? ": " : "", reason);
}

static void problem_replica(struct overview *o, const struct model_row *row)
{
    int64_t lag = model_row_int(row, "lag", 0);
    if (lag > OVERVIEW_LAG_MAX)
        problem_add(o, false, 0, &view_elections, row, model_row_key(row),
                    "its replica of the cluster's state is %lld entries behind", (long long)lag);
}

static void problem_job(struct overview *o, const struct model_row *row, int64_t at_ms)
{
    const char *word = model_row_text(row, "state");
    const char *name = model_row_text(row, "name");
    const char *reason = model_row_text(row, "reason");
    char id[VIEW_SHORT_MAX];
    char where[96];
    int64_t ended_ms = model_row_time(row, "ended_at");
    int64_t began_ms = model_row_time(row, "submitted_at");
    (void)snprintf(where, sizeof where, "job %.32s",
                   name[0] != '\0' ? name : view_short_id(model_row_key(row), id));
    bool has_failed = strcmp(word, "failed") == 0 && at_ms - ended_ms < OVERVIEW_RECENT_MS;
    if (has_failed && problem_admit(o, OVERVIEW_JOB_FAILURES, ended_ms)) {
        problem_add(o, false, ended_ms, &view_jobs, row, where, "failed%s%s",
                    reason[0] != '\0' ? ": " : "", reason);
        o->problems[o->n - 1].failure = OVERVIEW_JOB_FAILURES;
    } else if (strcmp(word, "running") == 0 && model_row_int(row, "failed", 0) > 0)
        problem_add(o, false, model_row_time(row, "started_at"), &view_jobs, row, where,
                    "%lld of its %lld elements have failed",
                    (long long)model_row_int(row, "failed", 0),
                    (long long)model_row_int(row, "elements", 0));
    else if (strcmp(word, "pending") == 0 && at_ms - began_ms > OVERVIEW_PENDING_MS &&
             reason[0] != '\0')
        problem_add(o, false, began_ms, &view_jobs, row, where, "waits: %s", reason);
}

static void problem_query(struct overview *o, const struct model_row *row, int64_t at_ms)
{
    int64_t ended_ms = model_row_time(row, "ended_at");
    const char *text = model_row_text(row, "text");
    char id[VIEW_SHORT_MAX];
    char where[96];
    if (strcmp(model_row_text(row, "state"), "failed") != 0 || ended_ms == 0 ||
        at_ms - ended_ms > OVERVIEW_RECENT_MS / 6 ||
        !problem_admit(o, OVERVIEW_QUERY_FAILURES, ended_ms))
        return;
    (void)snprintf(where, sizeof where, "query %s", view_short_id(model_row_key(row), id));
    problem_add(o, false, ended_ms, &view_queries, row, where, "failed%s%s",
                text[0] != '\0' ? ": " : "", text);
    o->problems[o->n - 1].failure = OVERVIEW_QUERY_FAILURES;
}

static void problem_rollout(struct overview *o, const struct model_row *row, int64_t at_ms)
{
    const char *word = model_row_text(row, "state");
    const char *text = model_row_text(row, "text");
    int64_t since_ms = model_row_time(row, "since");
    char where[96];
    bool is_ended = strcmp(word, "aborted") == 0 || strcmp(word, "rolled_back") == 0;
    bool is_held = strcmp(word, "paused") == 0 || strcmp(word, "frozen") == 0 ||
                   strcmp(word, "reverting") == 0;
    if (!is_held && !(is_ended && at_ms - since_ms < OVERVIEW_RECENT_MS))
        return;
    (void)snprintf(where, sizeof where, "rollout %.40s", model_row_key(row));
    problem_add(o, false, since_ms, &view_rollouts, row, where, "%s%s%s", word,
                text[0] != '\0' ? ": " : "", text);
}

static void problem_transaction(struct overview *o, const struct model_row *row)
{
    int64_t age_ms = model_row_int(row, "age_ms", 0);
    const char *word = model_row_text(row, "state");
    if (strcmp(word, "prepared") != 0 && strcmp(word, "in_doubt") != 0 &&
        strcmp(word, "in doubt") != 0)
        return;
    char id[VIEW_SHORT_MAX];
    char where[96];
    (void)snprintf(where, sizeof where, "transaction %s", view_short_id(model_row_key(row), id));
    problem_add(o, age_ms > 10000, model_row_time(row, "since"), &view_rollouts, row, where,
                "%s waits for a decision", model_row_text(row, "node"));
}

static void problem_route(struct overview *o, const struct model_row *row)
{
    const char *error = model_row_text(row, "error");
    const char *because = model_row_text(row, "out_because");
    if (error[0] != '\0')
        problem_add(o, false, 0, &view_rollouts, row, model_row_key(row), "%s", error);
    else if (because[0] != '\0')
        problem_add(o, false, 0, &view_rollouts, row, model_row_key(row), "out of rotation: %s",
                    because);
}

static void problem_chat(struct overview *o, const struct model_row *row)
{
    const char *word = model_row_text(row, "state");
    if (word[0] == '\0' || strcmp(word, "online") == 0)
        return;
    char where[96];
    (void)snprintf(where, sizeof where, "chat on %.48s", model_row_key(row));
    problem_add(o, strcmp(word, "offline") != 0, 0, &view_chat, row, where, "%s", word);
}

static int problem_compare(const void *a, const void *b)
{
    const struct overview_problem *one = a;
    const struct overview_problem *two = b;
    if (one->is_bad != two->is_bad)
        return one->is_bad ? -1 : 1;
    if (one->since_ms != two->since_ms)
        return one->since_ms > two->since_ms ? -1 : 1;
    int rc = strcmp(one->where, two->where);
    return rc != 0 ? rc : strcmp(one->what, two->what);
}

/* Lost events are told where they are missing, in the log. */
static void problem_gaps(struct overview *o, const struct model *model)
{
    uint64_t left_out = model_left_out(model);
    if (model_malformed(model) > 0)
        problem_add(o, false, 0, &view_logs, NULL, "clustertop", "%llu unreadable: %s",
                    (unsigned long long)model_malformed(model), model_complaint(model));
    if (left_out > 0)
        problem_add(o, false, 0, &view_logs, NULL, "clustertop",
                    "not all is shown: %llu row%s or changes past a bound were left out",
                    (unsigned long long)left_out, left_out == 1 ? "" : "s");
}

void overview_find_problems(struct overview *o, const struct model *model)
{
    const struct model_state *state = model_state(model);
    int64_t at_ms = model_at_ms(model);
    o->n = 0;
    memset(o->n_failures, 0, sizeof o->n_failures);
    for (enum model_table table = 0; table < MODEL_TABLES; table++) {
        for (size_t i = 0; i < model_state_count(state, table); i++) {
            const struct model_row *row = model_state_at(state, table, i);
            if (table == MODEL_NODES)
                problem_node(o, row, at_ms);
            else if (table == MODEL_ELECTIONS)
                problem_election(o, row);
            else if (table == MODEL_RAFT)
                problem_replica(o, row);
            else if (table == MODEL_JOBS)
                problem_job(o, row, at_ms);
            else if (table == MODEL_QUERIES)
                problem_query(o, row, at_ms);
            else if (table == MODEL_ROLLOUTS)
                problem_rollout(o, row, at_ms);
            else if (table == MODEL_TRANSACTIONS)
                problem_transaction(o, row);
            else if (table == MODEL_ROUTING)
                problem_route(o, row);
            else if (table == MODEL_CHAT)
                problem_chat(o, row);
            else
                break;
        }
    }
    problem_gaps(o, model);
    problem_add_rest(o, OVERVIEW_JOB_FAILURES, &view_jobs, "jobs");
    problem_add_rest(o, OVERVIEW_QUERY_FAILURES, &view_queries, "statements");
    if (o->n > 1)
        qsort(o->problems, o->n, sizeof *o->problems, problem_compare);
}
