/* The filter of the model says which positions are shown; the view keeps positions, never indexes,
 * so that lines that come or are looked at later move nothing on the screen. */
#include "tui/log_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/log_view_internal.h"

void log_view_init(struct log_view *view, unsigned show)
{
    *view = (struct log_view){.show = show, .follows = true, .level_min = MODEL_LEVEL_INFO};
    nodeset_init(&view->sources);
}

void log_view_done(struct log_view *view)
{
    model_filter_free(view->filter);
    nodeset_done(&view->sources);
    *view = (struct log_view){0};
}

/* Makes the filter anew from what is set. */
static int log_view_remake(struct log_view *view, const char *pattern, struct error *e)
{
    if (view->lines == NULL)
        return 0;
    bool invert = pattern[0] == '!';
    bool has_capital = false;
    for (const char *s = pattern; *s != '\0'; s++)
        has_capital = has_capital || (*s >= 'A' && *s <= 'Z');
    struct model_filter_spec spec = {
        .pattern = pattern[invert] != '\0' ? pattern + invert : NULL,
        .invert = invert,
        .ignore_case = !has_capital,
        .level_min = view->level_min,
        .kinds = view->kinds[0] != '\0' ? view->kinds : NULL,
        .sources = view->sources.n > 0 ? &view->sources : NULL,
    };
    struct model_filter *filter = NULL;
    int rc = model_filter_new(view->lines, &spec, &filter, e);
    if (rc != 0)
        return rc;
    model_filter_free(view->filter);
    view->filter = filter;
    view->is_behind = true;
    return 0;
}

int log_view_set_pattern(struct log_view *view, const char *pattern, struct error *e)
{
    if (strlen(pattern) >= sizeof view->pattern)
        return error_set(e, ERR_INVALID, "a filter has at most %d bytes", LOG_VIEW_PATTERN_MAX - 1);
    int rc = log_view_remake(view, pattern, e);
    if (rc == 0)
        memmove(view->pattern, pattern, strlen(pattern) + 1);
    return rc;
}

int log_view_set_kinds(struct log_view *view, const char *kinds, struct error *e)
{
    if (strlen(kinds) >= sizeof view->kinds)
        return error_set(e, ERR_INVALID, "kinds have at most %d bytes", LOG_VIEW_PATTERN_MAX - 1);
    memmove(view->kinds, kinds, strlen(kinds) + 1);
    return log_view_remake(view, view->pattern, e);
}

int log_view_set_sources(struct log_view *view, const char *nodes, struct error *e)
{
    struct nodeset set;
    nodeset_init(&set);
    int rc = nodes[0] != '\0' ? nodeset_parse(&set, nodes, NULL, NULL, e) : 0;
    if (rc != 0) {
        nodeset_done(&set);
        return rc;
    }
    nodeset_done(&view->sources);
    view->sources = set;
    return log_view_remake(view, view->pattern, e);
}

void log_view_set_level(struct log_view *view, enum model_level level)
{
    view->level_min = level;
    (void)log_view_remake(view, view->pattern, NULL);
}

/* Matches that are shown: those before `end`. */
size_t log_view_count(const struct log_view *view)
{
    if (view->filter == NULL)
        return 0;
    size_t n = model_filter_count(view->filter);
    if (n > 0 && model_filter_at(view->filter, n - 1) >= view->end)
        n = model_filter_find(view->filter, view->end);
    return n;
}

/* Index of a position, or of the match before it where it isn't shown. */
size_t log_view_index(const struct log_view *view, uint64_t pos, size_t n)
{
    size_t i = model_filter_find(view->filter, pos);
    return i < n ? i : n - 1;
}

bool log_view_update(struct log_view *view, const struct model_lines *lines, uint64_t end)
{
    uint64_t generation = model_lines_generation(lines);
    bool is_other = view->lines != lines || view->generation != generation;
    view->end = end;
    if (is_other) {
        view->lines = lines;
        view->generation = generation;
        if (view->filter == NULL)
            (void)log_view_remake(view, view->pattern, NULL);
        else
            model_filter_reset(view->filter, lines);
        view->n_marks = 0;
    }
    view->is_behind = view->filter != NULL && !model_filter_run(view->filter, LOG_VIEW_RUN_US);
    size_t n = log_view_count(view);
    if (n > 0 && view->follows)
        view->at = model_filter_at(view->filter, n - 1);
    return !view->is_behind;
}

void log_view_move(struct log_view *view, long delta)
{
    size_t n = log_view_count(view);
    if (n == 0)
        return;
    size_t i = log_view_index(view, view->at, n);
    if (delta < 0)
        i = (size_t)-delta < i ? i - (size_t)-delta : 0;
    else
        i = (size_t)delta < n - 1 - i ? i + (size_t)delta : n - 1;
    view->at = model_filter_at(view->filter, i);
    view->follows = delta > 0 && i == n - 1;
}

void log_view_page(struct log_view *view, int pages)
{
    int height = view->height > 1 ? view->height - 1 : 1;
    log_view_move(view, (long)pages * height);
}

void log_view_home(struct log_view *view)
{
    size_t n = log_view_count(view);
    if (n > 0)
        view->at = model_filter_at(view->filter, 0);
    view->follows = false;
}

void log_view_follow(struct log_view *view, bool follows)
{
    view->follows = follows;
    size_t n = log_view_count(view);
    if (n > 0 && follows)
        view->at = model_filter_at(view->filter, n - 1);
}

void log_view_end(struct log_view *view)
{
    log_view_follow(view, true);
}

/* Marks */

static size_t log_view_mark_slot(const struct log_view *view, uint64_t pos)
{
    size_t i = 0;
    while (i < view->n_marks && view->marks[i] < pos)
        i++;
    return i;
}

bool log_view_is_marked(const struct log_view *view, uint64_t pos)
{
    size_t i = log_view_mark_slot(view, pos);
    return i < view->n_marks && view->marks[i] == pos;
}

static void log_view_mark_add(struct log_view *view, uint64_t pos)
{
    size_t i = log_view_mark_slot(view, pos);
    if (log_view_is_marked(view, pos) || view->n_marks == LOG_VIEW_MARKS_MAX)
        return;
    memmove(&view->marks[i + 1], &view->marks[i], (view->n_marks - i) * sizeof *view->marks);
    view->marks[i] = pos;
    view->n_marks++;
}

void log_view_mark(struct log_view *view)
{
    if (log_view_count(view) == 0)
        return;
    if (log_view_is_marked(view, view->at)) {
        size_t i = log_view_mark_slot(view, view->at);
        view->n_marks--;
        memmove(&view->marks[i], &view->marks[i + 1], (view->n_marks - i) * sizeof *view->marks);
    } else {
        log_view_mark_add(view, view->at);
    }
    log_view_move(view, 1);
}

void log_view_mark_range(struct log_view *view)
{
    size_t n = log_view_count(view);
    if (n == 0)
        return;
    size_t to = log_view_index(view, view->at, n);
    size_t slot = log_view_mark_slot(view, view->at);
    size_t from = slot > 0 ? log_view_index(view, view->marks[slot - 1], n) : to;
    for (size_t i = from; i <= to; i++)
        log_view_mark_add(view, model_filter_at(view->filter, i));
}

void log_view_unmark(struct log_view *view)
{
    view->n_marks = 0;
}

void log_view_next_mark(struct log_view *view, bool back)
{
    size_t i = log_view_mark_slot(view, back ? view->at : view->at + 1);
    if (back && i > 0)
        view->at = view->marks[i - 1];
    else if (!back && i < view->n_marks)
        view->at = view->marks[i];
    else
        return;
    view->follows = false;
}

bool log_view_selected(const struct log_view *view, struct model_line *line)
{
    if (log_view_count(view) == 0 || view->at < model_lines_first(view->lines) ||
        view->at >= model_lines_end(view->lines))
        return false;
    model_lines_get(view->lines, view->at, line);
    return true;
}

bool log_view_click(struct log_view *view, int y)
{
    size_t n = log_view_count(view);
    if (n == 0 || y < view->drawn.y || y >= view->drawn.y + view->drawn.h || view->wraps)
        return false;
    size_t i = log_view_index(view, view->top, n) + (size_t)(y - view->drawn.y);
    if (i >= n)
        return false;
    view->at = model_filter_at(view->filter, i);
    view->follows = false;
    return true;
}

const char *log_view_summary(const struct log_view *view, char *out, size_t size)
{
    size_t n = log_view_count(view);
    size_t looked = 0;
    size_t all = 0;
    if (view->filter != NULL)
        model_filter_progress(view->filter, &looked, &all);
    int len = n == all ? snprintf(out, size, "%zu line%s", n, n == 1 ? "" : "s")
                       : snprintf(out, size, "%zu of %zu line%s", n, all, all == 1 ? "" : "s");
    size_t used = (size_t)len < size ? (size_t)len : size - 1;
    if (looked < all)
        used += (size_t)snprintf(out + used, size - used, ", looking");
    if (used < size && view->level_min > MODEL_LEVEL_INFO)
        used += (size_t)snprintf(out + used, size - used, ", %s and worse",
                                 model_level_name(view->level_min));
    if (used < size && view->pattern[0] != '\0')
        used += (size_t)snprintf(out + used, size - used, ", /%s", view->pattern);
    if (used < size && view->n_marks > 0)
        used += (size_t)snprintf(out + used, size - used, ", %zu marked", view->n_marks);
    if (used < size)
        (void)snprintf(out + used, size - used, view->follows ? ", following" : "");
    return out;
}

/* Saving */

static int log_view_save_line(FILE *file, const struct log_view *view, uint64_t pos)
{
    char at[CLOCK_RFC3339_MAX];
    struct model_line line;
    model_lines_get(view->lines, pos, &line);
    return fprintf(file, "%s\t%s\t%s\t%s\t%s\n", clock_format_rfc3339(line.at_ms, at), line.source,
                   model_level_name(line.level), line.kind, line.text);
}

int log_view_save(const struct log_view *view, const char *path, size_t *n, struct error *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(e, -errno, "%s: %s", path, strerror(errno));
    FILE *file = fdopen(fd, "w");
    size_t count = log_view_count(view);
    size_t saved = 0;
    for (size_t i = 0; i < count && file != NULL; i++) {
        uint64_t pos = model_filter_at(view->filter, i);
        if (view->n_marks > 0 && !log_view_is_marked(view, pos))
            continue;
        (void)log_view_save_line(file, view, pos);
        saved++;
    }
    if (file == NULL || fclose(file) != 0)
        return error_set(e, -errno, "%s: %s", path, strerror(errno));
    *n = saved;
    return 0;
}
