#include "core/sql_pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sql_pack_order {
    const struct sql_pack_file *files;
    size_t values_n;
};

static int sql_pack_compare_values(const struct sql_pack_order *order, size_t a, size_t b)
{
    for (size_t i = 0; i < order->values_n; i++) {
        const char *x = order->files[a].values[i];
        const char *y = order->files[b].values[i];
        if ((x == NULL) != (y == NULL))
            return x == NULL ? -1 : 1;
        int cmp = x == NULL ? 0 : strcmp(x, y);
        if (cmp != 0)
            return cmp;
    }
    return 0;
}

static int sql_pack_compare(const void *x, const void *y, void *arg)
{
    size_t a = *(const size_t *)x, b = *(const size_t *)y;
    int cmp = sql_pack_compare_values(arg, a, b);
    return cmp != 0 ? cmp : (a > b) - (a < b);
}

size_t sql_pack(const struct sql_pack_file *files, size_t n, size_t values_n, uint64_t target,
                size_t *out, size_t *first)
{
    struct sql_pack_order order = {files, values_n};
    size_t *small = mem_calloc(n + 1, sizeof *small);
    size_t small_n = 0, packs = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        if (files[i].size < target / 2)
            small[small_n++] = i;
    qsort_r(small, small_n, sizeof *small, sql_pack_compare, &order);
    first[0] = 0;
    for (size_t i = 0, end; i < small_n; i = end) {
        uint64_t bytes = files[small[i]].size;
        for (end = i + 1; end < small_n; end++) {
            if (sql_pack_compare_values(&order, small[i], small[end]) != 0 ||
                bytes + files[small[end]].size > target)
                break;
            bytes += files[small[end]].size;
        }
        if (end - i < 2)
            continue; /* alone already */
        memcpy(out + kept, small + i, (end - i) * sizeof *out);
        kept += end - i;
        first[++packs] = kept;
    }
    free(small);
    return packs;
}
