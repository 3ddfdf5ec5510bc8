#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "run/http_client.h"
#include "run/object_store.h"
#include "tests/lib/s3_server.h"

#define PLACE "s3://" S3_SERVER_BUCKET "/lake"

enum { PART_BYTES = 64 * 1024, BIG_BYTES = 5 * PART_BYTES + 17 };

struct fixture {
    struct s3_server *server;
    struct loop *loop;
    struct http_client *http;
    struct object_store *store;
    struct loop_timer ticker; /* a turn ends even if all was done before it waits */
    bool closed;
};

struct outcome {
    bool done;
    int code;
    char text[ERROR_TEXT_MAX];
    char *data;
    size_t len;
    uint64_t size;
    char keys[2048];
    char last[256];
    size_t keys_n;
    bool more;
};

static void open_store(struct fixture *f, const char *secret)
{
    struct object_store_options options = {.loop = f->loop,
                                           .http = f->http,
                                           .s3 = {.endpoint = s3_server_endpoint(f->server),
                                                  .region = S3_SERVER_REGION,
                                                  .access_key = S3_SERVER_ACCESS,
                                                  .secret_key = secret,
                                                  .attempts_max = 4,
                                                  .backoff_ms = 1,
                                                  .idle_timeout_ms = 1000,
                                                  .part_bytes = PART_BYTES}};
    f->store = object_store_new(&options);
    assert_int_equal(object_store_allow(f->store, "s3://" S3_SERVER_BUCKET, NULL), 0);
    assert_int_equal(object_store_allow(f->store, "s3://other-bucket", NULL), 0);
}

static void on_tick(void *arg)
{
    struct fixture *f = arg;
    loop_timer_start(&f->ticker, 5);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    f->server = s3_server_new();
    f->loop = loop_new();
    struct http_client_options options;
    http_client_options_init(&options);
    options.loop = loop_uv(f->loop);
    f->http = http_client_new(&options);
    open_store(f, S3_SERVER_SECRET);
    loop_timer_init(&f->ticker, f->loop, on_tick, f);
    loop_timer_start(&f->ticker, 5);
    *state = f;
    return 0;
}

static void on_closed(void *arg)
{
    struct fixture *f = arg;
    f->closed = true;
}

static void close_store(struct fixture *f)
{
    f->closed = false;
    object_store_close(f->store, on_closed, f);
    while (!f->closed)
        loop_turn(f->loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(s3_server_uploads(f->server), 0);
    close_store(f);
    loop_timer_stop(&f->ticker);
    http_client_close(f->http, NULL, NULL);
    loop_free(f->loop);
    s3_server_free(f->server);
    free(f);
    return 0;
}

static void on_done(void *arg, const struct object_result *result)
{
    struct outcome *o = arg;
    assert_false(o->done);
    o->done = true;
    o->code = result->code;
    snprintf(o->text, sizeof o->text, "%s", result->text);
    o->data = result->data != NULL ? mem_dup(result->data, result->len + 1) : NULL;
    o->len = result->len;
    o->size = result->size;
    o->more = result->more;
    o->keys_n = result->entries_n;
    for (size_t i = 0; i < result->entries_n; i++) {
        const char *key = result->entries[i].key;
        if (strlen(o->keys) + strlen(key) + 2 < sizeof o->keys)
            strcat(strcat(o->keys, key), " ");
        snprintf(o->last, sizeof o->last, "%s", key);
    }
}

static struct outcome call(struct fixture *f, struct object_request request)
{
    struct outcome o = {0};
    request.on_done = on_done;
    request.arg = &o;
    if (request.place == NULL)
        request.place = PLACE;
    object_store_call(f->store, &request);
    assert_false(o.done);
    while (!o.done)
        loop_turn(f->loop);
    assert_null(strstr(o.text, S3_SERVER_SECRET));
    assert_null(strstr(o.text, "Signature="));
    return o;
}

static int put(struct fixture *f, enum object_verb verb, const char *key, const char *body)
{
    struct outcome o = call(
        f,
        (struct object_request){.verb = verb, .key = key, .body = body, .body_len = strlen(body)});
    if (o.code < 0 && o.code != ERR_EXISTS)
        fail_msg("%s", o.text);
    return o.code;
}

static void expect(struct fixture *f, const char *key, const char *body)
{
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = key});
    if (o.code < 0)
        fail_msg("%s", o.text);
    assert_string_equal(o.data, body);
    free(o.data);
}

static void what_is_put_is_got_whole_and_in_ranges(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "a b/c+\xc3\xa4&=?#%25", "0123456789"), 0);
    expect(f, "a b/c+\xc3\xa4&=?#%25", "0123456789");
    assert_int_equal(put(f, OBJECT_PUT, "k", "0123456789"), 0);
    struct outcome o =
        call(f, (struct object_request){.verb = OBJECT_GET, .key = "k", .offset = 3, .length = 4});
    assert_string_equal(o.data, "3456");
    assert_int_equal(o.size, 10);
    free(o.data);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k", .offset = 100});
    assert_int_equal(o.code, 0);
    assert_int_equal(o.len, 0);
    free(o.data);
    o = call(f, (struct object_request){.verb = OBJECT_STAT, .key = "k"});
    assert_int_equal(o.size, 10);
    assert_int_equal(put(f, OBJECT_PUT, "empty", ""), 0);
    expect(f, "empty", "");
    assert_int_equal(s3_server_refused(f->server), 0);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_GET, .key = "none"}).code,
                     ERR_NOT_FOUND);
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_STAT, .key = "none"}).code,
                     ERR_NOT_FOUND);
    struct outcome o = call(
        f, (struct object_request){.verb = OBJECT_GET, .place = "s3://other-bucket", .key = "k"});
    assert_int_equal(o.code, ERR_NOT_FOUND);
    assert_non_null(strstr(o.text, "bucket does not exist"));
}

static void who_comes_second_with_if_absent_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "k", "one"), 0);
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "k", "two"), ERR_EXISTS);
    expect(f, "k", "one");
}

/* The first try was carried out, its answer lost. */
static void a_conditional_put_that_was_carried_out_is_not_taken_for_anothers(void **state)
{
    struct fixture *f = *state;
    s3_server_fail(f->server, S3_FAULT_CUT_AFTER, 0, 1);
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "k", "one"), 0);
    expect(f, "k", "one");
    s3_server_fail(f->server, S3_FAULT_500, 0, 1);
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "k", "two"), ERR_EXISTS);
}

static void what_passes_is_tried_again(void **state)
{
    struct fixture *f = *state;
    static const enum s3_fault faults[] = {S3_FAULT_500, S3_FAULT_503, S3_FAULT_CUT,
                                           S3_FAULT_CUT_BODY, S3_FAULT_SLOW};
    for (size_t i = 0; i < MEM_COUNT(faults); i++) {
        struct object_store_stats stats;
        assert_int_equal(put(f, OBJECT_PUT, "k", "content"), 0);
        s3_server_fail(f->server, faults[i], 0, faults[i] == S3_FAULT_SLOW ? 1 : 3);
        expect(f, "k", "content");
        object_store_get_stats(f->store, &stats);
        assert_true(stats.retries > 0);
    }
}

static void what_does_not_pass_ends_with_what_to_do(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "k", "content"), 0);
    s3_server_fail(f->server, S3_FAULT_503, 0, 100);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k"});
    assert_int_equal(o.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(o.text, "503 SlowDown"));
    unsigned before = s3_server_requests(f->server);
    s3_server_fail(f->server, S3_FAULT_403, 0, 1);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k"});
    assert_int_equal(o.code, ERR_FORBIDDEN);
    assert_int_equal(s3_server_requests(f->server), before + 1);
    close_store(f);
    open_store(f, "wrong");
    o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k"});
    assert_int_equal(o.code, ERR_UNAUTHORIZED);
    assert_non_null(strstr(o.text, "credentials are wrong"));
}

static void a_damaged_object_is_noticed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "k", "content"), 0);
    s3_server_fail(f->server, S3_FAULT_FLIP, 0, 1);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k"});
    assert_int_equal(o.code, ERR_CORRUPT);
    expect(f, "k", "content");
}

static int big_file(char **content)
{
    struct prng prng;
    FILE *file = tmpfile();
    prng_init(&prng, 7);
    *content = mem_alloc(BIG_BYTES);
    prng_bytes(&prng, *content, BIG_BYTES);
    assert_int_equal(fwrite(*content, 1, BIG_BYTES, file), BIG_BYTES);
    fflush(file);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static void large_files_travel_in_parts(void **state)
{
    struct fixture *f = *state;
    char *content, *back = mem_alloc(BIG_BYTES);
    int fd = big_file(&content);
    struct object_request up = {.verb = OBJECT_PUT_IF_ABSENT,
                                .key = "big",
                                .from_fd = true,
                                .body_fd = fd,
                                .fd_len = BIG_BYTES};
    s3_server_fail(f->server, S3_FAULT_503, 2, 2);
    struct outcome o = call(f, up);
    if (o.code < 0)
        fail_msg("%s", o.text);
    assert_int_equal(o.size, BIG_BYTES);
    s3_server_fail(f->server, S3_FAULT_NONE, 0, 0);
    assert_int_equal(call(f, up).code, ERR_EXISTS);
    while (s3_server_uploads(f->server) > 0)
        loop_turn(f->loop);
    assert_int_equal(ftruncate(fd, 0), 0);
    struct object_request down = {.verb = OBJECT_GET, .key = "big", .to_fd = true, .out_fd = fd};
    s3_server_fail(f->server, S3_FAULT_CUT_BODY, 1, 1);
    o = call(f, down);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.len, BIG_BYTES);
    assert_int_equal(pread(fd, back, BIG_BYTES, 0), BIG_BYTES);
    assert_memory_equal(back, content, BIG_BYTES);
    down.offset = 100;
    down.length = PART_BYTES + 50;
    assert_int_equal(ftruncate(fd, 0), 0);
    o = call(f, down);
    assert_int_equal(o.len, PART_BYTES + 50);
    assert_int_equal(pread(fd, back, BIG_BYTES, 0), PART_BYTES + 50);
    assert_memory_equal(back, content + 100, PART_BYTES + 50);
    close(fd);
    free(back);
    free(content);
}

static void an_upload_that_fails_is_undone(void **state)
{
    struct fixture *f = *state;
    char *content;
    int fd = big_file(&content);
    struct object_request up = {
        .verb = OBJECT_PUT, .key = "big", .from_fd = true, .body_fd = fd, .fd_len = BIG_BYTES};
    s3_server_fail(f->server, S3_FAULT_403, 3, 1);
    assert_int_equal(call(f, up).code, ERR_FORBIDDEN);
    assert_int_equal(ftruncate(fd, BIG_BYTES / 2), 0);
    assert_true(call(f, up).code < 0);
    while (s3_server_uploads(f->server) > 0)
        loop_turn(f->loop);
    assert_int_equal(s3_server_objects(f->server), 0);
    close(fd);
    free(content);
}

static void pages_together_are_the_listing(void **state)
{
    struct fixture *f = *state;
    char key[64], after[256] = "";
    unsigned seen = 0;
    assert_int_equal(put(f, OBJECT_PUT, "q", "1"), 0);
    for (unsigned i = 0; i < 23; i++) {
        snprintf(key, sizeof key, "p q/%u/x&%u", i % 5, i);
        assert_int_equal(put(f, OBJECT_PUT, key, "1"), 0);
    }
    for (;;) {
        struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST,
                                                           .key = "p q",
                                                           .limit = 7,
                                                           .after = seen > 0 ? after : NULL});
        assert_int_equal(o.code, 0);
        assert_true(strcmp(o.last, after) > 0);
        assert_true(strncmp(o.last, "p q/", 4) == 0);
        seen += (unsigned)o.keys_n;
        snprintf(after, sizeof after, "%s", o.last);
        if (!o.more)
            break;
    }
    assert_int_equal(seen, 23);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "none"});
    assert_true(o.code == 0 && o.keys_n == 0);
    o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "", .after = "p q/4/x&9"});
    assert_string_equal(o.keys, "q ");
}

static void deleting_takes_one_or_all_below(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "a/1", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "a/2/3", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "ab", "1"), 0);
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_DELETE, .key = "ab"}).code, 0);
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_DELETE, .key = "ab"}).code, 0);
    assert_int_equal(put(f, OBJECT_PUT, "ab", "1"), 0);
    assert_int_equal(
        call(f, (struct object_request){.verb = OBJECT_DELETE_PREFIX, .key = "a"}).code, 0);
    assert_int_equal(s3_server_objects(f->server), 1);
    expect(f, "ab", "1");
}

static void a_cancelled_call_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = PLACE,
                                     .key = "k",
                                     .body = "1",
                                     .body_len = 1,
                                     .on_done = on_done,
                                     .arg = &o};
    object_call_cancel(object_store_call(f->store, &request));
    request.verb = OBJECT_GET;
    object_call_cancel(object_store_call(f->store, &request));
    request.verb = OBJECT_STAT;
    object_store_call(f->store, &request); /* ended by the store's end */
    close_store(f);
    assert_false(o.done);
    open_store(f, S3_SERVER_SECRET);
}

static void keys_come_from_a_file_that_may_change(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/clusterd-test-XXXXXX";
    int fd = mkstemp(path);
    static const char bad[] = "[other]\naws_access_key_id = x\n[default]\naws_access_key_id = y\n"
                              "aws_secret_access_key=z\n";
    static const char good[] = "# c\n[default]\naws_access_key_id = " S3_SERVER_ACCESS
                               "\n aws_secret_access_key = " S3_SERVER_SECRET " \n";
    assert_int_equal(write(fd, bad, sizeof bad - 1), sizeof bad - 1);
    close_store(f);
    struct object_store_options options = {.loop = f->loop,
                                           .http = f->http,
                                           .s3 = {.endpoint = s3_server_endpoint(f->server),
                                                  .region = S3_SERVER_REGION,
                                                  .credentials_path = path}};
    f->store = object_store_new(&options);
    assert_int_equal(object_store_allow(f->store, PLACE, NULL), 0);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_STAT, .key = "k"});
    assert_true(o.code == ERR_UNAUTHORIZED || o.code == ERR_FORBIDDEN);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, good, sizeof good - 1, 0), sizeof good - 1);
    struct timespec later[2] = {{.tv_sec = 2000000000}, {.tv_sec = 2000000000}};
    futimens(fd, later);
    assert_int_equal(put(f, OBJECT_PUT, "k", "1"), 0);
    assert_int_equal(unlink(path), 0);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "k"});
    assert_int_equal(o.code, ERR_UNAUTHORIZED);
    assert_non_null(strstr(o.text, path));
    close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_is_put_is_got_whole_and_in_ranges),
        CASE(what_is_not_there_is_not_found),
        CASE(who_comes_second_with_if_absent_is_told),
        CASE(a_conditional_put_that_was_carried_out_is_not_taken_for_anothers),
        CASE(what_passes_is_tried_again),
        CASE(what_does_not_pass_ends_with_what_to_do),
        CASE(a_damaged_object_is_noticed),
        CASE(large_files_travel_in_parts),
        CASE(an_upload_that_fails_is_undone),
        CASE(pages_together_are_the_listing),
        CASE(deleting_takes_one_or_all_below),
        CASE(a_cancelled_call_is_not_told),
        CASE(keys_come_from_a_file_that_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
