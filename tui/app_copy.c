/* What is copied from a place. What leaves is printable, whatever it came from; only lines are
 * ended. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "tui/act.h"
#include "tui/app.h"

static void copy_append(struct buf *b, const char *text, size_t len)
{
    char *clean = str_printable(text, len, false);
    (void)buf_append_str(b, clean);
    free(clean);
}

static void copy_line(struct buf *b, const struct model_line *line)
{
    char at[CLOCK_RFC3339_MAX];
    (void)buf_printf(b, "%s%s ", b->len > 0 ? "\n" : "", clock_format_rfc3339(line->at_ms, at));
    copy_append(b, line->source, strlen(line->source));
    (void)buf_printf(b, " %s ", model_level_name(line->level));
    copy_append(b, line->text, line->text_len);
}

static void copy_cell(struct buf *b, const struct list *list, const void *row, int column)
{
    struct list_cell cell = {0};
    list->source->cell(list->arg, row, column, &cell);
    copy_append(b, cell.text, strnlen(cell.text, sizeof cell.text));
}

/* The cells of a row with tabs between. */
static void copy_row(struct buf *b, const struct list *list, const void *row)
{
    bool is_first = true;
    for (int i = 0; i < list_columns(list); i++) {
        if (list->source->columns[i].is_drawn || list_is_hidden(list, i))
            continue;
        if (!is_first)
            (void)buf_append_str(b, "\t");
        copy_cell(b, list, row, i);
        is_first = false;
    }
}

/* Of each target: its key, its cells, or that of the column. */
static size_t copy_list(struct buf *b, const struct list *list, bool whole, int column)
{
    const void **rows = NULL;
    size_t n = list_targets(list, &rows);
    for (size_t i = 0; i < n; i++) {
        char key[LIST_KEY_MAX] = "";
        if (i > 0)
            (void)buf_append_str(b, "\n");
        list->source->key(list->arg, rows[i], key);
        if (column >= 0)
            copy_cell(b, list, rows[i], column);
        else if (whole)
            copy_row(b, list, rows[i]);
        else
            copy_append(b, key, strlen(key));
    }
    free(rows);
    return n;
}

static size_t copy_log(struct buf *b, const struct log_view *log)
{
    struct model_line line;
    size_t n = 0;
    for (size_t i = 0; i < log->n_marks; i++) {
        if (log->marks[i] < model_lines_first(log->lines) ||
            log->marks[i] >= model_lines_end(log->lines))
            continue;
        model_lines_get(log->lines, log->marks[i], &line);
        copy_line(b, &line);
        n++;
    }
    if (log->n_marks == 0 && log_view_selected(log, &line)) {
        copy_line(b, &line);
        n++;
    }
    return n;
}

static void app_copy(struct app *app, bool whole, const char *column)
{
    struct buf b;
    struct list *list = place_list(app_place(app));
    const struct log_view *log = place_log(app_place(app));
    int at = -1;
    for (int i = 0; list != NULL && column != NULL && i < list_columns(list); i++)
        if (at < 0 && !list->source->columns[i].is_drawn &&
            str_starts_with(list->source->columns[i].name, column))
            at = i;
    if (list != NULL && column != NULL && at < 0) {
        app_notice(app, true, "there is no column '%s' here", column);
        return;
    }
    buf_init(&b, APP_COPY_MAX);
    size_t n = log != NULL ? copy_log(&b, log) : list != NULL ? copy_list(&b, list, whole, at) : 0;
    if (n == 0) {
        app_notice(app, false, "there is nothing to copy");
        buf_done(&b);
        return;
    }
    size_t len;
    free(app->copy);
    app->copy = buf_steal(&b, &len);
    app->copy_n = n;
}

void act_copy(struct app *app, const char *argument)
{
    app_copy(app, false, argument != NULL && argument[0] != '\0' ? argument : NULL);
}

void act_copy_row(struct app *app, const char *argument)
{
    (void)argument;
    app_copy(app, true, NULL);
}
