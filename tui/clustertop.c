/* clustertop: one loop over keys, signals and the cluster. What comes from the cluster is drawn at
 * most each --interval; what a key did is drawn at once. */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <langinfo.h>

#include "base/clock.h"
#include "base/mdoc.h"
#include "base/mem.h"
#include "tui/app.h"
#include "tui/man.h"
#include "tui/once.h"
#include "tui/options.h"

enum {
    CLUSTERTOP_OK = 0,
    CLUSTERTOP_ERROR = 1,
    CLUSTERTOP_NO_CONNECTION = 2,
    CLUSTERTOP_ONCE_MS = 10000, /* --once waits so long for the cluster */
    CLUSTERTOP_QUIET_MS = 150,  /* and so long for more, once it has something */
    CLUSTERTOP_TICK_MS = 1000,
    CLUSTERTOP_FULL_MS = 20, /* until a terminal that takes no more is asked again */
    CLUSTERTOP_HELP_MAX = 64 * 1024,
};

struct clustertop {
    struct options options;
    struct model *model;
    struct feed *feed;
    struct app app;
    struct settings settings;
    struct grid *grid;
    uint64_t feed_generation;
    int64_t drawn_ms;
    bool wants_now; /* a key was pressed: don't wait for the interval */
};

static int clustertop_fail(int status, const char *text, const char *hint)
{
    (void)fprintf(stderr, "clustertop: %s\n", text);
    if (hint != NULL && hint[0] != '\0')
        (void)fprintf(stderr, "hint: %s\n", hint);
    return status;
}

/* What the application asks for */

static void clustertop_acted(void *arg, const struct feed_result *result)
{
    struct clustertop *top = arg;
    char text[APP_NOTICE_MAX];
    (void)snprintf(text, sizeof text, "%s%s%s", result->text, result->hint[0] != '\0' ? "; " : "",
                   result->hint);
    app_outcome(&top->app, result->code, text);
}

static int clustertop_act(void *arg, const struct app_request *request, struct error *e)
{
    struct clustertop *top = arg;
    struct feed_action action = {request->verb, request->key, request->text};
    return feed_act(top->feed, &action, clustertop_acted, top, e);
}

static void clustertop_seek(void *arg, int64_t at_ms)
{
    const struct clustertop *top = arg;
    feed_seek(top->feed, at_ms);
}

static void clustertop_go_live(void *arg)
{
    const struct clustertop *top = arg;
    feed_go_live(top->feed);
}

static void clustertop_follow_output(void *arg, const char *task)
{
    const struct clustertop *top = arg;
    feed_output(top->feed, task);
}

static void clustertop_load_tasks(void *arg, const char *job)
{
    const struct clustertop *top = arg;
    feed_tasks(top->feed, job);
}

static const struct app_ops clustertop_ops = {
    .act = clustertop_act,
    .seek = clustertop_seek,
    .go_live = clustertop_go_live,
    .follow_output = clustertop_follow_output,
    .load_tasks = clustertop_load_tasks,
};

static void clustertop_take_link(struct clustertop *top)
{
    struct app_link *link = &top->app.link;
    enum feed_state state = feed_state(top->feed);
    bool was_connected = link->is_connected;
    link->is_replay = state == FEED_REPLAY;
    link->is_connected = state == FEED_LIVE || state == FEED_REPLAY;
    link->was_connected = state == FEED_LOST;
    (void)snprintf(link->endpoint, sizeof link->endpoint, "%s", feed_endpoint(top->feed));
    const char *text = feed_text(top->feed);
    const char *hint = feed_hint(top->feed);
    (void)snprintf(link->trouble, sizeof link->trouble, "%s%s%s", text,
                   text[0] != '\0' && hint[0] != '\0' ? "; " : "", hint);
    link->is_seeking = feed_is_seeking(top->feed);
    if (top->feed_generation != feed_generation(top->feed)) {
        top->feed_generation = feed_generation(top->feed);
        top->app.is_dirty = true;
        top->wants_now = top->wants_now || was_connected != link->is_connected;
        /* connected, and yet something to say: a moment that can't be shown */
        if (link->is_connected && link->trouble[0] != '\0')
            app_notice(&top->app, true, "%s", link->trouble);
    }
}

/* Opening */

static int clustertop_open_feed(struct clustertop *top, struct error *e)
{
    const struct options *o = &top->options;
    if (o->replay != NULL)
        return feed_open_replay(o->replay, top->model, &top->feed, e);
    struct feed_options options = {
        .client = {.endpoints = o->server,
                   .token_file = o->token_file,
                   .ca_file = o->ca,
                   .cert_file = o->cert,
                   .key_file = o->key,
                   .retry_first = true},
        .read_only = o->readonly,
    };
    return feed_open(&options, top->model, &top->feed, e);
}

/* --once */

static bool clustertop_once_wait(struct clustertop *top)
{
    int64_t begun_ms = clock_mono_ms();
    int64_t changed_ms = begun_ms;
    uint64_t generation = 0;
    for (;;) {
        int64_t now_ms = clock_mono_ms();
        enum feed_state state = feed_state(top->feed);
        if (state == FEED_REPLAY)
            return true;
        if (state == FEED_FAILED || now_ms - begun_ms > CLUSTERTOP_ONCE_MS)
            return state == FEED_LIVE;
        if (generation != model_generation(top->model)) {
            generation = model_generation(top->model);
            changed_ms = now_ms;
        }
        if (state == FEED_LIVE && now_ms - changed_ms > CLUSTERTOP_QUIET_MS)
            return true;
        struct pollfd fd = {.fd = feed_fd(top->feed), .events = POLLIN};
        (void)poll(&fd, 1, CLUSTERTOP_QUIET_MS);
        feed_dispatch(top->feed);
    }
}

static int clustertop_once_width(void)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    int width = columns != NULL ? atoi(columns) : 0;
    if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    return width >= 20 && width <= GRID_WIDTH_MAX ? width : ONCE_WIDTH;
}

static int clustertop_once(struct clustertop *top)
{
    if (!clustertop_once_wait(top)) {
        const char *text = feed_text(top->feed);
        return clustertop_fail(CLUSTERTOP_NO_CONNECTION,
                               text[0] != '\0' ? text : "no node answered", feed_hint(top->feed));
    }
    top->app.now_ms = clock_mono_ms();
    app_update(&top->app);
    while (top->app.is_behind)
        app_update(&top->app);
    if (top->options.json)
        (void)once_print_json(&top->app, stdout);
    else
        once_print_text(&top->app, clustertop_once_width(),
                        top->options.ascii || strcmp(nl_langinfo(CODESET), "UTF-8") != 0, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return clustertop_fail(CLUSTERTOP_ERROR, strerror(errno), NULL);
    return CLUSTERTOP_OK;
}

/* The loop */

static void clustertop_resize(struct clustertop *top)
{
    int w;
    int h;
    term_size(&w, &h);
    if (w != top->grid->w || h != top->grid->h)
        grid_resize(top->grid, w, h);
    term_redraw();
    top->app.is_dirty = true;
    top->wants_now = true;
}

static void clustertop_draw(struct clustertop *top)
{
    if (!term_is_ready())
        return;
    app_draw(&top->app, top->grid);
    term_show(top->grid);
    top->drawn_ms = clock_mono_ms();
    top->wants_now = false;
}

/* How long nothing has to be drawn. */
static int clustertop_wait_ms(const struct clustertop *top)
{
    int64_t since_ms = clock_mono_ms() - top->drawn_ms;
    bool is_new = top->app.is_dirty || model_generation(top->model) != top->app.generation;
    if (top->wants_now)
        return 0;
    int64_t wait_ms = is_new ? top->options.interval_ms - since_ms : CLUSTERTOP_TICK_MS;
    return wait_ms > 0 ? (int)wait_ms : 0;
}

/* Draws when it is time. Lines that are left to look at are looked at between all else; when that
 * is done the result is shown. */
static void clustertop_show(struct clustertop *top)
{
    struct app *app = &top->app;
    bool was_behind = app->is_behind;
    if (!was_behind && clustertop_wait_ms(top) > 0)
        return;
    app_update(app);
    top->wants_now = top->wants_now || (was_behind && !app->is_behind);
    if (clustertop_wait_ms(top) > 0)
        return;
    if (app->is_dirty || top->wants_now)
        clustertop_draw(top);
    else
        top->drawn_ms = app->now_ms;
}

/* Takes signals; false when one ends the program, whose status is in *status. */
static bool clustertop_take_signals(struct clustertop *top, int *status)
{
    struct term_signals signals = term_take_signals();
    if (signals.end == SIGINT) {
        app_input(&top->app, &(struct term_input){.kind = TERM_INPUT_KEY, .key = TERM_CTRL('c')});
        top->wants_now = true;
    } else if (signals.end != 0) {
        *status = 128 + signals.end;
        return false;
    }
    if (signals.suspend)
        top->app.wants_suspend = true;
    if (signals.resize)
        clustertop_resize(top);
    return true;
}

/* False when the terminal has gone. */
static bool clustertop_take_keys(struct clustertop *top)
{
    for (;;) {
        struct term_input input = term_read();
        if (input.kind == TERM_INPUT_CLOSED)
            return false;
        if (input.kind == TERM_INPUT_NONE)
            return true;
        app_input(&top->app, &input);
        top->wants_now = true;
        if (top->app.wants_quit || top->app.wants_suspend)
            return true;
    }
}

static void clustertop_copy(struct clustertop *top)
{
    struct app *app = &top->app;
    if (!term_copy(app->copy))
        app_notice(app, true, "this terminal has no clipboard; :save FILE writes a log to a file");
    else if (app->copy_n == 1)
        app_notice(app, false, "copied: %.100s", app->copy);
    else
        app_notice(app, false, "%zu copied", app->copy_n);
    free(app->copy);
    app->copy = NULL;
}

static void clustertop_save(struct clustertop *top)
{
    struct error e = {0};
    top->app.wants_save = false;
    if (settings_save(&top->settings, &e) != 0)
        app_notice(&top->app, true, "not remembered: %s", e.text);
}

static void clustertop_serve_wishes(struct clustertop *top)
{
    struct app *app = &top->app;
    if (app->wants_suspend) {
        app->wants_suspend = false;
        term_suspend();
        clustertop_resize(top);
    }
    if (app->wants_redraw) {
        app->wants_redraw = false;
        term_redraw();
    }
    if (app->theme >= 0)
        term_set_theme((enum theme)app->theme);
    app->theme = -1;
    if (app->copy != NULL)
        clustertop_copy(top);
    if (app->wants_save)
        clustertop_save(top);
    if (app->mouse >= 0) {
        term_set_mouse(app->mouse > 0);
        app->mouse = -1;
    }
}

static int clustertop_loop(struct clustertop *top)
{
    int status = CLUSTERTOP_OK;
    struct app *app = &top->app;
    clustertop_resize(top);
    while (!app->wants_quit) {
        app->now_ms = clock_mono_ms();
        clustertop_take_link(top);
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = term_signal_fd(), .events = POLLIN},
                               {.fd = feed_fd(top->feed), .events = POLLIN},
                               {.fd = term_out_fd(), .events = term_is_sending() ? POLLOUT : 0}};
        int wait_ms = clustertop_wait_ms(top);
        wait_ms = wait_ms == 0 && !term_is_ready() ? CLUSTERTOP_FULL_MS : wait_ms;
        int n = poll(fds, MEM_COUNT(fds), app->is_behind ? 0 : wait_ms);
        app->now_ms = clock_mono_ms();
        if (!clustertop_take_signals(top, &status))
            break;
        if (fds[0].revents != 0 && !clustertop_take_keys(top))
            break;
        term_send();
        clustertop_serve_wishes(top);
        if (!app->wants_quit)
            clustertop_show(top); /* after the keys: what they did is in the same frame */
        if (fds[2].revents != 0)
            feed_dispatch(top->feed);
        if (n == 0 && feed_lost_ms(top->feed) > 0)
            app->is_dirty = true;
    }
    return status;
}

static int clustertop_screen(struct clustertop *top)
{
    struct error e = {0};
    char hint[TERM_HINT_MAX] = "";
    const char *no_color = getenv("NO_COLOR");
    struct term_options options = {
        .ascii = top->options.ascii,
        .no_color = top->options.no_color || (no_color != NULL && no_color[0] != '\0'),
        .no_mouse = top->options.no_mouse,
        .theme = top->options.theme >= 0 ? (enum theme)top->options.theme : top->settings.theme,
    };
    if (term_open(&options, &e, hint) != 0)
        return clustertop_fail(CLUSTERTOP_ERROR, e.text, hint);
    top->grid = grid_new(80, 24, term_is_ascii());
    int status = clustertop_loop(top);
    term_close();
    grid_free(top->grid);
    return status;
}

static int clustertop_man(const char *page)
{
    struct buf b;
    buf_init(&b, MDOC_BYTES_MAX);
    int rc = man_print(page, &b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    if (rc != 0)
        return clustertop_fail(CLUSTERTOP_ERROR, "there is no such page",
                               "clustertop --dump-man list");
    return fflush(stdout) == 0 ? CLUSTERTOP_OK : CLUSTERTOP_ERROR;
}

static int clustertop_print(void (*print)(struct buf *b))
{
    struct buf b;
    buf_init(&b, CLUSTERTOP_HELP_MAX);
    print(&b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    return fflush(stdout) == 0 ? CLUSTERTOP_OK : CLUSTERTOP_ERROR;
}

/* Not for --once: scripts get the same whoever runs them. */
static void clustertop_open_settings(struct clustertop *top)
{
    struct error e = {0};
    if (top->options.once)
        return;
    top->app.settings = &top->settings;
    if (settings_open(&top->settings, settings_default_path(), &e) != 0)
        app_notice(&top->app, true, "%s", e.text);
    struct place *place = app_place(&top->app);
    settings_apply(&top->settings, place->view->name, &place->list);
}

static int clustertop_run(struct clustertop *top)
{
    struct error e = {0};
    const char *hint = top->options.replay != NULL
                           ? "clusterd report FILE writes one"
                           : "clusterd dev starts a cluster of one's own; -s names another";
    if (clustertop_open_feed(top, &e) != 0) {
        bool is_own = top->options.replay != NULL || e.code == ERR_INVALID;
        return clustertop_fail(is_own ? CLUSTERTOP_ERROR : CLUSTERTOP_NO_CONNECTION, e.text, hint);
    }
    app_init(&top->app, top->model, &clustertop_ops, top);
    clustertop_open_settings(top);
    top->app.is_readonly = feed_is_read_only(top->feed);
    if (top->options.view != NULL)
        (void)app_show(&top->app, top->options.view);
    clustertop_take_link(top);
    int status = top->options.once ? clustertop_once(top) : clustertop_screen(top);
    app_done(&top->app);
    if (top->app.wants_save)
        clustertop_save(top);
    settings_done(&top->settings);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
        options_complete((const char *const *)argv + 2, (size_t)argc - 2, stdout);
        return CLUSTERTOP_OK;
    }
    struct error e = {0};
    struct clustertop *top = mem_zalloc(sizeof *top);
    int status;
    (void)setlocale(LC_ALL, "");
    (void)setlocale(LC_NUMERIC, "C");
    if (options_parse(&top->options, argc, (const char *const *)argv, &e) != 0) {
        status = clustertop_fail(CLUSTERTOP_ERROR, e.text, "clustertop --help");
    } else if (top->options.help) {
        status = clustertop_print(options_print_help);
    } else if (top->options.dump_man != NULL) {
        status = clustertop_man(top->options.dump_man);
    } else if (top->options.version) {
        status = printf("clustertop %s\n", PACKAGE_VERSION) > 0 ? CLUSTERTOP_OK : CLUSTERTOP_ERROR;
    } else {
        top->model = model_new();
        status = clustertop_run(top);
        feed_close(top->feed);
        model_free(top->model);
    }
    free(top);
    return status;
}
