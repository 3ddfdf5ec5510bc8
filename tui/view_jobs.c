/* Jobs, the tasks of one, the output of one of those. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum {
    JOBS_ID,
    JOBS_NAME,
    JOBS_STATE,
    JOBS_BAR,
    JOBS_DONE,
    JOBS_RUNNING,
    JOBS_FAILED,
    JOBS_USER,
    JOBS_PRIORITY,
    JOBS_SUBMITTED,
    JOBS_WALL,
    JOBS_COMMAND,
};

enum { JOBS_BAR_WIDTH = 12 };

static const struct list_column jobs_columns[] = {
    [JOBS_ID] = {"job", 8, 8, 1, false, false, false},
    [JOBS_NAME] = {"name", 4, 24, 0, false, false, false},
    [JOBS_STATE] = {"state", 8, 10, 0, false, false, false},
    [JOBS_BAR] = {"", JOBS_BAR_WIDTH, JOBS_BAR_WIDTH, 3, false, false, true},
    [JOBS_DONE] = {"done", 5, 13, 1, true, true, false},
    [JOBS_RUNNING] = {"run", 3, 7, 4, true, true, false},
    [JOBS_FAILED] = {"fail", 4, 7, 2, true, true, false},
    [JOBS_USER] = {"user", 4, 12, 6, false, false, false},
    [JOBS_PRIORITY] = {"prio", 4, 6, 8, true, true, false},
    [JOBS_SUBMITTED] = {"age", 5, 8, 2, true, false, false},
    [JOBS_WALL] = {"took", 5, 8, 5, true, true, false},
    [JOBS_COMMAND] = {"command", 10, 0, 7, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t jobs_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_JOBS, NULL, rows);
}

static void jobs_count(struct list_cell *cell, const struct model_row *row, const char *field,
                       enum theme_ink ink)
{
    int64_t n = model_row_int(row, field, 0);
    cell_number(cell, n > 0 ? ink : INK_DIM, (double)n, "%lld", (long long)n);
}

static void jobs_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    char text[LIST_CELL_MAX];
    char id[VIEW_SHORT_MAX];
    double done;
    switch (column) {
    case JOBS_ID:
        cell_text(cell, INK_DIM, view_short_id(model_row_key(row), id));
        break;
    case JOBS_NAME:
        cell_text(cell, INK_TEXT, model_row_text(row, "name"));
        break;
    case JOBS_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case JOBS_DONE:
        done = model_row_real(row, "completed", 0);
        cell_number(cell, INK_TEXT, done, "%.0f/%lld", done,
                    (long long)model_row_int(row, "elements", 1));
        break;
    case JOBS_RUNNING:
        jobs_count(cell, row, "running", INK_BUSY);
        break;
    case JOBS_FAILED:
        jobs_count(cell, row, "failed", INK_BAD);
        break;
    case JOBS_USER:
        cell_text(cell, INK_DIM, model_row_text(row, "user"));
        break;
    case JOBS_PRIORITY:
        jobs_count(cell, row, "priority", INK_TEXT);
        break;
    case JOBS_SUBMITTED:
        cell_age(cell, model_row_time(row, "submitted_at"), place_at_ms(place));
        break;
    case JOBS_WALL:
        view_cell_took(cell, place, row, model_row_time(row, "started_at"));
        break;
    case JOBS_COMMAND:
        cell_text(cell, INK_DIM, view_job_command(row, text, sizeof text));
        break;
    default:
        break;
    }
}

void view_draw_job(const struct model_row *job, struct grid *grid, struct rect rect)
{
    const char *state = model_row_text(job, "state");
    double done = view_job_done(job);
    bool is_bad = model_row_int(job, "failed", 0) > 0;
    if (strcmp(state, "completed") == 0)
        return;
    draw_bar(grid, rect.x, rect.y, rect.w, done, STYLE(is_bad ? INK_BAD : INK_BUSY));
}

static void jobs_draw(void *arg, const void *row, int column, struct grid *grid, struct rect rect)
{
    (void)arg;
    (void)column;
    view_draw_job(row, grid, rect);
}

static const struct list_source jobs_source = {
    .columns = jobs_columns,
    .sort = JOBS_SUBMITTED,
    .rows = jobs_rows,
    .key = place_row_key,
    .cell = jobs_cell,
    .draw = jobs_draw,
};

static void jobs_detail(struct place *place, const void *row, struct grid *grid, struct rect rect)
{
    char text[1024];
    char ago[64];
    const char *state = model_row_text(row, "state");
    const char *reason = model_row_text(row, "reason");
    struct model_value after = model_row_get(row, "after");
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, model_row_key(row), NULL, false);
    struct rect r = rect_inset(rect, 2, 1, 1, 0);
    int y = draw_fact(grid, r, r.y, "state", state_ink(state), "%s%s%s", state,
                      reason[0] != '\0' ? ": " : "", reason);
    y = draw_fact(grid, r, y, "command", INK_TEXT, "%s", view_job_command(row, text, sizeof text));
    y = draw_fact(
        grid, r, y, "submitted", INK_TEXT, "%s ago by %s",
        view_age(model_row_time(row, "submitted_at"), place_at_ms(place), ago, sizeof ago),
        model_row_text(row, "user"));
    y = draw_fact(
        grid, r, y, "elements", INK_TEXT,
        "%lld: %lld completed, %lld running, %lld pending, %lld failed, %lld cancelled",
        (long long)model_row_int(row, "elements", 0), (long long)model_row_int(row, "completed", 0),
        (long long)model_row_int(row, "running", 0), (long long)model_row_int(row, "pending", 0),
        (long long)model_row_int(row, "failed", 0), (long long)model_row_int(row, "cancelled", 0));
    double cpus = model_row_real(row, "cpus", 1);
    int64_t memory = model_row_int(row, "memory_bytes", 0);
    const char *selector = model_row_text(row, "selector");
    y = draw_fact(grid, r, y, "wants", INK_TEXT, "%g cpu%s, %s%s, on %s", cpus,
                  cpus == 1 ? "" : "s",
                  memory > 0 ? str_format_bytes((uint64_t)memory, ago) : "any ",
                  memory > 0 ? "" : "memory", selector[0] != '\0' ? selector : "any node");
    if (after.type == MODEL_TYPE_JSON && strcmp(after.text, "[]") != 0)
        (void)draw_fact(grid, r, y, "after", INK_TEXT, "%s",
                        model_value_format(&after, text, sizeof text));
}

static void jobs_enter(struct place *place)
{
    const struct model_row *row = list_selected(&place->list);
    char id[VIEW_SHORT_MAX];
    const char *name = model_row_text(row, "name");
    if (row != NULL)
        (void)app_enter(place->app, &view_tasks, model_row_key(row),
                        name[0] != '\0' ? name : view_short_id(model_row_key(row), id));
}

const struct view view_jobs = {
    .name = "jobs",
    .brief = "jobs",
    .title = "Jobs",
    .about = "what runs, waits, has ended",
    .context = KEYS_JOBS,
    .list = &jobs_source,
    .table = MODEL_JOBS,
    .enter = jobs_enter,
    .detail_height = 7,
    .detail = jobs_detail,
};

/* Tasks of a job */

enum {
    TASKS_INDEX,
    TASKS_STATE,
    TASKS_NODE,
    TASKS_ATTEMPT,
    TASKS_EXIT,
    TASKS_AGE,
    TASKS_WALL,
    TASKS_CPU,
    TASKS_RSS,
    TASKS_OUT,
    TASKS_REASON,
};

static const struct list_column tasks_columns[] = {
    [TASKS_INDEX] = {"element", 7, 9, 0, true, false, false},
    [TASKS_STATE] = {"state", 8, 10, 0, false, false, false},
    [TASKS_NODE] = {"node", 4, 20, 1, false, false, false},
    [TASKS_ATTEMPT] = {"try", 3, 4, 5, true, true, false},
    [TASKS_EXIT] = {"exit", 4, 6, 2, true, true, false},
    [TASKS_AGE] = {"age", 5, 8, 3, true, false, false},
    [TASKS_WALL] = {"took", 5, 8, 2, true, true, false},
    [TASKS_CPU] = {"cpu", 5, 8, 6, true, true, false},
    [TASKS_RSS] = {"memory", 6, 10, 6, true, true, false},
    [TASKS_OUT] = {"output", 6, 10, 7, true, true, false},
    [TASKS_REASON] = {"reason", 6, 0, 4, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static bool tasks_takes(const struct place *place, const struct model_row *row)
{
    const char *key = model_row_key(row);
    size_t len = strlen(place->subject);
    return strncmp(key, place->subject, len) == 0 && key[len] == '_';
}

static size_t tasks_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_TASKS, tasks_takes, rows);
}

static int64_t tasks_index(const struct model_row *row)
{
    const char *at = strrchr(model_row_key(row), '_');
    uint64_t index;
    if (at != NULL && str_parse_u64(at + 1, 0, INT32_MAX, &index) == 0)
        return (int64_t)index;
    return model_row_int(row, "index", 0);
}

static void tasks_cell_exit(const struct model_row *row, struct list_cell *cell)
{
    struct model_value code = model_row_get(row, "exit_code");
    int64_t number = model_row_int(row, "signal", 0);
    if (number > 0)
        cell_number(cell, INK_BAD, 128 + (double)number, "sig %lld", (long long)number);
    else if (code.type == MODEL_TYPE_INT)
        cell_number(cell, code.integer == 0 ? INK_DIM : INK_BAD, (double)code.integer, "%lld",
                    (long long)code.integer);
}

static void tasks_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    const char *reason;
    int64_t index = tasks_index(row);
    switch (column) {
    case TASKS_INDEX:
        cell_number(cell, INK_TEXT, (double)index, "%lld", (long long)index);
        break;
    case TASKS_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case TASKS_NODE:
        cell_text(cell, log_view_ink(model_row_text(row, "node")), model_row_text(row, "node"));
        break;
    case TASKS_ATTEMPT:
        jobs_count(cell, row, "attempt", INK_TEXT);
        break;
    case TASKS_EXIT:
        tasks_cell_exit(row, cell);
        break;
    case TASKS_AGE:
        cell_age(cell, model_row_time(row, "started_at"), place_at_ms(place));
        break;
    case TASKS_WALL:
        view_cell_took(cell, place, row, model_row_time(row, "started_at"));
        break;
    case TASKS_CPU:
        cell_duration(cell,
                      model_row_real(row, "user_ms", -1) + model_row_real(row, "system_ms", 0));
        break;
    case TASKS_RSS:
        cell_bytes(cell, model_row_real(row, "rss_max_bytes", -1));
        break;
    case TASKS_OUT:
        cell_bytes(cell, model_row_real(row, "stdout_bytes", 0) +
                             model_row_real(row, "stderr_bytes", -1));
        break;
    case TASKS_REASON:
        reason = model_row_text(row, "reason");
        cell_text(cell, INK_DIM, reason[0] != '\0' ? reason : model_row_text(row, "text"));
        break;
    default:
        break;
    }
}

static const struct list_source tasks_source = {
    .columns = tasks_columns,
    .sort = TASKS_INDEX,
    .rows = tasks_rows,
    .key = place_row_key,
    .cell = tasks_cell,
};

static void tasks_load(struct place *place, const char *job)
{
    const struct app *app = place->app;
    if (app->ops != NULL && app->ops->load_tasks != NULL)
        app->ops->load_tasks(app->ops_arg, job);
}

static void tasks_open(struct place *place)
{
    tasks_load(place, place->subject);
}

static void tasks_close(struct place *place)
{
    tasks_load(place, NULL);
}

static void tasks_enter(struct place *place)
{
    const struct model_row *row = list_selected(&place->list);
    char label[32];
    if (row == NULL)
        return;
    (void)snprintf(label, sizeof label, "%lld", (long long)tasks_index(row));
    (void)app_enter(place->app, &view_output, model_row_key(row), label);
}

const struct view view_tasks = {
    .name = "tasks",
    .title = "Tasks",
    .about = "the elements of a job; Enter shows what one wrote",
    .context = KEYS_TASKS,
    .list = &tasks_source,
    .table = MODEL_TASKS,
    .open = tasks_open,
    .close = tasks_close,
    .enter = tasks_enter,
};

/* Output of a task */

static void output_follow(struct place *place, const char *task)
{
    const struct app *app = place->app;
    if (app->ops != NULL && app->ops->follow_output != NULL)
        app->ops->follow_output(app->ops_arg, task);
}

static void output_open(struct place *place)
{
    place->log.time = LOG_VIEW_NO_TIME;
    place->log.level_min = MODEL_LEVEL_DEBUG;
    output_follow(place, place->subject);
}

static void output_close(struct place *place)
{
    output_follow(place, NULL);
}

static void output_draw(struct place *place, struct grid *grid, struct rect rect)
{
    char title[VIEW_STATUS_MAX];
    char right[VIEW_STATUS_MAX];
    char id[VIEW_SHORT_MAX];
    const struct model_row *row = model_state_find(place_state(place), MODEL_TASKS, place->subject);
    (void)snprintf(title, sizeof title, "Output of %s  %s on %s", view_short_id(place->subject, id),
                   row != NULL ? model_row_text(row, "state") : "",
                   row != NULL ? model_row_text(row, "node") : "");
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, title,
               log_view_summary(&place->log, right, sizeof right), true);
    log_view_draw(&place->log, grid, rect_inset(rect, 0, 1, 0, 0), true);
}

const struct view view_output = {
    .name = "output",
    .title = "Output",
    .about = "what a task writes, as it comes",
    .context = KEYS_EVERYWHERE,
    .has_log = true,
    .log_show = 0,
    .table = MODEL_TABLES,
    .open = output_open,
    .close = output_close,
    .draw = output_draw,
};
