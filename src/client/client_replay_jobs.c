/* Jobs and their tasks as a report tells of them. A report has no table of tasks: their events make
 * one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/client_replay_internal.h"
#include "client/client_rows.h"

enum { CLIENT_REPLAY_JOB_CHARS_MIN = 4 };

static int client_replay_compare_seq(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "seq"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "seq"));
    return x < y ? 1 : x > y ? -1 : 0;
}

json_t *client_replay_jobs(const struct client_replay *replay)
{
    json_t *rows = client_replay_rows(replay, "jobs");
    client_rows_sort(rows, client_replay_compare_seq);
    return rows;
}

void client_replay_ask_jobs(struct client_replay_answer *answer)
{
    static const char *const fields[] = {"state", "user", "name"};
    const char *after = http_target_query(&answer->target, "after");
    json_t *rows = client_replay_jobs(answer->replay);
    uint64_t seq = UINT64_MAX;
    for (size_t i = 0; i < MEM_COUNT(fields); i++)
        client_replay_keep(rows, fields[i], http_target_query(&answer->target, fields[i]));
    if (after != NULL && str_parse_u64(after, 0, UINT64_MAX, &seq) == 0) {
        while (json_array_size(rows) > 0 &&
               (uint64_t)json_integer_value(json_object_get(json_array_get(rows, 0), "seq")) >= seq)
            (void)json_array_remove(rows, 0);
    }
    client_replay_cut(rows, client_replay_limit(answer, CLIENT_REPLAY_ROWS_MAX));
    client_replay_give(answer, rows);
}

/* The job of the path: a UUID, a unique beginning of one, each also with "_ELEMENT", or last. NULL
 * when the answer says what is wrong. */
static json_t *client_replay_job(struct client_replay_answer *answer)
{
    const char *id = answer->target.segments[2];
    size_t len = strcspn(id, "_");
    bool is_last = strcmp(id, "last") == 0;
    json_t *rows = client_replay_jobs(answer->replay);
    json_t *found = NULL;
    size_t i, n = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (is_last ? i == 0
                    : len >= CLIENT_REPLAY_JOB_CHARS_MIN &&
                          strncmp(client_replay_text(row, "id"), id, len) == 0) {
            found = row;
            n++;
        }
    }
    json_incref(found);
    json_decref(rows);
    if (n == 1)
        return found;
    json_decref(found);
    if (n > 1)
        client_replay_fail(answer, ERR_CONFLICT, "give more of it",
                           "%zu jobs have an id that begins with %s", n, id);
    else
        client_replay_fail(answer, ERR_NOT_FOUND, "job list shows the jobs of that time",
                           "no job %s", id);
    return NULL;
}

void client_replay_ask_job(struct client_replay_answer *answer)
{
    json_t *job = client_replay_job(answer);
    if (job != NULL)
        client_replay_give(answer, job);
}

void client_replay_ask_wait(struct client_replay_answer *answer)
{
    json_t *job = client_replay_job(answer);
    const json_t *ended = json_object_get(job, "ended_at");
    if (job == NULL)
        return;
    if (json_is_string(ended)) {
        client_replay_give(answer, job);
        return;
    }
    client_replay_fail(answer, ERR_UNSUPPORTED, "\\at TIME or --at goes to a later moment",
                       "job %s is %s at this moment of the replay, where nothing goes on",
                       client_replay_text(job, "id"), client_replay_text(job, "state"));
    json_decref(job);
}

/* Tasks */

/* Times of an attempt are those of the events that told of it. */
static void client_replay_time_task(json_t *row, const json_t *event)
{
    const char *state = client_replay_text(row, "state");
    const char *key = strcmp(state, "assigned") == 0  ? "assigned_at"
                      : strcmp(state, "running") == 0 ? "started_at"
                                                      : "ended_at";
    if (state[0] != '\0' && json_object_get(row, key) == NULL)
        (void)json_object_set(row, key, json_object_get(event, "at"));
}

static bool client_replay_is_active(const json_t *row)
{
    const char *state = client_replay_text(row, "state");
    return strcmp(state, "assigned") == 0 || strcmp(state, "running") == 0;
}

/* "ID_INDEX" with the attempt: what a row of a task is found by. */
static char *client_replay_task_key(const json_t *row, bool all_attempts)
{
    json_int_t attempt = json_integer_value(json_object_get(row, "attempt"));
    return mem_printf("%s %lld", client_replay_text(row, "id"),
                      all_attempts ? (long long)attempt : 0);
}

static void client_replay_take_task(json_t *by_key, const json_t *event, const char *job,
                                    enum client_replay_attempts attempts)
{
    json_t *row = json_object_get(event, "row");
    if (strcmp(client_replay_text(event, "table"), "tasks") != 0 || !json_is_object(row) ||
        (job != NULL && strcmp(client_replay_text(row, "job"), job) != 0))
        return;
    char *key = client_replay_task_key(row, attempts == CLIENT_REPLAY_ALL);
    json_t *known = json_object_get(by_key, key);
    if (known != NULL &&
        json_equal(json_object_get(known, "attempt"), json_object_get(row, "attempt"))) {
        (void)json_object_update(known, row);
    } else {
        known = json_copy(row);
        (void)json_object_set_new(by_key, key, known);
    }
    client_replay_time_task(known, event);
    if (attempts == CLIENT_REPLAY_ACTIVE && !client_replay_is_active(known))
        (void)json_object_del(by_key, key);
    free(key);
}

json_t *client_replay_tasks(const struct client_replay *replay, const char *job,
                            enum client_replay_attempts attempts)
{
    const struct replay_part *events = &replay->archive->parts[REPLAY_EVENTS];
    struct client_replay_lines lines = {0};
    json_t *by_key = json_object();
    json_t *rows = json_array();
    client_replay_find_lines(replay, INT64_MIN, replay->at_ms, job != NULL ? job : "\"tasks\"",
                             &lines);
    for (size_t i = 0; i < lines.n; i++) {
        size_t offset = lines.all[i].offset, len;
        const char *line = replay_part_line(events, &offset, &len);
        json_t *event = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
        client_replay_take_task(by_key, event, job, attempts);
        json_decref(event);
    }
    free(lines.all);
    const char *key;
    json_t *row;
    json_object_foreach(by_key, key, row)(void) json_array_append(rows, row);
    json_decref(by_key);
    return rows;
}

static int client_replay_compare_index(const void *a, const void *b)
{
    static const char *const keys[] = {"index", "attempt"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++) {
        json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, keys[i]));
        json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, keys[i]));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

void client_replay_ask_tasks(struct client_replay_answer *answer)
{
    const char *attempts = http_target_query(&answer->target, "attempts");
    const char *after_text = http_target_query(&answer->target, "after");
    json_t *job = client_replay_job(answer);
    int64_t after = -1;
    if (job == NULL)
        return;
    bool wants_all = attempts != NULL && strcmp(attempts, "all") == 0;
    json_t *tasks = client_replay_tasks(answer->replay, client_replay_text(job, "id"),
                                        wants_all ? CLIENT_REPLAY_ALL : CLIENT_REPLAY_LAST);
    json_decref(job);
    client_replay_keep(tasks, "state", http_target_query(&answer->target, "state"));
    if (after_text != NULL)
        (void)str_parse_i64(after_text, 0, INT64_MAX, &after);
    client_rows_sort(tasks, client_replay_compare_index);
    uint64_t limit = client_replay_limit(answer, UINT64_MAX);
    json_t *rows = json_array();
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        if (json_integer_value(json_object_get(task, "index")) > after &&
            json_array_size(rows) < limit)
            (void)json_array_append(rows, task);
    }
    json_decref(tasks);
    client_replay_give(answer, rows);
}
