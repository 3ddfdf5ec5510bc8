/* clustersh and clustertop in front of what is no clusterd, or one of another version: they say
 * what they met, or show what they understand of it. Nothing crashes, hangs, or reaches the
 * terminal. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/fake_api.h"

enum { WORLD_OUTPUT_MAX = 64 * 1024, WORLD_PATIENCE_S = 30 };

/* What is answered to requests whose path begins so; the first row that fits counts. */
struct answer {
    const char *path;
    unsigned status;
    const char *type;
    const char *body;
};

struct world {
    const struct answer *answers; /* ended by a path of NULL */
    struct fake_api *api;
    char endpoint[64];
    char out[WORLD_OUTPUT_MAX]; /* both streams */
    int status;
};

static void serve(void *arg, struct fake_conn *conn, const struct fake_request *request)
{
    struct world *w = arg;
    const struct answer *a = w->answers;
    while (a->path != NULL && strncmp(request->path, a->path, strlen(a->path)) != 0)
        a++;
    if (a->path == NULL)
        fake_answer_error(conn, 404, "not_found", "GET /api/x does not exist",
                          "docs/api.md lists the paths");
    else
        fake_answer(conn, a->status, a->type, a->body, strlen(a->body));
}

static int set_up(void **state)
{
    *state = mem_zalloc(sizeof(struct world));
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    if (w->api != NULL)
        fake_api_free(w->api);
    free(w);
    return 0;
}

static void meet(struct world *w, const struct answer *answers)
{
    if (w->api != NULL)
        fake_api_free(w->api);
    w->answers = answers;
    w->api = fake_api_new(NULL, serve, w);
    (void)snprintf(w->endpoint, sizeof w->endpoint, "%s", fake_api_endpoint(w->api));
}

/* Runs a program of ours with these arguments; it ends by itself, with a status of its own. */
static void run(struct world *w, const char *program, const char *arguments)
{
    const char *top = getenv("TOP_BUILDDIR");
    char *command =
        mem_printf("HOME=/nonexistent timeout %d %s/%s -s %s %s </dev/null 2>&1", WORLD_PATIENCE_S,
                   top != NULL ? top : ".", program, w->endpoint, arguments);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): ours */
    assert_non_null(pipe);
    size_t n = fread(w->out, 1, sizeof w->out - 1, pipe);
    w->out[n] = '\0';
    w->status = WEXITSTATUS(pclose(pipe));
    if (w->status > 3 || strchr(w->out, '\x1b') != NULL)
        fail_msg("%s: ended with %d and\n%s", command, w->status, w->out);
    free(command);
}

/* It ended so, and said that. */
static void expect(struct world *w, const char *what, int status, const char *text)
{
    if (w->status != status || strstr(w->out, text) == NULL)
        fail_msg("%s: not %d with '%s' but %d:\n%s", what, status, text, w->status, w->out);
}

/* One of each way in which clustersh asks. */
static const char *const asked[] = {
    "status",         "node list",     "node show n1",     "job list",  "raft status",
    "rollout status", "election show", "query list",       "audit",     "kv list",
    "model list",     "events",        "-c 'SELECT 1;'",   "-c '\\dt'", "job submit -- true",
    "job show 1",     "node drain n1", "exec @all -- true"};

static void expect_everywhere(struct world *w, const char *text, const char *hint)
{
    for (size_t i = 0; i < MEM_COUNT(asked); i++) {
        run(w, "clustersh", asked[i]);
        expect(w, asked[i], 3, text);
        expect(w, asked[i], 3, hint);
    }
}

static const char foreign[] = "is no clusterd that this program knows: ";
static const char web[] = "<!doctype html><html><head><title>Hi\x1b[2J</title></head></html>\n";

static void a_page_of_the_web_is_no_cluster(void **state)
{
    static const struct answer found[] = {{"/", 200, "text/html; charset=utf-8", web}, {0}};
    static const struct answer not_found[] = {{"/", 404, "text/html", web}, {0}};
    struct world *w = *state;
    meet(w, found);
    expect_everywhere(w, foreign, "-s ENDPOINT names another");
    run(w, "clustertop", "--once");
    expect(w, "clustertop", 2, "is no clusterd that this program knows: a page of the web");
    meet(w, not_found);
    expect_everywhere(w, foreign, "-s ENDPOINT names another");
    run(w, "clustertop", "--once -o json");
    expect(w, "clustertop", 2, "is no clusterd that this program knows: HTTP status 404");
}

static void a_path_that_is_not_there_is_of_another_version(void **state)
{
    static const struct answer none[] = {{0}};
    struct world *w = *state;
    meet(w, none);
    expect_everywhere(w, "does not exist", "of another version than this program");
    run(w, "clustertop", "--once");
    expect(w, "clustertop", 2, "this server is older than clustertop");
}

static void what_an_older_one_knows_is_shown(void **state)
{
    static const struct answer older[] = {
        {"/api/status", 200, "application/json", "{\"node\":\"n1\",\"version\":\"0.0.1\"}"},
        {"/api/nodes", 200, "application/json", "[{\"name\":\"n1\"}]"},
        {0}};
    struct world *w = *state;
    meet(w, older);
    run(w, "clustersh", "status");
    expect(w, "status", 0, "0.0.1");
    run(w, "clustersh", "node list -o json");
    expect(w, "node list", 0, "n1");
    run(w, "clustersh", "job list");
    expect(w, "job list", 3, "of another version than this program");
}

static void what_a_newer_one_adds_is_left_alone(void **state)
{
    static const struct answer newer[] = {
        {"/api/status", 200, "application/json",
         "{\"node\":\"n1\",\"version\":\"9.0\",\"warp\":{\"deep\":[1,null]},\"term\":\"seven\"}"},
        {"/api/nodes", 200, "application/json",
         "[{\"name\":\"n1\",\"state\":\"dreaming\",\"roles\":\"worker\",\"warp\":[{}],\"cpu_"
         "percent\":"
         "\"much\"},null,7]"},
        {"/api/frame", 200, "application/json",
         "{\"at\":\"2026-11-20T20:00:00.000Z\",\"cursor\":\"c\",\"warps\":[{\"id\":1}],\"jobs\":{},"
         "\"nodes\":[{\"name\":\"n1\",\"state\":\"dreaming\",\"warp\":{\"x\":[]},\"load\":\"low\"}]"
         ","
         "\"elections\":null}\n"},
        {"/api/events", 200, "application/jsonl",
         "{\"id\":\"n1:1\",\"at\":\"2026-11-20T20:00:00.000Z\",\"kind\":\"warp.drive\",\"level\":"
         "\"fatal\",\"text\":\"away\",\"table\":\"warps\",\"key\":\"1\",\"row\":{}}\n"
         "{\"cursor\":\"d\",\"at\":\"2026-11-20T20:00:01.000Z\",\"mood\":7}\n"},
        {0}};
    struct world *w = *state;
    meet(w, newer);
    run(w, "clustersh", "status");
    expect(w, "status", 0, "9.0");
    run(w, "clustersh", "node list");
    expect(w, "node list", 0, "dreaming");
    run(w, "clustersh", "events");
    expect(w, "events", 0, "away");
}

static void answers_of_another_shape_are_said_to_be_so(void **state)
{
    static const char *const odd[] = {"null", "7", "\"text\"", "", "{\"error\":\"no\"}",
                                      "{}",   "[{"};
    struct world *w = *state;
    for (size_t i = 0; i < MEM_COUNT(odd); i++) {
        struct answer answers[] = {{"/", 200, "application/json", odd[i]}, {0}};
        meet(w, answers);
        for (size_t k = 0; k < MEM_COUNT(asked); k++) {
            run(w, "clustersh", asked[k]);
            if (w->status != 3 || strstr(w->out, "error: ") == NULL)
                fail_msg("'%s' to %s: %d\n%s", odd[i], asked[k], w->status, w->out);
        }
        run(w, "clustertop", "--once");
        expect(w, odd[i], 2, "hint: ");
    }
}

/* One who greets first. */
struct greeter {
    int fd;
    pthread_t thread;
};

static void *greet(void *arg)
{
    static const char hello[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
    const struct greeter *greeter = arg;
    char ignored[256];
    int fd;
    while ((fd = accept(greeter->fd, NULL, NULL)) >= 0) {
        (void)send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
        (void)recv(fd, ignored, sizeof ignored, 0);
        (void)close(fd);
    }
    return NULL;
}

static void another_protocol_is_said_to_be_so(void **state)
{
    struct world *w = *state;
    struct greeter greeter = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(greeter.fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(greeter.fd, 16), 0);
    assert_int_equal(getsockname(greeter.fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(pthread_create(&greeter.thread, NULL, greet, &greeter), 0);
    (void)snprintf(w->endpoint, sizeof w->endpoint, "http://127.0.0.1:%u", ntohs(at.sin_port));
    run(w, "clustersh", "status");
    expect(w, "status", 2, "not HTTP");
    run(w, "clustertop", "--once");
    expect(w, "clustertop", 2, "not HTTP");
    (void)shutdown(greeter.fd, SHUT_RDWR);
    assert_int_equal(pthread_join(greeter.thread, NULL), 0);
    (void)close(greeter.fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_page_of_the_web_is_no_cluster),
        CASE(a_path_that_is_not_there_is_of_another_version),
        CASE(what_an_older_one_knows_is_shown),
        CASE(what_a_newer_one_adds_is_left_alone),
        CASE(answers_of_another_shape_are_said_to_be_so),
        CASE(another_protocol_is_said_to_be_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
