#include "client/client_vitals.h"

#include <string.h>

#include "base/mem.h"

/* "memory_percent" of what the node has is taken: the rest is free. */
static void client_vitals_set_free(json_t *node, const char *total, const char *key, double percent)
{
    json_int_t bytes = json_integer_value(json_object_get(node, total));
    if (bytes > 0 && percent >= 0 && percent <= 100)
        (void)json_object_set_new(
            node, key, json_integer((json_int_t)((double)bytes * (100 - percent) / 100)));
}

static void client_vitals_set(json_t *node, const json_t *tick, const json_t *values)
{
    static const char *const same[] = {"cpu_percent", "load", "tasks_running", "rtt_ms"};
    const json_t *columns = json_object_get(tick, "columns");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *column = json_string_value(json_array_get(columns, i));
        json_t *value = json_array_get(values, i);
        if (column == NULL || !json_is_number(value))
            continue;
        for (size_t k = 0; k < MEM_COUNT(same); k++)
            if (strcmp(column, same[k]) == 0)
                (void)json_object_set(node, column, value);
        if (strcmp(column, "memory_percent") == 0)
            client_vitals_set_free(node, "memory_total_bytes", "memory_available_bytes",
                                   json_number_value(value));
        else if (strcmp(column, "disk_percent") == 0)
            client_vitals_set_free(node, "disk_total_bytes", "disk_free_bytes",
                                   json_number_value(value));
    }
    (void)json_object_set(node, "last_seen", json_object_get(tick, "at"));
}

void client_vitals_put(json_t *nodes, const json_t *tick)
{
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *name = json_string_value(json_object_get(node, "name"));
        const json_t *values =
            name != NULL ? json_object_get(json_object_get(tick, "nodes"), name) : NULL;
        if (json_is_array(values))
            client_vitals_set(node, tick, values);
    }
}

void client_vitals_renew(json_t *nodes, const json_t *tick)
{
    static const char *const moment[] = {"cpu_percent",   "load",      "memory_available_bytes",
                                         "tasks_running", "rtt_ms",    "disk_free_bytes",
                                         "tasks_queued",  "last_seen", "uptime_ms"};
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node) for (size_t k = 0; k < MEM_COUNT(moment); k++)(void)
        json_object_del(node, moment[k]);
    client_vitals_put(nodes, tick);
}
