/* Between list.c (rows, order, marks) and list_draw.c (columns, cells). */
#ifndef TUI_LIST_INTERNAL_H
#define TUI_LIST_INTERNAL_H

#include "tui/list.h"

struct list_row {
    const void *row;
    char *text; /* of the column sorted by; NULL when that is a number */
    double number;
    bool has_number;
    size_t index; /* in the order in which they came */
};

void list_key_at(const struct list *list, size_t i, char key[static LIST_KEY_MAX]);

#endif
