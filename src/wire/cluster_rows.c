#include "wire/cluster_rows.h"

#include <stddef.h>

const struct cluster_event_field cluster_event_fields[] = {
    {"at", "time"},     {"id", "id"},       {"kind", "kind"},
    {"level", "level"}, {"node", "node"},   {"text", "text"},
    {"by", "by"},       {"cause", "cause"}, {"key", "key"},
    {"role", "role"},   {"job", "job"},     {"task", "task"},
    {"peer", "peer"},   {"code", "code"},   {"table", "table_name"},
    {NULL, NULL},
};
