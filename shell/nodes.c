#include "shell/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/request.h"

static int nodes_compare(const void *a, const void *b)
{
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "name"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "name"));
    return strverscmp(x != NULL ? x : "", y != NULL ? y : "");
}

void nodes_sort(json_t *nodes)
{
    size_t n = json_array_size(nodes);
    json_t **sorted = mem_calloc(n + 1, sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = json_incref(json_array_get(nodes, i));
    qsort(sorted, n, sizeof *sorted, nodes_compare);
    for (size_t i = 0; i < n; i++)
        (void)json_array_set_new(nodes, i, sorted[i]);
    free(sorted);
}

static bool nodes_has_string(const json_t *list, const char *text)
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

static bool nodes_has(const json_t *node, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(node, key));
    return value != NULL && strcmp(value, text) == 0;
}

static bool nodes_in_group(const json_t *node, const char *name)
{
    if (strcmp(name, "all") == 0)
        return true;
    if (strcmp(name, "online") == 0)
        return nodes_has(node, "state", "online");
    if (str_starts_with(name, "label="))
        return nodes_has_string(json_object_get(node, "labels"), name + strlen("label="));
    return nodes_has_string(json_object_get(node, "roles"), name) || nodes_has(node, "kind", name);
}

int nodes_resolve_group(const json_t *nodes, const char *name, struct nodeset *set)
{
    bool is_known =
        strcmp(name, "all") == 0 || strcmp(name, "online") == 0 || str_starts_with(name, "label=");
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *node_name = json_string_value(json_object_get(node, "name"));
        if (node_name == NULL || !nodes_in_group(node, name))
            continue;
        nodeset_add(set, node_name);
        is_known = true;
    }
    return is_known ? 0 : ERR_NOT_FOUND;
}

static int nodes_resolve(void *arg, const char *name, struct nodeset *set)
{
    return nodes_resolve_group(arg, name, set);
}

int nodes_expand(struct shell *shell, const char *text, struct nodeset *set)
{
    json_t *nodes = NULL;
    struct error e = {0};
    if (strchr(text, '@') != NULL) {
        struct client_path path;
        (void)client_path(&path, "nodes", NULL);
        int status = request_get(shell, &path, &nodes);
        if (status != 0)
            return status;
    }
    int rc = nodeset_parse(set, text, nodes != NULL ? nodes_resolve : NULL, nodes, &e);
    json_decref(nodes);
    if (rc == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    shell_hint(shell, "a set is n1,n2 or n[1-3] or @all, @online, @ROLE, @label=L; !x takes away");
    return SHELL_STATUS_USAGE;
}
