/* clustertop without its terminal: a model, a grid to draw it into, keys that come in, and what is
 * asked of the cluster that goes out. So all of it runs in tests.
 *
 * A place is a view of something: the list of jobs, the tasks of one job, the output of one task.
 * Places stand on each other as one goes in; Esc goes back. */
#ifndef TUI_APP_H
#define TUI_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/edit.h"
#include "tui/feed.h"
#include "tui/grid.h"
#include "tui/keys.h"
#include "tui/list.h"
#include "tui/log_view.h"
#include "tui/model.h"
#include "tui/settings.h"
#include "tui/term.h"
#include "tui/timeline.h"
#include "tui/view.h"

enum {
    APP_PLACES_MAX = 8,
    APP_NOTICE_MAX = 256,
    APP_NOTICE_MS = 6000,
    APP_ASK_MAX = 512,
    APP_REQUESTS_MAX = 4096,
    APP_COPY_MAX = 64 * 1024,
};

/* One change of the cluster that an action asks for. */
struct app_request {
    enum feed_verb verb;
    char *key; /* as in feed.h; may be NULL */
    char *text;
    char *what; /* "drain n3" */
};

/* What the application asks of whoever connects it with a cluster. */
struct app_ops {
    /* Begins it; its outcome is told with app_outcome(). ERR_BUSY: later. */
    int (*act)(void *arg, const struct app_request *request, struct error *e);
    void (*seek)(void *arg, int64_t at_ms);
    void (*go_live)(void *arg);
    /* Follow the output of a task, load the tasks of a job; NULL: none any more. */
    void (*follow_output)(void *arg, const char *task);
    void (*load_tasks)(void *arg, const char *job);
};

enum app_mode { APP_NORMAL, APP_EDIT, APP_ASK, APP_HELP, APP_COLUMNS };
enum app_edit { APP_EDIT_COMMAND, APP_EDIT_FILTER, APP_EDIT_SEND, APP_EDITS };

/* The link to the cluster, as the status line shows it. */
struct app_link {
    bool is_connected;
    bool was_connected;
    bool is_replay;
    bool is_seeking; /* a moment of the past is on its way */
    char endpoint[128];
    char trouble[APP_NOTICE_MAX]; /* why it is not, as a sentence; "" when it is */
};

struct app {
    struct model *model;
    const struct app_ops *ops; /* NULL: none of it */
    void *ops_arg;
    bool is_ascii; /* as last drawn */
    int height;
    struct app_link link;
    bool is_readonly;
    struct place *places[APP_PLACES_MAX];
    size_t n_places;
    enum app_mode mode;
    enum app_edit edit_kind;
    struct edit edit;
    struct edit_history histories[APP_EDITS];
    char before_filter[FILTER_TEXT_MAX];
    char ask[APP_ASK_MAX];
    struct app_request *requests; /* asked about, or being sent */
    size_t n_requests, requests_cap;
    bool is_sending;
    size_t n_begun, n_done, n_failed; /* of those that are sent */
    char notice[APP_NOTICE_MAX];
    bool is_notice_bad;
    int64_t notice_until_ms;
    int help_top;
    int column;                /* of the dialog of columns */
    struct settings *settings; /* NULL: nothing is remembered */
    int theme;                 /* enum theme to change to; -1: unchanged */
    char *copy;                /* for the clipboard; NULL: nothing */
    size_t copy_n;             /* rows or lines of it */
    struct timeline timeline;
    int64_t now_ms;      /* monotonic; set by whoever runs it */
    uint64_t generation; /* of the model, as last taken */
    bool is_dirty;       /* something to draw */
    bool is_behind;      /* lines are left to look at */
    bool wants_quit, wants_suspend, wants_redraw, wants_save;
    int mouse;                                      /* 1 on, 0 off, -1: unchanged */
    int tab_x[VIEW_TABS_MAX], tab_w[VIEW_TABS_MAX]; /* of the head, for clicks */
    int timeline_y;                                 /* -1: not drawn */
};

void app_init(struct app *app, struct model *model, const struct app_ops *ops, void *arg);
void app_done(struct app *app);

/* Takes what is new in the model. Call before drawing, when model_generation() has changed, time
 * has passed, or is_behind. */
void app_update(struct app *app);
void app_draw(struct app *app, struct grid *grid);
void app_input(struct app *app, const struct term_input *input);

/* Shows a view by its name or the beginning of it; false when there is none. */
bool app_show(struct app *app, const char *name);
struct place *app_place(const struct app *app);
/* Goes in: a place on top. Its subject may be "". */
struct place *app_enter(struct app *app, const struct view *view, const char *subject,
                        const char *label);
void app_back(struct app *app);

void app_notice(struct app *app, bool is_bad, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The outcome of a request of app_ops.act, in the order in which they began or another. */
void app_outcome(struct app *app, int code, const char *text);

/* Contexts of keys that count at the moment, the innermost first. */
size_t app_contexts(const struct app *app, enum keys_context out[static KEYS_CONTEXTS]);

/* Typing */
void app_edit_begin(struct app *app, enum app_edit kind, const char *text);
void app_edit_key(struct app *app, uint32_t key);
void app_run_command(struct app *app, const char *line);
/* What Tab makes of the line: completed as far as it is unique; the candidates, for the foot. */
void app_complete(struct app *app, char *hint, size_t size);

/* Asking before something is done: app_ask_begin, app_ask_add each request, then app_ask, or
 * app_ask_answer at once. app_ask_begin gives false while the last changes are under way. */
bool app_ask_begin(struct app *app);
void app_ask_add(struct app *app, enum feed_verb verb, const char *key, const char *text);
void app_ask(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void app_ask_answer(struct app *app, bool yes);

/* Time */
void app_seek(struct app *app, int64_t at_ms);
void app_go_live(struct app *app);
void app_step(struct app *app, int64_t by_ms);

/* Remembers what was chosen for the list of a place. */
void app_keep(struct app *app, struct place *place);
void app_key_columns(struct app *app, uint32_t key);
void app_draw_columns(struct app *app, struct grid *grid);
void app_draw_help(struct app *app, struct grid *grid);
int app_help_lines(const struct app *app);

#endif
