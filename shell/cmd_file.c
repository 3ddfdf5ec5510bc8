/* file upload */
#include "shell/commands.h"
#include "shell/shell.h"
#include "shell/upload.h"

static int cmd_file_upload_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("id", NULL, TEXT),
        COLUMN("name", NULL, TEXT),
        COLUMN("bytes", NULL, BYTES),
        COLUMN("xxh", NULL, TEXT),
        COLUMN_END,
    };
    size_t n;
    const struct command_value *paths = command_argument_all(call, 0, &n);
    const char *name = command_option_text(call, "name");
    if (name != NULL && n > 1) {
        shell_error(shell, "--name is for one file");
        return SHELL_STATUS_USAGE;
    }
    json_t *sent = json_array();
    int status = SHELL_STATUS_OK;
    for (size_t i = 0; i < n && status == SHELL_STATUS_OK; i++) {
        struct upload upload;
        status = upload_file(shell, paths[i].text, name, &upload);
        if (status == SHELL_STATUS_OK)
            (void)json_array_append(sent, upload.answer);
        upload_done(&upload);
    }
    if (json_array_size(sent) > 0)
        shell_print_rows(shell, columns, sent);
    json_decref(sent);
    return status;
}

const struct command cmd_file_upload = {
    .name = "file upload",
    .summary = "Send files to the cluster, for jobs to use by their id",
    .options = {{"name", 'n', COMMAND_TYPE_TEXT, "NAME", NULL, false,
                 "what jobs see it as; default its own name"}},
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_MANY, NULL, "files of this machine"}},
    .examples = {{"file upload model.bin", "prints its id; job submit --file sends one by itself"}},
    .run = cmd_file_upload_run,
};
