/* Files by URL: shared, kept where that is allowed, asked about, whole. */
#include "run/url_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/http_router.h"
#include "run/http_server.h"
#include "run/url_cache_internal.h"

enum { WORLD_PATIENCE_MS = 300000, WORLD_BYTES = 100000, WORLD_GETS_MAX = 16 };

struct world {
    struct loop *loop;
    struct http_router *router;
    struct http_server *server;
    struct http_client *client;
    struct url_cache *cache;
    uint16_t port;
    char dir[64];
    char cache_dir[96];
    struct loop_timer patience;
    bool server_closed;
    bool client_closed;
    /* what the server gives */
    char letter;
    const char *etag;
    const char *control;
    const char *place; /* where /moved leads to */
    unsigned status;
    bool hold;
    struct http_request *held;
    bool held_gone;
    unsigned whole; /* answers with a body */
    unsigned same;  /* 304 */
};

struct got {
    bool done;
    int code;
    char text[256];
    char path[128];
    struct url_cache_get *get;
};

static void world_reply(struct world *w, struct http_request *req)
{
    static char body[WORLD_BYTES];
    const char *question = http_request_header(req, "If-None-Match");
    if (w->etag != NULL)
        http_reply_header(req, "ETag", w->etag);
    if (w->control != NULL)
        http_reply_header(req, "Cache-Control", w->control);
    if (w->status != 200) {
        http_reply(req, w->status, "text/plain", "no", 2);
    } else if (w->etag != NULL && question != NULL && strcmp(question, w->etag) == 0) {
        w->same++;
        http_reply(req, 304, NULL, "", 0);
    } else {
        w->whole++;
        memset(body, w->letter, sizeof body);
        http_reply(req, 200, "text/plain", body, sizeof body);
    }
}

static void world_on_gone(struct http_request *req, void *arg)
{
    struct world *w = arg;
    (void)req;
    w->held_gone = true;
}

static void serve_file(struct http_request *req, void *arg)
{
    struct world *w = arg;
    if (!w->hold) {
        world_reply(w, req);
        return;
    }
    assert_null(w->held);
    w->held = req;
    http_request_on_close(req, world_on_gone, w);
}

static void serve_moved(struct http_request *req, void *arg)
{
    struct world *w = arg;
    http_reply_header(req, "Location", w->place);
    http_reply(req, 302, NULL, "", 0);
}

static const struct http_route routes[] = {
    {"GET", "/file", HTTP_ROUTE_PUBLIC, 0, serve_file},
    {"GET", "/other", HTTP_ROUTE_PUBLIC, 0, serve_file},
    {"GET", "/moved", HTTP_ROUTE_PUBLIC, 0, serve_moved},
};

static void world_on_patience(void *arg)
{
    (void)arg;
    fail_msg("what the test waits for did not come in %d ms", WORLD_PATIENCE_MS);
}

static void world_on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void world_open(struct world *w, uint64_t bytes_max)
{
    struct error e;
    struct http_server_options options;
    struct http_client_options client;
    *w = (struct world){.letter = 'a', .status = 200};
    w->loop = loop_new();
    loop_timer_init(&w->patience, w->loop, world_on_patience, w);
    loop_timer_start(&w->patience, WORLD_PATIENCE_MS);
    (void)strcpy(w->dir, "/tmp/url-cache-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->cache_dir, sizeof w->cache_dir, "%s/cache", w->dir);
    w->router = http_router_new();
    http_router_add(w->router, routes, MEM_COUNT(routes), w);
    http_server_options_init(&options);
    options.loop = loop_uv(w->loop);
    options.router = w->router;
    options.token = "token-token-token-token-token-x";
    options.upload_dir = w->dir;
    w->server = http_server_new(&options);
    assert_int_equal(http_server_listen_tcp(w->server, "127.0.0.1", 0, NULL, &w->port, &e), 0);
    http_client_options_init(&client);
    client.loop = loop_uv(w->loop);
    w->client = http_client_new(&client);
    assert_int_equal(url_cache_new(&(struct url_cache_options){.loop = w->loop,
                                                               .http = w->client,
                                                               .dir = w->cache_dir,
                                                               .bytes_max = bytes_max},
                                   &w->cache, &e),
                     0);
}

static void world_close(struct world *w)
{
    url_cache_free(w->cache);
    http_client_close(w->client, world_on_closed, &w->client_closed);
    http_server_close(w->server, world_on_closed, &w->server_closed);
    while (!w->client_closed || !w->server_closed)
        loop_turn(w->loop);
    loop_timer_stop(&w->patience);
    loop_free(w->loop);
    http_router_free(w->router);
    char *command = mem_printf("rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
    free(command);
}

static unsigned world_files(const struct world *w)
{
    unsigned n = 0;
    DIR *dir = opendir(w->cache_dir);
    const struct dirent *item;
    assert_non_null(dir);
    while ((item = readdir(dir)) != NULL)
        n += item->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

static void on_got(void *arg, int code, const char *text)
{
    struct got *got = arg;
    assert_false(got->done);
    got->done = true;
    got->code = code;
    (void)snprintf(got->text, sizeof got->text, "%s", text);
}

static void begin(struct world *w, struct got *got, const char *path, uint64_t limit_ms)
{
    static unsigned names;
    char *url = mem_printf("http://127.0.0.1:%u%s", w->port, path);
    *got = (struct got){.done = false};
    (void)snprintf(got->path, sizeof got->path, "%s/got.%u", w->dir, ++names);
    got->get = url_cache_get(w->cache, url, got->path, limit_ms, on_got, got);
    assert_false(got->done);
    free(url);
}

static void finish(struct world *w, struct got *got)
{
    while (!got->done)
        loop_turn(w->loop);
}

/* A whole file of that letter, which its owner may write to. */
static void assert_got(struct world *w, struct got *got, char letter)
{
    char bytes[WORLD_BYTES + 1];
    finish(w, got);
    if (got->code != 0)
        fail_msg("%s", got->text);
    int fd = open(got->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, bytes, sizeof bytes), WORLD_BYTES);
    for (size_t i = 0; i < WORLD_BYTES; i++)
        assert_int_equal(bytes[i], letter);
    assert_int_equal(pwrite(fd, "damage", 6, 0), 6);
    (void)close(fd);
}

static void get(struct world *w, const char *path, char letter)
{
    struct got got;
    begin(w, &got, path, 0);
    assert_got(w, &got, letter);
}

static void wait_held(struct world *w)
{
    while (w->held == NULL)
        loop_turn(w->loop);
}

static void release(struct world *w)
{
    struct http_request *req = w->held;
    w->hold = false;
    w->held = NULL;
    world_reply(w, req);
}

static void those_who_ask_at_once_share_one_download(void **state)
{
    struct world w;
    struct got got[WORLD_GETS_MAX];
    (void)state;
    world_open(&w, 1 << 20);
    w.etag = "\"1\"";
    for (size_t i = 0; i < WORLD_GETS_MAX; i++)
        begin(&w, &got[i], "/file", 0);
    for (size_t i = 0; i < WORLD_GETS_MAX; i++)
        assert_got(&w, &got[i], 'a');
    assert_int_equal(w.whole, 1);
    assert_int_equal(w.same, 0);
    world_close(&w);
}

static void what_is_kept_is_asked_about(void **state)
{
    struct world w;
    struct got got[WORLD_GETS_MAX];
    (void)state;
    world_open(&w, 1 << 20);
    w.etag = "\"1\"";
    get(&w, "/file", 'a');
    get(&w, "/file", 'a');
    get(&w, "/file", 'a');
    assert_int_equal(w.whole, 1);
    assert_int_equal(w.same, 2);
    w.letter = 'b';
    w.etag = "\"2\"";
    for (size_t i = 0; i < WORLD_GETS_MAX; i++)
        begin(&w, &got[i], "/file", 0);
    for (size_t i = 0; i < WORLD_GETS_MAX; i++)
        assert_got(&w, &got[i], 'b');
    assert_int_equal(w.whole, 2);
    assert_int_equal(world_files(&w), 1);
    get(&w, "/file", 'b');
    assert_int_equal(w.whole, 2);
    world_close(&w);
}

static void what_is_fresh_is_not_asked_about(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1 << 20);
    w.control = "max-age=3600";
    get(&w, "/file", 'a');
    w.letter = 'b';
    get(&w, "/file", 'a');
    assert_int_equal(w.whole, 1);
    world_close(&w);
}

static void what_is_not_to_be_kept_everybody_downloads(void **state)
{
    static const char *const controls[] = {"no-store", NULL};
    (void)state;
    for (size_t c = 0; c < MEM_COUNT(controls); c++) {
        struct world w;
        struct got got[4];
        world_open(&w, 1 << 20);
        w.control = controls[c]; /* NULL: nothing to ask with */
        w.etag = controls[c] != NULL ? "\"1\"" : NULL;
        for (size_t i = 0; i < MEM_COUNT(got); i++)
            begin(&w, &got[i], "/file", 0);
        for (size_t i = 0; i < MEM_COUNT(got); i++)
            assert_got(&w, &got[i], 'a');
        assert_int_equal(w.whole, MEM_COUNT(got));
        w.letter = 'b';
        get(&w, "/file", 'b');
        assert_int_equal(w.whole, MEM_COUNT(got) + 1);
        assert_int_equal(world_files(&w), 0);
        w.control = "max-age=3600"; /* as soon as it may, it is kept */
        get(&w, "/file", 'b');
        get(&w, "/file", 'b');
        get(&w, "/file", 'b');
        assert_int_equal(w.whole, MEM_COUNT(got) + 3);
        world_close(&w);
    }
}

static void a_failure_is_told_to_all_and_not_kept(void **state)
{
    struct world w;
    struct got got[4];
    (void)state;
    world_open(&w, 1 << 20);
    w.etag = "\"1\"";
    for (int round = 0; round < 2; round++) { /* without and with a kept file */
        w.status = 503;
        for (size_t i = 0; i < MEM_COUNT(got); i++)
            begin(&w, &got[i], "/file", 0);
        for (size_t i = 0; i < MEM_COUNT(got); i++) {
            finish(&w, &got[i]);
            assert_int_equal(got[i].code, ERR_UNAVAILABLE);
            assert_non_null(strstr(got[i].text, "/file answers with status 503"));
            assert_int_equal(access(got[i].path, F_OK), -1);
        }
        w.status = 200;
        get(&w, "/file", 'a');
        assert_int_equal(w.whole, 1);
    }
    assert_int_equal(w.same, 1);
    world_close(&w);
}

/* The n-th file that was kept. */
static void damage(const struct world *w, unsigned n)
{
    char *path = mem_printf("%s/%u", w->cache_dir, n);
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, WORLD_BYTES / 2), 1);
    (void)close(fd);
    free(path);
}

static void a_damaged_file_is_fetched_again(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1 << 20);
    w.control = "max-age=3600";
    w.etag = "\"1\"";
    get(&w, "/file", 'a');
    for (unsigned round = 1; round <= 2; round++) {
        damage(&w, round);
        get(&w, "/file", 'a');
    }
    assert_int_equal(w.whole, 3);
    world_close(&w);
}

/* One finds the damage while another has the server asked whether the file is still the same: that
 * it is helps neither. */
static void what_is_damaged_while_it_is_asked_about_is_fetched_again(void **state)
{
    struct world w;
    struct got finds;
    struct got asks;
    (void)state;
    world_open(&w, 1 << 20);
    w.etag = "\"1\"";
    get(&w, "/file", 'a');
    damage(&w, 1);
    begin(&w, &finds, "/file", 0);
    while (finds.get->waits) /* for a first 304; then it is copied */
        loop_turn(w.loop);
    assert_false(finds.done);
    w.hold = true;
    begin(&w, &asks, "/file", 0);
    assert_true(asks.get->waits);
    while (!finds.get->waits) /* until it has found that it must be fetched again */
        loop_turn(w.loop);
    assert_int_equal(w.whole, 1);
    wait_held(&w);
    release(&w);
    assert_got(&w, &finds, 'a');
    assert_got(&w, &asks, 'a');
    assert_int_equal(w.same, 2);
    assert_int_equal(w.whole, 2);
    assert_int_equal(world_files(&w), 1);
    world_close(&w);
}

static void what_is_too_large_is_shared_but_not_kept(void **state)
{
    struct world w;
    struct got got[4];
    (void)state;
    world_open(&w, WORLD_BYTES - 1);
    w.control = "max-age=3600";
    for (size_t i = 0; i < MEM_COUNT(got); i++)
        begin(&w, &got[i], "/file", 0);
    for (size_t i = 0; i < MEM_COUNT(got); i++)
        assert_got(&w, &got[i], 'a');
    assert_int_equal(w.whole, 1);
    assert_int_equal(world_files(&w), 0);
    get(&w, "/file", 'a');
    assert_int_equal(w.whole, 2);
    world_close(&w);
}

static void the_longest_unused_goes_first(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 2 * WORLD_BYTES);
    w.control = "max-age=3600";
    get(&w, "/file?1", 'a');
    get(&w, "/file?2", 'a');
    get(&w, "/file?1", 'a');
    get(&w, "/file?3", 'a');
    assert_int_equal(world_files(&w), 2);
    get(&w, "/file?1", 'a');
    assert_int_equal(w.whole, 3);
    get(&w, "/file?2", 'a');
    assert_int_equal(w.whole, 4);
    url_cache_clear(w.cache);
    assert_int_equal(world_files(&w), 0);
    world_close(&w);
}

static void who_gives_up_takes_nothing_from_the_others(void **state)
{
    struct world w;
    struct got got[3];
    (void)state;
    world_open(&w, 1 << 20);
    w.control = "max-age=3600";
    w.hold = true;
    for (size_t i = 0; i < MEM_COUNT(got); i++)
        begin(&w, &got[i], "/file", 0);
    wait_held(&w);
    url_cache_cancel(got[0].get); /* who began it */
    finish(&w, &got[0]);
    assert_int_equal(got[0].code, ERR_CANCELLED);
    release(&w);
    assert_got(&w, &got[1], 'a');
    assert_got(&w, &got[2], 'a');
    assert_int_equal(w.whole, 1);
    world_close(&w);
}

static void a_download_that_nobody_wants_ends(void **state)
{
    struct world w;
    struct got got[2];
    (void)state;
    world_open(&w, 1 << 20);
    w.control = "max-age=3600";
    w.hold = true;
    begin(&w, &got[0], "/file", 0);
    begin(&w, &got[1], "/file", 1); /* its time limit */
    wait_held(&w);
    finish(&w, &got[1]);
    assert_int_equal(got[1].code, ERR_TIMEOUT);
    assert_false(w.held_gone);
    url_cache_cancel(got[0].get);
    finish(&w, &got[0]);
    while (!w.held_gone)
        loop_turn(w.loop);
    assert_int_equal(world_files(&w), 0);
    release(&w);
    get(&w, "/file", 'a');
    world_close(&w);
}

static void a_validator_counts_only_where_it_came_from(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1 << 20);
    w.etag = "\"1\"";
    w.place = "/file";
    get(&w, "/moved", 'a');
    w.place = "/file?signature";
    get(&w, "/moved", 'a');
    assert_int_equal(w.whole, 1);
    w.place = "/other"; /* another file, by chance with the same tag */
    w.letter = 'b';
    get(&w, "/moved", 'b');
    assert_int_equal(w.whole, 2);
    world_close(&w);
}

static void a_place_that_cannot_be_written_is_an_error(void **state)
{
    struct world w;
    struct got got;
    (void)state;
    world_open(&w, 1 << 20);
    w.control = "max-age=3600";
    get(&w, "/file", 'a');
    char *url = mem_printf("http://127.0.0.1:%u/file", w.port);
    for (int round = 0; round < 2; round++) {
        got = (struct got){.done = false};
        (void)url_cache_get(w.cache, url, round == 0 ? "/nowhere/file" : w.dir, 0, on_got, &got);
        finish(&w, &got);
        assert_true(got.code < 0);
    }
    free(url);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_ask_at_once_share_one_download),
        cmocka_unit_test(what_is_kept_is_asked_about),
        cmocka_unit_test(what_is_fresh_is_not_asked_about),
        cmocka_unit_test(what_is_not_to_be_kept_everybody_downloads),
        cmocka_unit_test(a_failure_is_told_to_all_and_not_kept),
        cmocka_unit_test(a_damaged_file_is_fetched_again),
        cmocka_unit_test(what_is_damaged_while_it_is_asked_about_is_fetched_again),
        cmocka_unit_test(what_is_too_large_is_shared_but_not_kept),
        cmocka_unit_test(the_longest_unused_goes_first),
        cmocka_unit_test(who_gives_up_takes_nothing_from_the_others),
        cmocka_unit_test(a_download_that_nobody_wants_ends),
        cmocka_unit_test(a_validator_counts_only_where_it_came_from),
        cmocka_unit_test(a_place_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
