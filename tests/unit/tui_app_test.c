/* clustertop without a terminal: a cluster's frame goes in, keys go in, the grid is looked at. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "tests/unit/generated.h"
#include "tui/app.h"
#include "tui/once.h"
#include "tui/options.h"

static const char frame[] =
    "{\"at\":\"2026-11-20T20:00:00.000Z\",\"cursor\":\"c0\",\"nodes\":["
    "{\"name\":\"n1\",\"state\":\"online\",\"roles\":[\"worker\"],\"cpu_percent\":12.5,\"slots\":8,"
    "\"last_seen\":\"2026-11-20T20:00:00.000Z\",\"version\":\"0.1.0\"},"
    "{\"name\":\"n2\",\"state\":\"offline\",\"last_seen\":\"2026-11-20T19:59:18.000Z\"},"
    "{\"name\":\"n10\",\"state\":\"suspect\",\"last_seen\":\"2026-11-20T19:59:58.000Z\"},"
    "{\"name\":\"evil\\u001b]0;x\\u0007\\u202e\",\"state\":\"online\"}],"
    "\"elections\":[{\"group\":\"cluster\",\"leader\":\"n1\",\"term\":7,"
    "\"since\":\"2026-11-20T19:00:00.000Z\",\"reason\":\"n2 fell silent\",\"members\":3},"
    "{\"group\":\"chat\",\"leader\":\"\",\"term\":3}],"
    "\"raft\":[{\"name\":\"n1\",\"leader\":true,\"lag\":0},{\"name\":\"n2\",\"lag\":5000}],"
    "\"jobs\":[{\"id\":\"11111111-2222-3333-4444-555555555555\",\"name\":\"count\","
    "\"state\":\"running\",\"elements\":10,\"completed\":4,\"failed\":1,\"running\":2,"
    "\"submitted_at\":\"2026-11-20T19:58:00.000Z\",\"commands\":[],\"argv\":[\"wc\",\"-l\"]},"
    "{\"id\":\"21111111-2222-3333-4444-555555555555\",\"name\":\"old\",\"state\":\"completed\","
    "\"elements\":1,\"completed\":1,\"submitted_at\":\"2026-11-20T18:58:00.000Z\"}],"
    "\"tasks\":[{\"id\":\"11111111-2222-3333-4444-555555555555_3\","
    "\"job\":\"11111111-2222-3333-4444-555555555555\",\"index\":3,\"state\":\"running\","
    "\"node\":\"n1\"}],"
    "\"queries\":[{\"query\":\"q-1\",\"state\":\"running\",\"sql\":\"SELECT 42\",\"rows\":7}],"
    "\"stages\":[{\"query\":\"q-1\",\"stage\":0,\"tasks\":4,\"tasks_done\":1,\"state\":\"running\"}"
    "],"
    "\"rollouts\":[{\"service\":\"search\",\"state\":\"paused\",\"model\":\"v7\",\"weight\":25,"
    "\"gates\":[{\"gate\":\"errors<=1%\",\"verdict\":\"fail\",\"text\":\"2 %\"}]}],"
    "\"routing\":[{\"node\":\"n1\",\"service\":\"search\",\"version\":4,\"status\":\"canary\","
    "\"weights\":{\"stable\":75,\"canary\":25},\"stable_model_id\":\"v6\"}],"
    "\"transactions\":[],\"chat\":[{\"name\":\"n1\",\"state\":\"online\",\"leader\":true}]}";

struct acted {
    enum feed_verb verb;
    char key[160];
    char text[64];
};

struct world {
    struct model *model;
    struct app app;
    struct grid *grid;
    struct acted acted[64];
    size_t n_acted;
    size_t room; /* requests that may be under way */
    size_t begun;
    char output[160];
    char tasks[160];
    int64_t seq;
};

static int act(void *arg, const struct app_request *request, struct error *e)
{
    struct world *w = arg;
    if (w->begun == w->room)
        return error_set(e, ERR_BUSY, "busy");
    struct acted *to = &w->acted[w->n_acted++ % MEM_COUNT(w->acted)];
    to->verb = request->verb;
    (void)snprintf(to->key, sizeof to->key, "%s", request->key != NULL ? request->key : "-");
    (void)snprintf(to->text, sizeof to->text, "%s", request->text != NULL ? request->text : "-");
    w->begun++;
    return 0;
}

static void end_one(struct world *w, int code)
{
    assert_true(w->begun > 0);
    w->begun--;
    app_outcome(&w->app, code, "it was refused");
}

static void follow_output(void *arg, const char *task)
{
    struct world *w = arg;
    (void)snprintf(w->output, sizeof w->output, "%s", task != NULL ? task : "");
}

static void load_tasks(void *arg, const char *job)
{
    struct world *w = arg;
    (void)snprintf(w->tasks, sizeof w->tasks, "%s", job != NULL ? job : "");
}

static const struct app_ops ops = {
    .act = act, .follow_output = follow_output, .load_tasks = load_tasks};

static void draw(struct world *w)
{
    app_update(&w->app);
    app_draw(&w->app, w->grid);
}

static void key(struct world *w, uint32_t code)
{
    app_input(&w->app, &(struct term_input){.kind = TERM_INPUT_KEY, .key = code});
    draw(w);
}

static void keys(struct world *w, const char *text)
{
    for (; *text != '\0'; text++)
        key(w, *text == '\n' ? (uint32_t)TERM_KEY_ENTER : (uint32_t)(unsigned char)*text);
}

static bool shows(struct world *w, const char *text)
{
    for (int y = 0; y < w->grid->h; y++) {
        char *row = grid_row_text(w->grid, y);
        bool found = strstr(row, text) != NULL;
        free(row);
        if (found)
            return true;
    }
    return false;
}

static void assert_shows(struct world *w, const char *text)
{
    if (shows(w, text))
        return;
    for (int y = 0; y < w->grid->h; y++) {
        char *row = grid_row_text(w->grid, y);
        print_message("%s\n", row);
        free(row);
    }
    fail_msg("'%s' is not on the screen", text);
}

static void assert_hides(struct world *w, const char *text)
{
    if (shows(w, text))
        fail_msg("'%s' is on the screen", text);
}

static void add_event(struct world *w, int64_t second, const char *node, const char *kind,
                      const char *level, const char *text, const char *more)
{
    char at[CLOCK_RFC3339_MAX];
    int64_t base_ms;
    struct error e;
    assert_int_equal(clock_parse_rfc3339("2026-11-20T20:00:00.000Z", &base_ms), 0);
    char *line =
        mem_printf("{\"id\":\"%s:%lld\",\"at\":\"%s\",\"kind\":\"%s\",\"level\":\"%s\","
                   "\"text\":\"%s\",\"node\":\"%s\"%s}",
                   node, (long long)++w->seq, clock_format_rfc3339(base_ms + second * 1000, at),
                   kind, level, text, node, more);
    assert_int_equal(model_read_event(w->model, line, strlen(line), &e), MODEL_LINE_EVENT);
    free(line);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct error e;
    w->model = model_new();
    w->room = 64;
    w->grid = grid_new(120, 40, false);
    assert_int_equal(model_read_frame(w->model, frame, sizeof frame - 1, &e), 0);
    app_init(&w->app, w->model, &ops, w);
    w->app.link.is_connected = true;
    draw(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    app_done(&w->app);
    model_free(w->model);
    grid_free(w->grid);
    free(w);
    return 0;
}

static void the_overview_says_what_is_wrong_since_when_and_where(void **state)
{
    struct world *w = *state;
    assert_shows(w, "What is wrong");
    assert_shows(w, "42s  n2");
    assert_shows(w, "offline: not heard of");
    assert_shows(w, "2s  n10");
    assert_shows(w, "nobody leads");
    assert_shows(w, "1 of its 10 elements have failed");
    assert_shows(w, "5000 entries behind");
    assert_shows(w, "paused");
    assert_hides(w, "All is well");
}

static void the_worst_stands_first(void **state)
{
    struct world *w = *state;
    char *row = grid_row_text(w->grid, 4);
    assert_non_null(strstr(row, "n2"));
    free(row);
}

static void enter_on_a_problem_goes_to_where_it_is(void **state)
{
    struct world *w = *state;
    key(w, TERM_KEY_ENTER);
    assert_ptr_equal(app_place(&w->app)->view, &view_nodes);
    assert_string_equal(app_place(&w->app)->list.key, "n2");
}

static void many_failures_are_the_newest_and_one_line_for_the_rest(void **state)
{
    enum { FAILURES = 300 };
    struct world *w = *state;
    for (int i = 0; i < FAILURES; i++) {
        char *more = mem_printf(
            ",\"table\":\"jobs\",\"key\":\"job%d\",\"row\":{\"id\":\"job%d\",\"name\":\"nightly-%"
            "d\","
            "\"state\":\"failed\",\"reason\":\"exit code 1\",\"elements\":1,\"failed\":1,"
            "\"ended_at\":\"2026-11-20T20:%02d:%02d.000Z\"}",
            i, i, i, i / 60, i % 60);
        add_event(w, i, "n1", "job.fail", "warn", "failed", more);
        free(more);
    }
    draw(w);
    assert_shows(w, "nightly-299");
    assert_shows(w, "nightly-297");
    assert_hides(w, "job nightly-296");
    assert_shows(w, "297 more jobs have failed since then");
    assert_shows(w, "paused"); /* they hide nothing else */
    (void)list_select(&app_place(&w->app)->list, "jobs/");
    key(w, TERM_KEY_ENTER);
    assert_ptr_equal(app_place(&w->app)->view, &view_jobs);
    assert_shows(w, "/failed");
}

static void a_node_that_began_anew_is_told_for_a_while(void **state)
{
    struct world *w = *state;
    assert_hides(w, "has started anew");
    for (int second = 4; second < 60; second += 4)
        add_event(w, second, "n1", "log.record", "info", "before", "");
    add_event(
        w, 60, "n1", "node.online", "info", "n1 is back",
        ",\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"online\",\"pid\":4711,"
        "\"joined_at\":\"2026-11-20T10:00:00.000Z\",\"started_at\":\"2026-11-20T20:00:50.000Z\"}");
    draw(w);
    assert_shows(w, "has started anew, as process 4711");
    assert_shows(w, "10s  n1");
    for (int second = 64; second < 900; second += 4)
        add_event(w, second, "n1", "log.record", "info", "later", "");
    draw(w);
    assert_hides(w, "has started anew");
}

static void what_runs_tells_how_long_already(void **state)
{
    struct world *w = *state;
    add_event(
        w, 2, "n1", "query.begin", "info", "begins",
        ",\"table\":\"queries\",\"key\":\"q9\",\"row\":{\"query\":\"q9\",\"state\":\"running\","
        "\"sql\":\"select 9\",\"wall_ms\":0,\"began_at\":\"2026-11-20T20:00:02.000Z\"}");
    for (int second = 5; second <= 35; second += 3)
        add_event(w, second, "n1", "log.record", "info", "later", "");
    keys(w, "5");
    assert_shows(w, "33s    33s");
}

static void columns_are_chosen(void **state)
{
    struct world *w = *state;
    keys(w, "2");
    const struct list *list = &app_place(&w->app)->list;
    assert_true(list->drawn_w[1] > 0);
    keys(w, "C");
    assert_shows(w, "[x] heartbeats");
    keys(w, " "); /* the first stays */
    keys(w, " ");
    assert_shows(w, "[x] node");
    assert_shows(w, "[ ] state");
    key(w, TERM_KEY_ENTER);
    assert_hides(w, "[x]");
    assert_int_equal(list->drawn_w[1], 0);
    assert_true(list->drawn_w[0] > 0);
    keys(w, "Ca\n");
    assert_true(list->drawn_w[1] > 0);
    keys(w, "8C");
    assert_hides(w, "Columns");
}

static void what_is_copied_is_the_key_the_cell_or_the_row(void **state)
{
    struct world *w = *state;
    keys(w, "2y");
    assert_string_equal(w->app.copy, "evil\\x1b]0;x\\x07\\xe2\\x80\\xae"); /* its name is hostile */
    assert_true(list_select(&app_place(&w->app)->list, "n1"));
    keys(w, "y");
    assert_string_equal(w->app.copy, "n1");
    assert_int_equal(w->app.copy_n, 1);
    keys(w, " y");
    keys(w, " y");
    assert_int_equal(w->app.copy_n, 2);
    assert_string_equal(w->app.copy, "n1\nn2");
    keys(w, "U");
    assert_true(list_select(&app_place(&w->app)->list, "n1"));
    keys(w, ":copy state\n");
    assert_string_equal(w->app.copy, "online");
    keys(w, "Y");
    assert_true(strncmp(w->app.copy, "n1", 2) == 0 && strchr(w->app.copy, '\t') != NULL);
    keys(w, ":copy nothing\n");
    assert_shows(w, "no column 'nothing'");
    add_event(w, 3, "n1", "log.record", "info", "say \\u001b[31m it", "");
    keys(w, "8Gy");
    assert_non_null(strstr(w->app.copy, "n1 info say \\x1b[31m it"));
    assert_null(strchr(w->app.copy, '\033'));
}

static void when_nothing_is_wrong_it_says_so(void **state)
{
    struct world *w = *state;
    static const char well[] = "{\"at\":\"2026-11-20T20:00:00.000Z\",\"cursor\":\"c\",\"nodes\":["
                               "{\"name\":\"n1\",\"state\":\"online\"}],\"elections\":[],\"raft\":"
                               "[],\"jobs\":[],\"queries\":[],\"stages\":[],\"rollouts\":[],"
                               "\"routing\":[],\"transactions\":[],\"chat\":[]}";
    struct error e;
    assert_int_equal(model_read_frame(w->model, well, sizeof well - 1, &e), 0);
    draw(w);
    assert_shows(w, "All is well");
}

static void numbers_switch_views_and_esc_goes_back(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; view_tabs[i] != NULL; i++) {
        key(w, (uint32_t)('1' + i));
        assert_ptr_equal(app_place(&w->app)->view, view_tabs[i]);
    }
    keys(w, "4\n");
    assert_ptr_equal(app_place(&w->app)->view, &view_tasks);
    assert_string_equal(w->tasks, "11111111-2222-3333-4444-555555555555");
    assert_shows(w, "Jobs \xe2\x80\xba count");
    key(w, TERM_KEY_ESC);
    assert_shows(w, "wc -l");
    keys(w, "\n");
    keys(w, "\n");
    assert_ptr_equal(app_place(&w->app)->view, &view_output);
    assert_string_equal(w->output, "11111111-2222-3333-4444-555555555555_3");
    key(w, TERM_KEY_ESC);
    assert_string_equal(w->output, "");
    key(w, TERM_KEY_ESC);
    assert_string_equal(w->tasks, "");
    assert_ptr_equal(app_place(&w->app)->view, &view_jobs);
    key(w, TERM_KEY_ESC);
    assert_ptr_equal(app_place(&w->app)->view, &view_overview);
}

static void a_filter_works_as_it_is_typed_and_esc_gives_back_what_was(void **state)
{
    struct world *w = *state;
    keys(w, "2/n1");
    assert_int_equal(app_place(&w->app)->list.n, 2);
    keys(w, "(");
    assert_int_equal(app_place(&w->app)->list.n, 2); /* half a pattern */
    key(w, TERM_KEY_ESC);
    assert_int_equal(app_place(&w->app)->list.n, 4);
    keys(w, "/!n1\n");
    assert_int_equal(app_place(&w->app)->list.n, 2);
    assert_shows(w, "2 of 4, /!n1");
    keys(w, "/(\n");
    assert_shows(w, "no regular expression");
    key(w, TERM_KEY_ESC);
    assert_int_equal(app_place(&w->app)->list.n, 4);
    assert_ptr_equal(app_place(&w->app)->view, &view_nodes);
}

static void actions_take_what_is_marked_and_ask_once(void **state)
{
    struct world *w = *state;
    keys(w, "2  D");
    assert_shows(w, "drain node");
    assert_shows(w, "It gets no new work");
    assert_int_equal(w->n_acted, 0);
    keys(w, "x");
    assert_int_equal(w->n_acted, 0);
    keys(w, "n");
    assert_int_equal(w->n_acted, 0);
    assert_shows(w, "nothing was done");
    keys(w, ":drain new disk\n");
    keys(w, "y");
    assert_int_equal(w->n_acted, 2);
    assert_int_equal(w->acted[0].verb, FEED_NODE_DRAIN);
    assert_string_equal(w->acted[0].text, "new disk");
    end_one(w, 0);
    end_one(w, ERR_CONFLICT);
    draw(w);
    assert_shows(w, "it was refused");
    assert_int_equal(w->app.n_requests, 0);
}

static void more_than_can_be_under_way_at_once_is_done_in_turn(void **state)
{
    struct world *w = *state;
    w->room = 1;
    keys(w, "2*Dy");
    assert_int_equal(w->n_acted, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(w->n_acted, i + 1);
        keys(w, "R");
        assert_shows(w, "still under way");
        end_one(w, 0);
    }
    assert_int_equal(w->n_acted, 4);
    keys(w, "Ry");
    assert_int_equal(w->n_acted, 5);
}

static void every_action_names_what_it_acts_on(void **state)
{
    static const struct {
        const char *keys;
        enum feed_verb verb;
        const char *key;
    } rows[] = {
        {"2gRy", FEED_NODE_RESUME, NULL},
        {"2gLy", FEED_RAFT_TRANSFER, NULL},
        {"3GTy", FEED_RAFT_TRANSFER, "-"},
        {"3gTy", FEED_CHAT_TRANSFER, "-"},
        {"3G:transfer n2\ny", FEED_RAFT_TRANSFER, "n2"},
        {"4gKy", FEED_JOB_CANCEL, "11111111-2222-3333-4444-555555555555"},
        {"4gRy", FEED_JOB_RETRY, "11111111-2222-3333-4444-555555555555"},
        {"4g\nKy", FEED_JOB_CANCEL, "11111111-2222-3333-4444-555555555555_3"},
        {"5gKy", FEED_QUERY_CANCEL, "q-1"},
        {"6gPy", FEED_ROLLOUT_PROMOTE, "search"},
        {"6gpy", FEED_ROLLOUT_PAUSE, "search"},
        {"6gfy", FEED_ROLLOUT_FREEZE, "search"},
        {"6gry", FEED_ROLLOUT_RESUME, "search"},
        {"6gAy", FEED_ROLLOUT_ABORT, "search"},
        {"7ihello\n", FEED_CHAT_SAY, "-"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        w->n_acted = 0;
        keys(w, rows[i].keys);
        if (w->n_acted != 1)
            fail_msg("%s: %zu requests", rows[i].keys, w->n_acted);
        assert_int_equal(w->acted[0].verb, rows[i].verb);
        if (rows[i].key != NULL)
            assert_string_equal(w->acted[0].key, rows[i].key);
        end_one(w, 0);
    }
}

static void nothing_is_changed_read_only_or_in_the_past_or_without_a_connection(void **state)
{
    static const char *const actions[] = {"2D", "2R", "2L", "3T", "4K", "4R", "5K",
                                          "6P", "6p", "6f", "6r", "6A", "7i"};
    struct world *w = *state;
    for (int way = 0; way < 2; way++) {
        w->app.is_readonly = way == 0;
        w->app.link.is_connected = way == 0;
        for (size_t i = 0; i < MEM_COUNT(actions); i++) {
            keys(w, actions[i]);
            assert_int_equal(w->app.mode, APP_NORMAL);
            keys(w, "y");
        }
    }
    assert_int_equal(w->n_acted, 0);
}

static void every_row_of_the_table_of_keys_is_reached_by_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < keys_n; i++) {
        const struct keys_row *row = &keys_table[i];
        enum keys_context contexts[] = {row->context};
        assert_true(row->key != 0 || row->name[0] != '\0');
        assert_true(row->help[0] != '\0');
        if (row->key != 0)
            assert_ptr_equal(keys_find(row->key, contexts, 1), row);
        if (row->also != 0)
            assert_ptr_equal(keys_find(row->also, contexts, 1), row);
        size_t n;
        if (row->name[0] != '\0')
            assert_ptr_equal(keys_find_name(row->name, strlen(row->name), contexts, 1, &n), row);
    }
}

/* Every place that there is, entered as a user does */
static const char *const places[] = {"1",      "2", "2g\n", "3", "4", "4g\n",
                                     "4g\n\n", "5", "5g\n", "6", "7", "8"};

static void every_key_does_something_sane_in_every_place_at_every_size(void **state)
{
    static const int sizes[][2] = {{1, 1}, {2, 2}, {10, 3}, {40, 10}, {80, 24}, {400, 120}};
    struct world *w = *state;
    for (size_t s = 0; s < MEM_COUNT(sizes); s++) {
        grid_resize(w->grid, sizes[s][0], sizes[s][1]);
        for (size_t p = 0; p < MEM_COUNT(places); p++) {
            for (size_t i = 0; i < keys_n; i++) {
                if (keys_table[i].key == TERM_CTRL('s'))
                    continue;
                key(w, TERM_KEY_ESC);
                keys(w, places[p]);
                key(w, keys_table[i].key);
                key(w, keys_table[i].also != 0 ? keys_table[i].also : 'x');
                key(w, TERM_KEY_DOWN);
                key(w, TERM_KEY_ESC);
                w->app.wants_quit = w->app.wants_suspend = false;
                while (w->begun > 0)
                    end_one(w, 0);
            }
        }
    }
}

static void no_hostile_text_reaches_the_screen(void **state)
{
    struct world *w = *state;
    add_event(w, 1, "n1", "log.record", "error", "\\u001b[2J\\u0007\\u202e\\u009b", "");
    for (size_t p = 0; p < MEM_COUNT(places); p++) {
        key(w, TERM_KEY_ESC);
        keys(w, places[p]);
        for (int i = 0; i < w->grid->w * w->grid->h; i++) {
            uint32_t c = w->grid->cells[i].ch;
            assert_true(c == 0 || (c >= 0x20 && !(c >= 0x7f && c < 0xa0)));
            assert_true(!(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e));
        }
    }
}

static void a_node_that_is_heard_was_seen_now_and_is_up_since_it_started(void **state)
{
    struct world *w = *state;
    static const char vitals[] =
        "{\"at\":\"2026-11-20T20:02:00.000Z\",\"step_ms\":1000,\"columns\":[\"cpu_percent\"],"
        "\"nodes\":{\"n1\":[12.5],\"n2\":null}}";
    add_event(
        w, 0, "n1", "node.online", "info", "n1 is online",
        ",\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"online\",\"uptime_ms\":3600000}");
    for (int second = 5; second <= 120; second += 5)
        add_event(w, second, "n1", "log.record", "info", "later", "");
    model_read_vitals(w->model, vitals, sizeof vitals - 1);
    keys(w, "2");
    assert_shows(w, "   0s  1h02m");
    assert_shows(w, "2m42s"); /* n2 */
}

/* The vitals of a second come at some moment in it: what is shown may be a little earlier. */
static void a_second_that_is_not_over_is_no_missed_heartbeat(void **state)
{
    struct world *w = *state;
    for (int second = 1; second <= 30; second++) {
        char *line =
            mem_printf("{\"at\":\"2026-11-20T20:00:%02d.500Z\",\"step_ms\":1000,\"columns\":"
                       "[\"cpu_percent\",\"beat_ms\"],\"nodes\":{\"n1\":[50,1000]%s}}",
                       second, second == 20 ? ",\"n10\":[50,1000]" : "");
        model_read_vitals(w->model, line, strlen(line));
        free(line);
        add_event(w, second, "n1", "log.record", "info", "tick", "");
    }
    add_event(w, 31, "n1", "log.record", "info", "the vitals of this second are still to come", "");
    keys(w, "2");
    unsigned n = 0;
    for (int y = 0; y < w->grid->h; y++) {
        char *row = grid_row_text(w->grid, y);
        bool is_n1 = str_starts_with(row, "   n1 ");
        assert_false(is_n1 && strstr(row, "\xc3\x97") != NULL);
        n += is_n1;
        free(row);
    }
    assert_int_equal(n, 1);
    assert_shows(w, "\xc3\x97\xc3\x97\xc3\x97"); /* n10 has missed a lot */
}

static void the_past_is_shown_as_it_was_and_said_to_be(void **state)
{
    struct world *w = *state;
    for (int i = 1; i <= 60; i++)
        add_event(w, i, "n1", "log.record", "info", "tick", "");
    add_event(w, 61, "n1", "node.online", "info", "n2 is heard again",
              ",\"table\":\"nodes\",\"key\":\"n2\",\"row\":{\"state\":\"online\"}");
    keys(w, "2");
    assert_hides(w, "offline");
    keys(w, "[");
    assert_shows(w, "THE PAST");
    assert_shows(w, "offline");
    keys(w, "D");
    assert_shows(w, "the past can't be changed");
    key(w, TERM_KEY_END);
    assert_hides(w, "THE PAST");
    assert_hides(w, "offline");
}

static void what_happened_before_the_first_frame_is_told_and_changes_nothing(void **state)
{
    struct world *w = *state;
    static const char earlier[] =
        "{\"id\":\"n1:7\",\"at\":\"2026-11-20T19:55:00.000Z\",\"kind\":\"node.online\","
        "\"level\":\"info\",\"node\":\"n2\",\"text\":\"n2 was heard\",\"table\":\"nodes\","
        "\"key\":\"n2\",\"row\":{\"state\":\"online\"}}";
    model_read_earlier(w->model, earlier, sizeof earlier - 1);
    model_read_earlier(w->model, "{\"cursor\":\"c\"}", 14);
    model_end_earlier(w->model);
    for (int i = 1; i < 20; i++)
        add_event(w, i, "n1", "log.record", "info", "tick", "");
    keys(w, "8");
    assert_shows(w, "n2 was heard");
    keys(w, "2[");
    assert_shows(w, "THE PAST");
    assert_shows(w, "offline"); /* as the frame has it, not as it was before */
    assert_int_equal(model_lost(w->model), 0);
}

static void freezing_holds_the_screen_and_leaves_the_keys(void **state)
{
    struct world *w = *state;
    keys(w, "8Z");
    assert_shows(w, "FROZEN");
    add_event(w, 5, "n1", "log.record", "info", "while it is frozen", "");
    draw(w);
    assert_hides(w, "while it is frozen");
    keys(w, "2");
    assert_shows(w, "Nodes");
    keys(w, "8Z");
    assert_shows(w, "while it is frozen");
}

static void a_filter_looks_at_all_lines_though_nothing_new_comes(void **state)
{
    enum { LINES = 100000 };
    struct world *w = *state;
    for (int i = 0; i < LINES; i++)
        add_event(w, 5, "n1", "log.record", "info", i == 0 ? "the very first" : "one more", "");
    keys(w, "8");
    while (w->app.is_behind)
        draw(w);
    keys(w, "/very (first|last)\n");
    while (w->app.is_behind)
        draw(w);
    draw(w);
    assert_hides(w, "looking");
    assert_shows(w, "the very first");
}

static void one_log_of_the_marked_nodes(void **state)
{
    struct world *w = *state;
    add_event(w, 1, "n1", "log.record", "info", "from the first", "");
    add_event(w, 2, "n2", "log.record", "info", "from the second", "");
    add_event(w, 3, "n10", "log.record", "info", "from the tenth", "");
    keys(w, "2/^n[12] \n");
    keys(w, "*l");
    assert_shows(w, "Logs of n[1-2]");
    assert_shows(w, "from the first");
    assert_shows(w, "from the second");
    assert_hides(w, "from the tenth");
    keys(w, ":from n10\n");
    assert_shows(w, "from the tenth");
    assert_hides(w, "from the second");
    keys(w, ":from n[\n");
    assert_shows(w, "from the tenth");
    /* nobody is selected, or a node whose name is none */
    keys(w, "2/nosuchnode\nl");
    assert_ptr_equal(app_place(&w->app)->view, &view_nodes);
    keys(w, "/evil\nUl");
    assert_ptr_equal(app_place(&w->app)->view, &view_nodes);
}

static void commands_complete_and_explain_themselves(void **state)
{
    struct world *w = *state;
    keys(w, "2:dr");
    key(w, TERM_KEY_TAB);
    assert_string_equal(w->app.edit.text, "drain ");
    key(w, TERM_KEY_ESC);
    keys(w, ":sort sta");
    key(w, TERM_KEY_TAB);
    assert_string_equal(w->app.edit.text, "sort state");
    keys(w, "\n");
    assert_int_equal(app_place(&w->app)->list.sort, 1);
    keys(w, ":nonsense\n");
    assert_shows(w, "there is no command ':nonsense' here");
    keys(w, ":");
    key(w, TERM_KEY_UP);
    assert_string_equal(w->app.edit.text, "nonsense");
    key(w, TERM_KEY_UP);
    assert_string_equal(w->app.edit.text, "sort state");
    key(w, TERM_KEY_ESC);
    keys(w, ":time 10m ago\n");
    assert_false(shows(w, "a time is 14:05"));
    keys(w, ":time yesterday\n");
    assert_shows(w, "a time is 14:05");
    keys(w, ":q\n");
    assert_true(w->app.wants_quit || shows(w, "several"));
}

static void pasted_text_presses_no_keys(void **state)
{
    struct world *w = *state;
    struct term_input paste = {.kind = TERM_INPUT_PASTE, .paste = "Dy\nq", .paste_len = 4};
    keys(w, "2");
    app_input(&w->app, &paste);
    draw(w);
    assert_int_equal(w->n_acted, 0);
    assert_false(w->app.wants_quit);
    keys(w, ":");
    app_input(&w->app, &paste);
    assert_string_equal(w->app.edit.text, "Dy q");
    assert_int_equal(w->app.mode, APP_EDIT);
}

static void clicks_and_the_wheel_reach_what_is_under_them(void **state)
{
    struct world *w = *state;
    app_input(&w->app, &(struct term_input){.kind = TERM_INPUT_CLICK, .x = 15, .y = 0});
    draw(w);
    assert_ptr_equal(app_place(&w->app)->view, &view_nodes);
    app_input(&w->app, &(struct term_input){.kind = TERM_INPUT_CLICK, .x = 15, .y = 5});
    draw(w);
    assert_int_equal(app_place(&w->app)->list.at, 1);
    app_input(&w->app, &(struct term_input){.kind = TERM_INPUT_WHEEL_DOWN, .x = 15, .y = 5});
    draw(w);
    assert_int_equal(app_place(&w->app)->list.at, 3);
    app_input(&w->app, &(struct term_input){.kind = TERM_INPUT_CLICK, .x = 500, .y = 500});
    draw(w);
}

static void without_a_connection_the_status_line_says_so(void **state)
{
    struct world *w = *state;
    w->app.link.is_connected = false;
    w->app.link.was_connected = true;
    (void)snprintf(w->app.link.trouble, sizeof w->app.link.trouble, "n1 does not answer");
    draw(w);
    assert_shows(w, "NOT CONNECTED");
    assert_shows(w, "n1 does not answer");
    assert_shows(w, "offline"); /* what was known is still there */
}

static void the_help_has_every_key_of_its_place(void **state)
{
    struct world *w = *state;
    grid_resize(w->grid, 100, 120);
    for (size_t p = 0; p < MEM_COUNT(places); p++) {
        enum keys_context contexts[KEYS_CONTEXTS];
        key(w, TERM_KEY_ESC);
        keys(w, places[p]);
        size_t n = app_contexts(&w->app, contexts);
        keys(w, "?");
        for (size_t i = 0; i < keys_n; i++) {
            bool counts = false;
            for (size_t c = 0; c < n; c++)
                counts = counts || contexts[c] == keys_table[i].context;
            if (counts)
                assert_shows(w, keys_table[i].help);
        }
    }
}

static void keys_and_commands_in_any_order_break_nothing(void **state)
{
    static const uint32_t more[] = {TERM_KEY_ENTER, TERM_KEY_ESC, TERM_KEY_TAB, 'y', 'n',
                                    0x65e5,         TERM_KEY_UP,  TERM_KEY_DOWN};
    struct world *w = *state;
    struct generated g;
    int i = 0;
    generated_init(&g, 6000);
    for (; generated_next(&g); i++) {
        uint32_t code = prng_below(&g.prng, 3) == 0 ? more[prng_below(&g.prng, MEM_COUNT(more))]
                                                    : keys_table[prng_below(&g.prng, keys_n)].key;
        if (code == TERM_CTRL('s'))
            continue;
        if (prng_below(&g.prng, 40) == 0)
            grid_resize(w->grid, 1 + (int)prng_below(&g.prng, 200),
                        1 + (int)prng_below(&g.prng, 60));
        if (prng_below(&g.prng, 10) == 0)
            add_event(w, i, "n1", "raft.lead", "warn", "lead",
                      ",\"table\":\"elections\",\"key\":\"cluster\",\"row\":{\"leader\":\"n1\"}");
        key(w, code);
        w->app.wants_quit = w->app.wants_suspend = false;
        while (w->begun > 0)
            end_one(w, (int)prng_below(&g.prng, 2) == 0 ? 0 : ERR_CONFLICT);
    }
}

static void lines_show_uuids_by_their_beginning_unless_they_are_looked_at(void **state)
{
    struct world *w = *state;
    static const char whole[] = "0fd8c3a1-1111-2222-3333-444455556666";
    add_event(w, 1, "n1", "txn.state", "info",
              "transaction 0fd8c3a1-1111-2222-3333-444455556666 on n1: prepared", "");
    keys(w, "8");
    assert_shows(w, "1 line, following");
    assert_shows(w, "transaction 0fd8c3a1 on n1: prepared");
    keys(w, "/3333-4444\n");
    assert_shows(w, whole);
    keys(w, "/");
    key(w, TERM_CTRL('u'));
    keys(w, "prepared\n");
    assert_hides(w, whole);
    keys(w, "w");
    assert_shows(w, whole);
}

static void steps_are_counted_from_one_and_gates_are_told_whole(void **state)
{
    struct world *w = *state;
    add_event(w, 1, "n1", "rollout.state", "info", "a step",
              ",\"table\":\"rollouts\",\"key\":\"search\",\"row\":{\"step\":0,\"steps_n\":3,"
              "\"gates\":[{\"gate\":\"command:/usr/local/bin/check-the-canary --strictly\","
              "\"verdict\":\"fail\",\"text\":\"exit code 3: latency is above the limit\"}]}");
    keys(w, "6");
    assert_shows(w, "1/3");
    grid_resize(w->grid, 80, 40);
    draw(w);
    assert_shows(w, "the limit");
}

static void the_first_nodes_have_each_a_colour_of_their_own(void **state)
{
    static const int colors[] = {8, 16, 256};
    (void)state;
    for (size_t c = 0; c < MEM_COUNT(colors); c++) {
        for (enum theme theme = THEME_DARK; theme <= THEME_LIGHT; theme++) {
            int seen[INK_NODES];
            for (int i = 0; i < INK_NODES; i++) {
                char name[8];
                (void)snprintf(name, sizeof name, "n%d", i + 1);
                seen[i] = theme_look(theme, log_view_ink(name), GROUND_NONE, colors[c]).fg;
                for (int k = 0; k < i; k++)
                    assert_int_not_equal(seen[i], seen[k]);
            }
        }
    }
}

static char *once(struct world *w, bool json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    if (json)
        assert_int_equal(once_print_json(&w->app, to), 0);
    else
        once_print_text(&w->app, 100, false, to);
    (void)fclose(to);
    return text;
}

static void assert_missing(struct world *w, int lost, int unreadable, int left_out)
{
    int a = -1, b = -1, c = -1;
    char *text = once(w, true);
    json_t *json = json_loads(text, 0, NULL);
    assert_int_equal(json_unpack(json, "{s:{s:i, s:i, s:i}}", "missing", "events_lost", &a,
                                 "lines_unreadable", &b, "rows_left_out", &c),
                     0);
    assert_int_equal(a, lost);
    assert_int_equal(b, unreadable);
    assert_int_equal(c, left_out);
    json_decref(json);
    free(text);
}

static void what_is_missing_is_said_with_its_number(void **state)
{
    struct world *w = *state;
    struct error e;
    static const char left_out[] =
        "{\"at\":\"2026-11-20T20:00:05.000Z\",\"nodes\":[{\"name\":\"n1\"},{\"no\":\"name\"}],"
        "\"left_out\":7}";
    assert_hides(w, "lost");
    assert_missing(w, 0, 0, 0);
    add_event(w, 1, "n1", "log.record", "info", "one", "");
    w->seq += 3;
    add_event(w, 2, "n1", "log.record", "info", "five", "");
    draw(w);
    assert_shows(w, "3 events lost ");
    assert_missing(w, 3, 0, 0);
    assert_int_equal(model_read_event(w->model, "{\"id", 4, &e), MODEL_LINE_MALFORMED);
    draw(w);
    assert_shows(w, "3 events lost, 1 line unreadable ");
    assert_shows(w, "1 unreadable: a line of the events can't be read: {\"id");
    assert_int_equal(model_read_frame(w->model, left_out, sizeof left_out - 1, &e), 0);
    draw(w);
    assert_shows(w, "3 events lost, 1 line unreadable, 8 rows left out ");
    assert_missing(w, 3, 1, 8);
    char *text = once(w, false);
    assert_non_null(strstr(text,
                           "NOT ALL OF IT: 3 events lost, 1 line unreadable, 8 rows left out; "
                           "a line of the events can't be read: {\"id\n"));
    free(text);
    grid_resize(w->grid, 40, 10);
    draw(w);
    assert_shows(w, "12 missing");
}

static void once_prints_the_same_as_text_and_as_json(void **state)
{
    struct world *w = *state;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    once_print_text(&w->app, 100, false, to);
    (void)fclose(to);
    assert_non_null(strstr(text, "offline: not heard of"));
    assert_null(strstr(text, "\x1b"));
    free(text);
    for (size_t i = 0; view_tabs[i] != NULL; i++) {
        assert_true(app_show(&w->app, view_tabs[i]->name));
        to = open_memstream(&text, &size);
        assert_non_null(to);
        assert_int_equal(once_print_json(&w->app, to), 0);
        (void)fclose(to);
        json_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "view")), view_tabs[i]->name);
        assert_true(json_array_size(json_object_get(json, "problems")) > 4);
        json_decref(json);
        free(text);
    }
}

static void options_are_checked_and_explained(void **state)
{
    struct options options;
    struct error e;
    struct buf b;
    (void)state;
    const char *const good[] = {"clustertop", "-s", "unix:/x", "--view=lo", "-r", "-i", "1s", NULL};
    assert_int_equal(options_parse(&options, 7, good, &e), 0);
    assert_string_equal(options.server, "unix:/x");
    assert_true(options.readonly);
    assert_int_equal(options.interval_ms, 1000);
    static const char *const bad[][2] = {{"--view", "moon"}, {"-i", "0"},  {"-o", "xml"},
                                         {"--nope", NULL},   {"-s", NULL}, {"word", NULL}};
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        const char *const argv[] = {"clustertop", bad[i][0], bad[i][1], NULL};
        int argc = bad[i][1] != NULL ? 3 : 2;
        assert_int_equal(options_parse(&options, argc, argv, &e), ERR_INVALID);
        assert_true(e.text[0] != '\0');
    }
    buf_init(&b, 65536);
    options_print_help(&b);
    for (const char *line = strtok((char *)(uintptr_t)buf_cstr(&b), "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    buf_done(&b);
}

#define APP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        APP_TEST(the_overview_says_what_is_wrong_since_when_and_where),
        APP_TEST(the_worst_stands_first),
        APP_TEST(enter_on_a_problem_goes_to_where_it_is),
        APP_TEST(many_failures_are_the_newest_and_one_line_for_the_rest),
        APP_TEST(a_node_that_began_anew_is_told_for_a_while),
        APP_TEST(what_runs_tells_how_long_already),
        APP_TEST(columns_are_chosen),
        APP_TEST(what_is_copied_is_the_key_the_cell_or_the_row),
        APP_TEST(when_nothing_is_wrong_it_says_so),
        APP_TEST(numbers_switch_views_and_esc_goes_back),
        APP_TEST(a_filter_works_as_it_is_typed_and_esc_gives_back_what_was),
        APP_TEST(actions_take_what_is_marked_and_ask_once),
        APP_TEST(more_than_can_be_under_way_at_once_is_done_in_turn),
        APP_TEST(every_action_names_what_it_acts_on),
        APP_TEST(nothing_is_changed_read_only_or_in_the_past_or_without_a_connection),
        APP_TEST(every_row_of_the_table_of_keys_is_reached_by_its_key),
        APP_TEST(every_key_does_something_sane_in_every_place_at_every_size),
        APP_TEST(a_node_that_is_heard_was_seen_now_and_is_up_since_it_started),
        APP_TEST(no_hostile_text_reaches_the_screen),
        APP_TEST(a_second_that_is_not_over_is_no_missed_heartbeat),
        APP_TEST(the_past_is_shown_as_it_was_and_said_to_be),
        APP_TEST(what_happened_before_the_first_frame_is_told_and_changes_nothing),
        APP_TEST(freezing_holds_the_screen_and_leaves_the_keys),
        APP_TEST(a_filter_looks_at_all_lines_though_nothing_new_comes),
        APP_TEST(one_log_of_the_marked_nodes),
        APP_TEST(commands_complete_and_explain_themselves),
        APP_TEST(pasted_text_presses_no_keys),
        APP_TEST(clicks_and_the_wheel_reach_what_is_under_them),
        APP_TEST(without_a_connection_the_status_line_says_so),
        APP_TEST(the_help_has_every_key_of_its_place),
        APP_TEST(keys_and_commands_in_any_order_break_nothing),
        APP_TEST(lines_show_uuids_by_their_beginning_unless_they_are_looked_at),
        APP_TEST(steps_are_counted_from_one_and_gates_are_told_whole),
        APP_TEST(the_first_nodes_have_each_a_colour_of_their_own),
        APP_TEST(what_is_missing_is_said_with_its_number),
        APP_TEST(once_prints_the_same_as_text_and_as_json),
        APP_TEST(options_are_checked_and_explained),
    };
    (void)setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
