/* model add, list, remove */
#include "base/mem.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/shell.h"

static const struct column cmd_model_columns[] = {
    COLUMN("id", "model", TEXT),           COLUMN("url", NULL, TEXT),
    COLUMN("serves", NULL, TEXT),          COLUMN("added_at", "added", AGE),
    COLUMN_DETAIL("added_by", "by", TEXT), COLUMN_END,
};

static int cmd_model_add_run(struct shell *shell, const struct command_call *call)
{
    const char *url = command_argument_text(call, 1);
    json_t *model;
    json_t *body = json_pack("{s:s, s:s}", "id", command_argument_text(call, 0), "url",
                             url != NULL ? url : "echo:");
    int status = request_change(shell, "POST", "/api/models", body, &model);
    if (status != 0)
        return status;
    shell_print_object(shell, cmd_model_columns, model);
    json_decref(model);
    return SHELL_STATUS_OK;
}

const struct command cmd_model_add = {
    .name = "model add",
    .summary = "Register a model that can be rolled out",
    .text = "Without a URL it is the built-in model, which answers with what it was sent; "
            "echo:fail=5,delay=20ms makes it fail and dawdle.",
    .arguments = {{"MODEL", COMMAND_TYPE_MODEL, COMMAND_COUNT_ONE, NULL, "its id"},
                  {"URL", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL,
                   "http://HOST[:PORT]/PATH of its upstream"}},
    .examples = {{"model add spam-7 http://10.0.0.7:9000/predict", "a model behind HTTP"},
                 {"model add toy", "the built-in one"}},
    .run = cmd_model_add_run,
};

static int cmd_model_list_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct client_path path;
    (void)client_path(&path, "models", NULL);
    return look_list(shell, &path, "the list of models", cmd_model_columns);
}

const struct command cmd_model_list = {
    .name = "model list",
    .summary = "List the registered models and what they serve",
    .run = cmd_model_list_run,
};

static int cmd_model_remove_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    json_t *answer;
    (void)client_path(&path, "models", command_argument_text(call, 0), NULL);
    int status = request_change(shell, "DELETE", path.text, NULL, &answer);
    if (status == 0)
        json_decref(answer);
    return status;
}

const struct command cmd_model_remove = {
    .name = "model remove",
    .summary = "Forget a model that serves nothing",
    .arguments = {{"MODEL", COMMAND_TYPE_MODEL, COMMAND_COUNT_ONE, NULL, "its id"}},
    .run = cmd_model_remove_run,
};
