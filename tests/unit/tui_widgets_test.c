/* The widgets of clustertop, drawn into a grid in memory. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tui/draw.h"
#include "tui/edit.h"
#include "tui/filter.h"
#include "tui/grid.h"
#include "tui/list.h"
#include "tui/log_view.h"
#include "tui/term.h"

static void assert_row(const struct grid *grid, int y, const char *text)
{
    char *row = grid_row_text(grid, y);
    assert_string_equal(row, text);
    free(row);
}

/* Grid */

static void text_is_cut_with_an_ellipsis_and_never_leaves_its_columns(void **state)
{
    (void)state;
    struct grid *grid = grid_new(12, 2, false);
    assert_int_equal(grid_text(grid, 1, 0, 6, STYLE(INK_TEXT), "abcdefgh"), 6);
    assert_row(grid, 0, " abcde\xe2\x80\xa6");
    assert_int_equal(grid_text(grid, 10, 0, 9, STYLE(INK_TEXT), "xyz"), 3);
    assert_int_equal(grid_text(grid, -2, 1, 9, STYLE(INK_TEXT), "xyz"), 3);
    assert_int_equal(grid_text(grid, 0, 7, 9, STYLE(INK_TEXT), "xyz"), 3);
    assert_row(grid, 0, " abcde\xe2\x80\xa6   xy");
    assert_row(grid, 1, "z");
    grid_free(grid);
}

static void nothing_that_a_terminal_obeys_gets_into_a_cell(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "\x1b[31mred",
        "\x07\x08\r\n\x7f",
        "\xc2\x9b"
        "31m",
        "\xe2\x80\xae"
        "evil",
        "\xe2\x81\xa6x",
        "\xff\xfe\xc3",
        "\xf4\x90\x80\x80",
        "\xed\xa0\x80",
        "\xe2\x80\x8b\xe2\x80\x8f",
        "\xef\xbb\xbf",
        "\xc2\xad\xd8\x9c",
        "\xf3\xa0\x80\x81",
    };
    for (size_t i = 0; i < MEM_COUNT(hostile); i++) {
        for (int ascii = 0; ascii < 2; ascii++) {
            struct grid *grid = grid_new(20, 1, ascii);
            (void)grid_text(grid, 0, 0, 20, STYLE(INK_TEXT), hostile[i]);
            for (int x = 0; x < grid->w; x++) {
                uint32_t c = grid->cells[x].ch;
                assert_true(c >= 0x20 && !(c >= 0x7f && c < 0xa0));
                assert_true(c == 0xfffd || !(c >= 0x200b && c <= 0x206f));
                assert_true(!ascii || c < 0x7f);
                assert_int_equal(grid->cells[x].mark, 0);
            }
            grid_free(grid);
        }
    }
}

static void wide_characters_take_two_cells_and_are_never_halved(void **state)
{
    (void)state;
    struct grid *grid = grid_new(6, 1, false);
    assert_int_equal(grid_text(grid, 0, 0, 6, STYLE(INK_TEXT), "\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(grid->cells[1].ch, 0);
    grid_put(grid, 1, 0, STYLE(INK_TEXT), 'x');
    assert_row(grid, 0, " x\xe6\x9c\xac");
    grid_put(grid, 2, 0, STYLE(INK_TEXT), 'y');
    assert_row(grid, 0, " xy");
    /* the last column has no room for one */
    (void)grid_text(grid, 5, 0, 2, STYLE(INK_TEXT), "\xe6\x97\xa5");
    assert_row(grid, 0, " xy");
    assert_int_equal(grid_text(grid, 0, 0, 3, STYLE(INK_TEXT), "\xe6\x97\xa5\xe6\x9c\xac"), 3);
    assert_row(grid, 0, "\xe6\x97\xa5\xe2\x80\xa6");
    grid_free(grid);
}

static void combining_characters_stand_on_what_is_in_front_of_them(void **state)
{
    (void)state;
    struct grid *grid = grid_new(8, 1, false);
    assert_int_equal(grid_text(grid, 0, 0, 8, STYLE(INK_TEXT), "e\xcc\x81t"), 2);
    assert_row(grid, 0, "e\xcc\x81t");
    /* with nothing in front of it there is nothing to stand on */
    assert_int_equal(grid_text(grid, 4, 0, 4, STYLE(INK_TEXT), "\xcc\x81"), 0);
    grid_free(grid);
}

static void ascii_has_a_form_of_everything(void **state)
{
    (void)state;
    struct grid *grid = grid_new(40, 4, true);
    float values[] = {1, 2, 3, NAN, 5, 6, 7, 8};
    draw_title(grid, (struct rect){0, 0, 30, 1}, "Nodes", "3", true);
    draw_spark(grid, (struct rect){0, 1, 8, 1}, values, 8, 8, STYLE(INK_TEXT));
    draw_bar(grid, 10, 1, 10, 0.55, STYLE(INK_TEXT));
    draw_strip(grid, 22, 1, 8, values, 8, 2);
    draw_box(grid, (struct rect){30, 0, 10, 4}, "box");
    for (int i = 0; i < grid->w * grid->h; i++)
        assert_true(grid->cells[i].ch >= ' ' && grid->cells[i].ch < 0x7f);
    assert_row(grid, 3, "                              +--------+");
    grid_free(grid);
}

static void widgets_of_any_size_stay_in_the_grid(void **state)
{
    (void)state;
    float values[300];
    for (size_t i = 0; i < MEM_COUNT(values); i++)
        values[i] = i % 7 == 0 ? NAN : (float)i;
    for (int w = 0; w < 12; w++) {
        for (int h = 0; h < 4; h++) {
            struct grid *grid = grid_new(w, h, w % 2);
            struct rect rect = {w / 3, h / 3, w * 2, h * 2};
            draw_title(grid, rect, "Title", "right", false);
            draw_spark(grid, rect, values, MEM_COUNT(values), 0, STYLE(INK_TEXT));
            draw_bar(grid, rect.x, rect.y, rect.w, NAN, STYLE(INK_TEXT));
            draw_bar(grid, rect.x, rect.y, rect.w, 7, STYLE(INK_TEXT));
            draw_strip(grid, rect.x, rect.y, rect.w, values, MEM_COUNT(values), 0);
            draw_box(grid, rect, "box");
            (void)draw_wrapped(grid, rect, STYLE(INK_TEXT), "some words to break\nhere", grid);
            grid_free(grid);
        }
    }
}

static void a_missed_heartbeat_is_a_cross_and_a_late_one_stands_out(void **state)
{
    (void)state;
    struct grid *grid = grid_new(4, 1, false);
    float beats[] = {1000, 1700, NAN, 1000};
    draw_strip(grid, 0, 0, 4, beats, 4, 1000);
    assert_int_equal(grid->cells[0].style.ink, INK_GOOD);
    assert_int_equal(grid->cells[1].style.ink, INK_WARN);
    assert_int_equal(grid->cells[2].style.ink, INK_BAD);
    assert_int_equal(grid->cells[2].ch, grid_glyph(grid, GLYPH_CROSS));
    assert_int_equal(grid->cells[3].style.ink, INK_GOOD);
    grid_free(grid);
}

static void text_wraps_at_blanks_and_at_newlines(void **state)
{
    (void)state;
    struct grid *grid = grid_new(10, 5, false);
    struct rect rect = {0, 0, 10, 5};
    assert_int_equal(
        draw_wrapped(grid, rect, STYLE(INK_TEXT), "one two three\nfour abcdefghijklm", grid), 5);
    assert_row(grid, 0, "one two");
    assert_row(grid, 1, "three");
    assert_row(grid, 2, "four");
    assert_row(grid, 3, "abcdefghij");
    assert_row(grid, 4, "klm");
    grid_free(grid);
}

/* Filter */

static void a_filter_is_a_pattern_that_an_exclamation_mark_inverts(void **state)
{
    (void)state;
    struct filter filter;
    struct error e;
    filter_init(&filter);
    assert_false(filter_is_on(&filter));
    assert_true(filter_takes(&filter, "anything"));
    assert_int_equal(filter_set(&filter, "n[13]$", &e), 0);
    assert_true(filter_takes(&filter, "N3"));
    assert_false(filter_takes(&filter, "n2"));
    assert_int_equal(filter_set(&filter, "!web", &e), 0);
    assert_false(filter_takes(&filter, "the WEB"));
    assert_true(filter_takes(&filter, "db"));
    assert_int_equal(filter_set(&filter, "Web", &e), 0);
    assert_false(filter_takes(&filter, "the web"));
    assert_int_equal(filter_set(&filter, "(", &e), ERR_INVALID);
    assert_string_equal(filter.text, "Web");
    assert_int_equal(filter_set(&filter, "!", &e), 0);
    assert_false(filter_is_on(&filter));
    filter_done(&filter);
}

/* Edit */

static void a_line_is_edited_by_whole_characters(void **state)
{
    (void)state;
    struct edit edit;
    edit_init(&edit, NULL, "");
    static const uint32_t keys[] = {'a', 0xe9, 0x65e5, TERM_KEY_LEFT, TERM_KEY_BACKSPACE, 'b'};
    for (size_t i = 0; i < MEM_COUNT(keys); i++)
        assert_true(edit_key(&edit, keys[i]));
    assert_string_equal(edit.text, "ab\xe6\x97\xa5");
    assert_true(edit_key(&edit, TERM_KEY_DELETE));
    assert_string_equal(edit.text, "ab");
    edit_paste(&edit, "x\ny\x1b[0m\xff\t", 10);
    assert_string_equal(edit.text, "abx y[0m ");
    assert_true(edit_key(&edit, TERM_CTRL('w')));
    assert_string_equal(edit.text, "abx ");
    assert_true(edit_key(&edit, TERM_CTRL('u')));
    assert_string_equal(edit.text, "");
    edit_done(&edit);
}

static void a_line_is_never_longer_than_its_room(void **state)
{
    (void)state;
    struct edit edit;
    edit_init(&edit, NULL, "");
    for (int i = 0; i < EDIT_TEXT_MAX * 2; i++)
        (void)edit_key(&edit, 0x65e5);
    assert_true(edit.len < EDIT_TEXT_MAX);
    assert_int_equal(edit.len % 3, 0);
    edit_done(&edit);
}

static void history_goes_back_and_returns_to_what_was_typed(void **state)
{
    (void)state;
    struct edit_history history = {0};
    struct edit edit;
    edit_history_add(&history, "one");
    edit_history_add(&history, "two");
    edit_history_add(&history, "two");
    edit_history_add(&history, "");
    assert_int_equal(history.n, 2);
    edit_init(&edit, &history, "th");
    (void)edit_key(&edit, TERM_KEY_UP);
    assert_string_equal(edit.text, "two");
    (void)edit_key(&edit, TERM_KEY_UP);
    (void)edit_key(&edit, TERM_KEY_UP);
    assert_string_equal(edit.text, "one");
    (void)edit_key(&edit, TERM_KEY_DOWN);
    (void)edit_key(&edit, TERM_KEY_DOWN);
    (void)edit_key(&edit, TERM_KEY_DOWN);
    assert_string_equal(edit.text, "th");
    edit_done(&edit);
    for (int i = 0; i < EDIT_HISTORY_MAX + 20; i++) {
        char line[16];
        (void)snprintf(line, sizeof line, "%d", i);
        edit_history_add(&history, line);
    }
    assert_int_equal(history.n, EDIT_HISTORY_MAX);
    edit_history_done(&history);
}

/* List: rows are names with a number */

struct item {
    char name[16];
    int size;
};

struct world {
    struct item items[50];
    const void *rows[50];
    size_t n;
    struct list list;
    struct grid *grid;
};

static size_t item_rows(void *arg, const void ***rows)
{
    struct world *w = arg;
    for (size_t i = 0; i < w->n; i++)
        w->rows[i] = &w->items[i];
    *rows = w->rows;
    return w->n;
}

static void item_key(void *arg, const void *row, char key[static LIST_KEY_MAX])
{
    (void)arg;
    (void)snprintf(key, LIST_KEY_MAX, "%s", ((const struct item *)row)->name);
}

static void item_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct item *item = row;
    (void)arg;
    cell->style = STYLE(INK_TEXT);
    if (column == 0) {
        (void)snprintf(cell->text, sizeof cell->text, "%s", item->name);
    } else if (item->size >= 0) {
        (void)snprintf(cell->text, sizeof cell->text, "%d", item->size);
        cell->number = item->size;
        cell->has_number = true;
    }
}

static const struct list_column item_columns[] = {
    {"name", 4, 10, 0, false, false, false},
    {"size", 4, 8, 1, true, true, false},
    {NULL, 0, 0, 0, false, false, false},
};

static const struct list_source item_source = {
    .columns = item_columns,
    .sort = 0,
    .rows = item_rows,
    .key = item_key,
    .cell = item_cell,
};

static void world_add(struct world *w, const char *name, int size)
{
    struct item *item = &w->items[w->n++];
    (void)snprintf(item->name, sizeof item->name, "%s", name);
    item->size = size;
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    w->grid = grid_new(30, 6, false);
    list_init(&w->list, &item_source, w);
    world_add(w, "n10", 5);
    world_add(w, "n2", 30);
    world_add(w, "n1", -1);
    world_add(w, "n3", 7);
    list_update(&w->list);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    list_done(&w->list);
    grid_free(w->grid);
    free(w);
    return 0;
}

static void assert_order(struct world *w, const char *names)
{
    char text[512] = "";
    const struct list *list = &w->list;
    struct list copy = *list;
    for (size_t i = 0; i < list->n; i++) {
        copy.at = i;
        (void)strcat(text, i > 0 ? " " : "");
        (void)strcat(text, ((const struct item *)list_selected(&copy))->name);
    }
    assert_string_equal(text, names);
}

static void lists_sort_by_any_column_both_ways(void **state)
{
    struct world *w = *state;
    assert_order(w, "n1 n2 n3 n10");
    list_sort_invert(&w->list);
    assert_order(w, "n10 n3 n2 n1");
    list_sort_step(&w->list, 1);
    assert_order(w, "n2 n3 n10 n1"); /* what has no number comes last, either way */
    list_sort_invert(&w->list);
    assert_order(w, "n10 n3 n2 n1");
    assert_true(list_sort_by(&w->list, "na"));
    assert_order(w, "n1 n2 n3 n10");
    assert_false(list_sort_by(&w->list, "colour"));
}

static void the_selected_row_stays_selected_whatever_moves(void **state)
{
    struct world *w = *state;
    assert_true(list_select(&w->list, "n3"));
    world_add(w, "n0", 1);
    list_update(&w->list);
    assert_string_equal(((const struct item *)list_selected(&w->list))->name, "n3");
    list_sort_invert(&w->list);
    assert_string_equal(w->list.key, "n3");
    /* it has gone: what stands in its place is selected, not what follows by chance */
    (void)snprintf(w->items[3].name, sizeof w->items[3].name, "n99");
    list_update(&w->list);
    assert_int_equal(w->list.at, 1);
}

static void a_filter_shows_what_matches_and_says_how_many_there_are(void **state)
{
    struct world *w = *state;
    struct error e;
    assert_int_equal(list_set_filter(&w->list, "n1", &e), 0);
    assert_order(w, "n1 n10");
    assert_int_equal(w->list.n_all, 4);
    assert_int_equal(list_set_filter(&w->list, "!n1", &e), 0);
    assert_order(w, "n2 n3");
    assert_int_equal(list_set_filter(&w->list, "*", &e), ERR_INVALID);
    assert_int_equal(list_set_filter(&w->list, "nothing", &e), 0);
    assert_null(list_selected(&w->list));
    list_move(&w->list, 5);
    list_mark_toggle(&w->list);
    list_draw(&w->list, w->grid, (struct rect){0, 0, 30, 6});
    assert_int_equal(list_set_filter(&w->list, "", &e), 0);
    assert_order(w, "n1 n2 n3 n10");
}

static void marks_stay_with_their_rows(void **state)
{
    struct world *w = *state;
    const void **rows;
    list_mark_toggle(&w->list);
    assert_string_equal(w->list.key, "n2");
    list_move(&w->list, 1);
    list_mark_range(&w->list);
    assert_int_equal(w->list.n_marks, 3);
    list_sort_invert(&w->list);
    assert_true(list_is_marked(&w->list, "n1"));
    assert_false(list_is_marked(&w->list, "n10"));
    assert_int_equal(list_targets(&w->list, &rows), 3);
    free(rows);
    list_mark_clear(&w->list);
    assert_int_equal(list_targets(&w->list, &rows), 1);
    assert_string_equal(((const struct item *)rows[0])->name, w->list.key);
    free(rows);
    list_mark_all(&w->list);
    assert_int_equal(w->list.n_marks, 4);
}

static void columns_go_by_their_priority_when_it_gets_narrow(void **state)
{
    struct world *w = *state;
    list_draw(&w->list, w->grid, (struct rect){0, 0, 20, 6});
    assert_row(w->grid, 0, " name \xe2\x96\xb2  size");
    assert_row(w->grid, 2, " n2        30");
    grid_clear(w->grid);
    list_draw(&w->list, w->grid, (struct rect){0, 0, 10, 6});
    assert_row(w->grid, 0, " name \xe2\x96\xb2");
}

static const struct list_column wide_columns[] = {
    {"name", 4, 8, 0, false, false, false},
    {"size", 4, 8, 1, true, true, false},
    {"what", 6, 0, 0, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static void wide_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    if (column < 2)
        item_cell(arg, row, column, cell);
    else
        (void)snprintf(cell->text, sizeof cell->text, "all about it");
}

static void what_is_wide_enough_cuts_nothing_and_what_is_narrow_is_shared(void **state)
{
    struct world *w = *state;
    struct list_source source = item_source;
    struct list list;
    struct grid *grid = grid_new(60, 3, true);
    source.columns = wide_columns;
    source.cell = wide_cell;
    w->n = 0;
    world_add(w, "a-long-name", 5);
    list_init(&list, &source, w);
    list_update(&list);
    list_draw(&list, grid, (struct rect){0, 0, 60, 3});
    assert_row(grid, 1, "  a-long-name     5  all about it");
    grid_clear(grid);
    list_draw(&list, grid, (struct rect){0, 0, 31, 3}); /* room for nothing but the last */
    assert_row(grid, 1, "  a-long-~     5  all about it");
    grid_clear(grid);
    list_draw(&list, grid, (struct rect){0, 0, 18, 3});
    assert_row(grid, 1, " a-lon~  all abo~");
    list_done(&list);
    grid_free(grid);
}

static void clicks_select_rows_and_sort_by_heads(void **state)
{
    struct world *w = *state;
    list_draw(&w->list, w->grid, (struct rect){0, 0, 20, 6});
    assert_int_equal(list_click(&w->list, 3, 3), LIST_HIT_ROW);
    assert_string_equal(w->list.key, "n3");
    assert_int_equal(list_click(&w->list, 3, 3), LIST_HIT_SAME_ROW);
    assert_int_equal(list_click(&w->list, 3, 0), LIST_HIT_HEAD);
    assert_order(w, "n10 n3 n2 n1");
    assert_int_equal(list_click(&w->list, 3, 5), LIST_HIT_NONE);
}

static void a_list_that_follows_keeps_its_row_on_the_same_line(void **state)
{
    struct world *w = *state;
    while (w->n < MEM_COUNT(w->items)) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%zu", w->n + 10);
        world_add(w, name, (int)w->n);
    }
    list_update(&w->list);
    list_draw(&w->list, w->grid, (struct rect){0, 0, 30, 6});
    assert_true(list_select(&w->list, "n30"));
    size_t line = w->list.at - w->list.top;
    w->list.follows = true;
    (void)snprintf(w->items[0].name, sizeof w->items[0].name, "n0");
    (void)snprintf(w->items[1].name, sizeof w->items[1].name, "n999");
    list_update(&w->list);
    list_draw(&w->list, w->grid, (struct rect){0, 0, 30, 6});
    assert_string_equal(w->list.key, "n30");
    assert_int_equal(w->list.at - w->list.top, line);
}

/* Logs */

static struct model_lines *some_lines(size_t n)
{
    struct model_lines *lines = model_lines_new(&(struct model_lines_limits){1024, 1 << 20});
    for (size_t i = 0; i < n; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "line %zu %s", i, i % 10 == 0 ? "oops" : "fine");
        (void)model_lines_add(lines, &(struct model_line){
                                         .at_ms = 1000000 + (int64_t)i,
                                         .when_ms = 1000000 + (int64_t)i,
                                         .level = i % 10 == 0 ? MODEL_LEVEL_WARN : MODEL_LEVEL_INFO,
                                         .source = i % 2 == 0 ? "n1" : "n2",
                                         .kind = "log.record",
                                         .text = text,
                                         .text_len = strlen(text),
                                         .by = "",
                                         .cause = "",
                                         .table = -1,
                                     });
    }
    return lines;
}

static void update_all(struct log_view *view, const struct model_lines *lines, uint64_t end)
{
    while (!log_view_update(view, lines, end))
        ;
}

static void a_log_follows_until_one_looks_back(void **state)
{
    (void)state;
    struct model_line line;
    struct log_view view;
    struct model_lines *lines = some_lines(30);
    struct grid *grid = grid_new(40, 5, false);
    struct rect rect = {0, 0, 40, 5};
    log_view_init(&view, LOG_VIEW_SOURCE);
    update_all(&view, lines, 30);
    log_view_draw(&view, grid, rect, true);
    assert_row(grid, 4, "  n2 line 29 fine");
    log_view_move(&view, -1);
    assert_false(view.follows);
    (void)model_lines_add(lines, &(struct model_line){.when_ms = 2000000,
                                                      .source = "n3",
                                                      .kind = "",
                                                      .text = "new",
                                                      .text_len = 3,
                                                      .by = "",
                                                      .cause = "",
                                                      .table = -1,
                                                      .level = MODEL_LEVEL_INFO});
    update_all(&view, lines, 31);
    grid_clear(grid);
    log_view_draw(&view, grid, rect, true);
    assert_row(grid, 4, "  n2 line 29 fine");
    log_view_end(&view);
    update_all(&view, lines, 31);
    grid_clear(grid);
    log_view_draw(&view, grid, rect, true);
    assert_row(grid, 4, "  n3 new");
    assert_true(log_view_selected(&view, &line));
    assert_string_equal(line.text, "new");
    log_view_done(&view);
    model_lines_free(lines);
    grid_free(grid);
}

static void a_log_is_filtered_by_text_level_and_node(void **state)
{
    (void)state;
    char text[200];
    struct error e;
    struct log_view view;
    struct model_lines *lines = some_lines(100);
    log_view_init(&view, LOG_VIEW_SOURCE);
    update_all(&view, lines, 100);
    assert_int_equal(log_view_set_pattern(&view, "!fine", &e), 0);
    update_all(&view, lines, 100);
    assert_non_null(strstr(log_view_summary(&view, text, sizeof text), "10 of 100 lines"));
    assert_int_equal(log_view_set_pattern(&view, "(", &e), ERR_INVALID);
    assert_string_equal(view.pattern, "!fine");
    assert_int_equal(log_view_set_pattern(&view, "", &e), 0);
    log_view_set_level(&view, MODEL_LEVEL_WARN);
    update_all(&view, lines, 100);
    assert_non_null(strstr(log_view_summary(&view, text, sizeof text), "10 of 100"));
    log_view_set_level(&view, MODEL_LEVEL_INFO);
    assert_int_equal(log_view_set_sources(&view, "n[2-4]", &e), 0);
    update_all(&view, lines, 100);
    assert_non_null(strstr(log_view_summary(&view, text, sizeof text), "50 of 100"));
    log_view_done(&view);
    model_lines_free(lines);
}

static void a_log_of_the_past_ends_where_the_past_ends(void **state)
{
    (void)state;
    struct log_view view;
    struct grid *grid = grid_new(40, 3, false);
    struct model_lines *lines = some_lines(30);
    log_view_init(&view, LOG_VIEW_SOURCE);
    update_all(&view, lines, 12);
    log_view_draw(&view, grid, (struct rect){0, 0, 40, 3}, true);
    assert_row(grid, 2, "  n2 line 11 fine");
    log_view_done(&view);
    model_lines_free(lines);
    grid_free(grid);
}

static void marked_lines_are_saved_and_only_those(void **state)
{
    (void)state;
    char path[] = "/tmp/tui_widgets.XXXXXX";
    char file[96];
    char content[1024] = "";
    size_t n;
    struct error e;
    struct log_view view;
    struct model_lines *lines = some_lines(30);
    assert_non_null(mkdtemp(path));
    (void)snprintf(file, sizeof file, "%s/log", path);
    log_view_init(&view, LOG_VIEW_SOURCE);
    update_all(&view, lines, 30);
    log_view_home(&view);
    log_view_mark(&view);
    log_view_move(&view, 2);
    log_view_mark(&view);
    assert_int_equal(log_view_save(&view, file, &n, &e), 0);
    assert_int_equal(n, 2);
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    assert_true(fread(content, 1, sizeof content - 1, f) > 0);
    (void)fclose(f);
    assert_non_null(strstr(content, "line 0 oops"));
    assert_non_null(strstr(content, "line 3 fine"));
    assert_null(strstr(content, "line 1 fine"));
    /* what is there already is not overwritten */
    assert_true(log_view_save(&view, file, &n, &e) < 0);
    assert_int_equal(remove(file), 0);
    assert_int_equal(remove(path), 0);
    log_view_done(&view);
    model_lines_free(lines);
}

static void wrapped_logs_show_whole_lines_at_any_size(void **state)
{
    (void)state;
    struct log_view view;
    struct model_lines *lines = some_lines(40);
    log_view_init(&view, LOG_VIEW_SOURCE | LOG_VIEW_KIND | LOG_VIEW_LEVEL);
    view.wraps = true;
    for (int w = 1; w < 30; w++) {
        for (int h = 1; h < 8; h++) {
            struct grid *grid = grid_new(w, h, false);
            view.follows = w % 2 == 0;
            update_all(&view, lines, 40);
            log_view_draw(&view, grid, (struct rect){0, 0, w, h}, true);
            log_view_page(&view, h % 3 - 1);
            grid_free(grid);
        }
    }
    log_view_done(&view);
    model_lines_free(lines);
}

#define LIST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_with_an_ellipsis_and_never_leaves_its_columns),
        cmocka_unit_test(nothing_that_a_terminal_obeys_gets_into_a_cell),
        cmocka_unit_test(wide_characters_take_two_cells_and_are_never_halved),
        cmocka_unit_test(combining_characters_stand_on_what_is_in_front_of_them),
        cmocka_unit_test(ascii_has_a_form_of_everything),
        cmocka_unit_test(widgets_of_any_size_stay_in_the_grid),
        cmocka_unit_test(a_missed_heartbeat_is_a_cross_and_a_late_one_stands_out),
        cmocka_unit_test(text_wraps_at_blanks_and_at_newlines),
        cmocka_unit_test(a_filter_is_a_pattern_that_an_exclamation_mark_inverts),
        cmocka_unit_test(a_line_is_edited_by_whole_characters),
        cmocka_unit_test(a_line_is_never_longer_than_its_room),
        cmocka_unit_test(history_goes_back_and_returns_to_what_was_typed),
        LIST_TEST(lists_sort_by_any_column_both_ways),
        LIST_TEST(the_selected_row_stays_selected_whatever_moves),
        LIST_TEST(a_filter_shows_what_matches_and_says_how_many_there_are),
        LIST_TEST(marks_stay_with_their_rows),
        LIST_TEST(columns_go_by_their_priority_when_it_gets_narrow),
        LIST_TEST(what_is_wide_enough_cuts_nothing_and_what_is_narrow_is_shared),
        LIST_TEST(clicks_select_rows_and_sort_by_heads),
        LIST_TEST(a_list_that_follows_keeps_its_row_on_the_same_line),
        cmocka_unit_test(a_log_follows_until_one_looks_back),
        cmocka_unit_test(a_log_is_filtered_by_text_level_and_node),
        cmocka_unit_test(a_log_of_the_past_ends_where_the_past_ends),
        cmocka_unit_test(marked_lines_are_saved_and_only_those),
        cmocka_unit_test(wrapped_logs_show_whole_lines_at_any_size),
    };
    (void)setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
