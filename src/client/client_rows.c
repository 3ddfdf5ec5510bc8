#include "client/client_rows.h"

#include <stdlib.h>

#include "base/mem.h"

void client_rows_sort(json_t *rows, client_rows_compare_fn compare)
{
    size_t n = json_array_size(rows);
    json_t **sorted = mem_calloc(n + 1, sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = json_incref(json_array_get(rows, i));
    qsort(sorted, n, sizeof *sorted, compare);
    for (size_t i = 0; i < n; i++)
        (void)json_array_set_new(rows, i, sorted[i]);
    free(sorted);
}
