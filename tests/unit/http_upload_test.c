#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "tests/lib/http_fixture.h"

enum { UPLOAD_BYTES_MAX = 20 << 20 };

struct world {
    struct http_fixture f;
    unsigned calls;
    bool keep;
    bool called;
    char *kept_path;
};

static void take_upload(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    w->called = true;
    const struct http_upload *upload = http_request_upload(req);
    assert_int_equal(access(upload->path, R_OK), 0);
    if (w->keep) {
        http_request_keep_upload(req);
        w->kept_path = mem_strdup(upload->path);
    }
    http_reply_json(req, 201,
                    json_pack("{s:I, s:o}", "bytes", (json_int_t)upload->bytes_len, "xxh3",
                              json_sprintf("%016" PRIx64, upload->xxh3)));
}

static const struct http_route routes[] = {
    {"POST", "/api/files", HTTP_ROUTE_UPLOAD, 0, take_upload},
    {"POST", "/tiny", HTTP_ROUTE_UPLOAD, 1000, take_upload},
};

static int set_up_with(void **state, unsigned uploads_max, uint64_t bytes_max)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct http_server_options options;
    http_fixture_options(&w->f, &options);
    options.upload_bytes_max = bytes_max;
    options.uploads_max = uploads_max;
    http_fixture_start(&w->f, &options, routes, MEM_COUNT(routes), w);
    *state = w;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 16, UPLOAD_BYTES_MAX);
}

static int set_up_one(void **state)
{
    return set_up_with(state, 1, UPLOAD_BYTES_MAX);
}

static int set_up_huge(void **state)
{
    return set_up_with(state, 16, UINT64_MAX);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    http_fixture_stop(&w->f);
    free(w->kept_path);
    free(w);
    return 0;
}

static unsigned files_in(const struct world *w)
{
    unsigned count = 0;
    DIR *dir = opendir(w->f.dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        count += strncmp(entry->d_name, "upload-", 7) == 0;
    (void)closedir(dir);
    return count;
}

static void wait_for_files(struct world *w, unsigned count)
{
    while (files_in(w) != count)
        http_fixture_turn(&w->f);
}

static char *make_content(size_t len)
{
    char *content = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        content[i] = (char)(i * 2654435761U >> 13);
    return content;
}

static void an_upload_arrives_whole_with_its_checksum(void **state)
{
    struct world *w = *state;
    static const size_t lens[] = {0, 1, 1000, 128 * 1024, 128 * 1024 + 1, 7654321};
    struct raw_client *raw = raw_client_unix(&w->f);
    for (size_t i = 0; i < MEM_COUNT(lens); i++) {
        char *content = make_content(lens[i] + 1);
        char expected[128];
        (void)snprintf(expected, sizeof expected, "{\"bytes\":%zu,\"xxh3\":\"%016" PRIx64 "\"}\n",
                       lens[i], (uint64_t)XXH3_64bits(content, lens[i]));
        raw_client_say(raw, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                       lens[i]);
        assert_true(raw_client_send(raw, content, lens[i]));
        const struct raw_answer *answer = raw_client_answer(raw, false);
        assert_int_equal(answer->status, 201);
        assert_string_equal(answer->body, expected);
        free(content);
    }
    assert_int_equal(w->calls, MEM_COUNT(lens));
    assert_int_equal(files_in(w), 0); /* nobody kept one */
    raw_client_close(raw);
}

static void a_kept_upload_stays(void **state)
{
    struct world *w = *state;
    w->keep = true;
    char *content = make_content(300000);
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw,
                   "POST /api/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < 300000; at += 100000) {
        raw_client_say(raw, "186a0\r\n");
        assert_true(raw_client_send(raw, content + at, 100000));
        raw_client_say(raw, "\r\n");
    }
    raw_client_say(raw, "0\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 201);
    char *read_back = mem_alloc(300001);
    FILE *file = fopen(w->kept_path, "re");
    assert_non_null(file);
    assert_int_equal(fread(read_back, 1, 300001, file), 300000);
    (void)fclose(file);
    assert_memory_equal(read_back, content, 300000);
    free(read_back);
    free(content);
    raw_client_close(raw);
}

static void an_upload_over_the_limit_leaves_no_file(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "POST /tiny HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    char *content = make_content(100000);
    assert_true(raw_client_send(raw, content, 1001));
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    raw_client_say(raw,
                   "POST /tiny HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n");
    assert_true(raw_client_send(raw, content, 100000));
    raw_client_say(raw, "\r\n0\r\n\r\n");
    assert_int_equal(raw_client_answer(raw, false)->status, 413);
    free(content);
    assert_int_equal(w->calls, 0);
    wait_for_files(w, 0);
    raw_client_close(raw);
}

static void an_upload_that_is_broken_off_leaves_no_file(void **state)
{
    struct world *w = *state;
    char *content = make_content(1 << 20);
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    assert_true(raw_client_send(raw, content, 1 << 20));
    wait_for_files(w, 1);
    raw_client_close(raw);
    wait_for_files(w, 0);
    assert_int_equal(w->calls, 0);

    raw = raw_client_unix(&w->f);
    raw_client_say(raw, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    assert_true(raw_client_send(raw, content, 1 << 20));
    wait_for_files(w, 1);
    http_fixture_close_server(&w->f);
    http_fixture_wait(&w->f, &w->f.closed);
    assert_int_equal(files_in(w), 0);
    raw_client_close(raw);
    free(content);
}

static void uploads_over_the_limit_are_told_to_come_again(void **state)
{
    struct world *w = *state;
    struct raw_client *first = raw_client_unix(&w->f);
    raw_client_say(first, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    wait_for_files(w, 1);
    struct raw_client *second = raw_client_unix(&w->f);
    raw_client_say(second, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    const struct raw_answer *answer = raw_client_answer(second, false);
    assert_int_equal(answer->status, 503);
    assert_non_null(strstr(answer->head, "Retry-After: 1\r\n"));
    raw_client_say(first, "56789");
    assert_int_equal(raw_client_answer(first, false)->status, 201);
    raw_client_say(second, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert_int_equal(raw_client_answer(second, false)->status, 201);
    raw_client_close(first);
    raw_client_close(second);
}

static void an_upload_that_cannot_fit_is_refused_before_it_is_sent(void **state)
{
    struct world *w = *state;
    struct raw_client *raw = raw_client_unix(&w->f);
    raw_client_say(raw, "POST /api/files HTTP/1.1\r\nHost: x\r\nContent-Length: "
                        "9000000000000000000\r\n\r\n");
    const struct raw_answer *answer = raw_client_answer(raw, false);
    assert_int_equal(answer->status, 507);
    assert_non_null(strstr(answer->body, "\"code\":\"disk_full\""));
    assert_int_equal(files_in(w), 0);
    raw_client_close(raw);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_upload_arrives_whole_with_its_checksum),
        CASE(a_kept_upload_stays),
        CASE(an_upload_over_the_limit_leaves_no_file),
        CASE(an_upload_that_is_broken_off_leaves_no_file),
        cmocka_unit_test_setup_teardown(uploads_over_the_limit_are_told_to_come_again, set_up_one,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_upload_that_cannot_fit_is_refused_before_it_is_sent,
                                        set_up_huge, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
