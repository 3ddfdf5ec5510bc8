/* A client whose cluster is a report. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/client.h"
#include "client/client_replay.h"
#include "client/client_replay_statement.h"
#include "tests/lib/report_file.h"
#include "tests/unit/generated.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

static char dir[64];
static char *path;
static struct client_replay *replay;
static struct client *client;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/client_replay.XXXXXX");
    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/report.tar.zst", dir);
    return 0;
}

static void close_replay(void)
{
    client_close(client);
    client_replay_free(replay);
    client = NULL;
    replay = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    close_replay();
    (void)unlink(path);
    (void)rmdir(dir);
    free(path);
    return 0;
}

/* Opens a report of these parts, which was made at T0 + end_ms. */
static void open_replay(const char *frames, const char *events, const char *vitals,
                        const char *messages, int64_t end_ms)
{
    const struct report_file_member members[] = {{"frames.jsonl", frames, 0},
                                                 {"events.jsonl", events, 0},
                                                 {"vitals.jsonl", vitals, 0},
                                                 {"messages.jsonl", messages, 0}};
    char at[CLOCK_RFC3339_MAX];
    struct error e = {0};
    char *head = mem_printf("\"format\":1,\"at\":\"%s\",\"node\":\"n1\",\"cluster\":\"C\","
                            "\"version\":\"9\"",
                            clock_format_rfc3339(T0 + end_ms, at));
    assert_int_equal(report_file_write(path, head, members, MEM_COUNT(members)), 0);
    free(head);
    close_replay();
    if (client_replay_open(path, &replay, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(client_open(&(struct client_options){.replay = replay}, &client, &e), 0);
}

static void seek(int64_t at_ms)
{
    struct error e = {0};
    if (client_replay_seek(replay, T0 + at_ms, &e) != 0)
        fail_msg("%s", e.text);
}

/* "at":"..." of T0 + ms; valid until the next four. */
static const char *at(int64_t ms)
{
    static char texts[4][CLOCK_RFC3339_MAX + 8];
    static unsigned n;
    char time[CLOCK_RFC3339_MAX];
    char *text = texts[n++ % 4];
    (void)snprintf(text, sizeof texts[0], "\"at\":\"%s\"", clock_format_rfc3339(T0 + ms, time));
    return text;
}

struct answer {
    bool is_done;
    int code;
    unsigned status;
    char text[ERROR_TEXT_MAX];
    json_t *json; /* lines: an array of them */
    unsigned lines_max;
    struct client_call *call;
    char *body;         /* of the request */
    unsigned polls_max; /* then it is given up; 0: never */
};

static void on_line(void *arg, const char *bytes, size_t len)
{
    struct answer *answer = arg;
    json_t *line = json_loadb(bytes, len, 0, NULL);
    assert_non_null(line);
    (void)json_array_append_new(answer->json, line);
    if (answer->lines_max != 0 && json_array_size(answer->json) == answer->lines_max) {
        client_cancel(answer->call);
        answer->is_done = true;
    }
}

static void on_done(void *arg, const struct client_reply *reply)
{
    struct answer *answer = arg;
    answer->is_done = true;
    answer->code = reply->code;
    answer->status = reply->status;
    assert_true(reply->connected);
    (void)snprintf(answer->text, sizeof answer->text, "%s", reply->text);
    if (reply->json != NULL)
        answer->json = json_incref(reply->json);
}

static void run(const char *method, const char *target, bool is_lines, struct answer *answer)
{
    static const struct client_handler handler = {.data = on_line, .done = on_done};
    struct error e = {0};
    if (is_lines)
        answer->json = json_array();
    answer->call =
        client_start(client,
                     &CLIENT_REQUEST(.method = method, .path = target, .data = answer->body,
                                     .data_len = answer->body != NULL ? strlen(answer->body) : 0,
                                     .body = is_lines ? CLIENT_BODY_LINES : CLIENT_BODY_JSON),
                     &handler, answer, &e);
    assert_non_null(answer->call);
    for (unsigned n = 0; !answer->is_done; n++) {
        struct pollfd p = {.fd = client_fd(client), .events = POLLIN};
        if (answer->polls_max > 0 && n == answer->polls_max) {
            client_cancel(answer->call);
            return;
        }
        assert_true(poll(&p, 1, answer->polls_max > 0 ? 20 : 20000) == 1 || answer->polls_max > 0);
        client_dispatch(client);
    }
}

/* What a request gives, as text without blanks; valid until the next. Lines without the last. */
static const char *get(const char *target)
{
    static char *text;
    struct answer answer = {0};
    bool is_lines = strncmp(target, "/api/events", 11) == 0 ||
                    strncmp(target, "/api/chat/messages", 18) == 0 ||
                    strncmp(target, "/api/vitals", 11) == 0;
    run("GET", target, is_lines, &answer);
    free(text);
    if (answer.code != 0) {
        json_decref(answer.json);
        return text = mem_printf("%u %s", answer.status, answer.text);
    }
    if (strncmp(target, "/api/events", 11) == 0) {
        size_t last = json_array_size(answer.json) - 1;
        assert_non_null(json_object_get(json_array_get(answer.json, last), "cursor"));
        (void)json_array_remove(answer.json, last);
    }
    text = json_dumps(answer.json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_decref(answer.json);
    return text;
}

static void a_moment_is_the_frame_before_it_and_the_events_since(void **state)
{
    char *frames =
        mem_printf("{%s,\"cursor\":\"a\",\"jobs\":[{\"id\":\"aaaa\",\"seq\":1,\"state\":\"r\"}]}\n"
                   "{%s,\"cursor\":\"b\",\"jobs\":[{\"id\":\"aaaa\",\"seq\":1,\"state\":\"x\"},"
                   "{\"id\":\"bbbb\",\"seq\":2}]}\n",
                   at(0), at(60000));
    /* as a collector that took over tells it: node by node */
    char *events =
        mem_printf("{\"id\":\"n2:1\",%s,\"kind\":\"job.state\",\"table\":\"jobs\",\"key\":\"aaaa\","
                   "\"row\":{\"state\":\"third\"}}\n"
                   "not a line\n{\"id\":\"n1:1\",%s,\"kind\":\"job.state\",\"table\":\"jobs\","
                   "\"key\":\"aaaa\",\"row\":{\"state\":\"second\"}}\n"
                   "{\"id\":\"n1:2\",%s,\"kind\":\"job.state\",\"table\":\"jobs\",\"key\":\"aaaa\","
                   "\"gone\":true}\n",
                   at(20000), at(10000), at(70000));
    (void)state;
    open_replay(frames, events, "", "", 80000);
    assert_string_equal(get("/api/jobs"), "[{\"id\":\"bbbb\",\"seq\":2}]");
    seek(70000);
    assert_string_equal(get("/api/jobs/bbbb"), "{\"id\":\"bbbb\",\"seq\":2}");
    assert_non_null(strstr(get("/api/jobs/aaaa"), "404 no job aaaa"));
    seek(69999);
    assert_string_equal(get("/api/jobs/aaaa"), "{\"id\":\"aaaa\",\"seq\":1,\"state\":\"x\"}");
    seek(20000);
    assert_string_equal(get("/api/jobs/aaaa"), "{\"id\":\"aaaa\",\"seq\":1,\"state\":\"third\"}");
    seek(19999);
    assert_string_equal(get("/api/jobs/aaaa"), "{\"id\":\"aaaa\",\"seq\":1,\"state\":\"second\"}");
    seek(0);
    assert_string_equal(get("/api/jobs/aaaa"), "{\"id\":\"aaaa\",\"seq\":1,\"state\":\"r\"}");
    struct error e;
    assert_int_equal(client_replay_seek(replay, T0 - 1, &e), ERR_NOT_FOUND);
    assert_int_equal(client_replay_seek(replay, T0 + 80001, &e), ERR_NOT_FOUND);
    assert_true(client_replay_at_ms(replay) == T0);
    free(frames);
    free(events);
}

/* Patches of few keys at random times, frames between; any moment is what the patches up to it
 * make, also when those around a frame stand in another order. */
static void every_moment_of_a_generated_report_is_right(void **state)
{
    enum { PATCHES = 60, KEYS = 4 };
    struct generated g;
    (void)state;
    generated_init(&g, 40);
    while (generated_next(&g)) {
        struct buf frames, events;
        int64_t times[PATCHES], now_ms = 0;
        int values[PATCHES][KEYS], row[KEYS] = {0};
        buf_init(&frames, 1 << 20);
        buf_init(&events, 1 << 20);
        for (int i = 0; i < PATCHES; i++) {
            if (i == 0 || prng_chance(&g.prng, 1, 10)) {
                (void)buf_printf(&frames, "{%s,\"cursor\":\"c\",\"rollouts\":[", at(now_ms));
                for (int k = 0; k < KEYS; k++)
                    (void)buf_printf(&frames, "%s{\"service\":\"s%d\",\"v\":%d}", k > 0 ? "," : "",
                                     k, row[k]);
                (void)buf_append_str(&frames, "]}\n");
            }
            now_ms += 1 + (int64_t)prng_below(&g.prng, 3000);
            int key = (int)prng_below(&g.prng, KEYS);
            row[key] = i + 1;
            (void)buf_printf(&events,
                             "{\"id\":\"n1:%d\",%s,\"kind\":\"rollout.state\",\"table\":"
                             "\"rollouts\",\"key\":\"s%d\",\"row\":{\"v\":%d}}\n",
                             i, at(now_ms), key, i + 1);
            times[i] = now_ms;
            memcpy(values[i], row, sizeof row);
        }
        open_replay(buf_cstr(&frames), buf_cstr(&events), "", "", now_ms + 1000);
        for (int n = 0; n < 20; n++) {
            int i = (int)prng_below(&g.prng, PATCHES);
            int64_t until = i + 1 < PATCHES ? times[i + 1] : now_ms + 1000;
            seek(times[i] + (int64_t)prng_below(&g.prng, (uint64_t)(until - times[i])));
            for (int k = 0; k < KEYS; k++) {
                char target[64], want[64];
                (void)snprintf(target, sizeof target, "/api/rollouts/s%d", k);
                (void)snprintf(want, sizeof want, "{\"service\":\"s%d\",\"v\":%d}", k,
                               values[i][k]);
                generated_check(&g, strcmp(get(target), want) == 0, "%s at %d", want, i);
            }
        }
        buf_done(&frames);
        buf_done(&events);
    }
}

#define JOB_A "aaaa0000-0000-4000-8000-000000000001"
#define JOB_B "aaaa1111-0000-4000-8000-000000000002"

static void jobs_are_found_as_a_cluster_finds_them_and_tasks_come_from_their_events(void **state)
{
    char *frames = mem_printf("{%s,\"cursor\":\"a\",\"jobs\":[{\"id\":\"" JOB_A
                              "\",\"seq\":1,\"user\":\"ann\"},{\"id\":\"" JOB_B
                              "\",\"seq\":2,\"user\":\"bob\"}]}\n",
                              at(0));
    struct buf events;
    buf_init(&events, 65536);
    static const struct {
        int ms, attempt;
        const char *state, *node;
    } told[] = {{10, 1, "running", "n1"},
                {20, 1, "lost", "n1"},
                {30, 2, "running", "n2"},
                {40, 2, "completed", "n2"}};
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(told); i++)
        (void)buf_printf(&events,
                         "{\"id\":\"n1:%zu\",%s,\"kind\":\"task.state\",\"table\":\"tasks\","
                         "\"key\":\"" JOB_A "_7\",\"row\":{\"id\":\"" JOB_A "_7\",\"job\":\"" JOB_A
                         "\",\"index\":7,\"attempt\":%d,\"state\":\"%s\",\"node\":\"%s\"}}\n",
                         i, at(told[i].ms), told[i].attempt, told[i].state, told[i].node);
    open_replay(frames, buf_cstr(&events), "", "", 100);
    assert_non_null(strstr(get("/api/jobs/last"), JOB_B));
    assert_non_null(strstr(get("/api/jobs/aaaa1"), JOB_B));
    assert_non_null(strstr(get("/api/jobs/aaaa"), "409 2 jobs"));
    assert_non_null(strstr(get("/api/jobs/aaa"), "404 "));
    assert_non_null(strstr(get("/api/jobs?user=ann"), JOB_A));
    assert_null(strstr(get("/api/jobs?user=ann"), JOB_B));
    assert_null(strstr(get("/api/jobs?limit=1"), JOB_A));
    assert_null(strstr(get("/api/jobs?limit=1&after=2"), JOB_B));
    assert_non_null(strstr(get("/api/jobs/aaaa0/wait?timeout_ms=1"), "501 "));

    json_t *tasks = json_loads(get("/api/jobs/aaaa0000_7/tasks"), 0, NULL);
    assert_int_equal(json_array_size(tasks), 1);
    const json_t *task = json_array_get(tasks, 0);
    assert_string_equal(json_string_value(json_object_get(task, "node")), "n2");
    assert_string_equal(json_string_value(json_object_get(task, "ended_at")),
                        "2023-11-14T22:13:20.040Z");
    json_decref(tasks);
    tasks = json_loads(get("/api/jobs/aaaa0/tasks?attempts=all"), 0, NULL);
    assert_int_equal(json_array_size(tasks), 2);
    json_decref(tasks);
    assert_string_equal(get("/api/jobs/aaaa0/tasks?attempts=all&state=failed"), "[]");
    assert_string_equal(get("/api/jobs/aaaa0/tasks?after=7"), "[]");
    seek(9);
    assert_string_equal(get("/api/jobs/aaaa0/tasks"), "[]");
    free(frames);
    buf_done(&events);
}

static void events_are_those_up_to_the_moment_that_fit(void **state)
{
    char *frames = mem_printf("{%s,\"cursor\":\"a\",\"nodes\":[{\"name\":\"n1\",\"roles\":["
                              "\"worker\"]},{\"name\":\"n2\",\"roles\":[]}]}\n",
                              at(0));
    char *events = mem_printf("{\"id\":\"1\",%s,\"kind\":\"node.late\",\"level\":\"debug\","
                              "\"node\":\"n1\"}\n"
                              "{\"id\":\"2\",%s,\"kind\":\"raft.lead\",\"level\":\"info\","
                              "\"node\":\"n2\"}\n"
                              "{\"id\":\"3\",%s,\"kind\":\"node.offline\",\"level\":\"error\","
                              "\"node\":\"n1\"}\n",
                              at(1000), at(2000), at(61000));
    (void)state;
    open_replay(frames, events, "", "", 62000);
    assert_string_equal(get("/api/events"), "[]"); /* since now */
    assert_non_null(strstr(get("/api/events?since=2m"), "\"1\""));
    assert_null(strstr(get("/api/events?since=30s"), "\"2\""));
    assert_null(strstr(get("/api/events?since=2m&until=30s"), "\"3\""));
    assert_null(strstr(get("/api/events?since=2m&level=info"), "\"1\""));
    assert_null(strstr(get("/api/events?since=2m&kind=node.*"), "\"2\""));
    assert_null(strstr(get("/api/events?since=2m&node=%40worker"), "\"2\""));
    assert_null(strstr(get("/api/events?since=2m&limit=2"), "\"3\""));
    assert_non_null(strstr(get("/api/events?since=2m&kind=nosuch"), "400 "));
    assert_non_null(strstr(get("/api/events?since=then"), "400 since=then"));
    assert_non_null(strstr(get("/api/events?since=2m&follow=true"), "501 this is a replay"));
    seek(30000);
    assert_null(strstr(get("/api/events?since=2m"), "\"3\""));
    assert_null(strstr(get("/api/events?since=2m&until=2030-01-01T00:00:00Z"), "\"3\""));
    free(frames);
    free(events);
}

static void what_else_a_report_holds_is_there(void **state)
{
    char *frames = mem_printf(
        "{%s,\"cursor\":\"a\",\"nodes\":[{\"name\":\"n1\",\"memory_total_bytes\":1000}],"
        "\"elections\":[{\"group\":\"cluster\",\"leader\":\"n2\",\"term\":4}],"
        "\"transactions\":[{\"txid\":\"T\",\"coordinator\":\"n3\",\"part.n1\":\"prepared\","
        "\"part.n2\":\"committed\"}]}\n",
        at(0));
    char *events =
        mem_printf("{\"id\":\"1\",%s,\"kind\":\"operator.command\",\"by\":\"ann\","
                   "\"action\":\"node.drain\",\"object\":\"n3\"}\n"
                   "{\"id\":\"2\",%s,\"kind\":\"rollout.state\",\"by\":\"bob\",\"what\":"
                   "\"start\",\"row\":{\"service\":\"web\",\"id\":\"R\",\"weight\":5}}\n",
                   at(1000), at(2000));
    char *vitals = mem_printf("{%s,\"step_ms\":1000,\"columns\":[\"cpu_percent\","
                              "\"memory_percent\"],\"nodes\":{\"n1\":[12.5,25],\"n2\":null}}\n",
                              at(3000));
    char *messages = mem_printf("{\"seq\":4,%s,\"channel\":\"general\",\"text\":\"a\"}\n"
                                "{\"seq\":7,%s,\"channel\":\"ops\",\"text\":\"b\"}\n",
                                at(1000), at(2500));
    (void)state;
    open_replay(frames, events, vitals, messages, 3500);
    assert_string_equal(get("/api/status"), "{\"cluster_id\":\"C\",\"leader\":\"n2\",\"node\":"
                                            "\"n1\",\"term\":4,\"version\":\"9\"}");
    assert_non_null(strstr(get("/api/nodes"), "\"cpu_percent\":12.5"));
    assert_non_null(strstr(get("/api/nodes/n1"), "\"memory_available_bytes\":750"));
    assert_non_null(strstr(get("/api/nodes/n9"), "404 "));
    assert_non_null(strstr(get("/api/audit"), "\"user\":\"ann\""));
    assert_non_null(strstr(get("/api/rollouts/history"), "\"what\":\"start\""));
    assert_string_equal(get("/api/rollouts/history?service=api"), "[]");
    assert_non_null(strstr(get("/api/rollouts/indoubt"), "\"node\":\"n1\""));
    assert_null(strstr(get("/api/rollouts/indoubt"), "\"node\":\"n2\""));
    assert_non_null(strstr(get("/api/chat/messages"), "\"seq\":4"));
    assert_null(strstr(get("/api/chat/messages?from=5"), "\"seq\":4"));
    assert_null(strstr(get("/api/chat/messages?channel=ops"), "\"seq\":4"));
    assert_non_null(strstr(get("/api/vitals?since=1m"), "\"step_ms\":1000"));
    assert_non_null(strstr(get("/api/frame"), "\"cursor\":\"replay\""));
    seek(2400);
    assert_null(strstr(get("/api/chat/messages"), "\"seq\":7"));
    assert_null(strstr(get("/api/nodes"), "cpu_percent"));
    free(frames);
    free(events);
    free(vitals);
    free(messages);
}

static void what_needs_a_cluster_is_refused(void **state)
{
    static const char *const gets[] = {"/api/kv",       "/api/kv/a",   "/api/tables/t",
                                       "/api/models",   "/api/report", "/api/settings",
                                       "/api/nosuch",   "/",           "/api",
                                       "/api/nodes/a/b"};
    static const char *const methods[] = {"POST", "PUT", "DELETE"};
    char *frames = mem_printf("{%s,\"cursor\":\"a\",\"nodes\":[]}\n", at(0));
    (void)state;
    open_replay(frames, "", "", "", 1);
    for (size_t i = 0; i < MEM_COUNT(gets); i++)
        if (strstr(get(gets[i]), "501 this is a replay") == NULL)
            fail_msg("%s: %s", gets[i], get(gets[i]));
    for (size_t i = 0; i < MEM_COUNT(methods); i++) {
        struct answer answer = {0};
        run(methods[i], "/api/jobs", false, &answer);
        assert_int_equal(answer.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(answer.text, "nothing can be changed"));
    }
    assert_non_null(strstr(get("/api/nodes/%zz"), "400 "));
    free(frames);
}

/* SQL. What an executor answers is in tests/e2e/replay.bats. */

static void statements_are_told_by_their_words(void **state)
{
    static const struct {
        const char *text;
        enum client_replay_statement_kind kind;
        const char *tables; /* that it wants, or the one that it lacks */
        size_t query;
    } cases[] = {
        {"", CLIENT_REPLAY_STATEMENT_NONE, "", 0},
        {" -- nothing\n/* at all", CLIENT_REPLAY_STATEMENT_NONE, "", 0},
        {"explain analyze", CLIENT_REPLAY_STATEMENT_NONE, "", 15},
        {"SELECT 1", CLIENT_REPLAY_STATEMENT_QUERY, "", 0},
        {"analyze", CLIENT_REPLAY_STATEMENT_CHANGE, "", 0},
        {"Explain Analyze from Cluster . \"NODES\" n, cluster.jobs", CLIENT_REPLAY_STATEMENT_QUERY,
         "nodes jobs ", 15},
        {"(select * from cluster.tasks) union (from cluster.log)", CLIENT_REPLAY_STATEMENT_QUERY,
         "tasks log ", 0},
        {"SELECT 'cluster.nodes', \"cluster.jobs\" -- cluster.log", CLIENT_REPLAY_STATEMENT_QUERY,
         "", 0},
        {"WITH a AS (FROM cluster.vitals) SELECT cluster.nosuch", CLIENT_REPLAY_STATEMENT_QUERY,
         "vitals ", 0},
        {"SELECT * FROM cluster.jobs, cluster.Metrics", CLIENT_REPLAY_STATEMENT_LACKS,
         "cluster.Metrics", 0},
        {"show tables ;", CLIENT_REPLAY_STATEMENT_SHOW, "", 0},
        {"SHOW ALL TABLES", CLIENT_REPLAY_STATEMENT_QUERY, "", 0},
        {"desc cluster.events", CLIENT_REPLAY_STATEMENT_DESCRIBE, "", 0},
        {"describe select * from cluster.events", CLIENT_REPLAY_STATEMENT_QUERY, "events ", 0},
        {"describe cluster.settings", CLIENT_REPLAY_STATEMENT_LACKS, "cluster.settings", 0},
        {"INSERT INTO t SELECT * FROM cluster.nodes", CLIENT_REPLAY_STATEMENT_CHANGE, "", 0},
        {"cluster.", CLIENT_REPLAY_STATEMENT_CHANGE, "", 0},
        {"from cluster.\"open", CLIENT_REPLAY_STATEMENT_QUERY, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct client_replay_statement statement;
        struct buf tables;
        buf_init(&tables, 1024);
        client_replay_statement_read(cases[i].text, &statement);
        for (size_t k = 0; k < CLIENT_REPLAY_TABLES; k++)
            if (statement.wants[k] && statement.lacks == NULL)
                (void)buf_printf(&tables, "%s ", client_replay_tables[k].name);
        (void)buf_append_str(&tables, statement.lacks != NULL ? statement.lacks : "");
        if (statement.kind != cases[i].kind || statement.query != cases[i].query ||
            strcmp(buf_cstr(&tables), cases[i].tables) != 0)
            fail_msg("%s: %d %zu %s", cases[i].text, (int)statement.kind, statement.query,
                     buf_cstr(&tables));
        buf_done(&tables);
        client_replay_statement_done(&statement);
    }
}

/* The lines of an answer to SQL, as text; valid until the next. */
static const char *ask_sql(const char *statement)
{
    static char *text;
    struct answer answer = {.body = mem_printf("{\"sql\":\"%s\"}", statement)};
    run("POST", "/api/sql", true, &answer);
    free(answer.body);
    assert_int_equal(answer.code, 0);
    free(text);
    text = json_dumps(answer.json, JSON_COMPACT);
    json_decref(answer.json);
    return text;
}

static void open_empty(void)
{
    char *frames = mem_printf("{%s,\"cursor\":\"a\",\"nodes\":[]}\n", at(0));
    open_replay(frames, "", "", "", 1);
    free(frames);
}

static void sql_that_needs_no_executor_is_answered(void **state)
{
    struct answer answer = {0};
    (void)state;
    open_empty();
    (void)setenv("PATH", dir, true);
    assert_non_null(strstr(ask_sql("SHOW TABLES"), "[[\"cluster.nodes\"],"));
    assert_non_null(
        strstr(ask_sql("DESCRIBE cluster.vitals;"), "[\"node\",\"VARCHAR\",\"YES\",\"NO\"]"));
    assert_non_null(strstr(ask_sql("DROP TABLE t"), "can be asked, not changed"));
    assert_non_null(strstr(ask_sql("FROM cluster.metrics"), "\"position\":5"));
    assert_non_null(strstr(ask_sql(""), "there is no statement"));
    run("POST", "/api/sql", true, &answer);
    assert_int_equal(answer.code, ERR_INVALID);
    json_decref(answer.json);
}

/* A program `clusterd` on PATH. */
static void fake_executor(const char *script)
{
    char *program = mem_printf("%s/clusterd", dir);
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(program, 0700), 0);
    free(program);
}

static void an_executor_that_misbehaves_fails_its_statement_alone(void **state)
{
    static const char query[] = "SELECT * FROM cluster.nodes";
    (void)state;
    open_empty();
    (void)setenv("PATH", dir, true);
    (void)setenv("TMPDIR", dir, true);
    assert_non_null(strstr(ask_sql(query), "there is no clusterd beside"));
    fake_executor("exit 2");
    assert_non_null(strstr(ask_sql(query), "has ended"));
    fake_executor("printf 'no frame at all, of no kind' >&3; read line <&3");
    assert_non_null(strstr(ask_sql(query), "says what it should not"));
    fake_executor("exec 3>&-; exec /bin/sleep 1000");
    assert_non_null(strstr(ask_sql(query), "has ended"));
    fake_executor("exec /bin/sleep 1000");
    for (int i = 0; i < 2; i++) { /* given up while it starts */
        struct answer answer = {.body = mem_strdup("{\"sql\":\"SELECT 1\"}"), .polls_max = 5};
        run("POST", "/api/sql", true, &answer);
        free(answer.body);
        json_decref(answer.json);
    }
    close_replay();
    open_empty();
    (void)setenv("TMPDIR", "/nosuch/folder", true);
    assert_non_null(strstr(ask_sql(query), "No such file"));
    (void)unsetenv("TMPDIR");
    close_replay();
    char *program = mem_printf("%s/clusterd", dir);
    assert_int_equal(unlink(program), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else is left in it */
    free(program);
}

static void a_long_answer_can_be_given_up(void **state)
{
    struct buf events;
    struct answer answer = {.lines_max = 10};
    char *frames = mem_printf("{%s,\"cursor\":\"a\",\"nodes\":[]}\n", at(0));
    (void)state;
    buf_init(&events, 16 << 20);
    for (int i = 0; i < 50000; i++)
        (void)buf_printf(&events, "{\"id\":\"n1:%d\",%s,\"kind\":\"node.late\"}\n", i, at(i));
    open_replay(frames, buf_cstr(&events), "", "", 60000);
    run("GET", "/api/events?since=1h", true, &answer);
    assert_int_equal(json_array_size(answer.json), 10);
    json_decref(answer.json);
    answer = (struct answer){0};
    run("GET", "/api/events?since=1h", true, &answer);
    assert_int_equal(json_array_size(answer.json), 50001);
    json_decref(answer.json);
    free(frames);
    buf_done(&events);
}

static void a_report_whose_state_cannot_be_read_is_refused(void **state)
{
    static const struct report_file_member bad[] = {
        {"frames.jsonl", "{\"at\":\"2023-11-14T22:13:20Z\",\"nodes\":[{\"name\":}]}\n", 0}};
    struct error e = {0};
    (void)state;
    assert_int_equal(report_file_write(path, "\"format\":1", bad, 1), 0);
    assert_int_equal(client_replay_open(path, &replay, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, path));
    replay = NULL;
    assert_int_equal(client_replay_open(dir, &replay, &e), -EISDIR);
}

static void rows_of_another_version_leave_the_others_of_the_report_readable(void **state)
{
    struct answer answer = {0};
    char *frames =
        mem_printf("{%s,\"cursor\":\"a\",\"nodes\":[{\"id\":1},{\"name\":\"n1\",\"new\":[]}],"
                   "\"of another version\":[1]}\n",
                   at(0));
    (void)state;
    open_replay(frames, "", "", "", 1000);
    run("GET", "/api/nodes", false, &answer);
    assert_int_equal(json_array_size(answer.json), 1);
    json_decref(answer.json);
    free(frames);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_moment_is_the_frame_before_it_and_the_events_since),
        TEST(every_moment_of_a_generated_report_is_right),
        TEST(jobs_are_found_as_a_cluster_finds_them_and_tasks_come_from_their_events),
        TEST(events_are_those_up_to_the_moment_that_fit),
        TEST(what_else_a_report_holds_is_there),
        TEST(what_needs_a_cluster_is_refused),
        TEST(statements_are_told_by_their_words),
        TEST(sql_that_needs_no_executor_is_answered),
        TEST(an_executor_that_misbehaves_fails_its_statement_alone),
        TEST(a_long_answer_can_be_given_up),
        TEST(a_report_whose_state_cannot_be_read_is_refused),
        TEST(rows_of_another_version_leave_the_others_of_the_report_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
