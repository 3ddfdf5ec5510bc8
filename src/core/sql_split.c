#include "core/sql_plan.h"

/* How many runs are needed when none may exceed `most` bytes. */
static size_t sql_split_runs(const uint64_t *bytes, size_t n, uint64_t most, size_t *first)
{
    size_t runs = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (runs == 0 || sum + bytes[i] > most) {
            if (first != NULL)
                first[runs] = i;
            runs++;
            sum = 0;
        }
        sum += bytes[i];
    }
    return runs;
}

void sql_split_files(const uint64_t *bytes, size_t n, size_t tasks, size_t *first)
{
    uint64_t low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        low = bytes[i] > low ? bytes[i] : low;
        high += bytes[i];
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sql_split_runs(bytes, n, middle, NULL) <= tasks)
            high = middle;
        else
            low = middle + 1;
    }
    size_t runs = sql_split_runs(bytes, n, low, first);
    for (size_t t = runs; t <= tasks; t++)
        first[t] = n;
}
