/* Lines that are typed: commands with their completion, filters that work as one types, messages.
 */
#include "tui/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/act.h"

static void app_set_filter(struct app *app, const char *text)
{
    struct error e = {0};
    struct place *place = app_place(app);
    int rc = 0;
    if (place_log(place) != NULL)
        rc = log_view_set_pattern(place_log(place), text, &e);
    else if (place_list(place) != NULL)
        rc = list_set_filter(place_list(place), text, &e);
    if (rc != 0)
        app_notice(app, true, "%s", e.text);
}

static const char *app_filter(const struct app *app)
{
    struct place *place = app_place(app);
    if (place_log(place) != NULL)
        return place_log(place)->pattern;
    return place_list(place) != NULL ? place_list(place)->filter.text : "";
}

void app_edit_begin(struct app *app, enum app_edit kind, const char *text)
{
    edit_done(&app->edit);
    edit_init(&app->edit, &app->histories[kind], text);
    app->edit_kind = kind;
    app->mode = APP_EDIT;
    (void)snprintf(app->before_filter, sizeof app->before_filter, "%s", app_filter(app));
    app->is_dirty = true;
}

static void app_edit_accept(struct app *app)
{
    char line[EDIT_TEXT_MAX];
    memcpy(line, app->edit.text, app->edit.len + 1);
    edit_history_add(&app->histories[app->edit_kind], line);
    app->mode = APP_NORMAL;
    if (app->edit_kind == APP_EDIT_FILTER)
        app_set_filter(app, line);
    else if (app->edit_kind == APP_EDIT_COMMAND)
        app_run_command(app, line);
    else if (line[0] != '\0')
        act_chat_send(app, line);
}

static void app_edit_cancel(struct app *app)
{
    app->mode = APP_NORMAL;
    if (app->edit_kind == APP_EDIT_FILTER)
        app_set_filter(app, app->before_filter);
}

void app_edit_key(struct app *app, uint32_t key)
{
    char hint[8];
    bool is_empty = app->edit.len == 0;
    if (key == TERM_KEY_ENTER) {
        app_edit_accept(app);
    } else if (key == TERM_KEY_ESC || key == TERM_CTRL('c') || key == TERM_CTRL('g') ||
               (key == TERM_KEY_BACKSPACE && is_empty)) {
        app_edit_cancel(app);
    } else if (key == TERM_KEY_TAB) {
        if (app->edit_kind == APP_EDIT_COMMAND)
            app_complete(app, hint, 0);
    } else if (edit_key(&app->edit, key) && app->edit_kind == APP_EDIT_FILTER) {
        struct error e;
        struct place *place = app_place(app);
        /* half a pattern may be none yet: what was shown stays */
        if (place_log(place) != NULL)
            (void)log_view_set_pattern(place_log(place), app->edit.text, &e);
        else if (place_list(place) != NULL)
            (void)list_set_filter(place_list(place), app->edit.text, &e);
    }
}

/* The row whose name begins the line, with the longest name that does; *argument is behind it. */
static const struct keys_row *app_command_row(const struct app *app, const char *line,
                                              const char **argument, size_t *n_matches)
{
    enum keys_context contexts[KEYS_CONTEXTS];
    size_t n = app_contexts(app, contexts);
    size_t len = strlen(line);
    *n_matches = 0;
    while (len > 0) {
        while (len > 0 && line[len - 1] == ' ')
            len--;
        const struct keys_row *row = keys_find_name(line, len, contexts, n, n_matches);
        bool is_exact = row != NULL && row->name[len] == '\0';
        if (row != NULL && (is_exact || line[len] == '\0' || row->argument != NULL)) {
            *argument = line + len + strspn(line + len, " ");
            return row;
        }
        while (len > 0 && line[len - 1] != ' ')
            len--;
    }
    return NULL;
}

void app_run_command(struct app *app, const char *line)
{
    const char *argument = "";
    size_t n_matches;
    line += strspn(line, " ");
    if (line[0] == '\0')
        return;
    const struct keys_row *row = app_command_row(app, line, &argument, &n_matches);
    if (row == NULL)
        app_notice(app, true,
                   n_matches > 1 ? "':%s' could be several commands here; Tab shows them"
                                 : "there is no command ':%s' here; ? shows what there is",
                   line);
    else if (row->argument == NULL && argument[0] != '\0')
        app_notice(app, true, "':%s' takes nothing behind it", row->name);
    else
        row->run(app, argument);
}

/* Words of names that an argument can be: nodes, columns. */
static void app_complete_argument(struct app *app, const struct keys_row *row, const char *argument,
                                  char *hint, size_t size)
{
    size_t used = 0;
    size_t n = 0;
    const char *found = NULL;
    const struct model_state *state = model_state(app->model);
    const struct list *list = place_list(app_place(app));
    bool is_node = strstr(row->argument, "NODE") != NULL;
    bool is_column = strcmp(row->argument, "COLUMN") == 0 && list != NULL;
    size_t count = is_node     ? model_state_count(state, MODEL_NODES)
                   : is_column ? LIST_COLUMNS_MAX
                               : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = is_node ? model_row_key(model_state_at(state, MODEL_NODES, i))
                                   : list->source->columns[i].name;
        if (name == NULL)
            break;
        if (!str_starts_with(name, argument))
            continue;
        found = name;
        n++;
        if (used < size)
            used += (size_t)snprintf(hint + used, size - used, "%s  ", name);
    }
    if (n == 0 && size > 0)
        (void)snprintf(hint, size, "%s: %s", row->argument, row->help);
    if (size == 0 && n == 1 && strlen(found) > strlen(argument)) {
        char line[EDIT_TEXT_MAX];
        (void)snprintf(line, sizeof line, "%s%s", app->edit.text, found + strlen(argument));
        edit_set(&app->edit, line);
    }
}

static void app_complete_name(struct app *app, char *hint, size_t size)
{
    enum keys_context contexts[KEYS_CONTEXTS];
    size_t n = app_contexts(app, contexts);
    size_t used = 0;
    char common[64] = "";
    size_t matches = 0;
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < keys_n; i++) {
            const struct keys_row *row = &keys_table[i];
            if (row->context != contexts[c] || row->name[0] == '\0' ||
                !str_starts_with(row->name, app->edit.text))
                continue;
            if (matches++ == 0)
                (void)snprintf(common, sizeof common, "%s", row->name);
            size_t same = 0;
            while (common[same] != '\0' && common[same] == row->name[same])
                same++;
            common[same] = '\0';
            if (used < size)
                used += (size_t)snprintf(hint + used, size - used, "%s  ", row->name);
        }
    }
    if (size == 0 && strlen(common) > app->edit.len) {
        edit_set(&app->edit, common);
        if (matches == 1)
            edit_paste(&app->edit, " ", 1);
    }
}

void app_complete(struct app *app, char *hint, size_t size)
{
    const char *argument = "";
    size_t n_matches;
    if (size > 0)
        hint[0] = '\0';
    const struct keys_row *row = app_command_row(app, app->edit.text, &argument, &n_matches);
    bool in_argument =
        row != NULL && row->argument != NULL && argument > app->edit.text && argument[-1] == ' ';
    if (in_argument)
        app_complete_argument(app, row, argument, hint, size);
    else
        app_complete_name(app, hint, size);
}
