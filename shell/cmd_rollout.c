/* rollout start, status, promote, pause, freeze, resume, abort, retry, rollback */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/rollouts.h"

/* Sends POST /api/rollouts/SERVICE/ACTION; prints the rollout, or follows it. */
static int cmd_rollout_post(struct shell *shell, const struct command_call *call,
                            const char *action, json_t *body, bool watch)
{
    const char *service = command_argument_text(call, 0);
    struct client_path path;
    json_t *rollout;
    (void)client_path(&path, "rollouts", service, action, NULL);
    int status = request_change(shell, "POST", path.text, body, &rollout);
    if (status != 0)
        return status;
    if (!watch)
        rollouts_print(shell, rollout);
    json_decref(rollout);
    return watch ? rollouts_watch(shell, service) : SHELL_STATUS_OK;
}

/* ---- start
 * ---------------------------------------------------------------------------------------- */

static void cmd_rollout_set_texts(const struct command_call *call, json_t *body)
{
    static const char *const names[][2] = {{"steps", "steps"},
                                           {"no-data", "no_data"},
                                           {"decide-by", "decide_by"},
                                           {"reason", "reason"}};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        const char *text = command_option_text(call, names[i][0]);
        if (text != NULL)
            (void)json_object_set_new(body, names[i][1], json_string(text));
    }
}

static void cmd_rollout_set_numbers(const struct command_call *call, json_t *body)
{
    static const char *const names[][2] = {
        {"window", "window_ms"},       {"interval", "interval_ms"},
        {"deadline", "deadline_ms"},   {"samples", "samples_min"},
        {"failures", "failure_limit"}, {"inconclusive", "inconclusive_limit"}};
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        const struct command_value *value = command_option(call, names[i][0]);
        if (value != NULL)
            (void)json_object_set_new(body, names[i][1], json_integer((json_int_t)value->number));
    }
    const struct command_value *weight = command_option(call, "weight");
    if (weight != NULL)
        (void)json_object_set_new(body, "weights",
                                  json_pack("{s:I, s:I}", "stable",
                                            100 - (json_int_t)weight->integer, "canary",
                                            (json_int_t)weight->integer));
}

/* --gate G... and --also SERVICE=MODEL... */
static int cmd_rollout_set_lists(struct shell *shell, const struct command_call *call, json_t *body)
{
    size_t n;
    const struct command_value *gates = command_option_all(call, "gate", &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(gates[i].text));
    (void)json_object_set_new(body, "gates", list);
    const struct command_value *also = command_option_all(call, "also", &n);
    json_t *others = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *sign = strchr(also[i].text, '=');
        if (sign == NULL) {
            shell_error(shell, "--also takes SERVICE=MODEL, not \"%s\"", also[i].text);
            json_decref(others);
            return SHELL_STATUS_USAGE;
        }
        char *service = mem_strndup(also[i].text, (size_t)(sign - also[i].text));
        (void)json_object_set_new(others, service, json_string(sign + 1));
        free(service);
    }
    (void)json_object_set_new(body, "also", others);
    return SHELL_STATUS_OK;
}

static int cmd_rollout_start_run(struct shell *shell, const struct command_call *call)
{
    json_t *body = json_pack("{s:s}", "model", command_argument_text(call, 1));
    cmd_rollout_set_texts(call, body);
    cmd_rollout_set_numbers(call, body);
    int status = cmd_rollout_set_lists(shell, call, body);
    if (status != SHELL_STATUS_OK) {
        json_decref(body);
        return status;
    }
    bool dry_run = command_option_given(call, "dry-run");
    if (dry_run)
        (void)json_object_set_new(body, "dry_run", json_true());
    return cmd_rollout_post(shell, call, "start", body,
                            !dry_run && command_option_given(call, "watch"));
}

const struct command cmd_rollout_start = {
    .name = "rollout start",
    .summary = "Move the traffic of a service to another model, step by step",
    .text =
        "Every step is one transaction on all nodes: it happens everywhere or nowhere. A service "
        "that is new has all traffic at once. Gates are errors<=1%, p50, p90, p95, p99, p999 "
        "(p95<=250ms), http:URL and command:TEXT; dry: in front of one measures without acting.",
    .options = {{"steps", 's', COMMAND_TYPE_TEXT, "PLAN", NULL, false,
                 "weight and pause of each step: 5:1m,25:10m,50:wait,100"},
                {"weight", 0, COMMAND_TYPE_NUMBER, "PERCENT", NULL, false,
                 "in place of a plan: this much, until promote"},
                {"gate", 'g', COMMAND_TYPE_TEXT, "GATE", NULL, true,
                 "what must hold for the next step; may be repeated"},
                {"also", 0, COMMAND_TYPE_TEXT, "SERVICE=MODEL", NULL, true,
                 "another service that changes in the same transactions"},
                {"window", 0, COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "what gates look back at; 60s"},
                {"interval", 0, COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "between two measurements; 5s"},
                {"samples", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "fewer requests in the window are no data; 20"},
                {"no-data", 0, COMMAND_TYPE_CHOICE, "WHAT", "inconclusive|pass", false,
                 "what no data means; inconclusive"},
                {"failures", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "failures of one gate in a step that are borne; 0"},
                {"inconclusive", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "inconclusive ones in a row that are borne before it pauses; 0: any number"},
                {"deadline", 0, COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "without progress for so long beyond a pause it is aborted; 10m"},
                {"decide-by", 0, COMMAND_TYPE_CHOICE, "WHO", "metadata|peers", false,
                 "where decisions are kept; metadata"},
                {"reason", 'r', COMMAND_TYPE_TEXT, "TEXT", NULL, false, "why, for the history"},
                {"dry-run", 'n', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "check it and show what would be done, and do nothing"},
                {"watch", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false, "follow it to its end"}},
    .arguments = {{"SERVICE", COMMAND_TYPE_SERVICE, COMMAND_COUNT_ONE, NULL, "the service"},
                  {"MODEL", COMMAND_TYPE_MODEL, COMMAND_COUNT_ONE, NULL, "a registered model"}},
    .examples = {{"rollout start web spam-7 --gate 'errors<=1%' --gate 'p95<=250ms' -w",
                  "5, 25, 50, 100 % with a minute each, gated, followed"},
                 {"rollout start web spam-7 --weight 10", "a tenth, until rollout promote web"}},
    .run = cmd_rollout_start_run,
};

/* ---- status
 * ----------------------------------------------------------------------------------------- */

static int cmd_rollout_status_run(struct shell *shell, const struct command_call *call)
{
    const char *service = command_argument_text(call, 0);
    struct client_path path;
    json_t *answer;
    if (command_option_given(call, "watch") && service == NULL) {
        shell_error(shell, "--watch follows the rollout of one service: name it");
        return SHELL_STATUS_USAGE;
    }
    if (command_option_given(call, "watch"))
        return rollouts_watch(shell, service);
    if (service != NULL)
        (void)client_path(&path, "rollouts", service, NULL);
    else
        (void)client_path(&path, "rollouts", NULL);
    int status = service != NULL ? look_row(shell, &path, "rollouts", "service", service, &answer)
                                 : look_rows(shell, &path, "rollouts", &answer, NULL);
    if (status != 0)
        return status;
    if (service != NULL)
        rollouts_print(shell, answer);
    else
        shell_print_rows(shell, rollouts_columns, answer);
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_rollout_status = {
    .name = "rollout status",
    .summary = "Show rollouts and how far they are, or everything about one",
    .text =
        "With --watch: exit status 0 when it was promoted or rolled back, 3 when it was aborted.",
    .options = {{"watch", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false, "follow it to its end"}},
    .arguments = {{"SERVICE", COMMAND_TYPE_SERVICE, COMMAND_COUNT_OPTIONAL, NULL, "one service's"}},
    .run = cmd_rollout_status_run,
};

/* ---- steering
 * ---------------------------------------------------------------------------------------- */

static json_t *cmd_rollout_reason(const struct command_call *call)
{
    const char *reason = command_option_text(call, "reason");
    return reason != NULL ? json_pack("{s:s}", "reason", reason) : json_object();
}

#define CMD_ROLLOUT_REASON                                                                         \
    {                                                                                              \
        "reason", 'r', COMMAND_TYPE_TEXT, "TEXT", NULL, false, "why, for the history"              \
    }
#define CMD_ROLLOUT_SERVICE                                                                        \
    {                                                                                              \
        "SERVICE", COMMAND_TYPE_SERVICE, COMMAND_COUNT_ONE, NULL, "the service"                    \
    }

static int cmd_rollout_promote_run(struct shell *shell, const struct command_call *call)
{
    json_t *body = cmd_rollout_reason(call);
    if (command_option_given(call, "full"))
        (void)json_object_set_new(body, "full", json_true());
    return cmd_rollout_post(shell, call, "promote", body, command_option_given(call, "watch"));
}

const struct command cmd_rollout_promote = {
    .name = "rollout promote",
    .summary = "Go on with the next step now, whatever its pause and gates say",
    .options = {{"full", 0, COMMAND_TYPE_FLAG, NULL, NULL, false, "straight to the end"},
                {"watch", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false, "follow it to its end"},
                CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_promote_run,
};

static int cmd_rollout_pause_run(struct shell *shell, const struct command_call *call)
{
    return cmd_rollout_post(shell, call, "pause", cmd_rollout_reason(call), false);
}

const struct command cmd_rollout_pause = {
    .name = "rollout pause",
    .summary = "Take no further step; gates may still abort it",
    .options = {CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_pause_run,
};

static int cmd_rollout_freeze_run(struct shell *shell, const struct command_call *call)
{
    return cmd_rollout_post(shell, call, "freeze", cmd_rollout_reason(call), false);
}

const struct command cmd_rollout_freeze = {
    .name = "rollout freeze",
    .summary = "Leave everything as it is, whatever the gates say",
    .options = {CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_freeze_run,
};

static int cmd_rollout_resume_run(struct shell *shell, const struct command_call *call)
{
    return cmd_rollout_post(shell, call, "resume", cmd_rollout_reason(call), false);
}

const struct command cmd_rollout_resume = {
    .name = "rollout resume",
    .summary = "Go on with a paused or frozen rollout",
    .options = {CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_resume_run,
};

static int cmd_rollout_abort_run(struct shell *shell, const struct command_call *call)
{
    return cmd_rollout_post(shell, call, "abort", cmd_rollout_reason(call), false);
}

const struct command cmd_rollout_abort = {
    .name = "rollout abort",
    .summary = "Give all traffic back to the stable model",
    .options = {CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_abort_run,
};

static int cmd_rollout_retry_run(struct shell *shell, const struct command_call *call)
{
    return cmd_rollout_post(shell, call, "retry", cmd_rollout_reason(call),
                            command_option_given(call, "watch"));
}

const struct command cmd_rollout_retry = {
    .name = "rollout retry",
    .summary = "Begin an aborted rollout again, with the same plan and gates",
    .text = "What the model did before counts no more: its gates look at what comes from now on.",
    .options = {{"watch", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false, "follow it to its end"},
                CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE},
    .run = cmd_rollout_retry_run,
};

static int cmd_rollout_rollback_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *version = command_argument_all(call, 1, &n);
    json_t *body = cmd_rollout_reason(call);
    if (n > 0)
        (void)json_object_set_new(body, "version", json_integer((json_int_t)version->number));
    return cmd_rollout_post(shell, call, "rollback", body, command_option_given(call, "watch"));
}

const struct command cmd_rollout_rollback = {
    .name = "rollout rollback",
    .summary = "Bring an earlier version back at once, without steps and gates",
    .text = "Without a version it is the last one that had another model alone. A rollout that is "
            "under way ends; what it did to other services is taken back too.",
    .options = {{"watch", 'w', COMMAND_TYPE_FLAG, NULL, NULL, false, "follow it to its end"},
                CMD_ROLLOUT_REASON},
    .arguments = {CMD_ROLLOUT_SERVICE,
                  {"VERSION", COMMAND_TYPE_COUNT, COMMAND_COUNT_OPTIONAL, NULL,
                   "as rollout history names it"}},
    .run = cmd_rollout_rollback_run,
};
