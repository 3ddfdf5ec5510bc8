#include "tui/once.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/overview.h"

enum { ONCE_LINES_MAX = 1000, ONCE_GAPS_MAX = 160 };

static void once_print_gaps(const struct app *app, FILE *to)
{
    char text[ONCE_GAPS_MAX];
    const char *complaint = model_complaint(app->model);
    if (model_gaps(app->model, false, text, sizeof text)[0] != '\0')
        (void)fprintf(to, "NOT ALL OF IT: %s%s%s\n\n", text, complaint[0] != '\0' ? "; " : "",
                      complaint);
}

/* Without colour and keys: the frame's head and foot are for the screen. */
void once_print_text(struct app *app, int width, bool ascii, FILE *to)
{
    size_t rows = 0;
    for (enum model_table table = 0; table < MODEL_TABLES; table++)
        rows += model_state_count(model_state(app->model), table);
    struct place *place = app_place(app);
    bool is_log = place->view->has_log && place->view->list == NULL;
    int height = is_log || rows > ONCE_HEIGHT_MAX - 40 ? ONCE_HEIGHT_MAX : (int)rows + 40;
    struct grid *grid = grid_new(width, height, ascii);
    app->is_ascii = grid->ascii;
    app->height = grid->h;
    place->hides_detail = true;
    place_draw(place, grid, (struct rect){0, 0, width, height});
    int last = height;
    int blank = 0;
    for (; last > 0; last--) {
        char *text = grid_row_text(grid, last - 1);
        bool is_empty = text[0] == '\0';
        free(text);
        if (!is_empty)
            break;
    }
    if (model_partial(app->model)[0] != '\0')
        (void)fprintf(to, "A PART ONLY, %s\n\n", model_partial(app->model));
    once_print_gaps(app, to);
    for (int y = 0; y < last; y++) {
        char *text = grid_row_text(grid, y);
        blank = text[0] == '\0' ? blank + 1 : 0;
        if (blank < 2)
            (void)fprintf(to, "%s\n", text);
        free(text);
    }
    grid_free(grid);
}

static json_t *once_value(const struct model_value *value)
{
    json_t *json;
    switch (value->type) {
    case MODEL_TYPE_BOOL:
        return json_boolean(value->integer != 0);
    case MODEL_TYPE_INT:
        return json_integer(value->integer);
    case MODEL_TYPE_REAL:
        return json_real(value->real);
    case MODEL_TYPE_TEXT:
        return json_string(value->text);
    case MODEL_TYPE_JSON:
        json = json_loads(value->text, JSON_DECODE_ANY, NULL);
        return json != NULL ? json : json_string(value->text);
    default:
        return json_null();
    }
}

static json_t *once_row(const struct model_row *row)
{
    json_t *object = json_object();
    for (size_t i = 0; i < model_row_n_fields(row); i++) {
        struct model_value value;
        const char *name = model_row_field(row, i, &value);
        (void)json_object_set_new(object, name, once_value(&value));
    }
    return object;
}

static json_t *once_rows(struct app *app, enum model_table table)
{
    json_t *array = json_array();
    struct place *place = app_place(app);
    const struct model_state *state = model_state(app->model);
    if (place->view->table == table && place->view->list != NULL) {
        /* in the order of the list, without what its filter leaves out */
        list_home(&place->list);
        for (size_t i = 0; i < place->list.n; i++, list_move(&place->list, 1))
            (void)json_array_append_new(array, once_row(list_selected(&place->list)));
        return array;
    }
    for (size_t i = 0; i < model_state_count(state, table); i++)
        (void)json_array_append_new(array, once_row(model_state_at(state, table, i)));
    return array;
}

static json_t *once_time(int64_t at_ms)
{
    char text[CLOCK_RFC3339_MAX];
    return at_ms != 0 ? json_string(clock_format_rfc3339(at_ms, text)) : json_null();
}

static json_t *once_problems(struct app *app)
{
    json_t *array = json_array();
    struct overview *overview = mem_zalloc(sizeof *overview);
    overview_find_problems(overview, app->model);
    for (size_t i = 0; i < overview->n; i++) {
        const struct overview_problem *problem = &overview->problems[i];
        (void)json_array_append_new(array, json_pack("{s:s, s:o, s:s, s:s}", "level",
                                                     problem->is_bad ? "error" : "warn", "since",
                                                     once_time(problem->since_ms), "where",
                                                     problem->where, "what", problem->what));
    }
    free(overview);
    return array;
}

static json_t *once_lines(const struct model_lines *lines, uint64_t end, const char *source,
                          const char *kind)
{
    json_t *array = json_array();
    uint64_t first = model_lines_first(lines);
    for (uint64_t pos = end > first + ONCE_LINES_MAX ? end - ONCE_LINES_MAX : first; pos < end;
         pos++) {
        struct model_line line;
        model_lines_get(lines, pos, &line);
        (void)json_array_append_new(
            array,
            json_pack("{s:o, s:s, s:s, s:s, s:s}", "at", once_time(line.at_ms), source, line.source,
                      kind, line.kind, "level", model_level_name(line.level), "text", line.text));
    }
    return array;
}

static json_t *once_gaps(const struct app *app)
{
    const char *complaint = model_complaint(app->model);
    json_t *gaps = json_pack("{s:I, s:I, s:I}", "events_lost", (json_int_t)model_lost(app->model),
                             "lines_unreadable", (json_int_t)model_malformed(app->model),
                             "rows_left_out", (json_int_t)model_left_out(app->model));
    if (complaint[0] != '\0')
        (void)json_object_set_new(gaps, "complaint", json_string(complaint));
    return gaps;
}

int once_print_json(struct app *app, FILE *to)
{
    const struct view *view = app_place(app)->view;
    json_t *object = json_pack("{s:o, s:s, s:o}", "at", once_time(model_at_ms(app->model)), "view",
                               view->name, "problems", once_problems(app));
    if (model_partial(app->model)[0] != '\0')
        (void)json_object_set_new(object, "partial", json_string(model_partial(app->model)));
    (void)json_object_set_new(object, "missing", once_gaps(app));
    for (enum model_table table = 0; table < MODEL_TABLES; table++) {
        if (view == &view_overview ? table != MODEL_TASKS : table == view->table)
            (void)json_object_set_new(object, model_table_name(table), once_rows(app, table));
    }
    if (view == &view_logs)
        (void)json_object_set_new(
            object, "events",
            once_lines(model_events(app->model), model_events_end(app->model), "node", "kind"));
    if (view == &view_chat)
        (void)json_object_set_new(object, "messages",
                                  once_lines(model_messages(app->model),
                                             model_messages_end(app->model), "from", "channel"));
    int rc = json_dumpf(object, to, JSON_INDENT(2));
    (void)fputc('\n', to);
    json_decref(object);
    return rc;
}
