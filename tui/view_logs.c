/* One merged log of all nodes, or of those that were marked; and the chat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

static void logs_draw(struct place *place, struct grid *grid, struct rect rect)
{
    char title[VIEW_STATUS_MAX];
    char right[VIEW_STATUS_MAX];
    const struct log_view *log = &place->log;
    char *folded = log->sources.n > 0 ? nodeset_fold(&log->sources) : NULL;
    int n = snprintf(title, sizeof title, "Logs%s%s", folded != NULL ? " of " : "",
                     folded != NULL ? folded : "");
    if (n > 0 && (size_t)n < sizeof title && log->kinds[0] != '\0')
        (void)snprintf(title + n, sizeof title - (size_t)n, " %.60s", log->kinds);
    free(folded);
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, title,
               log_view_summary(log, right, sizeof right), true);
    log_view_draw(&place->log, grid, rect_inset(rect, 0, 1, 0, 0), true);
}

const struct view view_logs = {
    .name = "logs",
    .brief = "logs",
    .title = "Logs",
    .about = "events and log records, merged",
    .context = KEYS_EVERYWHERE,
    .has_log = true,
    .log_show = LOG_VIEW_SOURCE | LOG_VIEW_KIND | LOG_VIEW_LEVEL,
    .table = MODEL_TABLES,
    .draw = logs_draw,
};

/* Chat */

static void chat_draw_members(struct place *place, struct grid *grid, struct rect rect)
{
    const struct model_state *state = place_state(place);
    int x = rect.x;
    int end = rect.x + rect.w;
    for (size_t i = 0; i < model_state_count(state, MODEL_CHAT) && x < end; i++) {
        const struct model_row *row = model_state_at(state, MODEL_CHAT, i);
        const char *word = model_row_text(row, "state");
        int64_t lag = model_row_int(row, "lag", 0);
        grid_put(grid, x, rect.y, STYLE(state_ink(word)), grid_glyph(grid, GLYPH_BULLET));
        x += 2;
        x += grid_text(grid, x, rect.y, end - x, STYLE(INK_TEXT), model_row_key(row));
        if (model_row_bool(row, "leader"))
            x += 1 + grid_text(grid, x + 1, rect.y, end - x - 1, STYLE(INK_ACCENT), "leads");
        if (strcmp(word, "online") != 0)
            x += 1 + grid_text(grid, x + 1, rect.y, end - x - 1, STYLE(state_ink(word)), word);
        if (lag > 0)
            x += grid_printf(grid, x, rect.y, end - x, STYLE(INK_WARN), " %lld behind",
                             (long long)lag);
        x += 3;
    }
}

static void chat_open(struct place *place)
{
    place->log.level_min = MODEL_LEVEL_DEBUG;
}

static void chat_draw(struct place *place, struct grid *grid, struct rect rect)
{
    char title[VIEW_STATUS_MAX];
    char right[VIEW_STATUS_MAX];
    if (rect.h >= 8 && model_state_count(place_state(place), MODEL_CHAT) > 0) {
        chat_draw_members(place, grid, (struct rect){rect.x + 2, rect.y, rect.w - 2, 1});
        rect = rect_inset(rect, 0, rect.h >= 12 ? 2 : 1, 0, 0);
    }
    (void)snprintf(title, sizeof title, "Chat%s%.100s", place->subject[0] != '\0' ? ": " : "",
                   place->subject);
    draw_title(grid, (struct rect){rect.x, rect.y, rect.w, 1}, title,
               log_view_summary(&place->log, right, sizeof right), true);
    log_view_draw(&place->log, grid, rect_inset(rect, 0, 1, 0, 0), true);
}

static void chat_enter(struct place *place)
{
    app_edit_begin(place->app, APP_EDIT_SEND, "");
}

const struct view view_chat = {
    .name = "chat",
    .brief = "chat",
    .title = "Chat",
    .about = "messages; Enter or i writes one",
    .context = KEYS_CHAT,
    .has_log = true,
    .log_show = LOG_VIEW_SOURCE | LOG_VIEW_KIND,
    .table = MODEL_TABLES,
    .open = chat_open,
    .draw = chat_draw,
    .enter = chat_enter,
};
