#include "shell/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "client/client_nodes.h"
#include "client/client_rows.h"
#include "shell/request.h"

static int nodes_compare(const void *a, const void *b)
{
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "name"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "name"));
    return strverscmp(x != NULL ? x : "", y != NULL ? y : "");
}

void nodes_sort(json_t *nodes)
{
    client_rows_sort(nodes, nodes_compare);
}

static int nodes_resolve(void *arg, const char *name, struct nodeset *set)
{
    return client_nodes_group(arg, name, set);
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
