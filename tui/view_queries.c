/* SQL statements, and the stages of one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum {
    QUERIES_ID,
    QUERIES_STATE,
    QUERIES_NODE,
    QUERIES_USER,
    QUERIES_AGE,
    QUERIES_WALL,
    QUERIES_ROWS,
    QUERIES_SQL,
};

static const struct list_column queries_columns[] = {
    [QUERIES_ID] = {"query", 8, 8, 1, false, false, false},
    [QUERIES_STATE] = {"state", 7, 10, 0, false, false, false},
    [QUERIES_NODE] = {"node", 4, 16, 5, false, false, false},
    [QUERIES_USER] = {"user", 4, 12, 4, false, false, false},
    [QUERIES_AGE] = {"age", 5, 8, 3, true, false, false},
    [QUERIES_WALL] = {"took", 5, 8, 1, true, true, false},
    [QUERIES_ROWS] = {"rows", 5, 12, 2, true, true, false},
    [QUERIES_SQL] = {"statement", 10, 0, 0, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t queries_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_QUERIES, NULL, rows);
}

static int64_t queries_began_ms(const struct model_row *row)
{
    int64_t began_ms = model_row_time(row, "began_at");
    return began_ms != 0 ? began_ms : model_row_time(row, "started_at");
}

static void queries_count(struct list_cell *cell, const struct model_row *row, const char *field)
{
    double n = model_row_real(row, field, NAN);
    if (!isnan(n))
        cell_number(cell, INK_TEXT, n, "%.0f", n);
}

static void queries_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    char id[VIEW_SHORT_MAX];
    switch (column) {
    case QUERIES_ID:
        cell_text(cell, INK_DIM, view_short_id(model_row_key(row), id));
        break;
    case QUERIES_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case QUERIES_NODE:
        cell_text(cell, log_view_ink(model_row_text(row, "node")), model_row_text(row, "node"));
        break;
    case QUERIES_USER:
        cell_text(cell, INK_DIM, model_row_text(row, "user"));
        break;
    case QUERIES_AGE:
        cell_age(cell, queries_began_ms(row), place_at_ms(place));
        break;
    case QUERIES_WALL:
        view_cell_took(cell, place, row, queries_began_ms(row));
        break;
    case QUERIES_ROWS:
        queries_count(cell, row, "rows");
        break;
    case QUERIES_SQL:
        cell_text(cell, INK_TEXT, model_row_text(row, "sql"));
        break;
    default:
        break;
    }
}

static const struct list_source queries_source = {
    .columns = queries_columns,
    .sort = QUERIES_AGE,
    .rows = queries_rows,
    .key = place_row_key,
    .cell = queries_cell,
};

static void queries_detail(struct place *place, const void *row, struct grid *grid,
                           struct rect rect)
{
    const char *text = model_row_text(row, "text");
    (void)place;
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, model_row_key(row), NULL, false);
    struct rect r = rect_inset(rect, 2, 1, 1, 0);
    int lines = draw_wrapped(grid, r, STYLE(INK_TEXT), model_row_text(row, "sql"), grid);
    if (text[0] != '\0' && lines < r.h)
        (void)draw_wrapped(grid, rect_inset(r, 0, lines, 0, 0), STYLE(INK_WARN), text, grid);
}

static void queries_enter(struct place *place)
{
    const struct model_row *row = list_selected(&place->list);
    char id[VIEW_SHORT_MAX];
    if (row != NULL)
        (void)app_enter(place->app, &view_stages, model_row_key(row),
                        view_short_id(model_row_key(row), id));
}

const struct view view_queries = {
    .name = "queries",
    .brief = "sql",
    .title = "Queries",
    .about = "SQL statements; Enter shows the stages of one",
    .context = KEYS_QUERIES,
    .list = &queries_source,
    .table = MODEL_QUERIES,
    .enter = queries_enter,
    .detail_height = 6,
    .detail = queries_detail,
};

/* Stages of a statement */

enum {
    STAGES_NUMBER,
    STAGES_STATE,
    STAGES_BAR,
    STAGES_TASKS,
    STAGES_ROWS,
    STAGES_BYTES,
    STAGES_WALL,
    STAGES_TEXT
};

enum { STAGES_BAR_WIDTH = 16 };

static const struct list_column stages_columns[] = {
    [STAGES_NUMBER] = {"stage", 5, 8, 0, true, false, false},
    [STAGES_STATE] = {"state", 7, 10, 0, false, false, false},
    [STAGES_BAR] = {"", STAGES_BAR_WIDTH, STAGES_BAR_WIDTH, 2, false, false, true},
    [STAGES_TASKS] = {"tasks", 5, 11, 0, true, true, false},
    [STAGES_ROWS] = {"rows", 5, 12, 1, true, true, false},
    [STAGES_BYTES] = {"bytes", 6, 10, 3, true, true, false},
    [STAGES_WALL] = {"took", 5, 8, 1, true, true, false},
    [STAGES_TEXT] = {"what", 6, 0, 4, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static bool stages_takes(const struct place *place, const struct model_row *row)
{
    const char *key = model_row_key(row);
    size_t len = strlen(place->subject);
    return strncmp(key, place->subject, len) == 0 && key[len] == '/';
}

static size_t stages_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_STAGES, stages_takes, rows);
}

static void stages_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const char *text = model_row_text(row, "text");
    double done = model_row_real(row, "tasks_done", 0);
    const char *slash = strrchr(model_row_key(row), '/');
    (void)arg;
    switch (column) {
    case STAGES_NUMBER:
        cell_text(cell, INK_TEXT, slash != NULL ? slash + 1 : "");
        break;
    case STAGES_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case STAGES_TASKS:
        cell_number(cell, INK_TEXT, done, "%.0f/%lld", done,
                    (long long)model_row_int(row, "tasks", 0));
        break;
    case STAGES_ROWS:
        queries_count(cell, row, "rows");
        break;
    case STAGES_BYTES:
        cell_bytes(cell, model_row_real(row, "bytes", -1));
        break;
    case STAGES_WALL:
        cell_duration(cell, model_row_real(row, "wall_ms", -1));
        break;
    case STAGES_TEXT:
        cell_text(cell, INK_DIM, text[0] != '\0' ? text : model_row_text(row, "name"));
        break;
    default:
        break;
    }
}

static void stages_draw(void *arg, const void *row, int column, struct grid *grid, struct rect rect)
{
    double tasks = model_row_real(row, "tasks", 0);
    (void)arg;
    (void)column;
    if (tasks > 0)
        draw_bar(grid, rect.x, rect.y, rect.w, model_row_real(row, "tasks_done", 0) / tasks,
                 STYLE(INK_BUSY));
}

static const struct list_source stages_source = {
    .columns = stages_columns,
    .sort = STAGES_NUMBER,
    .rows = stages_rows,
    .key = place_row_key,
    .cell = stages_cell,
    .draw = stages_draw,
};

const struct view view_stages = {
    .name = "stages",
    .title = "Stages",
    .about = "how far a statement is",
    .context = KEYS_EVERYWHERE,
    .list = &stages_source,
    .table = MODEL_STAGES,
};
