#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/lib/fake_top.h"
#include "tui/app.h"
#include "tui/feed.h"
#include "tui/grid.h"

enum { WAIT_MS = 120000, NODES = 5 };

static struct fake_top *top;
static struct model *model;
static struct feed *feed;
static char dir[64];
static char socket_path[96];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/tui_feed.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(socket_path, sizeof socket_path, "%s/s", dir);
    top = fake_top_new(&(struct fake_top_options){
        .socket_path = socket_path, .nodes = NODES, .jobs = 6, .with_vitals = true, .seed = 1});
    model = model_new();
    feed = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    feed_close(feed);
    model_free(model);
    fake_top_free(top);
    (void)unlink(socket_path);
    (void)rmdir(dir);
    return 0;
}

static void connect_to(const char *endpoints, bool read_only)
{
    struct error e = {.text = ""};
    struct feed_options options = {.client = {.endpoints = endpoints, .token = "t"},
                                   .read_only = read_only};
    int rc = feed_open(&options, model, &feed, &e);
    if (rc != 0)
        fail_msg("%s", e.text);
}

typedef bool (*until_fn)(void);

static void wait_until_(until_fn fn, const char *what)
{
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!fn()) {
        struct pollfd p = {.fd = feed_fd(feed), .events = POLLIN};
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0)
            fail_msg("waited for %s; state %d, \"%s\"", what, feed_state(feed), feed_text(feed));
        (void)poll(&p, 1, (int)(left_ms < 50 ? left_ms : 50));
        feed_dispatch(feed);
    }
}

#define wait_until(fn) wait_until_(fn, #fn)

static bool is_live(void)
{
    return feed_state(feed) == FEED_LIVE;
}

static bool is_lost(void)
{
    return feed_state(feed) == FEED_LOST;
}

static bool is_failed(void)
{
    return feed_state(feed) == FEED_FAILED;
}

static uint64_t wanted_lines;

static bool has_lines(void)
{
    return model_lines_end(model_live_events(model)) >= wanted_lines;
}

static int64_t before_ms;

static bool has_gone_on(void)
{
    return feed_state(feed) == FEED_LIVE && model_live_ms(model) > before_ms;
}

static bool has_follower(void)
{
    return feed_state(feed) == FEED_LIVE && fake_top_followers(top) > 0;
}

/* Connected, with the events coming. */
static void wait_following(void)
{
    wait_until(has_follower);
    before_ms = model_live_ms(model);
    wait_until(has_gone_on);
}

static bool has_cursor(void)
{
    return model_cursor(model)[0] == 'c' &&
           strtoull(model_cursor(model) + 1, NULL, 10) >= fake_top_events(top);
}

static void wait_events(uint64_t n)
{
    wanted_lines = n;
    wait_until(has_lines);
}

static const char *state_of(const char *node)
{
    return model_row_text(model_state_find(model_state(model), MODEL_NODES, node), "state");
}

static void emit_state(unsigned node, const char *to)
{
    char *more =
        mem_printf(",\"table\":\"nodes\",\"key\":\"n%u\",\"row\":{\"state\":\"%s\"}", node, to);
    fake_top_emit(top, node, "node.change", to, more);
    free(more);
}

static void test_a_frame_then_what_happens(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    assert_int_equal(model_state_count(model_state(model), MODEL_NODES), NODES);
    assert_string_equal(state_of("n2"), "online");
    wait_until(has_cursor);
    emit_state(2, "suspect");
    wait_events(1);
    assert_string_equal(state_of("n2"), "suspect");
    assert_string_equal(feed_text(feed), "");
}

/* Lines with a text: the stream may bring again what the history had. */
static unsigned count_told(void)
{
    const struct model_lines *events = model_live_events(model);
    unsigned n = 0;
    for (uint64_t pos = model_lines_first(events); pos < model_lines_end(events); pos++)
        n += !model_lines_is_silent(events, pos);
    return n;
}

static bool has_told_three(void)
{
    return count_told() >= 3;
}

static void test_what_happened_before_the_start_is_there(void **state)
{
    struct model_line line;
    (void)state;
    emit_state(2, "offline");
    emit_state(2, "suspect");
    connect_to(fake_top_endpoint(top), false);
    wait_events(2);
    wait_following();
    model_lines_get(model_live_events(model), 0, &line);
    assert_string_equal(line.text, "offline");
    emit_state(2, "online");
    wait_until(has_told_three);
    assert_int_equal(count_told(), 3);
    assert_string_equal(state_of("n2"), "online");
    assert_int_equal(model_lost(model), 0);
    assert_int_equal(model_seek(model, line.at_ms - 1), ERR_UNAVAILABLE);
}

static bool has_vitals(void)
{
    return model_vitals_newest_ms(model_vitals(model)) > 0;
}

static bool has_messages(void)
{
    return model_lines_end(model_messages(model)) == 3;
}

static void test_vitals_and_chat_come_too(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_until(has_vitals);
    wait_until(has_messages);
}

static void test_a_lost_server_is_said_and_nothing_is_lost(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    emit_state(1, "suspect");
    wait_events(1);
    fake_top_stop(top);
    wait_until(is_lost);
    assert_true(feed_text(feed)[0] != '\0');
    assert_string_equal(state_of("n1"), "suspect"); /* what it had */
    for (unsigned i = 0; i < 50; i++)
        emit_state(2, i % 2 == 0 ? "suspect" : "offline");
    fake_top_start(top);
    wait_until(is_live);
    wait_events(51);
    wait_until(has_cursor);
    assert_int_equal(model_lines_end(model_live_events(model)), 51);
    assert_int_equal(model_lost(model), 0);
    assert_true(model_duplicates(model) > 0);
    assert_string_equal(state_of("n2"), "offline");
    assert_int_equal(fake_top_frames(top), 1); /* it went on by the cursor */
}

static void test_another_node_is_asked_when_one_is_lost(void **state)
{
    (void)state;
    const char *second = fake_top_add_server(top);
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    wait_until(has_vitals);
    wait_until(has_messages);
    wait_following(); /* the nodes are known by then */
    fake_top_stop(top);
    wait_until(is_lost);
    wait_until(is_live);
    emit_state(3, "offline");
    wait_events(1);
    assert_string_equal(state_of("n3"), "offline");
    feed_dispatch(feed);
    assert_string_equal(feed_endpoint(feed), second);
    fake_top_start(top);
}

static void test_a_server_that_hangs_is_left(void **state)
{
    char endpoints[256];
    (void)state;
    (void)snprintf(endpoints, sizeof endpoints, "%s,%s", fake_top_endpoint(top),
                   fake_top_add_server(top));
    connect_to(endpoints, false);
    wait_until(has_vitals);
    wait_until(has_messages);
    wait_following(); /* nothing else is under way that could be what it complains of */
    emit_state(1, "suspect");
    wait_events(1);
    fake_top_hang(top, true);
    wait_until(is_lost);
    assert_non_null(strstr(feed_text(feed), "silent"));
    wait_until(is_live);
    emit_state(1, "offline");
    wait_events(2);
}

static void test_a_cursor_that_is_too_old_needs_a_frame(void **state)
{
    struct model_line line;
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    emit_state(1, "suspect");
    wait_events(1);
    fake_top_stop(top);
    wait_until(is_lost);
    fake_top_lose(top, 2, 5);
    fake_top_forget_cursors(top);
    fake_top_start(top);
    wait_until(is_live);
    wait_events(2);
    model_lines_get(model_live_events(model), 1, &line);
    assert_true(line.is_hole);
    assert_int_equal(fake_top_frames(top), 2);
}

static void test_a_new_collector_means_a_new_frame(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    fake_top_emit(top, 1, "events.collector", "n2 collects", "");
    emit_state(4, "offline");
    wait_events(2);
    wait_until(is_live);
    assert_string_equal(state_of("n4"), "offline");
    assert_int_equal(fake_top_frames(top), 2);
    assert_int_equal(model_lost(model), 0);
}

static bool is_a_part(void)
{
    return model_partial(model)[0] != '\0' && strcmp(state_of("n2"), "offline") == 0;
}

static bool is_whole(void)
{
    return model_partial(model)[0] == '\0' && feed_state(feed) == FEED_LIVE &&
           strcmp(state_of("n2"), "online") == 0;
}

static void test_while_no_node_leads_a_part_is_shown_and_said(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    wait_until(is_whole);
    fake_top_be_leaderless(top, true);
    wait_until(is_a_part);
    wait_until(is_live);
    assert_string_equal(model_partial(model), "no node leads: this is what n1 knows; nothing is "
                                              "heard of n2, n3");
    const struct model_row *row = model_state_find(model_state(model), MODEL_ELECTIONS, "cluster");
    assert_string_equal(model_row_text(row, "leader"), "");
    fake_top_emit(top, 1, "log.record", "alone", "");
    wait_events(1);
    assert_true(is_a_part());
    fake_top_be_leaderless(top, false);
    wait_until(is_whole);
    fake_top_emit(top, 2, "log.record", "together", "");
    wait_events(2);
    assert_int_equal(model_lost(model), 0);
    assert_int_equal(model_malformed(model), 0);
}

static void test_an_older_server_is_called_older(void **state)
{
    (void)state;
    fake_top_be_old(top, true);
    connect_to(fake_top_endpoint(top), false);
    wait_until(is_failed);
    assert_non_null(strstr(feed_text(feed), "older"));
    assert_non_null(strstr(feed_text(feed), "/api/frame"));
    assert_true(feed_hint(feed)[0] != '\0');
    fake_top_be_old(top, false);
    wait_until(is_live);
}

static bool has_complaint(void)
{
    return model_complaint(model)[0] != '\0';
}

static void test_garbage_in_the_stream_is_counted(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    fake_top_say(top, "{\"id\": garbage \x1b[2J");
    wait_until(has_complaint);
    assert_null(strchr(model_complaint(model), '\x1b'));
    emit_state(1, "suspect");
    wait_events(1);
    fake_top_say(top, "{\"error\":{\"code\":\"unavailable\",\"message\":\"the collector went\"}}");
    wait_until(is_lost);
    wait_until(is_live);
}

static int64_t past_ms;

static bool shows_the_past(void)
{
    return !feed_is_seeking(feed) && model_mode(model) == MODEL_MODE_PAST &&
           model_at_ms(model) == past_ms;
}

static void test_an_old_moment_is_asked_of_the_server(void **state)
{
    char at[CLOCK_RFC3339_MAX];
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_until(is_live);
    past_ms = model_live_ms(model) - 600000;
    feed_seek(feed, past_ms);
    assert_true(feed_is_seeking(feed));
    assert_int_equal(model_mode(model), MODEL_MODE_LIVE); /* until the answer is there */
    wait_until(shows_the_past);
    const struct model_row *row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "last_seen"), clock_format_rfc3339(past_ms, at));
    assert_int_equal(model_state_generation(model_state(model), MODEL_NODES) ==
                         model_state_generation(model_live_state(model), MODEL_NODES),
                     0);
    feed_go_live(feed);
    assert_int_equal(model_mode(model), MODEL_MODE_LIVE);
}

static bool has_tasks(void)
{
    return model_state_count(model_state(model), MODEL_TASKS) == 1500;
}

static void test_all_tasks_of_a_job_come_page_by_page(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_until(is_live);
    feed_tasks(feed, "job-1");
    wait_until(has_tasks);
    assert_non_null(model_state_find(model_state(model), MODEL_TASKS, "job-1_1499"));
}

static bool has_output(void)
{
    return model_lines_end(model_output(model)) == 6;
}

static void test_output_comes_line_by_line(void **state)
{
    struct model_line line;
    bool found = false;
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_until(is_live);
    feed_output(feed, "job-1_0");
    wait_until(has_output);
    for (uint64_t i = 0; i < 6; i++) {
        model_lines_get(model_output(model), i, &line);
        found =
            found || (strcmp(line.kind, "stderr") == 0 && strcmp(line.text, "one of stderr") == 0);
    }
    assert_true(found);
    feed_output(feed, NULL);
    assert_int_equal(model_lines_end(model_output(model)), model_lines_first(model_output(model)));
}

static int acted;
static char act_text[256];

static void on_act(void *arg, const struct feed_result *result)
{
    *(int *)arg = result->code;
    (void)snprintf(act_text, sizeof act_text, "%s", result->text);
    acted++;
}

static bool has_acted(void)
{
    return acted > 0;
}

static void check_act(enum feed_verb verb, const char *key, const char *text, const char *want)
{
    struct error e;
    int code = 1;
    acted = 0;
    assert_int_equal(feed_act(feed, &(struct feed_action){verb, key, text}, on_act, &code, &e), 0);
    wait_until(has_acted);
    assert_int_equal(code, 0);
    char *change = fake_top_last_change(top);
    assert_string_equal(change, want);
    free(change);
}

static void test_actions_are_the_requests_of_the_api(void **state)
{
    struct error e;
    int code = 1;
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    check_act(FEED_JOB_CANCEL, "job-1", "too \"slow\"",
              "POST /api/jobs/job-1/cancel {\"reason\":\"too \\\"slow\\\"\"}");
    check_act(FEED_JOB_CANCEL, "job-1_7", NULL, "POST /api/jobs/job-1/cancel {\"elements\":\"7\"}");
    check_act(FEED_NODE_DRAIN, "n/1", NULL, "POST /api/nodes/n%2F1/drain {}");
    check_act(FEED_RAFT_TRANSFER, "n2", NULL, "POST /api/raft/transfer {\"to\":\"n2\"}");
    check_act(FEED_CHAT_TRANSFER, NULL, NULL, "POST /api/chat/transfer {}");
    check_act(FEED_ROLLOUT_PROMOTE, "rank", NULL, "POST /api/rollouts/rank/promote {}");
    check_act(FEED_QUERY_CANCEL, "q1", NULL, "DELETE /api/sql/q1 ");
    check_act(FEED_CHAT_SAY, "general", "hi",
              "POST /api/chat/messages {\"channel\":\"general\",\"text\":\"hi\"}");
    acted = 0;
    assert_int_equal(
        feed_act(feed, &(struct feed_action){FEED_NODE_RESUME, "refuse", NULL}, on_act, &code, &e),
        0);
    wait_until(has_acted);
    assert_int_equal(code, ERR_CONFLICT);
    assert_string_equal(act_text, "resume node refuse: no\\x1b[2J");
}

static void test_read_only_refuses_every_action(void **state)
{
    struct error e;
    (void)state;
    connect_to(fake_top_endpoint(top), true);
    for (enum feed_verb verb = FEED_JOB_CANCEL; verb <= FEED_CHAT_SAY; verb++) {
        assert_int_equal(feed_act(feed, &(struct feed_action){verb, "x", "x"}, on_act, NULL, &e),
                         ERR_FORBIDDEN);
        assert_non_null(strstr(e.text, "--readonly"));
    }
    assert_null(fake_top_last_change(top));
}

static bool has_caught_up(void)
{
    size_t lines = 0;
    const struct model_lines *events = model_live_events(model);
    lines = (size_t)(model_lines_end(events) + model_duplicates(model));
    return lines >= fake_top_events(top);
}

static void test_bursts_lose_nothing(void **state)
{
    (void)state;
    connect_to(fake_top_endpoint(top), false);
    wait_following();
    for (unsigned i = 0; i < 3; i++) {
        fake_top_burst(top, 10000);
        wait_until(has_caught_up);
    }
    wait_until(has_cursor);
    assert_int_equal(model_lost(model), 0);
    if (model_malformed(model) != 0)
        fail_msg("%s", model_complaint(model));
    assert_int_equal(model_lines_end(model_live_events(model)), 30000);
}

/* The same cluster seen by a feed that keeps up: what a model must end as. */
struct other {
    struct model *model;
    struct feed *feed;
};

static void open_feed(const struct feed_options *options, struct model *to, struct feed **made)
{
    struct error e = {.text = ""};
    struct feed_options all = *options;
    all.client = (struct client_options){.endpoints = fake_top_endpoint(top), .token = "t"};
    if (feed_open(&all, to, made, &e) != 0)
        fail_msg("%s", e.text);
}

static void other_open(struct other *other)
{
    struct feed *mine = feed;
    other->model = model_new();
    open_feed(&(struct feed_options){0}, other->model, &other->feed);
    unsigned before = fake_top_followers(top);
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    for (feed = other->feed; fake_top_followers(top) == before; feed_dispatch(feed)) {
        struct pollfd p = {.fd = feed_fd(feed), .events = POLLIN};
        assert_true(clock_mono_ms() < until_ms);
        (void)poll(&p, 1, 50);
    }
    feed = mine;
}

static void other_check(struct other *other)
{
    struct feed *mine = feed;
    struct model *my_model = model;
    feed = other->feed;
    model = other->model;
    wait_until(has_caught_up);
    wait_until(has_cursor);
    feed = mine;
    model = my_model;
    assert_true(model_state_equal(model_live_state(model), model_live_state(other->model)));
    assert_int_equal(count_told(), model_lines_end(model_live_events(other->model)));
    assert_int_equal(model_lost(model), 0);
    assert_int_equal(model_malformed(model), 0);
    feed_close(other->feed);
    model_free(other->model);
}

static bool is_behind(void)
{
    return feed_waiting(feed) > 0;
}

static bool grid_has(const struct grid *grid, const char *text)
{
    bool found = false;
    for (int y = 0; y < grid->h && !found; y++) {
        char *row = grid_row_text(grid, y);
        found = strstr(row, text) != NULL;
        free(row);
    }
    return found;
}

static void test_a_key_is_painted_before_a_burst_is_through(void **state)
{
    static const struct {
        const char *key, *shows;
    } keys[] = {{"2", "heartbeats"}, {"8", "Logs"}, {"4", "render-0"}, {"3", "term"}};
    struct other other;
    struct app *app = mem_zalloc(sizeof *app);
    struct grid *grid = grid_new(120, 40, true);
    (void)state;
    open_feed(&(struct feed_options){.turn_us = 1}, model, &feed);
    app_init(app, model, NULL, NULL);
    wait_following();
    other_open(&other);
    for (size_t i = 0; i < MEM_COUNT(keys); i++) {
        fake_top_burst(top, 3000);
        wait_until(is_behind);
        uint64_t events = model_lines_end(model_live_events(model));
        app_input(app,
                  &(struct term_input){.kind = TERM_INPUT_KEY, .key = (uint32_t)keys[i].key[0]});
        app_update(app);
        app_draw(app, grid);
        assert_true(grid_has(grid, keys[i].shows));
        assert_true(events < fake_top_events(top)); /* which the screen does not wait for */
        feed_dispatch(feed);
        assert_in_range(model_lines_end(model_live_events(model)) - events, 0, 1);
    }
    wait_until(has_caught_up);
    wait_until(has_cursor);
    other_check(&other);
    app_done(app);
    free(app);
    grid_free(grid);
}

static void test_what_waits_is_bounded_and_nothing_of_it_is_lost(void **state)
{
    enum { QUEUE = 4 * 1024, READ_MAX = 512 * 1024, EVENTS = 20000 };
    struct other other;
    size_t most = 0;
    (void)state;
    open_feed(&(struct feed_options){.turn_us = 1, .queue_bytes = QUEUE}, model, &feed);
    wait_following();
    other_open(&other);
    fake_top_burst(top, EVENTS);
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (!has_caught_up()) {
        struct pollfd p = {.fd = feed_fd(feed), .events = POLLIN};
        assert_true(clock_mono_ms() < until_ms);
        (void)poll(&p, 1, 50);
        feed_dispatch(feed);
        most = feed_waiting(feed) > most ? feed_waiting(feed) : most;
    }
    assert_in_range(most, QUEUE, QUEUE + READ_MAX); /* all of them would be megabytes */
    wait_until(has_cursor);
    other_check(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_frame_then_what_happens),
        TEST(test_what_happened_before_the_start_is_there),
        TEST(test_vitals_and_chat_come_too),
        TEST(test_a_lost_server_is_said_and_nothing_is_lost),
        TEST(test_another_node_is_asked_when_one_is_lost),
        TEST(test_a_server_that_hangs_is_left),
        TEST(test_a_cursor_that_is_too_old_needs_a_frame),
        TEST(test_a_new_collector_means_a_new_frame),
        TEST(test_while_no_node_leads_a_part_is_shown_and_said),
        TEST(test_an_older_server_is_called_older),
        TEST(test_garbage_in_the_stream_is_counted),
        TEST(test_an_old_moment_is_asked_of_the_server),
        TEST(test_all_tasks_of_a_job_come_page_by_page),
        TEST(test_output_comes_line_by_line),
        TEST(test_actions_are_the_requests_of_the_api),
        TEST(test_read_only_refuses_every_action),
        TEST(test_bursts_lose_nothing),
        TEST(test_a_key_is_painted_before_a_burst_is_through),
        TEST(test_what_waits_is_bounded_and_nothing_of_it_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
