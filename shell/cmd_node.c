/* node list, show, drain, resume, remove */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/nodes.h"
#include "shell/request.h"
#include "shell/shell.h"

static char *cmd_node_leader(const json_t *row)
{
    return json_is_true(json_object_get(row, "leader")) ? mem_strdup("*") : NULL;
}

static char *cmd_node_slots(const json_t *row)
{
    return mem_printf("%lld/%lld",
                      (long long)json_integer_value(json_object_get(row, "slots_used")),
                      (long long)json_integer_value(json_object_get(row, "slots")));
}

static char *cmd_node_memory(const json_t *row)
{
    char available[STR_SHORT_MAX];
    json_int_t total = json_integer_value(json_object_get(row, "memory_total_bytes"));
    json_int_t left = json_integer_value(json_object_get(row, "memory_available_bytes"));
    if (total <= 0 || !json_is_integer(json_object_get(row, "memory_available_bytes")))
        return NULL;
    return mem_strdup(str_format_bytes(left > 0 ? (uint64_t)left : 0, available));
}

static const struct column cmd_node_columns[] = {
    COLUMN("name", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN_AS("leader", "lead", FLAG, cmd_node_leader),
    COLUMN("roles", NULL, LIST),
    COLUMN_AS("slots_used", "slots", COUNT, cmd_node_slots),
    COLUMN_RAW("slots", COUNT),
    COLUMN_WIDE("tasks_running", "running", COUNT),
    COLUMN_DETAIL("tasks_queued", "queued", COUNT),
    COLUMN("cpu_percent", "cpu", PERCENT),
    COLUMN("load", NULL, FLOAT),
    COLUMN_AS("memory_available_bytes", "free mem", BYTES, cmd_node_memory),
    COLUMN_DETAIL("memory_total_bytes", "memory", BYTES),
    COLUMN_DETAIL("disk_free_bytes", "free disk", BYTES),
    COLUMN_DETAIL("disk_full", "disk full", FLAG),
    COLUMN_DETAIL("disk_total_bytes", "disk", BYTES),
    COLUMN_DETAIL("rtt_ms", "round trip ms", FLOAT),
    COLUMN("last_seen", "seen", AGE),
    COLUMN_WIDE("address", NULL, TEXT),
    COLUMN_DETAIL("api_address", "api", TEXT),
    COLUMN_DETAIL("labels", NULL, LIST),
    COLUMN_DETAIL("drain_reason", "drain reason", TEXT),
    COLUMN_DETAIL("kind", NULL, TEXT),
    COLUMN_DETAIL("version", NULL, TEXT),
    COLUMN_DETAIL("pid", NULL, COUNT),
    COLUMN_DETAIL("uptime_ms", "uptime", UPTIME),
    COLUMN_DETAIL("joined_at", "joined", TIME),
    COLUMN_DETAIL("started_at", "started", TIME),
    COLUMN_DETAIL("id", NULL, ID),
    COLUMN_END,
};

/* Says which of the set are no nodes; an exit status. */
static int cmd_node_find(struct shell *shell, const struct nodeset *set, const json_t *nodes)
{
    struct nodeset known, missing;
    size_t i;
    const json_t *node;
    nodeset_init(&known);
    nodeset_init(&missing);
    json_array_foreach(nodes, i, node)
    {
        const char *name = json_string_value(json_object_get(node, "name"));
        if (name != NULL)
            nodeset_add(&known, name);
    }
    for (i = 0; i < set->n; i++)
        if (!nodeset_contains(&known, set->names[i]))
            nodeset_add(&missing, set->names[i]);
    int status = missing.n > 0 ? SHELL_STATUS_FAILED : SHELL_STATUS_OK;
    if (missing.n > 0) {
        char *names = nodeset_fold(&missing);
        shell_error(shell, "there is no node %s", names);
        shell_hint(shell, "node list shows the nodes");
        free(names);
    }
    nodeset_done(&known);
    nodeset_done(&missing);
    return status;
}

/* Keeps the nodes of the sets that were given; all where none was. */
static int cmd_node_keep(struct shell *shell, const struct command_call *call, json_t *nodes)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    struct nodeset set;
    int status = SHELL_STATUS_OK;
    nodeset_init(&set);
    for (size_t i = 0; i < n && status == SHELL_STATUS_OK; i++)
        status = nodes_expand(shell, values[i].text, &set);
    if (status == SHELL_STATUS_OK)
        status = cmd_node_find(shell, &set, nodes);
    for (size_t i = json_array_size(nodes); n > 0 && i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(nodes, i), "name"));
        if (name == NULL || !nodeset_contains(&set, name))
            (void)json_array_remove(nodes, i);
    }
    nodeset_done(&set);
    return status;
}

static int cmd_node_list_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *nodes;
    (void)client_path(&path, "nodes", NULL);
    int status = look_rows(shell, &path, "nodes", &nodes, NULL);
    if (status != 0)
        return status;
    client_learn(shell->client, nodes);
    nodes_sort(nodes);
    status = cmd_node_keep(shell, call, nodes);
    if (status == SHELL_STATUS_OK || (status == SHELL_STATUS_FAILED && json_array_size(nodes) > 0))
        shell_print_rows(shell, cmd_node_columns, nodes);
    json_decref(nodes);
    return status;
}

const struct command cmd_node_list = {
    .name = "node list",
    .summary = "List the nodes of the cluster and how they are",
    .arguments = {{"NODES", COMMAND_TYPE_NODES, COMMAND_COUNT_ANY, NULL,
                   "only these: n[1-3], @worker & !n2"}},
    .examples = {{"node list", "state, leader, load and free memory of every node"},
                 {"node list -o json", "every key that the API knows"}},
    .run = cmd_node_list_run,
};

static int cmd_node_show_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *node;
    const char *name = command_argument_text(call, 0);
    (void)client_path(&path, "nodes", name, NULL);
    int status = look_row(shell, &path, "nodes", "name", name, &node);
    if (status != 0)
        return status;
    shell_print_object(shell, cmd_node_columns, node);
    const json_t *running = json_object_get(node, "running");
    if (json_array_size(running) > 0 && !format_is_json(shell->format)) {
        shell_say(shell, "\nrunning:");
        shell_print_rows(shell, cmd_job_task_columns, running);
    }
    json_decref(node);
    return SHELL_STATUS_OK;
}

const struct command cmd_node_show = {
    .name = "node show",
    .summary = "Show everything about one node and what runs on it",
    .arguments = {{"NODE", COMMAND_TYPE_NODE, COMMAND_COUNT_ONE, NULL, "its name"}},
    .run = cmd_node_show_run,
};

/* Whether the cluster has all of them. */
static int cmd_node_exist(struct shell *shell, const struct nodeset *set)
{
    struct client_path path;
    json_t *nodes;
    (void)client_path(&path, "nodes", NULL);
    int status = request_get(shell, &path, &nodes);
    if (status != SHELL_STATUS_OK)
        return status;
    status = cmd_node_find(shell, set, nodes);
    json_decref(nodes);
    return status;
}

/* Sends POST /api/nodes/NODE/VERB for every node given, and prints what they are now. */
static int cmd_node_change(struct shell *shell, const struct command_call *call, const char *verb,
                           const json_t *body, bool force)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    struct nodeset set;
    int status = SHELL_STATUS_OK;
    json_t *changed = json_array();
    nodeset_init(&set);
    for (size_t i = 0; i < n && status == SHELL_STATUS_OK; i++)
        status = nodes_expand(shell, values[i].text, &set);
    if (status == SHELL_STATUS_OK && set.n > 1) /* none is changed when one is not there */
        status = cmd_node_exist(shell, &set);
    for (size_t i = 0; i < set.n && status == SHELL_STATUS_OK; i++) {
        struct client_path path;
        json_t *node;
        (void)client_path(&path, "nodes", set.names[i], verb, NULL);
        (void)client_path_param(&path, "force", force ? "true" : NULL);
        status = request_change(shell, "POST", path.text, json_deep_copy(body), &node);
        if (status == SHELL_STATUS_OK && !json_is_string(json_object_get(node, "name"))) {
            status = request_strange(shell, "it is no node");
            json_decref(node);
        } else if (status == SHELL_STATUS_OK) {
            (void)json_array_append_new(changed, node);
        }
    }
    if (json_array_size(changed) > 0)
        shell_print_rows(shell, cmd_node_columns, changed);
    json_decref(changed);
    nodeset_done(&set);
    return status;
}

static int cmd_node_drain_run(struct shell *shell, const struct command_call *call)
{
    const char *reason = command_option_text(call, "reason");
    const struct command_value *deadline = command_option(call, "deadline");
    json_t *body = json_pack("{s:s}", "reason", reason != NULL ? reason : "");
    if (deadline != NULL)
        (void)json_object_set_new(body, "deadline_ms", json_integer((json_int_t)deadline->number));
    int status = cmd_node_change(shell, call, "drain", body, false);
    json_decref(body);
    return status;
}

const struct command cmd_node_drain = {
    .name = "node drain",
    .summary = "Give nodes no new work",
    .text =
        "What runs there goes on; with --deadline what is left by then is given to other nodes. "
        "node resume ends it.",
    .options = {{"reason", 'r', COMMAND_TYPE_TEXT, "TEXT", NULL, false,
                 "why, for whoever looks at node list"},
                {"deadline", 'd', COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "how long running work may go on, such as 10m"}},
    .arguments = {{"NODES", COMMAND_TYPE_NODES, COMMAND_COUNT_MANY, NULL,
                   "names or sets: n1, n[2-4], @label=old"}},
    .examples = {{"node drain n3 --reason 'new disk' --deadline 10m",
                  "empties n3 within ten minutes"}},
    .run = cmd_node_drain_run,
};

static int cmd_node_resume_run(struct shell *shell, const struct command_call *call)
{
    return cmd_node_change(shell, call, "resume", NULL, false);
}

const struct command cmd_node_resume = {
    .name = "node resume",
    .summary = "Give drained nodes work again",
    .arguments = {{"NODES", COMMAND_TYPE_NODES, COMMAND_COUNT_MANY, NULL, "names or sets"}},
    .run = cmd_node_resume_run,
};

static int cmd_node_remove_run(struct shell *shell, const struct command_call *call)
{
    return cmd_node_change(shell, call, "remove", NULL, command_option_given(call, "force"));
}

const struct command cmd_node_remove = {
    .name = "node remove",
    .summary = "Take nodes out of the cluster for good",
    .text = "A node must be offline or drained first, unless --force is given.",
    .options = {{"force", 'f', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "also when it is up; its work is given to others"}},
    .arguments = {{"NODES", COMMAND_TYPE_NODES, COMMAND_COUNT_MANY, NULL, "names or sets"}},
    .run = cmd_node_remove_run,
};
