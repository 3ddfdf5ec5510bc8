/* kv get, put, delete, list */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/commands.h"
#include "shell/look.h"
#include "shell/request.h"
#include "shell/shell.h"

enum { CMD_KV_VALUE_MAX = 64 * 1024 };

static const struct column cmd_kv_columns[] = {
    COLUMN("key", NULL, TEXT),
    COLUMN("version", NULL, COUNT),
    COLUMN("bytes", NULL, BYTES),
    COLUMN("updated_at", "updated", AGE),
    COLUMN_END,
};

static const struct column cmd_kv_written_columns[] = {
    COLUMN("key", NULL, TEXT),
    COLUMN("version", NULL, COUNT),
    COLUMN_END,
};

static void cmd_kv_print_value(struct shell *shell, const char *key,
                               const struct request_answer *answer)
{
    static const struct column columns[] = {
        COLUMN("key", NULL, TEXT),
        COLUMN("version", NULL, COUNT),
        COLUMN("value", NULL, TEXT),
        COLUMN_END,
    };
    if (shell->format == FORMAT_TABLE) {
        output_write_foreign(&shell->output, NULL, answer->bytes, answer->bytes_len);
        bool ends_line = answer->bytes_len > 0 && answer->bytes[answer->bytes_len - 1] == '\n';
        if (output_is_terminal(&shell->output) && !ends_line)
            output_write(&shell->output, "\n", 1);
        return;
    }
    json_t *value = json_stringn(answer->bytes, answer->bytes_len);
    json_t *row = json_pack("{s:s, s:I, s:o}", "key", key, "version",
                            (json_int_t)strtoll(answer->etag, NULL, 10), "value",
                            value != NULL ? value : json_null());
    shell_print_object(shell, columns, row);
    json_decref(row);
}

static int cmd_kv_get_run(struct shell *shell, const struct command_call *call)
{
    const char *key = command_argument_text(call, 0);
    struct client_path path;
    struct request_answer answer;
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    (void)client_path(&path, "kv", key, NULL);
    (void)client_path_param(&path, "consistency", shell->settings.consistency);
    request_run(shell,
                &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_WHOLE,
                                .timeout_ms = SHELL_TIMEOUT_MS),
                &answer);
    if (answer.code != 0)
        status = request_report(shell, &answer);
    else
        cmd_kv_print_value(shell, key, &answer);
    request_answer_done(&answer);
    return status;
}

const struct command cmd_kv_get = {
    .name = "kv get",
    .summary = "Print the value of a key, byte for byte",
    .text = "Formats other than table give its version too.",
    .arguments = {{"KEY", COMMAND_TYPE_KEY, COMMAND_COUNT_ONE, NULL, "the key"}},
    .run = cmd_kv_get_run,
};

/* Reads the whole of `path`, "-" for standard input. */
static int cmd_kv_read(struct shell *shell, const char *path, struct buf *value)
{
    char block[4096];
    size_t n;
    int status = SHELL_STATUS_OK;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        return SHELL_STATUS_USAGE;
    }
    while (status == SHELL_STATUS_OK && (n = fread(block, 1, sizeof block, file)) > 0) {
        if (buf_append(value, block, n) != 0) {
            shell_error(shell, "%s: a value has at most %d KiB", path, CMD_KV_VALUE_MAX / 1024);
            status = SHELL_STATUS_USAGE;
        }
    }
    if (ferror(file)) {
        shell_error(shell, "%s: it can't be read", path);
        status = SHELL_STATUS_USAGE;
    }
    if (file != stdin)
        (void)fclose(file);
    return status;
}

static int cmd_kv_send(struct shell *shell, const char *key, const char *if_version,
                       const struct buf *value)
{
    struct client_path path;
    struct request_answer answer;
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    (void)client_path(&path, "kv", key, NULL);
    (void)client_path_param(&path, "if_version", if_version);
    request_run(shell,
                &CLIENT_REQUEST(.method = value != NULL ? "PUT" : "DELETE", .path = path.text,
                                .data = value != NULL ? value->data : NULL,
                                .data_len = value != NULL ? value->len : 0,
                                .content_type = "application/octet-stream",
                                .repeatable = if_version == NULL, .timeout_ms = SHELL_TIMEOUT_MS),
                &answer);
    if (answer.code != 0)
        status = request_report(shell, &answer);
    else if (answer.json != NULL)
        shell_print_object(shell, cmd_kv_written_columns, answer.json);
    request_answer_done(&answer);
    return status;
}

static int cmd_kv_put_run(struct shell *shell, const struct command_call *call)
{
    const char *file = command_option_text(call, "file");
    const char *text = command_argument_text(call, 1);
    if ((file != NULL) == (text != NULL)) {
        shell_error(shell, "kv put needs either VALUE or --file");
        return SHELL_STATUS_USAGE;
    }
    struct buf value;
    int status = SHELL_STATUS_OK;
    buf_init(&value, CMD_KV_VALUE_MAX);
    if (file != NULL) {
        status = cmd_kv_read(shell, file, &value);
    } else if (buf_append_str(&value, text) != 0) {
        shell_error(shell, "a value has at most %d KiB", CMD_KV_VALUE_MAX / 1024);
        status = SHELL_STATUS_USAGE;
    }
    if (status == SHELL_STATUS_OK)
        status = cmd_kv_send(shell, command_argument_text(call, 0),
                             command_option_text(call, "if-version"), &value);
    buf_done(&value);
    return status;
}

const struct command cmd_kv_put = {
    .name = "kv put",
    .summary = "Store a value under a key",
    .options = {{"if-version", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "only if the key has this version; 0: only if it does not exist"},
                {"file", 'f', COMMAND_TYPE_FILE, "FILE", NULL, false,
                 "take the value from a file; - is standard input"}},
    .arguments = {{"KEY", COMMAND_TYPE_KEY, COMMAND_COUNT_ONE, NULL, "the key"},
                  {"VALUE", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL,
                   "the value, at most 64 KiB"}},
    .examples = {{"kv put lock/deploy me --if-version 0", "succeeds for one of all who try"}},
    .run = cmd_kv_put_run,
};

static int cmd_kv_delete_run(struct shell *shell, const struct command_call *call)
{
    return cmd_kv_send(shell, command_argument_text(call, 0),
                       command_option_text(call, "if-version"), NULL);
}

const struct command cmd_kv_delete = {
    .name = "kv delete",
    .summary = "Delete a key",
    .options = {{"if-version", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "only if the key has this version"}},
    .arguments = {{"KEY", COMMAND_TYPE_KEY, COMMAND_COUNT_ONE, NULL, "the key"}},
    .run = cmd_kv_delete_run,
};

static int cmd_kv_list_run(struct shell *shell, const struct command_call *call)
{
    struct client_path path;
    (void)client_path(&path, "kv", NULL);
    (void)client_path_param(&path, "prefix", command_argument_text(call, 0));
    return look_list(shell, &path, "the list of keys", cmd_kv_columns);
}

const struct command cmd_kv_list = {
    .name = "kv list",
    .summary = "List keys, their versions and sizes",
    .arguments = {{"PREFIX", COMMAND_TYPE_KEY, COMMAND_COUNT_OPTIONAL, NULL,
                   "only keys that begin with this"}},
    .run = cmd_kv_list_run,
};
