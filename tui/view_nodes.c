/* Nodes and how they fare; below, all of the selected one. Enter shows one node whole. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum {
    NODES_NAME,
    NODES_STATE,
    NODES_ROLES,
    NODES_CPU,
    NODES_CPU_LINE,
    NODES_MEMORY,
    NODES_DISK,
    NODES_LOAD,
    NODES_TASKS,
    NODES_RTT,
    NODES_BEATS,
    NODES_SEEN,
    NODES_UPTIME,
    NODES_VERSION,
    NODES_ADDRESS,
    NODES_LABELS,
};

enum { NODES_LINE = 12, NODES_STRIP = 16 };

static const struct list_column nodes_columns[] = {
    [NODES_NAME] = {"node", 6, 24, 0, false, false, false},
    [NODES_STATE] = {"state", 7, 9, 0, false, false, false},
    [NODES_ROLES] = {"roles", 5, 28, 8, false, false, false},
    [NODES_CPU] = {"cpu", 5, 7, 1, true, true, false},
    [NODES_CPU_LINE] = {"", NODES_LINE, NODES_LINE, 4, false, false, true},
    [NODES_MEMORY] = {"mem", 5, 7, 2, true, true, false},
    [NODES_DISK] = {"disk", 5, 7, 5, true, true, false},
    [NODES_LOAD] = {"load", 5, 7, 6, true, true, false},
    [NODES_TASKS] = {"tasks", 5, 9, 1, true, true, false},
    [NODES_RTT] = {"rtt", 5, 9, 5, true, true, false},
    [NODES_BEATS] = {"heartbeats", NODES_STRIP, NODES_STRIP, 3, false, false, true},
    [NODES_SEEN] = {"seen", 5, 8, 2, true, true, false},
    [NODES_UPTIME] = {"up", 5, 8, 7, true, true, false},
    [NODES_VERSION] = {"version", 7, 12, 9, false, false, false},
    [NODES_ADDRESS] = {"address", 9, 24, 10, false, false, false},
    [NODES_LABELS] = {"labels", 6, 0, 11, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t nodes_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_NODES, NULL, rows);
}

/* What was measured at the moment that is shown, else what the row says. */
static double nodes_vital(const struct place *place, const struct model_row *row,
                          enum model_vital vital, const char *field)
{
    float value = model_vitals_value(model_vitals(place->app->model), model_row_key(row), vital,
                                     place_at_ms(place));
    return !isnan(value) ? (double)value : model_row_real(row, field, NAN);
}

/* Rows change with a node's state only; that it was heard since is told by its vitals. */
static int64_t nodes_seen_ms(const struct place *place, const struct model_row *row)
{
    int64_t at_ms = place_at_ms(place);
    float heard = model_vitals_value(model_vitals(place->app->model), model_row_key(row),
                                     MODEL_VITAL_CPU, at_ms);
    return !isnan(heard) ? at_ms : model_row_time(row, "last_seen");
}

/* Since its process began; by older servers, by the heartbeat that the row's last_seen is of. NAN
 * while the node is not heard. */
static double nodes_uptime_ms(const struct place *place, const struct model_row *row)
{
    const char *state = model_row_text(row, "state");
    double uptime_ms = model_row_real(row, "uptime_ms", NAN);
    int64_t seen_ms = model_row_time(row, "last_seen");
    int64_t started_ms = model_row_time(row, "started_at");
    if (strcmp(state, "offline") == 0 || strcmp(state, "suspect") == 0)
        return NAN;
    if (started_ms != 0 && started_ms <= place_at_ms(place))
        return (double)(place_at_ms(place) - started_ms);
    if (seen_ms == 0)
        return NAN;
    int64_t since_ms = place_at_ms(place) - seen_ms;
    return uptime_ms + (double)(since_ms > 0 ? since_ms : 0);
}

static void nodes_cell_percent(struct list_cell *cell, double value)
{
    if (isnan(value))
        cell_unknown(cell);
    else
        cell_number(cell,
                    value >= 95   ? INK_BAD
                    : value >= 80 ? INK_WARN
                                  : INK_TEXT,
                    value, "%.0f%%", value);
}

static double nodes_memory_percent(const struct model_row *row)
{
    double total = model_row_real(row, "memory_total_bytes", NAN);
    double available = model_row_real(row, "memory_available_bytes", NAN);
    return 100 * (total - available) / total;
}

static double nodes_disk_percent(const struct model_row *row)
{
    double total = model_row_real(row, "disk_total_bytes", NAN);
    double available = model_row_real(row, "disk_free_bytes", NAN);
    return 100 * (total - available) / total;
}

static void nodes_cell_name(const struct place *place, const struct model_row *row,
                            struct list_cell *cell)
{
    const struct model_row *lead = model_state_find(place_state(place), MODEL_ELECTIONS, "cluster");
    bool leads = strcmp(model_row_text(lead, "leader"), model_row_key(row)) == 0 ||
                 model_row_bool(row, "leader");
    cell_printf(cell, INK_TEXT, "%.*s%s", LIST_CELL_MAX - 8, model_row_key(row),
                !leads                 ? ""
                : place->app->is_ascii ? " *"
                                       : " \xe2\x98\x85");
    if (leads)
        cell->style = STYLE_BOLD(INK_ACCENT);
}

static void nodes_cell_roles(const struct model_row *row, struct list_cell *cell)
{
    struct model_value roles = model_row_get(row, "roles");
    char text[LIST_CELL_MAX];
    cell_text(cell, INK_DIM, model_value_format(&roles, text, sizeof text));
}

static void nodes_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    double value;
    char text[LIST_CELL_MAX];
    struct model_value labels;
    switch (column) {
    case NODES_NAME:
        nodes_cell_name(place, row, cell);
        break;
    case NODES_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case NODES_ROLES:
        nodes_cell_roles(row, cell);
        break;
    case NODES_CPU:
        nodes_cell_percent(cell, nodes_vital(place, row, MODEL_VITAL_CPU, "cpu_percent"));
        break;
    case NODES_MEMORY:
        value = nodes_vital(place, row, MODEL_VITAL_MEMORY, "");
        nodes_cell_percent(cell, isnan(value) ? nodes_memory_percent(row) : value);
        break;
    case NODES_DISK:
        value = nodes_vital(place, row, MODEL_VITAL_DISK, "");
        nodes_cell_percent(cell, isnan(value) ? nodes_disk_percent(row) : value);
        break;
    case NODES_LOAD:
        value = nodes_vital(place, row, MODEL_VITAL_LOAD, "load");
        if (!isnan(value))
            cell_number(cell, INK_TEXT, value, "%.2f", value);
        break;
    case NODES_TASKS:
        value = nodes_vital(place, row, MODEL_VITAL_TASKS, "tasks_running");
        if (!isnan(value))
            cell_number(cell, value > 0 ? INK_BUSY : INK_DIM, value, "%.0f/%lld", value,
                        (long long)model_row_int(row, "slots", 0));
        break;
    case NODES_RTT:
        value = nodes_vital(place, row, MODEL_VITAL_RTT, "rtt_ms");
        if (!isnan(value))
            cell_number(cell, INK_TEXT, value, value < 10 ? "%.1fms" : "%.0fms", value);
        break;
    case NODES_SEEN:
        cell_age(cell, nodes_seen_ms(place, row), place_at_ms(place));
        if (cell->has_number && cell->number >= 10000)
            cell->style = STYLE(INK_WARN);
        break;
    case NODES_UPTIME:
        value = nodes_uptime_ms(place, row);
        cell_duration(cell, isnan(value) ? -1 : value);
        break;
    case NODES_VERSION:
        cell_text(cell, INK_DIM, model_row_text(row, "version"));
        break;
    case NODES_ADDRESS:
        cell_text(cell, INK_DIM, model_row_text(row, "address"));
        break;
    case NODES_LABELS:
        labels = model_row_get(row, "labels");
        cell_text(cell, INK_DIM, model_value_format(&labels, text, sizeof text));
        break;
    default:
        break;
    }
}

static void nodes_draw(void *arg, const void *row, int column, struct grid *grid, struct rect rect)
{
    if (column == NODES_CPU_LINE)
        view_draw_vital(arg, model_row_key(row), MODEL_VITAL_CPU, 100, grid, rect,
                        STYLE(INK_ACCENT));
    else
        view_draw_beats(arg, model_row_key(row), grid, rect);
}

static const struct list_source nodes_source = {
    .columns = nodes_columns,
    .sort = NODES_NAME,
    .rows = nodes_rows,
    .key = place_row_key,
    .cell = nodes_cell,
    .draw = nodes_draw,
};

static void nodes_facts(struct place *place, const struct model_row *row, struct grid *grid,
                        struct rect r)
{
    char text[512];
    char up[STR_SHORT_MAX];
    double uptime_ms = nodes_uptime_ms(place, row);
    const char *state = model_row_text(row, "state");
    const char *reason = model_row_text(row, "drain_reason");
    struct model_value roles = model_row_get(row, "roles");
    struct model_value labels = model_row_get(row, "labels");
    int y = draw_fact(grid, r, r.y, "state", state_ink(state), "%s%s%s", state,
                      reason[0] != '\0' ? ": " : "", reason);
    y = draw_fact(grid, r, y, "roles", INK_TEXT, "%s",
                  model_value_format(&roles, text, sizeof text));
    y = draw_fact(grid, r, y, "address", INK_TEXT, "%s, API %s", model_row_text(row, "address"),
                  model_row_text(row, "api_address"));
    y = draw_fact(grid, r, y, "version", INK_TEXT, "%s, up %s, pid %lld",
                  model_row_text(row, "version"),
                  isnan(uptime_ms) ? "?" : str_format_age((int64_t)uptime_ms, up),
                  (long long)model_row_int(row, "pid", 0));
    double running = nodes_vital(place, row, MODEL_VITAL_TASKS, "tasks_running");
    y = draw_fact(grid, r, y, "work", INK_TEXT, "%.0f running, %lld slots, %lld queued",
                  isnan(running) ? 0 : running, (long long)model_row_int(row, "slots", 0),
                  (long long)model_row_int(row, "tasks_queued", 0));
    if (labels.type == MODEL_TYPE_JSON && strcmp(labels.text, "[]") != 0)
        y = draw_fact(grid, r, y, "labels", INK_TEXT, "%s",
                      model_value_format(&labels, text, sizeof text));
    if (model_row_time(row, "joined_at") != 0)
        (void)draw_fact(
            grid, r, y, "joined", INK_TEXT, "%s ago",
            view_age(model_row_time(row, "joined_at"), place_at_ms(place), text, sizeof text));
}

static void nodes_graph(const struct place *place, const struct model_row *row, struct grid *grid,
                        struct rect r, const char *label, enum model_vital vital, double max,
                        const char *unit)
{
    char text[32] = "";
    float value = model_vitals_value(model_vitals(place->app->model), model_row_key(row), vital,
                                     place_at_ms(place));
    if (!isnan(value))
        (void)snprintf(text, sizeof text, value < 10 ? "%.1f%s" : "%.0f%s", (double)value, unit);
    (void)grid_text(grid, r.x, r.y + r.h - 1, 6, STYLE(INK_DIM), label);
    (void)grid_text_right(grid, r.x + 6, r.y + r.h - 1, 8, STYLE(INK_TEXT), text);
    struct rect line = {r.x + 16, r.y, r.w - 16, r.h};
    if (vital == MODEL_VITAL_BEAT)
        view_draw_beats(place, model_row_key(row), grid,
                        (struct rect){line.x, line.y + line.h - 1, line.w, 1});
    else
        view_draw_vital(place, model_row_key(row), vital, max, grid, line, STYLE(INK_ACCENT));
}

/* Facts at the left, lines at the right or below. */
static void nodes_draw_one(struct place *place, const struct model_row *row, struct grid *grid,
                           struct rect r)
{
    static const struct {
        const char *label;
        enum model_vital vital;
        double max;
        const char *unit;
    } graphs[] = {
        {"cpu", MODEL_VITAL_CPU, 100, "%"},   {"memory", MODEL_VITAL_MEMORY, 100, "%"},
        {"disk", MODEL_VITAL_DISK, 100, "%"}, {"load", MODEL_VITAL_LOAD, 0, ""},
        {"tasks", MODEL_VITAL_TASKS, 0, ""},  {"beats", MODEL_VITAL_BEAT, 0, "ms"},
        {"rtt", MODEL_VITAL_RTT, 0, "ms"},
    };
    bool is_wide = r.w >= 90;
    int left = is_wide ? r.w * 45 / 100 : r.w;
    struct rect facts = {r.x, r.y, left - 2, is_wide ? r.h : 4};
    struct rect lines = is_wide ? (struct rect){r.x + left, r.y, r.w - left, r.h}
                                : (struct rect){r.x, r.y + 4, r.w, r.h - 4};
    nodes_facts(place, row, grid, facts);
    for (size_t i = 0; i < MEM_COUNT(graphs) && (int)i < lines.h; i++)
        nodes_graph(place, row, grid, (struct rect){lines.x, lines.y + (int)i, lines.w, 1},
                    graphs[i].label, graphs[i].vital, graphs[i].max, graphs[i].unit);
}

static void nodes_detail(struct place *place, const void *row, struct grid *grid, struct rect rect)
{
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, model_row_key(row), NULL, false);
    nodes_draw_one(place, row, grid, rect_inset(rect, 2, 1, 1, 0));
}

static void nodes_enter(struct place *place)
{
    const struct model_row *row = list_selected(&place->list);
    if (row != NULL)
        (void)app_enter(place->app, &view_node, model_row_key(row), model_row_key(row));
}

const struct view view_nodes = {
    .name = "nodes",
    .brief = "nodes",
    .title = "Nodes",
    .about = "who is there and how they fare",
    .context = KEYS_NODES,
    .list = &nodes_source,
    .table = MODEL_NODES,
    .enter = nodes_enter,
    .detail_height = 8,
    .detail = nodes_detail,
};

/* One node: what it is, its vitals, the tasks on it, what it told. */

enum { NODE_TASK, NODE_JOB, NODE_STATE, NODE_SINCE, NODE_ATTEMPT };

static const struct list_column node_columns[] = {
    [NODE_TASK] = {"task", 10, 18, 0, false, false, false},
    [NODE_JOB] = {"job", 6, 0, 2, false, false, false},
    [NODE_STATE] = {"state", 8, 10, 0, false, false, false},
    [NODE_SINCE] = {"for", 5, 8, 1, true, true, false},
    [NODE_ATTEMPT] = {"attempt", 7, 7, 3, true, true, false},
    {NULL, 0, 0, 0, false, false, false},
};

static bool node_takes(const struct place *place, const struct model_row *row)
{
    const char *state = model_row_text(row, "state");
    return strcmp(model_row_text(row, "node"), place->subject) == 0 &&
           (strcmp(state, "running") == 0 || strcmp(state, "assigned") == 0);
}

static size_t node_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_TASKS, node_takes, rows);
}

static void node_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    char id[VIEW_SHORT_MAX];
    const struct model_row *job;
    switch (column) {
    case NODE_TASK:
        cell_text(cell, INK_TEXT, view_short_id(model_row_key(row), id));
        break;
    case NODE_JOB:
        job = model_state_find(place_state(place), MODEL_JOBS, model_row_text(row, "job"));
        cell_text(cell, INK_TEXT, model_row_text(job, "name"));
        break;
    case NODE_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case NODE_SINCE:
        cell_age(cell, model_row_time(row, "started_at"), place_at_ms(place));
        break;
    case NODE_ATTEMPT:
        cell_number(cell, INK_DIM, (double)model_row_int(row, "attempt", 0), "%lld",
                    (long long)model_row_int(row, "attempt", 0));
        break;
    default:
        break;
    }
}

static const struct list_source node_source = {
    .columns = node_columns,
    .sort = NODE_TASK,
    .rows = node_rows,
    .key = place_row_key,
    .cell = node_cell,
};

static void node_open(struct place *place)
{
    (void)log_view_set_sources(&place->log, place->subject, NULL);
    place->focus = PLACE_LOG;
}

static void node_draw(struct place *place, struct grid *grid, struct rect r)
{
    char right[VIEW_STATUS_MAX];
    const struct model_row *row = model_state_find(place_state(place), MODEL_NODES, place->subject);
    const char *state = model_row_text(row, "state");
    int top = r.h >= 24 ? (r.w >= 90 ? 7 : 11) : r.h >= 14 ? 4 : 0;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, place->subject,
               row != NULL ? state : "not there at this moment", false);
    if (row != NULL && top > 0)
        nodes_draw_one(place, row, grid, (struct rect){r.x + 2, r.y + 1, r.w - 3, top});
    r = rect_inset(r, 0, top + (top > 0 ? 2 : 1), 0, 0);
    int tasks = place->list.n > 0 && r.h >= 10 ? (int)place->list.n + 2 : 0;
    tasks = tasks > r.h / 2 ? r.h / 2 : tasks;
    if (tasks > 0) {
        (void)snprintf(right, sizeof right, "%zu", place->list.n);
        draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Tasks", right,
                   place->focus == PLACE_LIST);
        list_draw(&place->list, grid, (struct rect){r.x, r.y + 1, r.w, tasks - 1});
        r = rect_inset(r, 0, tasks + 1, 0, 0);
    }
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Events and log",
               log_view_summary(&place->log, right, sizeof right), place->focus == PLACE_LOG);
    log_view_draw(&place->log, grid, rect_inset(r, 0, 1, 0, 0), place->focus == PLACE_LOG);
}

static void node_enter(struct place *place)
{
    const struct model_row *row = list_selected(&place->list);
    char id[VIEW_SHORT_MAX];
    if (place->focus == PLACE_LIST && row != NULL)
        (void)app_enter(place->app, &view_output, model_row_key(row),
                        view_short_id(model_row_key(row), id));
}

const struct view view_node = {
    .name = "node",
    .title = "Node",
    .about = "one node: vitals, tasks, events and log",
    .context = KEYS_EVERYWHERE,
    .list = &node_source,
    .has_log = true,
    .log_show = LOG_VIEW_KIND | LOG_VIEW_LEVEL,
    .table = MODEL_TASKS,
    .open = node_open,
    .draw = node_draw,
    .enter = node_enter,
};
