/* list_update asks for all rows, drops what the filter doesn't take, sorts, and finds the selected
 * key again. list_draw asks for the cells of what is visible only. */
#include "tui/list.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/nodeset.h"
#include "tui/list_internal.h"

struct list_mark {
    char key[LIST_KEY_MAX];
    UT_hash_handle hh;
};

int list_columns(const struct list *list)
{
    int n = 0;
    while (n < LIST_COLUMNS_MAX && list->source->columns[n].name != NULL)
        n++;
    return n;
}

void list_init(struct list *list, const struct list_source *source, void *arg)
{
    *list = (struct list){.source = source, .arg = arg, .sort = source->sort};
    list->descending = source->sort >= 0 && source->columns[source->sort].descending;
    filter_init(&list->filter);
}

static void list_clear_rows(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->rows[i].text);
    list->n = 0;
}

void list_done(struct list *list)
{
    list_clear_rows(list);
    free(list->rows);
    list_mark_clear(list);
    filter_done(&list->filter);
    *list = (struct list){0};
}

static bool list_takes(struct list *list, const void *row)
{
    if (!filter_is_on(&list->filter))
        return true;
    char line[LIST_CELL_MAX * 4];
    size_t len = 0;
    for (int i = 0; i < list_columns(list); i++) {
        struct list_cell cell = {0};
        if (list->source->columns[i].is_drawn)
            continue;
        list->source->cell(list->arg, row, i, &cell);
        size_t n = strnlen(cell.text, sizeof cell.text);
        if (len + n + 2 > sizeof line)
            break;
        memcpy(line + len, cell.text, n);
        len += n;
        line[len++] = ' ';
    }
    line[len] = '\0';
    return filter_takes(&list->filter, line);
}

static void list_take_row(struct list *list, const void *row, size_t index)
{
    struct list_row *to = &list->rows[list->n++];
    *to = (struct list_row){.row = row, .index = index};
    if (list->sort < 0)
        return;
    struct list_cell cell = {0};
    list->source->cell(list->arg, row, list->sort, &cell);
    to->has_number = cell.has_number;
    to->number = cell.number;
    if (!cell.has_number)
        to->text = mem_strdup(cell.text);
}

static int list_compare_values(const struct list_row *a, const struct list_row *b, int sign)
{
    if (a->has_number && b->has_number)
        return a->number < b->number ? -sign : a->number > b->number ? sign : 0;
    if (a->has_number != b->has_number)
        return a->has_number ? -1 : 1;
    if (a->text == NULL || b->text == NULL)
        return 0;
    if ((a->text[0] == '\0') != (b->text[0] == '\0'))
        return a->text[0] == '\0' ? 1 : -1;
    return sign * nodeset_compare_names(a->text, b->text);
}

static int list_compare(const void *a, const void *b, void *arg)
{
    const struct list *list = arg;
    const struct list_row *one = a;
    const struct list_row *two = b;
    int rc = list_compare_values(one, two, list->descending ? -1 : 1);
    if (rc == 0)
        rc = one->index < two->index ? -1 : 1;
    return rc;
}

void list_key_at(const struct list *list, size_t i, char key[static LIST_KEY_MAX])
{
    key[0] = '\0';
    list->source->key(list->arg, list->rows[i].row, key);
}

/* Finds the selected key again; when it has gone, what stands in its place is selected. */
static void list_find_selected(struct list *list)
{
    size_t before = list->at;
    char key[LIST_KEY_MAX];
    for (size_t i = 0; i < list->n && list->key[0] != '\0'; i++) {
        list_key_at(list, i, key);
        if (strcmp(key, list->key) == 0) {
            list->at = i;
            if (list->follows && i >= before)
                list->top += i - before;
            else if (list->follows)
                list->top -= list->top < before - i ? list->top : before - i;
            return;
        }
    }
    list->at = before < list->n ? before : list->n > 0 ? list->n - 1 : 0;
    list->key[0] = '\0';
    if (list->n > 0)
        list_key_at(list, list->at, list->key);
}

void list_update(struct list *list)
{
    const void **rows = NULL;
    size_t n = list->source->rows(list->arg, &rows);
    if (n > LIST_ROWS_MAX)
        n = LIST_ROWS_MAX;
    list_clear_rows(list);
    MEM_GROW(list->rows, list->cap, n);
    for (size_t i = 0; i < n; i++) {
        if (list_takes(list, rows[i]))
            list_take_row(list, rows[i], i);
    }
    list->n_all = n;
    if (list->sort >= 0 && list->n > 1)
        qsort_r(list->rows, list->n, sizeof *list->rows, list_compare, list);
    list_find_selected(list);
}

const void *list_selected(const struct list *list)
{
    return list->n > 0 ? list->rows[list->at].row : NULL;
}

/* Shows the selected row. */
static void list_reveal(struct list *list)
{
    size_t height = list->height > 0 ? (size_t)list->height : 1;
    if (list->at < list->top)
        list->top = list->at;
    else if (list->at >= list->top + height)
        list->top = list->at - height + 1;
}

static void list_go(struct list *list, size_t at)
{
    if (list->n == 0)
        return;
    list->at = at < list->n ? at : list->n - 1;
    list_key_at(list, list->at, list->key);
    list_reveal(list);
}

bool list_select(struct list *list, const char *key)
{
    char other[LIST_KEY_MAX];
    for (size_t i = 0; i < list->n; i++) {
        list_key_at(list, i, other);
        if (strcmp(other, key) == 0) {
            list_go(list, i);
            return true;
        }
    }
    return false;
}

void list_move(struct list *list, long delta)
{
    if (delta < 0 && (size_t)-delta > list->at)
        list_go(list, 0);
    else
        list_go(list, list->at + (size_t)delta);
}

void list_page(struct list *list, int pages)
{
    long height = list->height > 1 ? list->height - 1 : 1;
    list_move(list, height * pages);
}

void list_home(struct list *list)
{
    list_go(list, 0);
}

void list_end(struct list *list)
{
    list_go(list, list->n > 0 ? list->n - 1 : 0);
}

static void list_sort_set(struct list *list, int column)
{
    list->sort = column;
    list->is_sort_set = true;
    list->descending = list->source->columns[column].descending;
    list_update(list);
    list_reveal(list);
}

void list_sort_step(struct list *list, int step)
{
    int n = list_columns(list);
    int column = list->sort;
    for (int i = 0; i < n; i++) {
        column = column < 0 && step < 0 ? n - 1 : (column + step + n) % n;
        if (!list->source->columns[column].is_drawn)
            break;
    }
    list_sort_set(list, column);
}

void list_sort_invert(struct list *list)
{
    if (list->sort < 0)
        return;
    list->descending = !list->descending;
    list_update(list);
    list_reveal(list);
}

void list_sort_by_column(struct list *list, int column, bool descending)
{
    list_sort_set(list, column);
    if (list->descending != descending)
        list_sort_invert(list);
}

const char *list_column_label(const struct list *list, int column, char out[static LIST_LABEL_MAX])
{
    const struct list_column *columns = list->source->columns;
    if (columns[column].name[0] != '\0' || column == 0)
        (void)snprintf(out, LIST_LABEL_MAX, "%s", columns[column].name);
    else
        (void)snprintf(out, LIST_LABEL_MAX, "%s line", columns[column - 1].name);
    return out;
}

void list_hide(struct list *list, int column, bool hidden)
{
    if (column > 0 && hidden)
        list->hidden |= UINT32_C(1) << column;
    else
        list->hidden &= ~(UINT32_C(1) << column);
}

bool list_is_hidden(const struct list *list, int column)
{
    return (list->hidden >> column & 1) != 0;
}

bool list_sort_by(struct list *list, const char *column)
{
    for (int i = 0; i < list_columns(list); i++) {
        const struct list_column *c = &list->source->columns[i];
        if (column[0] != '\0' && !c->is_drawn &&
            strncasecmp(c->name, column, strlen(column)) == 0) {
            list_sort_set(list, i);
            return true;
        }
    }
    return false;
}

int list_set_filter(struct list *list, const char *text, struct error *e)
{
    int rc = filter_set(&list->filter, text, e);
    if (rc == 0) {
        list_update(list);
        list_reveal(list);
    }
    return rc;
}

/* Marks */

static struct list_mark *list_mark_find(const struct list *list, const char *key)
{
    struct list_mark *mark;
    HASH_FIND_STR(list->marks, key, mark);
    return mark;
}

bool list_is_marked(const struct list *list, const char *key)
{
    return list_mark_find(list, key) != NULL;
}

static void list_mark_set(struct list *list, const char *key)
{
    if (key[0] == '\0' || list_is_marked(list, key))
        return;
    struct list_mark *mark = mem_zalloc(sizeof *mark);
    memcpy(mark->key, key, strlen(key) + 1);
    HASH_ADD_STR(list->marks, key, mark);
    list->n_marks++;
}

static void list_mark_drop(struct list *list, struct list_mark *mark)
{
    HASH_DEL(list->marks, mark);
    free(mark);
    list->n_marks--;
}

void list_mark_toggle(struct list *list)
{
    if (list->n == 0)
        return;
    struct list_mark *mark = list_mark_find(list, list->key);
    memcpy(list->anchor, list->key, sizeof list->anchor);
    if (mark != NULL)
        list_mark_drop(list, mark);
    else
        list_mark_set(list, list->key);
    list_move(list, 1);
}

void list_mark_range(struct list *list)
{
    char key[LIST_KEY_MAX];
    size_t from = list->at;
    for (size_t i = 0; i < list->n && list->anchor[0] != '\0'; i++) {
        list_key_at(list, i, key);
        if (strcmp(key, list->anchor) == 0)
            from = i;
    }
    size_t to = list->at > from ? list->at : from;
    for (size_t i = list->at < from ? list->at : from; i <= to && i < list->n; i++) {
        list_key_at(list, i, key);
        list_mark_set(list, key);
    }
    memcpy(list->anchor, list->key, sizeof list->anchor);
}

void list_mark_all(struct list *list)
{
    char key[LIST_KEY_MAX];
    for (size_t i = 0; i < list->n; i++) {
        list_key_at(list, i, key);
        list_mark_set(list, key);
    }
}

void list_mark_clear(struct list *list)
{
    struct list_mark *mark;
    struct list_mark *next;
    HASH_ITER (hh, list->marks, mark, next) {
        list_mark_drop(list, mark);
    }
    list->anchor[0] = '\0';
}

size_t list_targets(const struct list *list, const void ***rows)
{
    char key[LIST_KEY_MAX];
    size_t n = 0;
    *rows = mem_calloc(list->n + 1, sizeof **rows);
    for (size_t i = 0; i < list->n && list->n_marks > 0; i++) {
        list_key_at(list, i, key);
        if (list_is_marked(list, key))
            (*rows)[n++] = list->rows[i].row;
    }
    if (list->n_marks == 0 && list->n > 0)
        (*rows)[n++] = list->rows[list->at].row;
    return n;
}

enum list_hit list_click(struct list *list, int x, int y)
{
    if (y == list->drawn_y) {
        for (int i = 0; i < list_columns(list); i++) {
            if (list->drawn_w[i] == 0 || x < list->drawn_x[i] ||
                x >= list->drawn_x[i] + list->drawn_w[i] || list->source->columns[i].is_drawn)
                continue;
            if (list->sort == i)
                list_sort_invert(list);
            else
                list_sort_set(list, i);
            return LIST_HIT_HEAD;
        }
        return LIST_HIT_NONE;
    }
    if (y < list->drawn_y || y > list->drawn_y + list->height)
        return LIST_HIT_NONE;
    size_t at = list->top + (size_t)(y - list->drawn_y - 1);
    if (at >= list->n)
        return LIST_HIT_NONE;
    bool same = at == list->at;
    list_go(list, at);
    return same ? LIST_HIT_SAME_ROW : LIST_HIT_ROW;
}
