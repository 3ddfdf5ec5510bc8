/* rollout history, indoubt, resolve; routing show */
#include <string.h>

#include "base/mem.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/shell.h"

static int cmd_rollout_history_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("at", NULL, TIME),
        COLUMN("service", NULL, TEXT),
        COLUMN("model", NULL, TEXT),
        COLUMN("what", NULL, TEXT),
        COLUMN("weight", NULL, COUNT),
        COLUMN("version", NULL, COUNT),
        COLUMN("by", NULL, TEXT),
        COLUMN("text", "why", TEXT),
        COLUMN_DETAIL("state", NULL, STATE),
        COLUMN_DETAIL("rollout", NULL, ID),
        COLUMN_END,
    };
    struct client_path path;
    const struct command_value *limit = command_option(call, "limit");
    (void)client_path(&path, "rollouts", "history", NULL);
    (void)client_path_param(&path, "service", command_argument_text(call, 0));
    if (limit != NULL)
        (void)client_path_param_u64(&path, "limit", limit->number);
    return look_list(shell, &path, "the history of rollouts", columns);
}

const struct command cmd_rollout_history = {
    .name = "rollout history",
    .summary = "List what was done to rollouts, by whom and why, newest first",
    .options = {{"limit", 'n', COMMAND_TYPE_COUNT, "N", NULL, false, "at most this many; 100"}},
    .arguments = {{"SERVICE", COMMAND_TYPE_SERVICE, COMMAND_COUNT_OPTIONAL, NULL, "one service's"}},
    .run = cmd_rollout_history_run,
};

static char *cmd_rollout_known(const json_t *row)
{
    const char *error = json_string_value(json_object_get(row, "error"));
    const char *text = json_string_value(json_object_get(row, "text"));
    return error != NULL  ? mem_printf("does not answer: %s", error)
           : text != NULL ? mem_strdup(text)
                          : NULL;
}

static int cmd_rollout_indoubt_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    static const struct column columns[] = {
        COLUMN("node", NULL, TEXT),         COLUMN("txid", "transaction", TEXT),
        COLUMN("services", NULL, LIST),     COLUMN("state", NULL, STATE),
        COLUMN("coordinator", NULL, TEXT),  COLUMN("participants", NULL, LIST),
        COLUMN("age_ms", "age", DURATION),  COLUMN_AS("text", "known", TEXT, cmd_rollout_known),
        COLUMN_DETAIL("error", NULL, TEXT), COLUMN_END,
    };
    struct client_path path;
    (void)client_path(&path, "rollouts", "indoubt", NULL);
    return look_list(shell, &path, "what is in doubt", columns);
}

const struct command cmd_rollout_indoubt = {
    .name = "rollout indoubt",
    .summary = "List the transactions that nodes agreed to and have heard no decision of",
    .text =
        "They are decided by themselves as soon as whoever knows is back. rollout resolve is for "
        "when nobody will be.",
    .run = cmd_rollout_indoubt_run,
};

static int cmd_rollout_resolve_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("txid", "transaction", TEXT),
        COLUMN("node", NULL, TEXT),
        COLUMN("text", NULL, TEXT),
        COLUMN_END,
    };
    json_t *answer;
    json_t *body =
        json_pack("{s:s, s:s, s:s}", "txid", command_argument_text(call, 0), "outcome",
                  command_argument_text(call, 1), "reason", command_option_text(call, "reason"));
    if (body == NULL) {
        shell_error(shell, "say why: --reason TEXT goes into the audit trail");
        return SHELL_STATUS_USAGE;
    }
    int status = request_change(shell, "POST", "/api/rollouts/resolve", body, &answer);
    if (status != 0)
        return status;
    shell_print_object(shell, columns, answer);
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_rollout_resolve = {
    .name = "rollout resolve",
    .summary = "Decide a transaction in doubt by hand",
    .text =
        "Refused when it contradicts what any reachable node knows, and for commit unless every "
        "participant is prepared. If its coordinator is lost and had decided otherwise, both say "
        "so when they meet again.",
    .options = {{"reason", 'r', COMMAND_TYPE_TEXT, "TEXT", NULL, false,
                 "why, for the audit trail; required"}},
    .arguments = {{"TXID", COMMAND_TYPE_TXN, COMMAND_COUNT_ONE, NULL, "from rollout indoubt"},
                  {"OUTCOME", COMMAND_TYPE_CHOICE, COMMAND_COUNT_ONE, "commit|abort", "the word"}},
    .run = cmd_rollout_resolve_run,
};

/* ---- routing
 * ------------------------------------------------------------------------------------------- */

static char *cmd_routing_weights(const json_t *row)
{
    const json_t *weights = json_object_get(row, "weights");
    if (weights == NULL)
        return NULL;
    return mem_printf("%lld/%lld",
                      (long long)json_integer_value(json_object_get(weights, "stable")),
                      (long long)json_integer_value(json_object_get(weights, "canary")));
}

static char *cmd_routing_notice(const json_t *row)
{
    const char *error = json_string_value(json_object_get(row, "error"));
    const char *out = json_string_value(json_object_get(row, "out_because"));
    json_int_t doubts = json_integer_value(json_object_get(row, "in_doubt"));
    if (error != NULL)
        return mem_printf("does not answer: %s", error);
    if (out != NULL)
        return mem_printf("out of rotation: %s", out);
    return doubts > 0 ? mem_printf("in doubt about %lld", (long long)doubts) : NULL;
}

static int cmd_routing_show_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("node", NULL, TEXT),
        COLUMN("service", NULL, TEXT),
        COLUMN("version", NULL, COUNT),
        COLUMN("stable_model_id", "stable", TEXT),
        COLUMN("canary_model_id", "canary", TEXT),
        COLUMN_AS("weights", NULL, TEXT, cmd_routing_weights),
        COLUMN("status", NULL, STATE),
        COLUMN("txid", "transaction", ID),
        COLUMN("since", NULL, AGE),
        COLUMN_AS("error", "notice", TEXT, cmd_routing_notice),
        COLUMN_DETAIL("by", NULL, TEXT),
        COLUMN_DETAIL("reason", NULL, TEXT),
        COLUMN_END,
    };
    const char *service = command_argument_text(call, 0);
    struct client_path path;
    json_t *rows;
    (void)client_path(&path, "routing", NULL);
    int status = request_get(shell, &path, &rows);
    if (status != 0)
        return status;
    for (size_t i = json_array_size(rows); i > 0 && service != NULL; i--) {
        const char *name =
            json_string_value(json_object_get(json_array_get(rows, i - 1), "service"));
        if (name != NULL && strcmp(name, service) != 0)
            (void)json_array_remove(rows, i - 1);
    }
    shell_print_rows(shell, columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

const struct command cmd_routing_show = {
    .name = "routing show",
    .summary = "Show what every node serves, side by side",
    .arguments = {{"SERVICE", COMMAND_TYPE_SERVICE, COMMAND_COUNT_OPTIONAL, NULL, "one service"}},
    .run = cmd_routing_show_run,
};
