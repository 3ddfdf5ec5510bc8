#include "wire/cluster_rows.h"

#include <stdlib.h>

#include "base/mem.h"

json_t *cluster_row_of_event(const json_t *event)
{
    static const char *const same[] = {"id",  "kind", "level", "node", "text", "by",  "cause",
                                       "key", "role", "job",   "task", "peer", "code"};
    json_t *row = json_object();
    json_t *patch = json_object_get(event, "row");
    for (unsigned i = 0; i < MEM_COUNT(same); i++)
        if (json_is_string(json_object_get(event, same[i])))
            (void)json_object_set(row, same[i], json_object_get(event, same[i]));
    (void)json_object_set(row, "time", json_object_get(event, "at"));
    (void)json_object_set(row, "table_name", json_object_get(event, "table"));
    if (json_is_object(patch)) {
        char *text = json_dumps(patch, JSON_COMPACT | JSON_REAL_PRECISION(6));
        (void)json_object_set_new(row, "row", json_string(text));
        free(text);
    }
    return row;
}
