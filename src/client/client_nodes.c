#include "client/client_nodes.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

static bool client_nodes_has_string(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

static bool client_nodes_has(const json_t *node, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(node, key));
    return value != NULL && strcmp(value, text) == 0;
}

static bool client_nodes_in_group(const json_t *node, const char *name)
{
    if (strcmp(name, "all") == 0)
        return true;
    if (strcmp(name, "online") == 0)
        return client_nodes_has(node, "state", "online");
    if (str_starts_with(name, "label="))
        return client_nodes_has_string(json_object_get(node, "labels"), name + strlen("label="));
    return client_nodes_has_string(json_object_get(node, "roles"), name) ||
           client_nodes_has(node, "kind", name);
}

int client_nodes_group(const json_t *nodes, const char *name, struct nodeset *set)
{
    bool is_known =
        strcmp(name, "all") == 0 || strcmp(name, "online") == 0 || str_starts_with(name, "label=");
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *node_name = json_string_value(json_object_get(node, "name"));
        if (node_name == NULL || !client_nodes_in_group(node, name))
            continue;
        nodeset_add(set, node_name);
        is_known = true;
    }
    return is_known ? 0 : ERR_NOT_FOUND;
}
