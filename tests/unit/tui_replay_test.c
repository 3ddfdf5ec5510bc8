#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive_entry.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/lib/fake_top.h"
#include "tests/lib/report_file.h"
#include "tests/unit/generated.h"
#include "tui/feed.h"

enum { WAIT_MS = 120000 };

static char dir[64];
static char *socket_path;
static char *report_path;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/tui_replay.XXXXXX");
    assert_non_null(mkdtemp(dir));
    socket_path = mem_printf("%s/s", dir);
    report_path = mem_printf("%s/report.tar.zst", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(report_path);
    (void)unlink(socket_path);
    (void)rmdir(dir);
    free(socket_path);
    free(report_path);
    return 0;
}

static struct fake_top *new_top(uint64_t seed)
{
    return fake_top_new(&(struct fake_top_options){.socket_path = socket_path,
                                                   .nodes = 7,
                                                   .jobs = 9,
                                                   .is_hostile = seed % 2 == 0,
                                                   .cursor_ms = 100,
                                                   .seed = seed});
}

/* Lines with a text. */
static size_t count_told(const struct model *model)
{
    const struct model_lines *events = model_live_events(model);
    size_t n = 0;
    for (uint64_t pos = model_lines_first(events); pos < model_lines_end(events); pos++)
        n += !model_lines_is_silent(events, pos);
    return n;
}

static void test_a_replay_ends_where_live_ended(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 6);
    while (generated_next(&g)) {
        struct fake_top *top = new_top(g.seed);
        struct model *live = model_new(), *played = model_new();
        struct feed *feed, *replay;
        struct error e;
        struct feed_options options = {.client = {.endpoints = fake_top_endpoint(top)}};
        assert_int_equal(feed_open(&options, live, &feed, &e), 0);
        int64_t until_ms = clock_mono_ms() + WAIT_MS;
        uint64_t want = 0;
        while (feed_state(feed) != FEED_LIVE || strtoull(model_cursor(live) + 1, NULL, 10) < want) {
            struct pollfd p = {.fd = feed_fd(feed), .events = POLLIN};
            assert_true(clock_mono_ms() < until_ms);
            (void)poll(&p, 1, 50);
            feed_dispatch(feed);
            if (feed_state(feed) == FEED_LIVE && want == 0 && model_cursor(live)[0] == 'c') {
                fake_top_burst(top, 3000);
                want = fake_top_events(top);
            }
        }
        assert_int_equal(fake_top_report(top, report_path, 1), 0);
        if (feed_open_replay(report_path, played, &replay, &e) != 0)
            fail_msg("%s", e.text);
        assert_int_equal(feed_state(replay), FEED_REPLAY);
        assert_true(feed_is_read_only(replay));
        generated_check(&g, model_state_equal(model_state(played), model_live_state(live)), "%s",
                        "end");
        generated_check(&g, count_told(played) == count_told(live), "%s", "lines");
        feed_close(replay);
        feed_close(feed);
        model_free(live);
        model_free(played);
        fake_top_free(top);
    }
}

static void test_every_moment_of_a_report_can_be_seen(void **state)
{
    struct fake_top *top = new_top(1);
    struct model *model = model_new();
    struct feed *replay;
    struct error e;
    int64_t first_ms, last_ms;
    (void)state;
    fake_top_burst(top, 200);
    assert_int_equal(fake_top_report(top, report_path, 30), 0);
    assert_int_equal(feed_open_replay(report_path, model, &replay, &e), 0);
    feed_span(replay, &first_ms, &last_ms);
    assert_true(last_ms >= first_ms);
    feed_seek(replay, last_ms - 200000);
    assert_string_equal(feed_text(replay), "");
    assert_int_equal(model_mode(model), MODEL_MODE_PAST);
    assert_int_equal(model_at_ms(model), last_ms - 200000);
    assert_int_equal(model_state_count(model_state(model), MODEL_NODES), 7);
    feed_seek(replay, first_ms - 600000);
    feed_go_live(replay);
    assert_int_equal(model_mode(model), MODEL_MODE_LIVE);
    feed_close(replay);
    model_free(model);
    fake_top_free(top);
}

static void check_refused(int code, const char *why)
{
    struct model *model = model_new();
    struct feed *replay = NULL;
    struct error e = {.text = ""};
    int rc = feed_open_replay(report_path, model, &replay, &e);
    if (rc == 0 || (why != NULL && (rc != code || strstr(e.text, why) == NULL)))
        fail_msg("%d: \"%s\"", rc, e.text);
    assert_non_null(strstr(e.text, report_path));
    model_free(model);
}

static void pack(const struct report_file_member *members, size_t n, const char *format)
{
    char *head = mem_printf("\"format\":%s", format);
    assert_int_equal(report_file_write(report_path, head, members, n), 0);
    free(head);
}

static void test_what_is_no_report_is_refused_with_a_reason(void **state)
{
    static const char frame[] = "{\"at\":\"2026-01-01T00:00:00Z\",\"cursor\":\"c\",\"nodes\":[]}\n";
    const struct report_file_member good[] = {{"frames.jsonl", frame, 0},
                                              {"config/n1.yaml", "x", 0}};
    struct model *model = model_new();
    struct feed *replay;
    struct error e;
    (void)state;
    check_refused(-2, "No such file");
    pack(good, 2, "1");
    assert_int_equal(feed_open_replay(report_path, model, &replay, &e), 0);
    feed_close(replay);
    model_free(model);

    pack(good, 2, "2");
    check_refused(ERR_VERSION, "format 2");
    pack(&good[1], 1, "1");
    check_refused(ERR_CORRUPT, "no frames");
    pack((const struct report_file_member[]){{"frames.jsonl", "{\"nodes\":[\n", 0}}, 1, "1");
    check_refused(ERR_CORRUPT, NULL);
    pack((const struct report_file_member[]){good[0], {"logs/x", "/etc/passwd", AE_IFLNK}}, 2, "1");
    check_refused(ERR_CORRUPT, "no plain file");
    pack((const struct report_file_member[]){good[0], good[0]}, 2, "1");
    check_refused(ERR_CORRUPT, "twice");
    pack(
        (const struct report_file_member[]){
            good[0],
            {"report.json",
             "{\"format\":1,\"members\":[{\"name\":\"frames.jsonl\",\"bytes\":1,"
             "\"xxh\":\"00\"}]}",
             0}},
        2, "1");
    check_refused(ERR_CORRUPT, NULL);
}

static void test_events_from_before_the_first_frame_are_there_too(void **state)
{
    static const char frame[] = "{\"at\":\"2026-01-01T00:00:10Z\",\"cursor\":\"c\",\"jobs\":[]}\n";
    static const char events[] =
        "{\"id\":\"n1:1\",\"at\":\"2026-01-01T00:00:01Z\",\"kind\":\"job.state\",\"text\":\"a\","
        "\"table\":\"jobs\",\"key\":\"old\",\"row\":{\"id\":\"old\"}}\n"
        "{\"id\":\"n1:2\",\"at\":\"2026-01-01T00:00:11Z\",\"kind\":\"job.state\",\"text\":\"b\","
        "\"table\":\"jobs\",\"key\":\"new\",\"row\":{\"id\":\"new\"}}\n";
    struct model *model = model_new();
    struct feed *replay;
    struct error e;
    (void)state;
    pack((const struct report_file_member[]){{"frames.jsonl", frame, 0},
                                             {"events.jsonl", events, 0}},
         2, "1");
    assert_int_equal(feed_open_replay(report_path, model, &replay, &e), 0);
    assert_int_equal(model_lines_end(model_events(model)), 2);
    assert_null(model_state_find(model_state(model), MODEL_JOBS, "old")); /* the frame knows */
    assert_non_null(model_state_find(model_state(model), MODEL_JOBS, "new"));
    feed_close(replay);
    model_free(model);
}

/* A frame with one job, and events about it in the order of their arrival. */
static void pack_job(const char *at, const char *state, const char *events)
{
    char *frame = mem_printf("{\"at\":\"%s\",\"cursor\":\"c\",\"jobs\":[{\"id\":\"j\",\"state\":"
                             "\"%s\"}]}\n",
                             at, state);
    pack((const struct report_file_member[]){{"frames.jsonl", frame, 0},
                                             {"events.jsonl", events, 0}},
         2, "1");
    free(frame);
}

static char *job_event(unsigned number, const char *at, const char *state)
{
    return mem_printf("{\"id\":\"n1:%u\",\"at\":\"%s\",\"kind\":\"job.state\",\"text\":\"%s\","
                      "\"table\":\"jobs\",\"key\":\"j\",\"row\":{\"state\":\"%s\"}}\n",
                      number, at, state, state);
}

static void check_job(const struct model *model, const char *want)
{
    assert_string_equal(
        model_row_text(model_state_find(model_state(model), MODEL_JOBS, "j"), "state"), want);
}

/* Clocks of nodes differ, and a frame is not the last thing of its millisecond. */
static void test_what_came_with_a_frame_or_from_a_slow_clock_counts(void **state)
{
    static const char *const times[] = {"2026-01-01T00:00:10Z", "2026-01-01T00:00:09.100Z"};
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(times); i++) {
        struct model *model = model_new();
        struct feed *replay;
        struct error e;
        char *before = job_event(1, "2026-01-01T00:00:09.050Z", "running");
        char *with = job_event(2, times[i], "failed");
        char *after = job_event(3, "2026-01-01T00:00:20Z", "pending");
        char *events = mem_printf("%s%s%s", before, with, after);
        pack_job("2026-01-01T00:00:10Z", "running", events);
        assert_int_equal(feed_open_replay(report_path, model, &replay, &e), 0);
        check_job(model, "pending");
        feed_seek(replay, model_live_ms(model) - 5000);
        assert_int_equal(model_mode(model), MODEL_MODE_PAST);
        check_job(model, "failed");
        feed_close(replay);
        model_free(model);
        free(before);
        free(with);
        free(after);
        free(events);
    }
}

/* The same of a frame that only a moment of the past begins with. */
static void test_a_past_frame_takes_what_came_with_it(void **state)
{
    static const char frame[] =
        "{\"at\":\"2026-01-01T00:00:10Z\",\"jobs\":[{\"id\":\"j\",\"state\":"
        "\"running\"}]}\n";
    struct model *model = model_new();
    struct error e;
    int64_t at_ms = clock_rfc3339_ms("2026-01-01T00:00:10Z", 20);
    (void)state;
    assert_int_equal(model_seek_frame(model, at_ms + 5000, frame, strlen(frame), &e), 0);
    model_past_apply_from(model, at_ms);
    char *lines[] = {job_event(1, "2026-01-01T00:00:09Z", "pending"),
                     job_event(2, "2026-01-01T00:00:10Z", "failed"),
                     /* of a slow clock, and yet later */
                     job_event(3, "2026-01-01T00:00:09.900Z", "completed")};
    static const char *const want[] = {"running", "failed", "completed"};
    for (size_t i = 0; i < MEM_COUNT(lines); i++) {
        model_past_line(model, lines[i], strlen(lines[i]));
        check_job(model, want[i]);
        free(lines[i]);
    }
    model_free(model);
}

static void flip(size_t size, struct generated *g)
{
    int fd = open(report_path, O_RDWR | O_CLOEXEC);
    unsigned char byte;
    off_t at = (off_t)prng_below(&g->prng, size);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (unsigned char)(1U << prng_below(&g->prng, 8));
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void test_cut_and_damaged_reports_are_refused_or_whole(void **state)
{
    struct generated g;
    struct fake_top *top = new_top(1);
    (void)state;
    fake_top_burst(top, 500);
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct model *model = model_new();
        struct feed *replay = NULL;
        struct error e;
        assert_int_equal(fake_top_report(top, report_path, 3), 0);
        int fd = open(report_path, O_RDWR | O_CLOEXEC);
        off_t size = lseek(fd, 0, SEEK_END);
        bool cuts = prng_chance(&g.prng, 1, 2);
        if (cuts)
            assert_int_equal(ftruncate(fd, (off_t)prng_below(&g.prng, (uint64_t)size)), 0);
        (void)close(fd);
        if (!cuts)
            flip((size_t)size, &g);
        int rc = feed_open_replay(report_path, model, &replay, &e);
        /* a flip may hit what nobody reads, as padding; then all is as it was */
        generated_check(&g, rc != 0 || model_state_count(model_state(model), MODEL_NODES) == 7,
                        "%d", rc);
        generated_check(&g, rc == 0 || e.text[0] != '\0', "%d", rc);
        feed_close(replay);
        model_free(model);
    }
    fake_top_free(top);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_replay_ends_where_live_ended),
        TEST(test_every_moment_of_a_report_can_be_seen),
        TEST(test_what_is_no_report_is_refused_with_a_reason),
        TEST(test_events_from_before_the_first_frame_are_there_too),
        TEST(test_what_came_with_a_frame_or_from_a_slow_clock_counts),
        TEST(test_a_past_frame_takes_what_came_with_it),
        TEST(test_cut_and_damaged_reports_are_refused_or_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
