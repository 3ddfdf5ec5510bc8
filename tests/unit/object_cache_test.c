/* Ranges of objects in a bucket, kept in files with holes. */
#include "run/object_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "run/executor_publish.h"
#include "run/http_client.h"
#include "run/object_store.h"
#include "tests/lib/s3_server.h"

#define PLACE "s3://" S3_SERVER_BUCKET "/lake"

enum { OBJECT_BYTES = 1 << 20, BOUND = 8 << 20, OBJECTS = 12 };

struct bed {
    struct s3_server *server;
    struct loop *loop;
    struct http_client *http;
    struct object_store *store;
    struct object_cache *cache;
    struct loop_timer ticker;
    char *dir;
    uint8_t *data[OBJECTS];
    bool closed;
};

struct outcome {
    struct object_fetch *fetch;
    bool done;
    int code;
    char text[512];
};

static void on_tick(void *arg)
{
    loop_timer_start(&((struct bed *)arg)->ticker, 5);
}

static void on_closed(void *arg)
{
    ((struct bed *)arg)->closed = true;
}

static void open_cache(struct bed *bed, uint64_t bound)
{
    struct object_cache_options options = {bed->loop, bed->store, bed->dir, bound};
    assert_int_equal(object_cache_new(&options, &bed->cache, NULL), 0);
}

static void close_cache(struct bed *bed)
{
    bed->closed = false;
    object_cache_close(bed->cache, on_closed, bed);
    while (!bed->closed)
        loop_turn(bed->loop);
    bed->cache = NULL;
}

static void on_put(void *arg, const struct object_result *result)
{
    assert_int_equal(result->code, 0);
    *(bool *)arg = true;
}

static void put(struct bed *bed, const char *key, const void *data, size_t len)
{
    bool done = false;
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = PLACE,
                                     .key = key,
                                     .body = data,
                                     .body_len = len,
                                     .on_done = on_put,
                                     .arg = &done};
    (void)object_store_call(bed->store, &request);
    while (!done)
        loop_turn(bed->loop);
}

static char *key_of(unsigned i)
{
    return mem_printf("t/part-%u.parquet", i);
}

static int setup(void **state)
{
    struct bed *bed = mem_zalloc(sizeof *bed);
    const char *tmp = getenv("TMPDIR");
    struct http_client_options http;
    struct prng prng;
    bed->server = s3_server_new();
    bed->loop = loop_new();
    http_client_options_init(&http);
    http.loop = loop_uv(bed->loop);
    bed->http = http_client_new(&http);
    struct object_store_options options = {.loop = bed->loop,
                                           .http = bed->http,
                                           .s3 = {.endpoint = s3_server_endpoint(bed->server),
                                                  .region = S3_SERVER_REGION,
                                                  .access_key = S3_SERVER_ACCESS,
                                                  .secret_key = S3_SERVER_SECRET,
                                                  .attempts_max = 3,
                                                  .backoff_ms = 1,
                                                  .idle_timeout_ms = 1000}};
    bed->store = object_store_new(&options);
    assert_int_equal(object_store_allow(bed->store, "s3://" S3_SERVER_BUCKET, NULL), 0);
    loop_timer_init(&bed->ticker, bed->loop, on_tick, bed);
    on_tick(bed);
    bed->dir = mem_printf("%s/cache-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(bed->dir));
    prng_init(&prng, 3);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char *key = key_of(i);
        bed->data[i] = mem_alloc(OBJECT_BYTES);
        prng_bytes(&prng, bed->data[i], OBJECT_BYTES);
        put(bed, key, bed->data[i], OBJECT_BYTES);
        free(key);
    }
    open_cache(bed, BOUND);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    if (bed->cache != NULL)
        close_cache(bed);
    bed->closed = false;
    object_store_close(bed->store, on_closed, bed);
    while (!bed->closed)
        loop_turn(bed->loop);
    loop_timer_stop(&bed->ticker);
    http_client_close(bed->http, NULL, NULL);
    loop_free(bed->loop);
    s3_server_free(bed->server);
    executor_publish_remove(bed->dir);
    for (unsigned i = 0; i < OBJECTS; i++)
        free(bed->data[i]);
    free(bed->dir);
    free(bed);
    return 0;
}

static void on_fetched(void *arg, int code, const char *text)
{
    struct outcome *o = arg;
    o->done = true;
    o->code = code;
    snprintf(o->text, sizeof o->text, "%s", text);
}

static void begin(struct bed *bed, struct outcome *o, unsigned object,
                  const struct object_range *ranges, size_t n)
{
    char *key = key_of(object);
    struct object_want want = {.place = PLACE,
                               .key = key,
                               .size = OBJECT_BYTES,
                               .part = "a",
                               .ranges = ranges,
                               .ranges_n = n};
    *o = (struct outcome){0};
    o->fetch = object_cache_fetch(bed->cache, &want, 1, on_fetched, o);
    assert_false(o->done);
    free(key);
}

static void wait_for(struct bed *bed, const struct outcome *o)
{
    while (!o->done)
        loop_turn(bed->loop);
}

static void check_file(const struct bed *bed, const struct outcome *o, unsigned object,
                       uint64_t offset, uint64_t len)
{
    char *path = mem_printf("%s/%s", bed->dir, object_fetch_name(o->fetch, 0));
    uint8_t *data = mem_alloc(len);
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, OBJECT_BYTES);
    assert_int_equal(pread(fd, data, len, (off_t)offset), len);
    assert_memory_equal(data, bed->data[object] + offset, len);
    close(fd);
    free(data);
    free(path);
}

/* Fetches a range, looks at it, releases it; gives what travelled. */
static uint64_t fetch(struct bed *bed, unsigned object, uint64_t offset, uint64_t len)
{
    struct outcome o;
    struct object_range range = {offset, len};
    begin(bed, &o, object, &range, 1);
    wait_for(bed, &o);
    if (o.code < 0)
        fail_msg("%s", o.text);
    check_file(bed, &o, object, offset, len);
    uint64_t bytes = object_fetch_bytes(o.fetch);
    object_fetch_release(o.fetch);
    return bytes;
}

static void a_range_travels_once(void **state)
{
    struct bed *bed = *state;
    assert_int_equal(fetch(bed, 0, 1000, 5000), 5000);
    assert_int_equal(fetch(bed, 0, 1000, 5000), 0);
    assert_int_equal(fetch(bed, 0, 2000, 100), 0);
    assert_int_equal(fetch(bed, 0, 0, 10000), 5000);
    assert_int_equal(fetch(bed, 0, 0, 10000), 0);
    assert_int_equal(fetch(bed, 1, 1000, 5000), 5000);
    assert_int_equal(s3_server_bytes_sent(bed->server), 15000);
}

static void ranges_near_to_each_other_are_one_request(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct object_range near[] = {{50000, 20000}, {10000, 20000}, {31000, 18500}};
    unsigned before = s3_server_requests(bed->server);
    begin(bed, &o, 0, near, 3);
    wait_for(bed, &o);
    assert_int_equal(o.code, 0);
    assert_int_equal(s3_server_requests(bed->server) - before, 1);
    assert_int_equal(object_fetch_bytes(o.fetch), 60000);
    object_fetch_release(o.fetch);
    struct object_range far[] = {{0, 2000}, {500000, 2000}};
    before = s3_server_requests(bed->server);
    begin(bed, &o, 1, far, 2);
    wait_for(bed, &o);
    assert_int_equal(s3_server_requests(bed->server) - before, 2);
    assert_int_equal(object_fetch_bytes(o.fetch), 4000);
    object_fetch_release(o.fetch);
}

static void what_two_ask_for_at_once_travels_once(void **state)
{
    struct bed *bed = *state;
    struct outcome o[4];
    struct object_range range = {4096, 300000};
    for (int i = 0; i < 4; i++)
        begin(bed, &o[i], 2, &range, 1);
    object_fetch_release(o[1].fetch); /* one of them gives up */
    for (int i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        wait_for(bed, &o[i]);
        assert_int_equal(o[i].code, 0);
        check_file(bed, &o[i], 2, 4096, 300000);
        object_fetch_release(o[i].fetch);
    }
    assert_int_equal(s3_server_bytes_sent(bed->server), 300000);
}

/* Generated fetches, dropped ones among them, restarts and damage: a file never gives a byte for
 * one of a range that was asked for which is not the object's. */
static void no_hole_is_ever_given_out(void **state)
{
    struct bed *bed = *state;
    struct prng prng;
    prng_init(&prng, 29);
    for (unsigned round = 0; round < 150; round++) {
        struct outcome o[6];
        struct object_range ranges[6][5];
        unsigned object[6];
        size_t n[6];
        bool dropped[6];
        for (int i = 0; i < 6; i++) {
            object[i] = (unsigned)prng_below(&prng, OBJECTS);
            n[i] = 1 + prng_below(&prng, 5);
            for (size_t r = 0; r < n[i]; r++) {
                ranges[i][r].offset = prng_below(&prng, OBJECT_BYTES);
                ranges[i][r].len = prng_below(&prng, OBJECT_BYTES - ranges[i][r].offset) /
                                   (1 + prng_below(&prng, 40));
            }
            begin(bed, &o[i], object[i], ranges[i], n[i]);
        }
        if (round % 5 == 0)
            s3_server_fail(bed->server, S3_FAULT_CUT_BODY, (unsigned)prng_below(&prng, 4), 1);
        for (int i = 0; i < 6; i++) {
            dropped[i] = prng_chance(&prng, 1, 5);
            for (uint64_t turns = prng_below(&prng, 8); dropped[i] && turns > 0; turns--)
                loop_turn(bed->loop);
            if (dropped[i])
                object_fetch_release(o[i].fetch);
        }
        for (int i = 0; i < 6; i++) {
            if (dropped[i])
                continue;
            wait_for(bed, &o[i]);
            if (o[i].code < 0)
                fail_msg("%s", o[i].text);
            for (size_t r = 0; r < n[i]; r++)
                check_file(bed, &o[i], object[i], ranges[i][r].offset, ranges[i][r].len);
            object_fetch_release(o[i].fetch);
        }
        if (round % 10 == 9) {
            close_cache(bed);
            open_cache(bed, BOUND);
        }
        struct object_cache_stats stats;
        object_cache_get_stats(bed->cache, &stats);
        assert_true(stats.bytes <= BOUND);
    }
}

static uint64_t bytes_on_disk(const struct bed *bed)
{
    DIR *d = opendir(bed->dir);
    struct dirent *entry;
    struct stat st;
    uint64_t sum = 0;
    while ((entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.' && fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
            sum += (uint64_t)st.st_blocks * 512;
    closedir(d);
    return sum;
}

static void the_longest_unused_goes_when_the_bound_is_reached(void **state)
{
    struct bed *bed = *state;
    struct object_cache_stats stats;
    for (unsigned i = 0; i < OBJECTS; i++) {
        assert_int_equal(fetch(bed, i, 0, OBJECT_BYTES), OBJECT_BYTES);
        assert_int_equal(fetch(bed, 0, 0, OBJECT_BYTES), 0);
    }
    object_cache_get_stats(bed->cache, &stats);
    assert_true(stats.bytes <= BOUND && stats.evictions >= 4);
    close_cache(bed);
    assert_true(bytes_on_disk(bed) <= BOUND);
    open_cache(bed, BOUND);
    assert_int_equal(fetch(bed, 0, 0, OBJECT_BYTES), 0);
    assert_int_equal(fetch(bed, OBJECTS - 1, 0, OBJECT_BYTES), 0);
    assert_int_equal(fetch(bed, 1, 0, OBJECT_BYTES), OBJECT_BYTES);
}

static void what_is_held_stays_and_others_wait_for_room(void **state)
{
    struct bed *bed = *state;
    struct outcome o[OBJECTS];
    struct object_range all = {0, OBJECT_BYTES};
    for (unsigned i = 0; i < OBJECTS; i++)
        begin(bed, &o[i], i, &all, 1);
    for (unsigned i = 0; i < 7; i++)
        wait_for(bed, &o[i]);
    assert_false(o[8].done);
    object_fetch_release(o[9].fetch); /* while it waits */
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (i == 9)
            continue;
        wait_for(bed, &o[i]);
        assert_int_equal(o[i].code, 0);
        check_file(bed, &o[i], i, 0, OBJECT_BYTES);
        object_fetch_release(o[i].fetch);
    }
}

static void more_than_the_bound_is_refused(void **state)
{
    struct bed *bed = *state;
    struct object_want wants[OBJECTS];
    struct object_range all = {0, OBJECT_BYTES};
    struct outcome o = {0};
    for (unsigned i = 0; i < OBJECTS; i++)
        wants[i] = (struct object_want){.place = PLACE,
                                        .key = key_of(i),
                                        .size = OBJECT_BYTES,
                                        .part = "a",
                                        .ranges = &all,
                                        .ranges_n = 1};
    o.fetch = object_cache_fetch(bed->cache, wants, OBJECTS, on_fetched, &o);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_TOO_LARGE);
    assert_non_null(strstr(o.text, "sql.cache_bytes"));
    object_fetch_release(o.fetch);
    assert_int_equal(s3_server_bytes_sent(bed->server), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        free((char *)(uintptr_t)wants[i].key);
    assert_int_equal(fetch(bed, 0, 0, 100), 100);
}

static void damage(const struct bed *bed, const char *name, off_t at)
{
    char *path = mem_printf("%s/%s", bed->dir, name);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, at), 1);
    close(fd);
    free(path);
}

static void what_the_disk_lost_is_fetched_again(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct object_range parts[] = {{0, 1000}, {500000, 1000}};
    begin(bed, &o, 3, parts, 2);
    wait_for(bed, &o);
    char *name = mem_strdup(object_fetch_name(o.fetch, 0));
    object_fetch_release(o.fetch);
    close_cache(bed);
    damage(bed, name, 500500);
    open_cache(bed, BOUND);
    begin(bed, &o, 3, parts, 2);
    wait_for(bed, &o);
    assert_int_equal(object_fetch_bytes(o.fetch), 1000);
    check_file(bed, &o, 3, 500000, 1000);
    object_fetch_release(o.fetch);
    char *path = mem_printf("%s/%s", bed->dir, name);
    assert_int_equal(unlink(path), 0); /* behind the cache's back */
    assert_int_equal(fetch(bed, 3, 0, 1000), 1000);
    close_cache(bed);
    char *ranges = mem_printf("%s.ranges", path);
    FILE *f = fopen(ranges, "a");
    (void)fprintf(
        f, "range 900000 1000 0\nrange 0 18446744073709551615 1\nrange 200000 1"); /* wrong, torn */
    (void)fclose(f);
    open_cache(bed, BOUND);
    assert_int_equal(fetch(bed, 3, 0, 1000), 0);
    assert_int_equal(fetch(bed, 3, 900000, 1000), 1000);
    assert_int_equal(fetch(bed, 3, 200000, 1), 1);
    free(ranges);
    free(path);
    free(name);
}

static void an_object_of_another_size_or_generation_is_an_error(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct object_range range = {0, 100}, other = {5000, 100};
    assert_int_equal(fetch(bed, 4, 0, 100), 100);
    bed->data[4][5000] ^= 1;
    char *key = key_of(4);
    put(bed, key, bed->data[4], OBJECT_BYTES);
    begin(bed, &o, 4, &other, 1);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_CONFLICT);
    assert_non_null(strstr(o.text, "part-4.parquet"));
    object_fetch_release(o.fetch);
    assert_int_equal(fetch(bed, 4, 5000, 100), 100);
    put(bed, key, bed->data[4], OBJECT_BYTES - 1);
    struct object_want want = {.place = PLACE,
                               .key = key,
                               .size = OBJECT_BYTES,
                               .part = "b",
                               .ranges = &range,
                               .ranges_n = 1};
    o = (struct outcome){0};
    o.fetch = object_cache_fetch(bed->cache, &want, 1, on_fetched, &o);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_CORRUPT);
    object_fetch_release(o.fetch);
    want.key = "t/none.parquet";
    o = (struct outcome){0};
    o.fetch = object_cache_fetch(bed->cache, &want, 1, on_fetched, &o);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_NOT_FOUND);
    object_fetch_release(o.fetch);
    free(key);
}

static void a_store_that_fails_fails_the_fetch_and_nothing_else(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct object_range range = {0, 100};
    s3_server_fail(bed->server, S3_FAULT_503, 0, 100);
    begin(bed, &o, 5, &range, 1);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_UNAVAILABLE);
    object_fetch_release(o.fetch);
    s3_server_fail(bed->server, S3_FAULT_403, 0, 1);
    begin(bed, &o, 5, &range, 1);
    wait_for(bed, &o);
    assert_int_equal(o.code, ERR_FORBIDDEN);
    object_fetch_release(o.fetch);
    assert_int_equal(fetch(bed, 5, 0, 100), 100);
}

static void bytes_of_the_callers_own_stand_behind_the_data(void **state)
{
    struct bed *bed = *state;
    struct object_range range = {100, 50};
    char *key = key_of(6);
    struct object_want want = {.place = PLACE,
                               .key = key,
                               .size = OBJECT_BYTES,
                               .part = "b",
                               .ranges = &range,
                               .ranges_n = 1,
                               .tail = "the end",
                               .tail_len = 7,
                               .tail_at = 1000};
    for (int i = 0; i < 2; i++) {
        struct outcome o = {0};
        char text[8] = "";
        struct stat st;
        o.fetch = object_cache_fetch(bed->cache, &want, 1, on_fetched, &o);
        wait_for(bed, &o);
        assert_int_equal(o.code, 0);
        char *path = mem_printf("%s/%s", bed->dir, object_fetch_name(o.fetch, 0));
        char *message = mem_printf("in %s/x: %s: bad", bed->dir, path);
        char *translated = object_cache_translate(bed->cache, message);
        char *expected = mem_printf("in %s/x: " PLACE "/t/part-6.parquet: bad", bed->dir);
        assert_string_equal(translated, expected);
        int fd = open(path, O_RDONLY);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 1007);
        assert_int_equal(pread(fd, text, 7, 1000), 7);
        assert_string_equal(text, "the end");
        close(fd);
        object_fetch_release(o.fetch);
        free(expected);
        free(translated);
        free(message);
        free(path);
        close_cache(bed);
        open_cache(bed, BOUND);
    }
    assert_int_equal(s3_server_bytes_sent(bed->server), 50);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_range_travels_once, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges_near_to_each_other_are_one_request, setup, teardown),
        cmocka_unit_test_setup_teardown(what_two_ask_for_at_once_travels_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_hole_is_ever_given_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_unused_goes_when_the_bound_is_reached, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_held_stays_and_others_wait_for_room, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_than_the_bound_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_disk_lost_is_fetched_again, setup, teardown),
        cmocka_unit_test_setup_teardown(an_object_of_another_size_or_generation_is_an_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_store_that_fails_fails_the_fetch_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bytes_of_the_callers_own_stand_behind_the_data, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
