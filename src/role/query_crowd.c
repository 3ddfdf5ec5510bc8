/* INSERTs of a few rows into one table, by one user, that come while the files of another one are
 * being written, wait for it and then go together: one snapshot, one task, one commit. So a crowd
 * of writers makes few files and few versions, and is not slower the larger it is; a single writer
 * never waits.
 *
 * Happy path: the first statement goes by itself. When its files are written, those that wait
 * become parts of one task of a carrier, a query that no client asked for; the next ones begin when
 * its files are written, while its commit is on its way. Each statement answers with its own rows.
 *
 * Each fails alone: what doesn't fit the table, or what the executor says of its part. One that is
 * cancelled before the commit takes its rows with it: the files are given up, the others go again.
 * A carrier that fails before its commit, for whatever reason, leaves each of its statements to go
 * by itself; one whose commit fails is the failure of all. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/query_internal.h"

enum {
    QUERY_CROWD_TEXT_BYTES_MAX = 64 * 1024, /* of a statement that goes with others */
    QUERY_CROWD_BYTES_MAX = 1024 * 1024,    /* of all that go together */
    QUERY_CROWD_STATEMENTS_MAX = 256,       /* that go together */
    QUERY_CROWD_REGROUPED_MAX = 3,          /* then it goes by itself */
};

/* The statements of one user for one table. */
struct query_crowd {
    struct queries *role;
    char *table;
    char *user;
    struct query *busy; /* whose files are being written; NULL: none */
    TAILQ_HEAD(, query) waiting;
    struct loop_hook hook;
    TAILQ_ENTRY(query_crowd) entry;
};

struct query_group {
    struct query *carrier;
    struct query **members; /* NULL: it has left */
    size_t n;
};

/* ---- crowds ---------------------------------------------------------------------------------- */

static void query_crowd_on_hook(void *arg);

static struct query_crowd *query_crowd_get(struct query *q)
{
    struct query_crowd *crowd;
    char *name = query_table_name(q->statement.table.schema, q->statement.table.name);
    TAILQ_FOREACH (crowd, &q->role->crowds, entry) {
        if (strcasecmp(crowd->table, name) == 0 && strcmp(crowd->user, q->user) == 0) {
            free(name);
            return crowd;
        }
    }
    crowd = mem_zalloc(sizeof *crowd);
    crowd->role = q->role;
    crowd->table = name;
    crowd->user = mem_strdup(q->user);
    TAILQ_INIT(&crowd->waiting);
    loop_hook_init(&crowd->hook, node_loop(q->role->node), LOOP_PHASE_DEFER, query_crowd_on_hook,
                   crowd);
    TAILQ_INSERT_TAIL(&q->role->crowds, crowd, entry);
    return crowd;
}

static void query_crowd_free(struct query_crowd *crowd)
{
    TAILQ_REMOVE(&crowd->role->crowds, crowd, entry);
    loop_hook_disarm(&crowd->hook);
    free(crowd->table);
    free(crowd->user);
    free(crowd);
}

bool query_crowd_take(struct query *q)
{
    const struct sql_statement *s = &q->statement;
    if (s->kind != SQL_INSERT || s->by_name || q->values.rows == 0 ||
        strlen(s->query.text) > QUERY_CROWD_TEXT_BYTES_MAX)
        return false;
    struct query_crowd *crowd = query_crowd_get(q);
    q->crowd = crowd;
    if (crowd->busy == NULL && TAILQ_EMPTY(&crowd->waiting)) {
        crowd->busy = q;
        query_insert(q);
    } else {
        TAILQ_INSERT_TAIL(&crowd->waiting, q, crowd_entry);
    }
    return true;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* The statement goes its own way. */
static struct query *query_group_release(struct query_group *group, size_t i)
{
    struct query *member = group->members[i];
    group->members[i] = NULL;
    if (member != NULL)
        member->group = NULL;
    return member;
}

/* The carrier is freed at the end of the turn. */
static void query_group_end(struct query_group *group)
{
    struct query *carrier = group->carrier;
    query_stop(carrier);
    carrier->carries = NULL;
    loop_hook_arm(&carrier->hook);
    free(group->members);
    free(group);
}

/* Nothing of it is committed: each of its statements begins anew, with others or by itself. */
static void query_group_give_up(struct query_group *group, bool alone)
{
    struct query_crowd *crowd = group->carrier->crowd;
    for (size_t i = group->n; i > 0; i--) {
        struct query *member = query_group_release(group, i - 1);
        if (member == NULL)
            continue;
        member->regrouped = alone ? QUERY_CROWD_REGROUPED_MAX : member->regrouped + 1;
        member->crowd = crowd;
        TAILQ_INSERT_HEAD(&crowd->waiting, member, crowd_entry);
    }
    query_group_end(group);
}

/* A statement has ended, by itself or by its client. */
static void query_group_leave(struct query *q)
{
    struct query_group *group = q->group;
    for (size_t i = 0; i < group->n; i++)
        if (group->members[i] == q)
            (void)query_group_release(group, i);
    if (group->carrier->crowd != NULL)
        query_group_give_up(group, false);
}

static void query_group_on_end(struct query *carrier, int code, const char *hint, const char *text)
{
    struct query_group *group = carrier->carries;
    bool is_found = carrier->target_table.view != NULL;
    carrier->code = code;
    if (code < 0 && carrier->crowd != NULL && is_found) {
        query_group_give_up(group, true);
        return;
    }
    for (size_t i = 0; i < group->n; i++) {
        struct query *member = query_group_release(group, i);
        if (member == NULL)
            continue;
        member->affected = member->values.rows;
        member->target.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE;
        if (code == 0)
            query_done(member);
        else
            query_fail(member, code, is_found ? SQL_AT_NONE : member->statement.table.at, hint,
                       "%s", text);
    }
    query_group_end(group);
}

bool query_is_committing(const struct query *q)
{
    return q->may_be_committed || (q->group != NULL && q->group->carrier->may_be_committed);
}

void query_crowd_parts(const struct query *carrier, Wire__SqlFragment *fragment)
{
    const struct query_group *group = carrier->carries;
    fragment->parts = mem_calloc(group->n + 1, sizeof *fragment->parts);
    for (size_t i = 0; i < group->n; i++)
        fragment->parts[fragment->n_parts++] = mem_strdup(group->members[i]->source);
}

/* Statements that failed leave; the rows of the others, SIZE_MAX when the executor says something
 * else than they do. */
static size_t query_group_judge(struct query_group *group, const Wire__SqlTaskDone *done)
{
    size_t rows = 0;
    if (done->n_parts != group->n)
        return SIZE_MAX;
    for (size_t i = 0; i < group->n; i++) {
        if (done->parts[i]->error == NULL)
            rows += group->members[i]->values.rows;
        else
            query_fail_wire(query_group_release(group, i), done->parts[i]->error);
    }
    return rows == done->rows ? rows : SIZE_MAX;
}

static void query_group_written(struct query *carrier)
{
    size_t rows = query_group_judge(carrier->carries, carrier->stages[0].tasks[0].result);
    if (rows == SIZE_MAX)
        query_fail(carrier, ERR_INTERNAL, SQL_AT_NONE, NULL, "the executor counts other rows");
    else
        query_commit(carrier);
}

/* Those that don't fit the table fail; the others move together. */
static void query_group_compose(struct query_group *group)
{
    size_t n = group->n;
    group->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct query *member = group->members[i];
        member->group = NULL;
        group->members[i] = NULL;
        if (!query_insert_compose_values(member, &group->carrier->target_table))
            continue;
        member->group = group;
        group->members[group->n++] = member;
    }
}

static void query_group_planned(struct query *carrier)
{
    query_run(carrier, query_group_written);
}

/* The table is known. */
static void query_group_run(struct query *carrier)
{
    struct query_group *group = carrier->carries;
    query_group_compose(group);
    if (group->n == 0) {
        query_group_end(group);
        return;
    }
    carrier->source = mem_strdup("");
    query_into_table(carrier);
    query_plan(carrier, SIZE_MAX, query_group_planned);
}

/* Takes as many as go together from those that wait; the first that must go by itself ends it. */
static struct query_group *query_group_take(struct query_crowd *crowd)
{
    struct query_group *group = mem_zalloc(sizeof *group);
    size_t bytes = 0;
    struct query *q;
    group->members = mem_calloc(QUERY_CROWD_STATEMENTS_MAX, sizeof(struct query *));
    while ((q = TAILQ_FIRST(&crowd->waiting)) != NULL && group->n < QUERY_CROWD_STATEMENTS_MAX) {
        bytes += strlen(q->statement.query.text);
        bool is_alone = q->regrouped >= QUERY_CROWD_REGROUPED_MAX;
        if (group->n > 0 && (bytes > QUERY_CROWD_BYTES_MAX || is_alone))
            break;
        TAILQ_REMOVE(&crowd->waiting, q, crowd_entry);
        group->members[group->n++] = q;
        if (is_alone)
            break;
    }
    return group;
}

static void query_crowd_begin_group(struct query_crowd *crowd, struct query_group *group)
{
    group->carrier = query_new_carrier(group->members[0], query_group_on_end);
    group->carrier->carries = group;
    group->carrier->crowd = crowd;
    crowd->busy = group->carrier;
    for (size_t i = 0; i < group->n; i++) {
        group->members[i]->crowd = NULL;
        group->members[i]->group = group;
        trace_text(group->members[i]->span, "clusterd.query.group", group->carrier->id_text);
    }
    query_snapshot(group->carrier, crowd->table, &group->carrier->target_table, query_group_run);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void query_crowd_on_hook(void *arg)
{
    struct query_crowd *crowd = arg;
    if (crowd->busy != NULL)
        return;
    if (TAILQ_EMPTY(&crowd->waiting)) {
        query_crowd_free(crowd);
        return;
    }
    struct query_group *group = query_group_take(crowd);
    if (group->n > 1) {
        query_crowd_begin_group(crowd, group);
        return;
    }
    crowd->busy = group->members[0];
    query_insert(group->members[0]);
    free(group->members);
    free(group);
}

void query_crowd_leave(struct query *q)
{
    struct query_crowd *crowd = q->crowd;
    if (q->group != NULL)
        query_group_leave(q);
    if (crowd == NULL)
        return;
    q->crowd = NULL;
    if (crowd->busy == q)
        crowd->busy = NULL;
    else
        TAILQ_REMOVE(&crowd->waiting, q, crowd_entry);
    loop_hook_arm(&crowd->hook);
}

void query_crowds_free(struct queries *role)
{
    struct query *carrier, *next;
    for (carrier = TAILQ_FIRST(&role->carriers); carrier != NULL; carrier = next) {
        next = TAILQ_NEXT(carrier, entry);
        struct query_group *group = carrier->carries;
        for (size_t i = 0; group != NULL && i < group->n; i++)
            (void)query_group_release(group, i);
        if (group != NULL)
            query_group_end(group);
        query_free(carrier);
    }
    struct query_crowd *crowd;
    while ((crowd = TAILQ_FIRST(&role->crowds)) != NULL)
        query_crowd_free(crowd);
}
