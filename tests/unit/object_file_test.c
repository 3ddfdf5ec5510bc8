#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/object_store.h"
#include "run/task_dir.h"

enum { WRITERS = 64 };

struct fixture {
    char dir[64];
    char place[80];
    struct loop *loop;
    struct object_store *store;
    bool closed;
};

/* What one call came to. */
struct outcome {
    bool done;
    int code;
    char text[ERROR_TEXT_MAX];
    char *data;
    size_t len;
    uint64_t size;
    char keys[4096]; /* of a listing, each with a blank behind it */
    char last[256];
    size_t keys_n;
    bool more;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->place, sizeof f->place, "file:%s/lake", f->dir);
    f->loop = loop_new();
    struct object_store_options options = {.loop = f->loop};
    f->store = object_store_new(&options);
    assert_int_equal(object_store_allow(f->store, f->place, NULL), 0);
    *state = f;
    return 0;
}

static void on_closed(void *arg)
{
    struct fixture *f = arg;
    f->closed = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    object_store_close(f->store, on_closed, f);
    while (!f->closed)
        loop_turn(f->loop);
    loop_free(f->loop);
    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
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
    o->data = result->data != NULL ? mem_strndup((const char *)result->data, result->len) : NULL;
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
        request.place = f->place;
    object_store_call(f->store, &request);
    assert_false(o.done);
    while (!o.done)
        loop_turn(f->loop);
    return o;
}

static int put(struct fixture *f, enum object_verb verb, const char *key, const char *body)
{
    return call(f,
                (struct object_request){
                    .verb = verb, .key = key, .body = body, .body_len = strlen(body)})
        .code;
}

static void expect(struct fixture *f, const char *key, const char *body)
{
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = key});
    if (o.code < 0)
        fail_msg("%s", o.text);
    assert_string_equal(o.data, body);
    assert_int_equal(o.size, strlen(body));
    free(o.data);
}

static void what_is_put_is_got_whole_and_in_ranges(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "a/b/c", "0123456789"), 0);
    expect(f, "a/b/c", "0123456789");
    struct outcome o = call(
        f, (struct object_request){.verb = OBJECT_GET, .key = "a/b/c", .offset = 3, .length = 4});
    assert_string_equal(o.data, "3456");
    assert_int_equal(o.size, 10);
    free(o.data);
    o = call(
        f, (struct object_request){.verb = OBJECT_GET, .key = "a/b/c", .offset = 8, .length = 100});
    assert_string_equal(o.data, "89");
    free(o.data);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .key = "a/b/c", .offset = 100});
    assert_int_equal(o.code, 0);
    assert_int_equal(o.len, 0);
    free(o.data);
    assert_int_equal(put(f, OBJECT_PUT, "a/b/c", ""), 0);
    expect(f, "a/b/c", "");
}

static void what_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "d/x", "1"), 0);
    static const char *const keys[] = {"none", "d", "d/x/y", "none/none"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++) {
        struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = keys[i]});
        assert_int_equal(o.code, ERR_NOT_FOUND);
        assert_non_null(strstr(o.text, keys[i]));
        o = call(f, (struct object_request){.verb = OBJECT_STAT, .key = keys[i]});
        assert_int_equal(o.code, ERR_NOT_FOUND);
    }
}

static void of_many_who_put_if_absent_one_wins(void **state)
{
    struct fixture *f = *state;
    struct outcome o[WRITERS] = {0};
    unsigned won = 0, winner = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        char body[32];
        snprintf(body, sizeof body, "writer %u", i);
        struct object_request request = {.verb = OBJECT_PUT_IF_ABSENT,
                                         .place = f->place,
                                         .key = "_delta_log/00000000000000000000.json",
                                         .body = body,
                                         .body_len = strlen(body),
                                         .on_done = on_done,
                                         .arg = &o[i]};
        object_store_call(f->store, &request);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        while (!o[i].done)
            loop_turn(f->loop);
        if (o[i].code == 0) {
            won++;
            winner = i;
        } else {
            assert_int_equal(o[i].code, ERR_EXISTS);
        }
    }
    assert_int_equal(won, 1);
    char body[32];
    snprintf(body, sizeof body, "writer %u", winner);
    expect(f, "_delta_log/00000000000000000000.json", body);
}

static unsigned files_in(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

static void no_temporary_file_stays(void **state)
{
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(put(f, OBJECT_PUT, "t/x", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "t/x", "2"), 0);
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "t/x", "3"), ERR_EXISTS);
    struct outcome o =
        call(f, (struct object_request){
                    .verb = OBJECT_PUT, .key = "t/y", .from_fd = true, .body_fd = -1, .fd_len = 5});
    assert_true(o.code < 0);
    snprintf(path, sizeof path, "%s/lake/t", f->dir);
    assert_int_equal(files_in(path), 1);
    expect(f, "t/x", "2");
}

static void what_a_killed_put_left_is_not_listed_and_goes_in_time(void **state)
{
    struct fixture *f = *state;
    char path[160];
    assert_int_equal(put(f, OBJECT_PUT, "t/x", "1"), 0);
    snprintf(path, sizeof path, "%s/lake/t/.clusterd-put-1-1", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "t"});
    assert_string_equal(o.keys, "t/x ");
    assert_int_equal(access(path, F_OK), 0);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(futimens(fd, old), 0);
    close(fd);
    o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "t"});
    assert_string_equal(o.keys, "t/x ");
    assert_int_not_equal(access(path, F_OK), 0);
}

static void files_travel_by_descriptor(void **state)
{
    struct fixture *f = *state;
    char path[128], back[8] = "";
    snprintf(path, sizeof path, "%s/source", f->dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, "abcdef", 6), 6);
    struct outcome o =
        call(f, (struct object_request){
                    .verb = OBJECT_PUT, .key = "f", .from_fd = true, .body_fd = fd, .fd_len = 6});
    assert_int_equal(o.code, 0);
    assert_int_equal(o.size, 6);
    expect(f, "f", "abcdef");
    o = call(f, (struct object_request){.verb = OBJECT_GET,
                                        .key = "f",
                                        .offset = 2,
                                        .length = 3,
                                        .to_fd = true,
                                        .out_fd = fd,
                                        .out_offset = 1});
    assert_int_equal(o.code, 0);
    assert_int_equal(o.len, 3);
    assert_int_equal(pread(fd, back, 6, 0), 6);
    assert_string_equal(back, "acdeef");
    o = call(f,
             (struct object_request){
                 .verb = OBJECT_PUT, .key = "short", .from_fd = true, .body_fd = fd, .fd_len = 7});
    assert_true(o.code < 0);
    o = call(f, (struct object_request){.verb = OBJECT_STAT, .key = "short"});
    assert_int_equal(o.code, ERR_NOT_FOUND);
    close(fd);
}

static void a_listing_is_sorted_as_keys_are(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"a.b", "a/x", "a/b/y", "a0", "b", "a/b.c"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++)
        assert_int_equal(put(f, OBJECT_PUT, keys[i], "1"), 0);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = ""});
    assert_string_equal(o.keys, "a.b a/b.c a/b/y a/x a0 b ");
    o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "a"});
    assert_string_equal(o.keys, "a/b.c a/b/y a/x ");
    o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = "none"});
    assert_int_equal(o.code, 0);
    assert_int_equal(o.keys_n, 0);
}

static void pages_together_are_the_listing(void **state)
{
    struct fixture *f = *state;
    char key[64], after[256] = "";
    unsigned seen = 0;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "p/%u/%u", i % 7, i);
        assert_int_equal(put(f, OBJECT_PUT, key, "1"), 0);
    }
    for (;;) {
        struct outcome o = call(
            f, (struct object_request){
                   .verb = OBJECT_LIST, .key = "p", .limit = 7, .after = seen > 0 ? after : NULL});
        assert_int_equal(o.code, 0);
        assert_true(strcmp(o.last, after) > 0);
        seen += (unsigned)o.keys_n;
        snprintf(after, sizeof after, "%s", o.last);
        if (!o.more)
            break;
        assert_int_equal(o.keys_n, 7);
    }
    assert_int_equal(seen, 50);
}

static void deleting_takes_empty_folders_along_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(put(f, OBJECT_PUT, "d/e/f", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "d/g", "1"), 0);
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_DELETE, .key = "d/e/f"}).code,
                     0);
    snprintf(path, sizeof path, "%s/lake/d/e", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
    expect(f, "d/g", "1");
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_DELETE, .key = "d/e/f"}).code,
                     0);
    assert_int_equal(call(f, (struct object_request){.verb = OBJECT_DELETE, .key = "d"}).code, 0);
    expect(f, "d/g", "1");
}

static void a_whole_prefix_is_deleted(void **state)
{
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(put(f, OBJECT_PUT, "q/1/a/b", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "q/1/c", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "q/2/c", "1"), 0);
    struct object_request request = {.verb = OBJECT_DELETE_PREFIX, .key = "q/1"};
    assert_int_equal(call(f, request).code, 0);
    assert_int_equal(call(f, request).code, 0);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = ""});
    assert_string_equal(o.keys, "q/2/c ");
    snprintf(path, sizeof path, "%s/lake/q/1", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void nothing_leads_out_of_the_allowed_folder(void **state)
{
    struct fixture *f = *state;
    char path[160], link[160];
    snprintf(path, sizeof path, "%s/secret", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "secret", 6), 6);
    close(fd);
    assert_int_equal(put(f, OBJECT_PUT, "x", "1"), 0);
    snprintf(link, sizeof link, "%s/lake/out", f->dir);
    assert_int_equal(symlink(f->dir, link), 0);
    snprintf(link, sizeof link, "%s/lake/file", f->dir);
    assert_int_equal(symlink(path, link), 0);
    static const char *const keys[] = {"../secret", "out/secret", "file", "a/../../secret"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++) {
        struct outcome o = call(f, (struct object_request){.verb = OBJECT_GET, .key = keys[i]});
        assert_true(o.code == ERR_INVALID || o.code == ERR_FORBIDDEN || o.code == ERR_NOT_FOUND);
        assert_null(o.data);
    }
    assert_true(put(f, OBJECT_PUT, "out/new", "1") < 0);
    struct outcome o = call(f, (struct object_request){.verb = OBJECT_LIST, .key = ""});
    assert_string_equal(o.keys, "x ");
    char other[96];
    snprintf(other, sizeof other, "file:%s", f->dir);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .place = other, .key = "secret"});
    assert_int_equal(o.code, ERR_FORBIDDEN);
    snprintf(other, sizeof other, "file:%s/lake/out", f->dir);
    o = call(f, (struct object_request){.verb = OBJECT_GET, .place = other, .key = "secret"});
    assert_true(o.code < 0);
    assert_null(o.data);
}

static void a_place_below_the_allowed_one_is_allowed(void **state)
{
    struct fixture *f = *state;
    char place[128];
    snprintf(place, sizeof place, "%s/tables/t", f->place);
    struct object_request request = {
        .verb = OBJECT_PUT, .place = place, .key = "k", .body = "1", .body_len = 1};
    assert_int_equal(call(f, request).code, 0);
    expect(f, "tables/t/k", "1");
    request.verb = OBJECT_DELETE;
    assert_int_equal(call(f, request).code, 0);
    snprintf(place, sizeof place, "%s/lake/tables/t", f->dir);
    assert_int_equal(access(place, F_OK), 0);
}

static void more_than_was_asked_for_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "k", "0123456789"), 0);
    struct outcome o =
        call(f, (struct object_request){.verb = OBJECT_GET, .key = "k", .bytes_max = 9});
    assert_int_equal(o.code, ERR_TOO_LARGE);
}

static void an_object_and_a_folder_of_one_name_are_an_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, OBJECT_PUT, "k", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "k/l", "1"), ERR_CONFLICT);
    assert_int_equal(put(f, OBJECT_PUT, "m/l", "1"), 0);
    assert_int_equal(put(f, OBJECT_PUT, "m", "1"), ERR_CONFLICT);
    assert_int_equal(put(f, OBJECT_PUT_IF_ABSENT, "m", "1"), ERR_CONFLICT);
}

static void a_cancelled_call_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct object_request request = {
        .verb = OBJECT_STAT, .place = f->place, .key = "k", .on_done = on_done, .arg = &o};
    object_call_cancel(object_store_call(f->store, &request));
    assert_int_equal(put(f, OBJECT_PUT, "k", "1"), 0);
    assert_false(o.done);
}

static void places_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error e;
    assert_int_equal(object_store_allow(f->store, "lake", &e), ERR_INVALID);
    char place[128];
    snprintf(place, sizeof place, "%s/none/none", f->dir);
    assert_true(object_store_allow(f->store, place, &e) < 0);
    assert_non_null(strstr(e.text, place));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_is_put_is_got_whole_and_in_ranges),
        CASE(what_is_not_there_is_not_found),
        CASE(of_many_who_put_if_absent_one_wins),
        CASE(no_temporary_file_stays),
        CASE(what_a_killed_put_left_is_not_listed_and_goes_in_time),
        CASE(files_travel_by_descriptor),
        CASE(a_listing_is_sorted_as_keys_are),
        CASE(pages_together_are_the_listing),
        CASE(deleting_takes_empty_folders_along_and_nothing_else),
        CASE(a_whole_prefix_is_deleted),
        CASE(nothing_leads_out_of_the_allowed_folder),
        CASE(a_place_below_the_allowed_one_is_allowed),
        CASE(more_than_was_asked_for_is_refused),
        CASE(an_object_and_a_folder_of_one_name_are_an_error),
        CASE(a_cancelled_call_is_not_told),
        CASE(places_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
